package lint

import "borderwatch/rules/policy"

var groupEEA = Check{
	ID:    "group-eea",
	Title: "the group eea contains Svalbard and Jan Mayen",
	Why:   "Norway is in the European Economic Area; SJ is not (Protocol 40 of the EEA Agreement).",
	run: func(p *pass) {
		g := p.set.Group("eea")
		if g == nil || g.Kind != policy.Countries {
			return
		}
		for _, m := range p.set.Flatten(g.Name) {
			if m.Text == "SJ" {
				p.report(m.Pos, "remove it", "SJ is not in the European Economic Area")
			}
		}
	},
}
