// Package alert is the vocabulary of judging: outcomes, severities, verdicts and alerts. It does no input or output.
package alert

import (
	"borderwatch/schemas/access"
)

// Outcome is what a rule, or all rules together, say of an event. The order is that of badness: of several, the largest
// counts.
type Outcome uint8

// The outcomes.
const (
	None       Outcome = iota // no rule forbids it
	Suppressed                // a rule forbids it and an exception in force allows it
	Unknown                   // a rule could forbid it and something it needs is missing: an alert of its own
	Alert                     // a rule forbids it
	Error                     // a rule could not be evaluated: alerts like a match
)

var outcomeWords = [...]string{"none", "suppressed", "unknown", "alert", "error"}

func (o Outcome) String() string { return outcomeWords[o] }

// ParseOutcome reads an outcome's word.
func ParseOutcome(word string) (Outcome, bool) {
	for i, w := range outcomeWords {
		if w == word {
			return Outcome(i), true
		}
	}
	return None, false
}

// Severity grades an alert.
type Severity uint8

// The severities; NoSeverity where there is no alert.
const (
	NoSeverity Severity = iota
	Info
	Low
	Medium
	High
	Critical
)

var severityWords = [...]string{"none", "info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severityWords[s] }

// ParseSeverity reads a severity's word, "none" not among them.
func ParseSeverity(word string) (Severity, bool) {
	for i, w := range severityWords[1:] {
		if w == word {
			return Severity(i + 1), true
		}
	}
	return NoSeverity, false
}

// StepDown lowers a severity by one step, never below low; info stays.
func (s Severity) StepDown() Severity {
	if s > Low {
		return s - 1
	}
	return s
}

// UnknownRule is the rule id of the alert that folds the unknowns of one event.
const UnknownRule = "unknown"

// Verdict is the judgement of one event by one bundle. It is reused from event to event; its slices keep their capacity.
type Verdict struct {
	Outcome   Outcome  // the worst of the active rules
	Severity  Severity // the highest of the alerts of active rules
	Matched   []Match  // every rule with an outcome other than none, shadow rules among them, by rule id
	Near      []Near   // at most MaxNear rules of which only conditions on the place or the approval were false
	NearTotal int      // how many there were
	Alerts    []Item   // what is stored as alerts, by rule id
}

// MaxNear is how many nearly matched rules are stored with an event.
const MaxNear = 16

// Match is one rule's outcome on one event.
type Match struct {
	RuleID   string
	Outcome  Outcome
	Severity Severity
	Shadow   bool            // a shadow rule is stored and notifies nobody
	DataItem int             // index of the worst data item
	Missing  access.FieldSet // what made it unknown
	Reason   string          // the error, or "" where the conditions say it all
}

// Near is a rule that nearly matched, and the fields whose conditions were false.
type Near struct {
	RuleID string
	False  access.FieldSet
}

// Item is one alert: one event and one rule, or the folded unknowns of one event. It is evidence and never changes.
type Item struct {
	ID         access.Digest // of identity, content, rule id and the judging part of the rule
	RuleID     string        // UnknownRule for folded unknowns
	Outcome    Outcome       // never None
	Severity   Severity
	Shadow     bool
	DataItem   int
	Rules      []string // the rules concerned, sorted: one, or all that were unknown
	Missing    access.FieldSet
	Exceptions []Exception // those that suppress it
	Why        string      // who, what, from where, and which condition decided, in one sentence
	Case       access.Digest
	CaseKind   CaseKind
}

// Exception names an exception that applied.
type Exception struct {
	ID, Ticket string
}

// CaseKind tells how alerts are grouped into the case a person works on.
type CaseKind uint8

// The kinds of case.
const (
	// CasePolicy groups by rule, actor and candidate countries.
	CasePolicy CaseKind = iota
	// CaseGap groups unknowns and findings about places by feed, data system, reason and severity.
	CaseGap
)

func (k CaseKind) String() string { return [...]string{"policy", "gap"}[k] }

// Reset empties v and keeps its capacity.
func (v *Verdict) Reset() {
	*v = Verdict{Matched: v.Matched[:0], Near: v.Near[:0], Alerts: v.Alerts[:0]}
}
