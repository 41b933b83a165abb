package lint_test

import "testing"

func TestExceptionUntested(t *testing.T) {
	target := rule("action: read", "exceptions: allowed\n")
	expect(t, find(t, "exception-untested", today, target, exception("action: read", dates)),
		"no test that expects suppressed", "no test after 2026-12-15 that expects alert")
	tests := `tests:
  - {name: a, expect: suppressed, event: {time: 2026-11-20T09:00:00Z, action: read}}
  - {name: b, expect: alert, event: {time: 2026-12-16T09:00:00Z, action: read}}
`
	expect(t, find(t, "exception-untested", today, target, exception("action: read", dates+tests)))
}
