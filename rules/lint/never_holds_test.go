package lint_test

import "testing"

func TestNeverHolds(t *testing.T) {
	groups := "format: borderwatch/groups/v1\ngroups:\n  - {name: west, kind: countries, members: [DE, FR]}\n  - {name: dated, kind: countries, members: [{code: DE, until: 2020-01-01}]}\n  - {name: east_then_west, kind: countries, members: [{code: CN, until: 2025-12-31}, {code: DE, from: 2026-01-01}]}\n"
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
		{"policy", "data.classes only: public; data.classes all of: [restricted]", []string{"data.classes all of: restricted cannot hold together with data.classes only: public"}},
		{"policy", "data.classes only: public; any: [{data.classes only: restricted}]", nil}, // the empty set
		{"policy", "data.dataset: a; data.dataset not: [a, b]", []string{"cannot hold"}},
		{"policy", "data.dataset starts with: eu.; any: [{data.dataset starts with: us.}]", []string{"cannot hold"}},
		{"policy", "data.dataset starts with: eu.; any: [{data.dataset starts with: eu.users}]", nil},
		{"policy", "data.dataset starts with: eu.; data.dataset: us.users", []string{"cannot hold"}},
		{"policy", "source.ip within: 192.0.2.0/24; any: [{source.ip within: 198.51.100.0/24}]", []string{"cannot hold"}},
		{"policy", "source.ip within: 192.0.2.0/24; source.ip missing: true", []string{"cannot hold"}},
		{"policy", "actor.groups: a; actor.groups not: a", []string{"cannot hold"}},
		{"policy", "actor.groups: [a, b]; actor.groups not: a", nil},
		{"policy", "data.records: 5; data.records at least: 6", []string{"cannot hold"}},
		{"policy", "data.records at least: 5; data.records at most: 5; data.records not: 5", []string{"these lines cannot hold together: data.records at least: 5; data.records at most: 5; data.records not: 5"}},
		{"policy", "data.records at least: 5; data.records at most: 6; data.records not: 5", nil},
		{"policy", "actor.id missing: true", []string{"actor.id missing: true can never hold"}},
		{"policy", "outcome missing: true", []string{"outcome missing: true can never hold"}},
		{"policy", "location.verdict: masked; location.country: CN", []string{"location.country: CN cannot hold together with location.verdict: masked"}},
		{"policy", "location.verdict: conflict; location.country missing: true", []string{"cannot hold"}},
		{"policy", "location.verdict: service; location.country missing: true", nil},
		{"policy", "dest.country same as: location.country; dest.country differs from: location.country", []string{"cannot hold"}},
		{"policy", "dest.country same as: location.country; location.verdict: unknown", []string{"cannot hold"}},
		{"policy", "action: read; any: [{action: view}, {actor.kind: vendor}]", []string{"test.yaml:9:10: action: view cannot hold together with action: read"}},
		{"policy", "action: read; any: [{action: view}, {action: list}]", []string{"action: view", "action: list"}},
		{"policy", "action: read; action not: read; any: [{actor.kind: vendor}, {action: list}]", []string{"action not: read cannot hold together with action: read"}},
		{"policy", "location.country: '@east_then_west'; location.country not: [CN, DE]", []string{"cannot hold"}},
		{"policy", "location.country: '@east_then_west'; time at most: 2025-12-31; any: [{location.country: DE}]", []string{"these lines cannot hold together"}},
		{"policy", "location.country: '@east_then_west'; time at most: 2026-01-01; any: [{location.country: DE}]", []string{"warning test.yaml:7:1: the rule T-1 can hold on days until 2026-01-01 only"}},
		{"policy", "location.country: '@dated'", []string{"warning test.yaml:7:1: the rule T-1 can hold on days until 2020-01-01 only"}},
		{"policy", "time at least: 2026-01-01; time at most: 2025-12-31", []string{"cannot hold"}},
	} {
		t.Run(tt.when, func(t *testing.T) {
			expect(t, find(t, "never-holds", today, rule(tt.when, "kind: "+tt.kind+"\n"), groups), tt.want...)
		})
	}
}
