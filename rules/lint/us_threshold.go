package lint

import (
	"regexp"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var usThreshold = Check{
	ID:    "us-threshold",
	Title: "a rule under 28 CFR 202 counts the records of one access, or says that something is below the threshold",
	Why:   "The bulk thresholds count persons, or devices, over twelve months (28 CFR 202.205). What one access took says nothing about them.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			if under28CFR202(r) {
				p.threshold(r)
			}
		}
	},
}

var belowThreshold = regexp.MustCompile(`(?i)\b(below|under|beneath)\b[^.;]{0,20}\bthresholds?\b`)

func (p *pass) threshold(r *policy.Rule) {
	r.When.Each(func(c *policy.Condition) {
		if f := c.Field; (f == access.FieldSubjects || f == access.FieldRecords || f == access.FieldBytes) && c.Op != policy.Missing {
			p.report(c.Pos, "remove the line", "the thresholds of 28 CFR 202.205 count persons over twelve months, which one access does not show")
		}
	})
	for _, text := range []struct{ key, value string }{{"title", r.Title}, {"why", r.Why}, {"respond", r.Respond}} {
		if belowThreshold.MatchString(text.value) {
			p.report(r.Place(text.key), "", "the rule %s sees one access and cannot say that something is below the threshold", r.ID)
		}
	}
	for i := range r.Tests {
		if belowThreshold.MatchString(r.Tests[i].Name) {
			p.report(r.Tests[i].Pos, "", "one access cannot show that something is below the threshold")
		}
	}
}
