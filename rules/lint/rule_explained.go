package lint

var ruleExplained = Check{
	ID:    "rule-explained",
	Title: "a rule has no law, why, respond or owner",
	Why:   "Whoever gets the alert at night must know why it matters and what to do.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			for _, want := range []struct {
				key  string
				have bool
			}{{"law", len(r.Law) > 0}, {"why", r.Why != ""}, {"respond", r.Respond != ""}, {"owner", r.Owner != ""}} {
				if !want.have {
					p.report(r.Pos, "", "the rule %s has no %s", r.ID, want.key)
				}
			}
		}
	},
}
