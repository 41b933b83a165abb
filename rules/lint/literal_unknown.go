package lint

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var literalUnknown = Check{
	ID:    "literal-unknown",
	Title: "a condition compares with the word unknown",
	Why:   "A missing field makes every comparison unknown, so such a line never holds. Only location.verdict and network.kind have it as an ordinary value.",
	run: func(p *pass) {
		p.conditions(func(c *policy.Condition) {
			if c.Field == access.FieldLocationVerdict || c.Field == access.FieldNetworkKind {
				return
			}
			for i := range c.Values {
				if c.Values[i].IsUnknown() {
					p.report(c.Values[i].Pos, "write "+c.Field.String()+" missing: true", "%s is never equal to unknown", c.Field)
				}
			}
		})
	},
}
