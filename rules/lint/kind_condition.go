package lint

import (
	"slices"

	"borderwatch/rules/policy"
)

var kindCondition = Check{
	ID:    "kind-condition",
	Title: "a rule does not write the condition of its kind",
	Why:   "The engine adds it in any case; a reader of the rule should see it, and not believe that the rule is wider than it is.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			for _, c := range r.Kind.Implied() {
				if !slices.ContainsFunc(r.When.All, func(w policy.Condition) bool { return implies(&w, &c) }) {
					p.report(r.Place("kind"), "add the line "+c.String(), "a rule of kind %s needs the condition %s", r.Kind, c.String())
				}
			}
		}
	},
}

// implies reports whether a written condition says at least what the kind's condition says.
func implies(written, implied *policy.Condition) bool {
	if written.Field != implied.Field || written.Op != implied.Op {
		return false
	}
	for _, v := range written.Values {
		if !slices.ContainsFunc(implied.Values, func(w policy.Value) bool { return w.Text == v.Text }) {
			return false
		}
	}
	return true
}
