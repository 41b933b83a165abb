package lint

import (
	"slices"

	"borderwatch/rules/policy"
)

var noActiveRule = Check{
	ID:    "no-active-rule",
	Title: "no rule is active",
	Why:   "Nothing would alert. A worker refuses such a directory and goes on with the rules it has.",
	run: func(p *pass) {
		active := func(r *policy.Rule) bool { return r.Status == policy.Active }
		if len(p.set.Rules) > 0 && !slices.ContainsFunc(p.set.Rules, active) {
			p.report(p.set.Rules[0].Place("status"), "", "no rule is active, so nothing would alert: a worker refuses that")
		}
	},
}
