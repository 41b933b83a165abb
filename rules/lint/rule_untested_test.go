package lint_test

import "testing"

func TestRuleUntested(t *testing.T) {
	const event = "event: {time: 2026-11-20T09:00:00Z, action: read, location.country: "
	alertCase := "  - {name: a, expect: alert, " + event + "CN}}\n"
	noneCase := "  - {name: b, expect: none, " + event + "DE}}\n"
	unknownCase := "  - {name: c, expect: unknown, " + event + "unknown}}\n"
	suppressed := "  - {name: d, expect: suppressed, exception: {valid_from: 2026-11-01, valid_until: 2026-11-30, when: {location.country: CN}}, " + event + "CN}}\n"
	expired := "  - {name: e, expect: alert, exception: {valid_from: 2026-11-01, valid_until: 2026-11-19, when: {location.country: CN}}, " + event + "CN}}\n"
	when := "action: read"
	expect(t, find(t, "rule-untested", today, rule(when, "")),
		"no test that expects alert", "no test that expects none", "no test in which the location is unknown")
	expect(t, find(t, "rule-untested", today, rule(when, "tests:\n"+alertCase+noneCase+unknownCase)))
	expect(t, find(t, "rule-untested", today, rule(when, "exceptions: allowed\ntests:\n"+alertCase+noneCase+unknownCase)),
		"no test that expects suppressed", "no test in which the exception has expired")
	expect(t, find(t, "rule-untested", today, rule(when, "exceptions: allowed\ntests:\n"+alertCase+noneCase+unknownCase+suppressed+expired)))
}
