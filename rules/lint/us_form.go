package lint

import (
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var usForm = Check{
	ID:    "us-form",
	Title: "a rule under 28 CFR 202 looks at the form of the data",
	Why:   "Anonymised, pseudonymised, de-identified and encrypted data count just the same (28 CFR 202.206), so the form never exempts.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			if !under28CFR202(r) {
				continue
			}
			r.When.Each(func(c *policy.Condition) {
				if c.Field == access.FieldForm {
					p.report(c.Pos, "remove the line", "the form of the data never exempts under 28 CFR 202 (202.206)")
				}
			})
		}
	},
}

func under28CFR202(r *policy.Rule) bool {
	return slices.ContainsFunc(r.Law, func(law string) bool { return readCitation(law).dataSecurity })
}
