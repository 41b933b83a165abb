package lint_test

import "testing"

func TestExceptionTerm(t *testing.T) {
	target := rule("action: read", "exceptions: allowed\n")
	for _, tt := range []struct {
		until string
		want  []string
	}{
		{"2027-02-12", nil}, // the 90th day
		{"2027-02-13", []string{"valid for 91 days, the limit is 90 (the last day can be 2027-02-12)"}},
	} {
		expect(t, find(t, "exception-term", today, target, exception("action: read", "valid_from: 2026-11-15\nvalid_until: "+tt.until+"\n")), tt.want...)
	}
}
