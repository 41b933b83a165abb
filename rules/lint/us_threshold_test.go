package lint_test

import "testing"

func TestUSThreshold(t *testing.T) {
	const law = "law: 28 CFR 202.401\n"
	expect(t, find(t, "us-threshold", today, rule("data.subjects at least: 1000; data.records at most: 5; data.subjects missing: true", law)),
		"test.yaml:8:3: the thresholds of 28 CFR 202.205 count persons over twelve months", "test.yaml:9:3")
	expect(t, find(t, "us-threshold", today, rule("data.subjects at least: 1000", "law: GDPR Art. 5\n")))
	expect(t, find(t, "us-threshold", today, rule("action: read", law+"why: What is below the bulk threshold does not count.\n")), "test.yaml:7:1: the rule T-1 sees one access and cannot say")
	expect(t, find(t, "us-threshold", today, rule("action: read", law+"why: The thresholds count persons over twelve months.\ntests:\n  - {name: under the threshold, expect: none, event: {time: 2026-11-20T09:00:00Z}}\n")), "one access cannot show")
}
