package policy

import (
	"time"

	"borderwatch/schemas/access"
)

// Status is the stage of a rule's life.
type Status uint8

// The stages. Draft and retired rules are checked and never judge; shadow rules judge and notify nobody.
const (
	Draft Status = iota
	Shadow
	Active
	Retired
)

var statusWords = []string{"draft", "shadow", "active", "retired"}

func (s Status) String() string { return statusWords[s] }

// Judges reports whether rules of this status are evaluated.
func (s Status) Judges() bool { return s == Active || s == Shadow }

// Kind tells what a rule is about. Every kind but KindPolicy has conditions of its own: see Implied.
type Kind uint8

// The kinds that one event decides.
const (
	KindPolicy Kind = iota
	KindLocationConflict
	KindAnonymiser
	KindUnknownLocation
	KindMissingApproval
	KindSystemTransfer
	KindLateArrival
)

var kindWords = []string{"policy", "location_conflict", "anonymiser", "unknown_location", "missing_approval", "system_transfer", "late_arrival"}

// statefulKinds need more than one event and have no place in a stateless rule.
var statefulKinds = []string{"first_seen", "volume", "impossible_travel", "dormant", "gap"}

func (k Kind) String() string { return kindWords[k] }

// AboutPlace reports whether the kind finds that a place is not known well enough. Unknowns that stem from the country
// alone attach to its alerts, and its alerts make gap cases.
func (k Kind) AboutPlace() bool {
	return k == KindLocationConflict || k == KindAnonymiser || k == KindUnknownLocation
}

// MakesGaps reports whether alerts of the kind make gap cases, which are of a feed and a data system, not of a person:
// those about the place, and those about the time, of which a backfill brings thousands at once.
func (k Kind) MakesGaps() bool { return k.AboutPlace() || k == KindLateArrival }

// AboutData reports whether the kind answers none on an operation that touches no user data (dataset `none`).
func (k Kind) AboutData() bool { return !k.AboutPlace() }

// Implied returns the conditions that the kind adds to a rule, whether or not the rule writes them.
func (k Kind) Implied() []Condition {
	switch k {
	case KindLocationConflict:
		return []Condition{wordCondition(access.FieldLocationVerdict, "conflict")}
	case KindAnonymiser:
		return []Condition{wordCondition(access.FieldLocationVerdict, "masked")}
	case KindUnknownLocation:
		return []Condition{missingCondition(access.FieldLocationCountry)}
	case KindMissingApproval:
		return []Condition{missingCondition(access.FieldApprovalID)}
	case KindSystemTransfer:
		return []Condition{
			wordCondition(access.FieldActorKind, "service", "system"),
			wordCondition(access.FieldAction, "copy", "replicate", "export"),
		}
	case KindLateArrival:
		return []Condition{wordCondition(access.FieldArrival, "late", "early")}
	}
	return nil
}

func wordCondition(f access.Field, words ...string) Condition {
	c := Condition{Field: f, Op: Is}
	for _, w := range words {
		i, _ := f.Info().Vocabulary.Parse(w)
		c.Values = append(c.Values, Value{Text: w, Word: i})
	}
	return c
}

func missingCondition(f access.Field) Condition {
	return Condition{Field: f, Op: Missing, Values: []Value{{Text: "true"}}}
}

// OnUnknown tells what an unknown verdict of a rule does.
type OnUnknown uint8

// The answers to unknown.
const (
	UnknownAlerts  OnUnknown = iota // it is an alert of its own
	UnknownIgnored                  // it is none; refused for critical rules
)

var onUnknownWords = []string{"alert", "ignore"}

// Evidence is what an exception about a place asks for.
type Evidence uint8

// The kinds of evidence asked for.
const (
	EvidenceAgree  Evidence = iota // two independent kinds name the country
	EvidenceSingle                 // one kind is enough
)

var evidenceWords = []string{"agree", "single"}

// Op is an operator of a condition.
type Op uint8

// The operators. Is has no word of its own: `field: value`.
const (
	Is Op = iota
	Not
	AllOf
	Only
	AtLeast
	AtMost
	Within
	StartsWith
	Missing
	SameAs
	DiffersFrom
)

var opWords = []string{"", "not", "all of", "only", "at least", "at most", "within", "starts with", "missing", "same as", "differs from"}

func (o Op) String() string { return opWords[o] }

// GroupKind tells what a group lists.
type GroupKind uint8

// The kinds of group.
const (
	Countries GroupKind = iota
	Actors
	Entities
	Networks
	Datasets
)

var groupKindWords = []string{"countries", "actors", "entities", "networks", "datasets"}

func (k GroupKind) String() string { return groupKindWords[k] }

// Day is a UTC day: the number of days since 1970-01-01.
type Day int32

// NoDay stands for a day that was not given.
const NoDay Day = -1 << 31

// MillisPerDay is the length of a UTC day.
const MillisPerDay = 24 * 60 * 60 * 1000

// DayOf returns the UTC day of a time.
func DayOf(t access.Millis) Day {
	d := t / MillisPerDay
	if t%MillisPerDay < 0 {
		d--
	}
	return Day(d)
}

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, bool) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1900 || t.Year() > 2261 {
		return NoDay, false
	}
	return Day(t.Unix() / (24 * 60 * 60)), true
}

// Start returns the first millisecond of the day.
func (d Day) Start() access.Millis { return access.Millis(d) * MillisPerDay }

// String is YYYY-MM-DD, "open" for NoDay.
func (d Day) String() string {
	if d == NoDay {
		return "open"
	}
	return time.Unix(int64(d)*24*60*60, 0).UTC().Format(time.DateOnly)
}
