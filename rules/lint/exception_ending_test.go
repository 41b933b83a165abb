package lint_test

import "testing"

func TestExceptionEnding(t *testing.T) {
	docs := []string{rule("action: read", "exceptions: allowed\n"), exception("action: read", dates)}
	expect(t, find(t, "exception-ending", "2026-11-30", docs...))
	expect(t, find(t, "exception-ending", "2026-12-01", docs...), "warning test.yaml:15:1: the exception X-1 ends in 14 days, on 2026-12-15")
	expect(t, find(t, "exception-ending", "2026-12-16", docs...), "ended on 2026-12-15")
}
