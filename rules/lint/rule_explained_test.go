package lint_test

import "testing"

func TestRuleExplained(t *testing.T) {
	expect(t, find(t, "rule-explained", today, rule("action: read", "law: L\nwhy: W\n")), "no respond", "no owner")
	expect(t, find(t, "rule-explained", today, rule("action: read", "law: L\nwhy: W\nrespond: R\nowner: O\n")))
}
