package lint

import (
	"borderwatch/rules/policy"
)

var groupSource = Check{
	ID:    "group-source",
	Title: "a group names no source, an adequacy member names none, or a time-limited decision has no end",
	Why:   "An auditor asks where a list comes from; a decision that ends must end here too.",
	run: func(p *pass) {
		for _, g := range p.set.Groups {
			if g.Source == "" {
				p.report(g.Place("name"), "", "the group %s does not say where it comes from (source)", g.Name)
			}
			for i := range g.Members {
				p.decision(g, &g.Members[i])
			}
		}
	},
}

func (p *pass) decision(g *policy.Group, m *policy.Member) {
	if g.Adequacy && m.Source == "" && m.Group == "" {
		p.report(m.Pos, "", "%s in the group %s does not name its decision (source)", m.Text, g.Name)
	}
	if m.Limited && m.Until == policy.NoDay {
		p.report(m.Pos, "", "the decision about %s is limited in time and has no until", m.Text)
	}
}
