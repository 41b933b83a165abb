package lint_test

import (
	"strings"
	"testing"
)

func TestRuleImplied(t *testing.T) {
	otherWay := []string{"whenever T-2 alerts, T-1 alerts too"}
	said := "error test.yaml:6:1: whenever T-1 alerts, T-2 alerts too, with the same severity and law"
	for _, tt := range []struct {
		name, first, second string
		replace             []string // in the second rule

		want []string
	}{
		{name: "one line more", first: "data.classes: restricted; action: read", second: "data.classes: restricted", want: []string{said}},
		{name: "fewer words", first: "action: [read, view]", second: "action: [read, view, list]", want: []string{said}},
		{name: "another line", first: "action: read; actor.kind: vendor", second: "action: read; outcome: success"},
		{name: "countries of a group", first: "location.country: DE", second: "location.country: '@west'", want: []string{said}},
		{name: "not a larger group", first: "location.country not: ['@west', '@east']", second: "location.country not: '@west'", want: []string{said}},
		{name: "not and is", first: "location.country: CN", second: "location.country not: '@west'", want: []string{said}},
		{name: "is and not, the other way", first: "location.country not: '@west'", second: "location.country: CN", want: otherWay},
		{name: "numbers", first: "data.records at least: 1000", second: "data.records at least: 100", want: []string{said}},
		{name: "numbers in a list", first: "data.records: [5, 7]", second: "data.records at most: 7", want: []string{said}},
		{name: "texts", first: "data.dataset: eu.users", second: "data.dataset starts with: [eu., us.]", want: []string{said}},
		{name: "prefixes", first: "data.dataset starts with: eu.users.", second: "data.dataset starts with: eu.", want: []string{said}},
		{name: "prefixes, the other way", first: "data.dataset starts with: eu.", second: "data.dataset starts with: eu.users.", want: otherWay},
		{name: "ranges", first: "source.ip within: 192.0.2.0/25", second: "source.ip within: [192.0.2.0/24, '2001:db8::/32']", want: []string{said}},
		{name: "ranges, the other way", first: "source.ip within: 192.0.2.0/24", second: "source.ip within: 192.0.2.0/25", want: otherWay},
		{name: "all of", first: "data.classes all of: [restricted, personal]", second: "data.classes: [personal, sensitive]", want: []string{said}},
		{name: "only", first: "data.classes only: restricted", second: "data.classes only: [restricted, personal]", want: []string{said}},
		{name: "only may be empty", first: "data.classes only: restricted", second: "data.classes: restricted"},
		{name: "only and one of", first: "data.classes only: restricted; data.classes: [restricted, personal]", second: "data.classes all of: [restricted]", want: []string{said}},
		{name: "a set may hold more", first: "data.classes: restricted", second: "data.classes only: restricted"},
		{name: "missing", first: "approval.id missing: true; action: read", second: "approval.id missing: true", want: []string{said}},
		{name: "not is not missing", first: "approval.id not: A", second: "approval.id missing: true"},
		{name: "same as", first: "dest.country same as: location.country; action: read", second: "location.country same as: dest.country", want: []string{said}},
		{name: "masked has no country", first: "location.verdict: masked", second: "location.country missing: true", want: []string{said}},
		{name: "a branch of any", first: "action: read; any: [{actor.kind: vendor}, {actor.kind: contractor}]", second: "actor.kind: [vendor, contractor]", want: []string{said}},
		{name: "into a branch of any", first: "actor.kind: vendor; action: read", second: "any: [{actor.kind: vendor}, {actor.kind: contractor}]", want: []string{said}},
		{name: "a branch is left", first: "any: [{actor.kind: vendor}, {actor.kind: employee}]", second: "any: [{actor.kind: vendor}, {actor.kind: contractor}]"},
		{name: "groups of days", first: "location.country: DE; time at least: 2027-01-01", second: "location.country: '@dated'"},
		{name: "groups of days, in time", first: "location.country: DE; time at most: 2026-12-31", second: "location.country: '@dated'", want: []string{said}},
		{name: "another severity", first: "action: read; actor.kind: vendor", second: "action: read", replace: []string{"severity: high", "severity: low"}},
		{name: "another law", first: "action: read; actor.kind: vendor", second: "action: read", replace: []string{"when:", "law: B\nwhen:"}},
		{name: "on trial", first: "action: read; actor.kind: vendor", second: "action: read", replace: []string{"active", "shadow"}},
		{name: "exceptions", first: "action: read; actor.kind: vendor", second: "action: read", replace: []string{"when:", "exceptions: allowed\nwhen:"}},
		{name: "unknown ignored", first: "action: read; actor.kind: vendor", second: "action: read", replace: []string{"when:", "on_unknown: ignore\nwhen:"}},
		{name: "never holds", first: "action: read; action not: read", second: "action: read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			groups := westAndEast + "  - {name: dated, kind: countries, members: [{code: DE, until: 2026-12-31}]}\n"
			first := rule(tt.first, "")
			second := strings.NewReplacer(append(tt.replace, "T-1", "T-2")...).Replace(rule(tt.second, ""))
			got := find(t, "rule-implied", today, first, groups, second)
			expect(t, got, tt.want...)
		})
	}
}

// TestRuleImpliedTwice reports one of two rules that say the same, the later one.
func TestRuleImpliedTwice(t *testing.T) {
	text := rule("action: read", "law: ['A', 'Starting value: x']\n")
	again := strings.NewReplacer("T-1", "T-2", "value: x", "value: y").Replace(text)
	expect(t, find(t, "rule-implied", today, text, again), "whenever T-2 alerts, T-1 alerts too")
}
