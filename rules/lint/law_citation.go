package lint

var lawCitation = Check{
	ID:    "law-citation",
	Title: "a citation looks like 28 CFR 202 or the GDPR and cannot be read",
	Why: "What the two laws demand of a rule is checked only where it is seen that the rule rests on them; a citation that " +
		"is not understood would switch those checks off.",
	Silences: true,
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			for _, law := range r.Law {
				if how := readCitation(law).unclear; how != "" {
					p.report(r.Place("law"), how, "the citation %q of the rule %s cannot be read", law, r.ID)
				}
			}
		}
	},
}
