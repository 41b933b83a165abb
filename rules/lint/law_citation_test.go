package lint_test

import "testing"

// TestLawCitation holds the ways people cite the two laws against the checks that depend on them.
func TestLawCitation(t *testing.T) {
	const us, eu, neither, unclear = "us-exception", "transfer-importer", "", "law-citation"
	for _, tt := range []struct{ law, want string }{
		{"28 CFR 202.401", us},
		{"28 CFR § 202.401", us},
		{"28 CFR §202.301", us},
		{"28 CFR §§ 202.301-202.401(a)(1)", us},
		{"28 C.F.R. 202.301", us},
		{"28 C. F. R. § 202.301", us},
		{"28 cfr 202.301", us},
		{"28 CFR part 202", us},
		{"28 CFR Part 202, Subpart C", us},
		{"28CFR202.301", us},
		{"28\u00a0CFR\u00a0202.301", us},
		{"28 CFR Parts 200 to 299", us},
		{"28 CFR 16.5 and 202.301", us},
		{"§ 202.301 of 28 CFR", us},
		{"Title 28, Code of Federal Regulations, Part 202", us},
		{"28 Code of Federal Regulations 202.301", us},
		{"CFR Title 28 Part 202", us},
		{"28 CFR 16.202", neither},
		{"45 CFR 164.312", neither},
		{"29 CFR 202.301", neither},
		{"CFR 202.301", unclear},
		{"§ 202.301", unclear},
		{"28 CFR", unclear},
		{"28 CFR 200 et seq.", unclear},
		{"DOJ Data Security Program", unclear},
		{"GDPR Art. 46", eu},
		{"Art. 46 GDPR", eu},
		{"gdpr article 46(2)(c)", eu},
		{"GDPR Arts. 44-46", eu},
		{"Arts. 5, 44 and 46 GDPR", eu},
		{"GDPR Art. 40 to Art. 49", eu},
		{"GDPR Articles 32–45", eu},
		{"G.D.P.R. Art.46", eu},
		{"Regulation (EU) 2016/679, Article 49", eu},
		{"Art. 46 DSGVO", eu},
		{"GDPR Art. 44 ff.", eu},
		{"GDPR Chapter V", eu},
		{"Chapter 5 of the General Data Protection Regulation", eu},
		{"GDPR chapters IV to VI", eu},
		{"GDPR Art. 32", neither},
		{"GDPR Art. 4(5)", neither},
		{"GDPR Art. 32(46)", neither},
		{"GDPR Chapter IV", neither},
		{"GDPR Recital 48", neither},
		{"EDPB Guidelines 05/2021", neither},
		{"Policy DP-7, section 46", neither},
		{"Starting value: the number 202", neither},
		{"GDPR", unclear},
		{"GDPR Art. 40 et seq.", unclear},
		{"Art. 46", unclear},
		{"Chapter V", unclear},
	} {
		t.Run(tt.law, func(t *testing.T) {
			text := rule("location.country: CN", "exceptions: allowed\nlaw: ['"+tt.law+"']\n")
			for _, check := range []string{us, eu, unclear} {
				if found := find(t, check, today, text); len(found) > 0 != (check == tt.want) {
					t.Errorf("%s found %q, want %s", check, found, tt.want)
				}
			}
		})
	}
}
