package engine

import (
	"slices"
	"strconv"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Explanation shows how one rule judges one event, condition by condition.
type Explanation struct {
	RuleID     string
	Outcome    alert.Outcome
	Severity   alert.Severity // NoSeverity where the outcome is none
	DataItem   int            // the item that decided
	Steps      []string       // why the severity is lower than the rule's own, in words
	NoData     bool           // the operation touches no user data, so a rule about data answers none
	Ignored    bool           // the answer is unknown, and on_unknown: ignore makes it none
	Conditions []Explained
	Exceptions []ExplainedException
}

// Explained is one condition and its answer.
type Explained struct {
	Condition string // as written in the rule
	Value     string // what the event says, the reference's word behind it where that differs
	Truth     Truth
	Branch    int  // 0 for a line that must hold, else the number of the branch of any
	Implied   bool // added by the rule's kind
}

// ExplainedException is one exception to the rule and why it applies or not.
type ExplainedException struct {
	ID         string
	Applies    bool
	InForce    bool // the event's time lies in it, and the clocks agree
	PlaceShown bool // the place has the evidence it asks for; true where it says nothing about a place
	Conditions []Explained
}

// Explain judges ev by one active or shadow rule and shows every condition, false where there is no such rule. Like
// Evaluate it is pure; unlike it, it allocates.
func (e *Engine) Explain(ev *access.Event, ruleID string) (Explanation, bool) {
	r := e.byID[ruleID]
	if r == nil {
		return Explanation{}, false
	}
	day := policy.DayOf(ev.Time)
	j := judgement{engine: e, ev: ev, day: day}
	f := r.judgeSafely(ev, day)
	x := Explanation{RuleID: ruleID, Outcome: f.outcome, DataItem: max(f.item, 0)}
	if f.outcome != alert.None {
		x.Severity, x.Steps = j.severity(r, f.outcome), j.steps(r, f.outcome)
	}
	if r.ignore && f.outcome == alert.None {
		strict := *r
		strict.ignore = false
		x.Ignored = strict.judgeSafely(ev, day).outcome == alert.Unknown
	}
	if x.DataItem >= len(ev.Data.Items) {
		return x, true
	}
	x.NoData = r.kind.AboutData() && ev.Data.Items[x.DataItem].Dataset == access.DatasetNone
	x.Conditions = explain(slices.Concat(r.hard, r.soft), ev, x.DataItem, day, 0)
	for i, branch := range r.any {
		x.Conditions = append(x.Conditions, explain(branch, ev, x.DataItem, day, i+1)...)
	}
	for i := range r.exceptions {
		x.Exceptions = append(x.Exceptions, r.exceptions[i].explain(ev, x.DataItem, day))
	}
	return x, true
}

// steps says why severity gives less than the rule's own.
func (j *judgement) steps(r *rule, outcome alert.Outcome) (why []string) {
	if outcome == alert.Error {
		return nil
	}
	lowered := r.severity
	if outcome == alert.Unknown {
		why = append(why, "the answer is unknown")
	}
	if ended := j.ev.EffectiveOutcome(); ended != access.OutcomeSuccess {
		why = append(why, "the outcome of the access is "+ended.String())
	}
	if len(why) > 0 {
		lowered = r.severity.StepDown()
		why = []string{"one step lower: " + strings.Join(why, " and ")}
	}
	if lowered == r.severity {
		why = nil
	}
	if j.severity(r, outcome) < lowered {
		why = append(why, "at most medium: an address alone tells the country, and databases disagree or it belongs to a cloud's back end")
	}
	return why
}

func (x *exception) explain(ev *access.Event, item int, day policy.Day) ExplainedException {
	out := ExplainedException{
		ID: x.name.ID, Applies: x.applies(ev, item, day), InForce: x.inForce(ev), PlaceShown: true, Conditions: explain(x.when, ev, item, day, 0),
	}
	for i := range x.when {
		if x.when[i].place {
			out.PlaceShown = x.placeShown(ev)
		}
	}
	return out
}

func explain(conditions []condition, ev *access.Event, item int, day policy.Day, branch int) []Explained {
	out := make([]Explained, len(conditions))
	for i := range conditions {
		c := &conditions[i]
		value := Format(ev, c.source.Field, item)
		if c.source.Other != access.FieldNone {
			value += ", " + Format(ev, c.source.Other, item)
		}
		out[i] = Explained{Condition: c.source.String(), Value: value, Truth: c.match(ev, item, day), Branch: branch, Implied: c.implied}
	}
	return out
}

// Format writes what an event says about a field, "unknown" where it is missing. Where a reference file says something
// else, both are there: "employee / contractor".
func Format(ev *access.Event, f access.Field, item int) string {
	info := f.Info()
	switch info.Type {
	case access.Word:
		value, reference := ev.WordOf(f, item)
		if reference != 0 {
			return info.Vocabulary.Word(value) + " / " + info.Vocabulary.Word(reference)
		}
		return info.Vocabulary.Word(value)
	case access.Words:
		return "[" + ev.WordsOf(f, item).Format(info.Vocabulary) + "]"
	case access.Nation, access.Region, access.Nations:
		return ev.CandidatesOf(f, item).String()
	}
	if ev.Missing(f, item) {
		return "unknown"
	}
	return formatText(ev, f, item)
}

func formatText(ev *access.Event, f access.Field, item int) string {
	switch f.Info().Type {
	case access.Texts:
		members, _ := ev.TextsOf(f)
		return "[" + strings.Join(members, ",") + "]"
	case access.Integer:
		n, _ := ev.IntegerOf(f)
		return strconv.FormatInt(n, 10)
	case access.Time:
		n, _ := ev.IntegerOf(f)
		return access.Millis(n).String()
	}
	value, reference := ev.TextOf(f, item)
	if reference != "" {
		return value + " / " + reference
	}
	return value
}
