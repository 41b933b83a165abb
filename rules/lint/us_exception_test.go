package lint_test

import "testing"

func TestUSException(t *testing.T) {
	const law = "law: 28 CFR 202.401\n"
	expect(t, find(t, "us-exception", today, rule("action: read", law+"exceptions: allowed\n")), "allows exceptions without a licence")
	expect(t, find(t, "us-exception", today, rule("action: read", law+"exceptions: allowed\nlicence: General licence 1\n")))
	expect(t, find(t, "us-exception", today, rule("action: read", law+"exceptions: never\n")))
}
