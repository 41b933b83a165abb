package lint_test

import "testing"

func TestGroupChecked(t *testing.T) {
	group := func(keys string) string {
		return "format: borderwatch/groups/v1\ngroups:\n  - {name: g, kind: countries, source: s, " + keys + "members: [DE]}\n"
	}
	const checked = "checked: 2026-01-01, "
	expect(t, find(t, "group-checked", "2026-04-01", group(checked))) // 90 days
	expect(t, find(t, "group-checked", "2026-04-02", group(checked)), "warning test.yaml:3:43: the group g was checked 91 days ago")
	expect(t, find(t, "group-checked", "2026-06-30", group(checked)), "warning")
	expect(t, find(t, "group-checked", "2026-07-01", group(checked)), "error test.yaml:3:43: the group g was checked 181 days ago, the limit is 180")
	expect(t, find(t, "group-checked", "2025-12-31", group(checked)), "yet to come")
	expect(t, find(t, "group-checked", today, group("")), "does not say when it was checked")
}
