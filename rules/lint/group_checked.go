package lint

import (
	"borderwatch/rules/policy"
)

var groupChecked = Check{
	ID:    "group-checked",
	Title: "nobody has compared a group with its source for 90 days (warning) or 180 days (error)",
	Why:   "Countries join and leave such lists; a stale list judges by last year's law.",
	run: func(p *pass) {
		for _, g := range p.set.Groups {
			p.checked(g)
		}
	},
}

const warnAfterDays, failAfterDays = 90, 180

func (p *pass) checked(g *policy.Group) {
	age := int(p.day) - int(g.Checked)
	switch {
	case g.Checked == policy.NoDay:
		p.warn(g.Place("name"), "add a line like checked: "+p.day.String(), "the group %s does not say when it was checked", g.Name)
	case age > failAfterDays:
		p.report(g.Place("checked"), "compare it with its source and set the day", "the group %s was checked %d days ago, the limit is %d", g.Name, age, failAfterDays)
	case age > warnAfterDays:
		p.warn(g.Place("checked"), "compare it with its source and set the day", "the group %s was checked %d days ago", g.Name, age)
	case age < 0:
		p.warn(g.Place("checked"), "", "the group %s was checked on a day that is yet to come", g.Name)
	}
}
