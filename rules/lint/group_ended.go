package lint

import "borderwatch/rules/policy"

var groupEnded = Check{
	ID:    "group-ended",
	Title: "no member of a group is in force",
	Why:   "A list that became empty by its dates makes a line with `not` hold for everybody, and any other line for nobody.",
	run: func(p *pass) {
		for _, g := range p.set.Groups {
			members := p.set.Flatten(g.Name)
			if len(members) == 0 {
				p.report(g.Place("members"), "", "no member of the group %s is ever in force: the dates exclude each other", g.Name)
				continue
			}
			if !anyInForce(members, p.day) {
				p.warn(g.Place("members"), "", "no member of the group %s is in force on %s", g.Name, p.day)
			}
		}
	},
}

func anyInForce(members []policy.Member, day policy.Day) bool {
	for i := range members {
		if m := &members[i]; m.From <= day && (m.Until == policy.NoDay || day <= m.Until) {
			return true
		}
	}
	return false
}
