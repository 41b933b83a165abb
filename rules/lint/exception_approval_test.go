package lint_test

import "testing"

func TestExceptionApproval(t *testing.T) {
	target := rule("action: read", "exceptions: allowed\n")
	expect(t, find(t, "exception-approval", today, target, exception("action: read", dates+"ticket: D-1\nrequested_by: a\napproved_by: [b, c]\n")))
	expect(t, find(t, "exception-approval", today, target, exception("action: read", dates)),
		"has no ticket", "does not say who requested it", "approved by 0, it needs two")
	expect(t, find(t, "exception-approval", today, target, exception("action: read", dates+"ticket: D-1\nrequested_by: a\napproved_by: [b, b]\n")),
		"approved by 1, it needs two different")
	expect(t, find(t, "exception-approval", today, target, exception("action: read", dates+"ticket: D-1\nrequested_by: a\napproved_by: [a, b]\n")),
		"approved by a, who requested it")
	expect(t, find(t, "exception-approval", today, target, exception("action: read", dates+"ticket: D-1\nrequested_by: a\napproved_by: [b, B]\n")),
		"approved by 1, it needs two different")
	expect(t, find(t, "exception-approval", today, target, exception("actor.id: u-9000", dates+"ticket: D-1\nrequested_by: a\napproved_by: [b, U-9000]\n")),
		"approved by u-9000, whom it excepts")
}
