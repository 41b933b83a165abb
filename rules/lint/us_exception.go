package lint

var usException = Check{
	ID:       "us-exception",
	Title:    "a rule under 28 CFR 202 allows exceptions without naming a licence",
	Why:      "An internal exception cannot license a prohibited transaction; only the Department of Justice can (28 CFR 202.801, 202.802).",
	Silences: true,
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			if under28CFR202(r) && r.Exceptions && r.Licence == "" {
				p.report(r.Place("exceptions"), "write exceptions: never, or name the licence", "the rule %s rests on 28 CFR 202 and allows exceptions without a licence", r.ID)
			}
		}
	},
}
