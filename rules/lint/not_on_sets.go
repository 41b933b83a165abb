package lint

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var notOnSets = Check{
	ID:    "not-on-sets",
	Title: "`not` is used on classes, categories or regions",
	Why:   "`data.classes not: public` is false for [public, restricted], because one of its classes is public: the restricted data would pass.",
	run: func(p *pass) {
		p.conditions(func(c *policy.Condition) {
			if c.Op == policy.Not && c.Field.Info().Type == access.Words {
				p.report(c.Pos, "list what the rule is about, or write "+c.Field.String()+" only: …", "%s not is false for a set with one of the words in it, such as [%s] with anything else", c.Field, c.Values[0].Text)
			}
		})
	},
}
