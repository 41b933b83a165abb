package lint_test

import "testing"

func TestUnquotedText(t *testing.T) {
	groups := "format: borderwatch/groups/v1\ngroups:\n  - {name: g, kind: countries, members: [NO, \"NO\", SE]}\n"
	expect(t, find(t, "unquoted-text", today, rule("session.mfa: no; actor.covered_person: 'yes'; data.system: 1.10; data.dataset: [2.5, '1.10']", ""), groups),
		"warning test.yaml:7:16: no without quotes", "1.10 without quotes", `NO without quotes is something else to other YAML tools (write "NO")`)
}
