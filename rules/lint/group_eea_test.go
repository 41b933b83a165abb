package lint_test

import "testing"

func TestGroupEEA(t *testing.T) {
	doc := func(name, kind string) string {
		return "format: borderwatch/groups/v1\ngroups:\n  - {name: " + name + ", kind: " + kind + ", members: [DE, SJ]}\n"
	}
	expect(t, find(t, "group-eea", today, doc("eea", "countries")), "error test.yaml:3:48: SJ is not in the European Economic Area (remove it)")
	expect(t, find(t, "group-eea", today, doc("north", "countries")))
	expect(t, find(t, "group-eea", today, doc("eea", "datasets")))
}
