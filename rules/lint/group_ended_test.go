package lint_test

import "testing"

func TestGroupEnded(t *testing.T) {
	doc := `format: borderwatch/groups/v1
groups:
  - {name: a, kind: countries, members: [{code: DE, until: 2026-11-24}]}
  - {name: b, kind: countries, from: 2027-01-01, members: [FR]}
  - {name: c, kind: countries, until: 2020-01-01, members: [{code: FR, from: 2020-01-02}]}
  - {name: d, kind: countries, members: ["@c", DE]}
`
	expect(t, find(t, "group-ended", "2026-11-24", doc),
		"warning test.yaml:4:50: no member of the group b is in force on 2026-11-24", "error test.yaml:5:51: no member of the group c is ever in force")
	expect(t, find(t, "group-ended", "2026-11-25", doc), "no member of the group a is in force on 2026-11-25", "group b", "group c")
}
