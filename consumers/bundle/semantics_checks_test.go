package bundle_test

import (
	"slices"
	"strings"
	"testing"

	"borderwatch/consumers/enrich"
	"borderwatch/rules/engine"
	"borderwatch/rules/semantics"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// agrees judges rule by rule, condition by condition, without anything that leaves rules out beforehand: both ways must
// say the same of every rule.
func (s *judged) agrees(t *testing.T) {
	t.Helper()
	if s.late {
		return // an explanation is of the event's own time
	}
	for _, rule := range s.judge.Rules() {
		x, judges := s.judge.Explain(&s.event, rule.ID)
		if !judges {
			continue
		}
		want(t, rule.ID+" in the verdict and explained", s.outcome(rule.ID), x.Outcome.String())
	}
}

// outcome is what the verdict says of a rule.
func (s *judged) outcome(ruleID string) string {
	i := slices.IndexFunc(s.verdict.Matched, func(m alert.Match) bool { return m.RuleID == ruleID })
	if i < 0 {
		return alert.None.String()
	}
	return s.verdict.Matched[i].Outcome.String()
}

// check compares what was said of one event with the expectation.
func (s *judged) check(t *testing.T, e *semantics.Expect) {
	t.Helper()
	want(t, "outcome", s.verdict.Outcome.String(), e.Outcome)
	want(t, "severity", s.verdict.Severity.String(), e.Severity)
	s.checkPlace(t, e)
	s.checkAlerts(t, e)
	for name, value := range e.Fields {
		f, ok := access.FieldNamed(name)
		if !ok {
			t.Fatalf("there is no field %s", name)
		}
		want(t, name, engine.Format(&s.event, f, 0), value)
	}
	if differs := enrich.Disagreements(&s.event).Names(); len(e.Differs) > 0 && !slices.Equal(differs, e.Differs) {
		t.Errorf("differs = %v, want %v", differs, e.Differs)
	}
	for id, outcome := range e.Rules {
		want(t, id, s.outcome(id), outcome)
	}
	if e.Near != nil {
		near := []string{}
		for _, n := range s.verdict.Near {
			near = append(near, n.RuleID)
		}
		if !slices.Equal(near, *e.Near) {
			t.Errorf("nearly matched = %v, want %v", near, *e.Near)
		}
	}
}

func (s *judged) checkPlace(t *testing.T, e *semantics.Expect) {
	t.Helper()
	place := &s.event.Location
	want(t, "verdict", place.Verdict.String(), e.Verdict)
	want(t, "country", place.Candidates.String(), e.Country)
	want(t, "expected", place.Expected.String(), e.Expected)
	want(t, "reason", place.Reason, e.Reason)
	for _, country := range e.Evidence {
		kept := place.Evidence[:place.EvidenceCount]
		if !slices.ContainsFunc(kept, func(v access.Evidence) bool { return v.Place.String() == country }) {
			t.Errorf("evidence about %s is not kept: %v", country, kept)
		}
	}
}

func (s *judged) checkAlerts(t *testing.T, e *semantics.Expect) {
	t.Helper()
	alerts := s.verdict.Alerts
	ids := map[access.Digest]bool{}
	for i := range alerts {
		ids[alerts[i].ID] = true
	}
	if len(ids) != len(alerts) {
		t.Errorf("%d alerts have %d ids: %+v", len(alerts), len(ids), alerts)
	}
	if len(e.Alerts) > 0 {
		s.compareAlerts(t, e.Alerts)
	}
	if len(e.Missing) == 0 && e.Item == "" && e.Why == "" && e.CaseKind == "" {
		return
	}
	if len(alerts) != 1 {
		t.Fatalf("%d alerts, want one: %+v", len(alerts), alerts)
	}
	a := &alerts[0]
	if missing := a.Missing.Names(); len(e.Missing) > 0 && !equalSets(missing, e.Missing) {
		t.Errorf("missing = %v, want %v", missing, e.Missing)
	}
	want(t, "item", s.event.Data.Items[a.DataItem].Dataset, e.Item)
	want(t, "case kind", a.CaseKind.String(), e.CaseKind)
	if !strings.Contains(a.Why, e.Why) || !strings.Contains(a.Why, e.Item) {
		t.Errorf("why = %q, want %q and %q in it", a.Why, e.Why, e.Item)
	}
}

func (s *judged) compareAlerts(t *testing.T, expected []semantics.Alert) {
	t.Helper()
	if len(s.verdict.Alerts) != len(expected) {
		t.Fatalf("%d alerts, want %d: %+v", len(s.verdict.Alerts), len(expected), s.verdict.Alerts)
	}
	for _, w := range expected {
		i := slices.IndexFunc(s.verdict.Alerts, func(a alert.Item) bool { return a.RuleID == w.Rule && a.Shadow == w.Shadow })
		if i < 0 {
			t.Errorf("no alert of %s (on trial: %v): %+v", w.Rule, w.Shadow, s.verdict.Alerts)
			continue
		}
		a := &s.verdict.Alerts[i]
		want(t, w.Rule, a.Outcome.String(), w.Outcome)
		want(t, "severity of "+w.Rule, a.Severity.String(), w.Severity)
		var exceptions []string
		for _, x := range a.Exceptions {
			exceptions = append(exceptions, x.ID)
		}
		for _, c := range []struct {
			what      string
			got, want []string
		}{{"rules", a.Rules, w.Rules}, {"missing", a.Missing.Names(), w.Missing}, {"exceptions", exceptions, w.Exceptions}} {
			if len(c.want) > 0 && !equalSets(c.got, c.want) {
				t.Errorf("%s of %s = %v, want %v", c.what, w.Rule, c.got, c.want)
			}
		}
	}
}

// checkIdentity compares the contents, alerts and cases of all that was judged with those of the first.
func checkIdentity(t *testing.T, e *semantics.Expect, shown []*judged) {
	t.Helper()
	if e.Content+e.Alert+e.SameCase == "" {
		return
	}
	if len(shown) < 2 {
		t.Fatalf("%d events are nothing to compare", len(shown))
	}
	first := shown[0]
	for _, s := range shown[1:] {
		want(t, "content", sameOrDifferent(s.content == first.content), e.Content)
		if e.Alert+e.SameCase == "" {
			continue
		}
		if len(first.verdict.Alerts) != 1 || len(s.verdict.Alerts) != 1 {
			t.Fatalf("%d and %d alerts, want one each", len(first.verdict.Alerts), len(s.verdict.Alerts))
		}
		a, b := &first.verdict.Alerts[0], &s.verdict.Alerts[0]
		want(t, "alert", sameOrDifferent(a.ID == b.ID), e.Alert)
		want(t, "same case", map[bool]string{true: "yes", false: "no"}[a.Case == b.Case], e.SameCase)
	}
}

func sameOrDifferent(same bool) string {
	if same {
		return "same"
	}
	return "different"
}

// want compares with an expectation, where there is one.
func want(t *testing.T, what, got, want string) {
	t.Helper()
	if want != "" && got != want {
		t.Errorf("%s = %s, want %s", what, got, want)
	}
}

func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
