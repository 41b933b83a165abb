package scenarios

import (
	"fmt"
	"slices"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Compare tells where a verdict is not the expected one, a sentence each; nothing where it is.
func (e *Event) Compare(v *alert.Verdict) (differences []string) {
	got := outcomes(v)
	for _, list := range e.Expect.lists() {
		rules := got[list.outcome]
		slices.Sort(rules)
		want := slices.Sorted(slices.Values(list.rules))
		if !slices.Equal(rules, want) {
			differences = append(differences, fmt.Sprintf("%s: %v, want %v", list.outcome, rules, want))
		}
	}
	for _, id := range e.Expect.None {
		if slices.ContainsFunc(v.Matched, func(m alert.Match) bool { return m.RuleID == id }) {
			differences = append(differences, id+" says something, want none")
		}
	}
	if s := v.Severity.String(); e.Expect.Severity != "" && s != e.Expect.Severity {
		differences = append(differences, fmt.Sprintf("severity %s, want %s", s, e.Expect.Severity))
	}
	if used := exceptions(v); !slices.Equal(used, e.Expect.Exceptions) {
		differences = append(differences, fmt.Sprintf("exceptions %v, want %v", used, e.Expect.Exceptions))
	}
	return differences
}

// ComparePlace tells where the place that was found is not the expected one.
func (e *Event) ComparePlace(l *access.Location) (differences []string) {
	got := fmt.Sprintf("%s %s %s", l.Verdict, l.Candidates.String(), l.Expected)
	if e.Place != "" && e.Place != got {
		return []string{fmt.Sprintf("place %s, want %s", got, e.Place)}
	}
	return nil
}

// list is one of the lists of an expectation that must be complete.
type list struct {
	outcome string
	rules   []string
}

func (e *Expect) lists() []list {
	return []list{{"alert", e.Alert}, {"unknown", e.Unknown}, {"suppressed", e.Suppressed}, {"shadow", e.Shadow}, {"error", nil}}
}

// outcomes sorts the rules of a verdict by outcome. Whatever a rule on trial says is "shadow".
func outcomes(v *alert.Verdict) map[string][]string {
	out := map[string][]string{}
	for i := range v.Matched {
		m := &v.Matched[i]
		outcome := m.Outcome.String()
		if m.Shadow {
			outcome = "shadow"
		}
		out[outcome] = append(out[outcome], m.RuleID)
	}
	return out
}

func exceptions(v *alert.Verdict) (ids []string) {
	for i := range v.Alerts {
		for _, x := range v.Alerts[i].Exceptions {
			ids = append(ids, x.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
