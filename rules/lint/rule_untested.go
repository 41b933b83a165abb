package lint

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

var ruleUntested = Check{
	ID:    "rule-untested",
	Title: "a rule lacks a test for alert, none, unknown location or, if it allows exceptions, suppressed and expired",
	Why:   "Tests are how the next reader knows what the rule was meant to do, and how a change of a group or another field shows.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			if r.Status != policy.Retired {
				p.untested(r)
			}
		}
	},
}

func (p *pass) untested(r *policy.Rule) {
	want := []struct {
		what string
		ok   bool
	}{
		{"that expects alert", anyCase(r.Tests, func(c *policy.Case) bool { return c.Expect == alert.Alert })},
		{"that expects none", anyCase(r.Tests, func(c *policy.Case) bool { return c.Expect == alert.None })},
		{"in which the location is unknown", anyCase(r.Tests, unknownLocation)},
		{"that expects suppressed", !r.Exceptions || anyCase(r.Tests, func(c *policy.Case) bool { return c.Expect == alert.Suppressed && c.Exception != nil })},
		{"in which the exception has expired", !r.Exceptions || anyCase(r.Tests, func(c *policy.Case) bool { return expired(c, c.Exception) })},
	}
	for _, w := range want {
		if !w.ok {
			p.report(r.Place("tests"), "", "the rule %s has no test %s", r.ID, w.what)
		}
	}
}

func anyCase(cases []policy.Case, ok func(*policy.Case) bool) bool {
	for i := range cases {
		if ok(&cases[i]) {
			return true
		}
	}
	return false
}

func unknownLocation(c *policy.Case) bool {
	if f := c.Event.Find(access.FieldLocationVerdict); f != nil && len(f.Values) == 1 && (f.Values[0] == "unknown" || f.Values[0] == "masked") {
		return true
	}
	f := c.Event.Find(access.FieldLocationCountry)
	return f != nil && len(f.Values) == 1 && f.Values[0] == "unknown"
}

// expired reports whether the test's event lies after the exception's end and alerts.
func expired(c *policy.Case, x *policy.Exception) bool {
	f := c.Event.Find(access.FieldTime)
	if x == nil || f == nil || len(f.Values) != 1 || c.Expect != alert.Alert {
		return false
	}
	t, ok := access.ParseTime(f.Values[0])
	return ok && policy.DayOf(t) > x.ValidUntil
}
