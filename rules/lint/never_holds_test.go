package lint_test

import "testing"

func TestNeverHolds(t *testing.T) {
	groups := "format: borderwatch/groups/v1\ngroups:\n  - {name: west, kind: countries, members: [DE, FR]}\n  - {name: dated, kind: countries, members: [{code: DE, until: 2020-01-01}]}\n"
	for _, tt := range []struct {
		kind, when string
		want       []string
	}{
		{"policy", "actor.kind: employee; actor.kind not: vendor", nil},
		{"policy", "actor.kind: employee; actor.kind not: [employee, vendor]", []string{"actor.kind not: [employee, vendor] cannot hold together with actor.kind: employee"}},
		{"policy", "data.records at least: 10; data.records at most: 9", []string{"cannot hold"}},
		{"policy", "data.records at least: 10; data.records at most: 10", nil},
		{"policy", "location.country: DE; location.country not: '@west'", []string{"cannot hold"}},
		{"policy", "location.country: DE; location.country not: '@dated'", nil},
		{"policy", "location.country: '@west'; location.country not: DE", nil},
		{"policy", "approval.id missing: true; approval.id: A", []string{"cannot hold"}},
		{"policy", "location.verdict missing: true; location.verdict: unknown", nil},
		{"anonymiser", "location.verdict: agree", []string{"location.verdict: agree cannot hold together with location.verdict: masked"}},
		{"system_transfer", "action: view; actor.kind: service", []string{"action: view cannot hold"}},
		{"policy", "data.classes: public; data.classes all of: [restricted]", nil}, // a set may have both
	} {
		t.Run(tt.when, func(t *testing.T) {
			expect(t, find(t, "never-holds", today, groups, rule(tt.when, "kind: "+tt.kind+"\n")), tt.want...)
		})
	}
}
