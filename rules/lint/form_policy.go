package lint

import (
	"regexp"
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var formPolicy = Check{
	ID:    "form-policy",
	Title: "a rule looks at the form of the data and does not say that this is policy",
	Why:   "Pseudonymised data is personal data (GDPR Art. 4(5)). A policy may treat it in another way; then `law` must name that policy.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			if under28CFR202(r) || slices.ContainsFunc(r.Law, namesPolicy.MatchString) {
				continue
			}
			r.When.Each(func(c *policy.Condition) {
				if c.Field == access.FieldForm && c.Op != policy.Missing {
					p.report(c.Pos, "add the policy to law, or an entry that begins with "+startingValue+":", "the rule %s looks at the form of the data, which is policy and not law, and names no policy", r.ID)
				}
			})
		}
	},
}

var namesPolicy = regexp.MustCompile(`(?i)^` + startingValue + `|\bpolic(y|ies)\b`)
