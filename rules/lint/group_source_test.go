package lint_test

import "testing"

func TestGroupSource(t *testing.T) {
	doc := `format: borderwatch/groups/v1
groups:
  - {name: a, kind: countries, members: [DE]}
  - name: b
    kind: countries
    source: S
    adequacy: true
    members:
      - {code: JP, source: "Decision"}
      - JE
      - {code: GB, source: "Decision", limited: true}
      - {code: CH, source: "Decision", limited: true, until: 2031-12-27}
`
	expect(t, find(t, "group-source", today, doc), "the group a does not say where it comes from", "JE in the group b does not name its decision", "the decision about GB is limited in time and has no until")
}
