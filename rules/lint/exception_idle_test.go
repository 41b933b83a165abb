package lint_test

import (
	"strings"
	"testing"
)

func TestExceptionIdle(t *testing.T) {
	target := rule("data.classes: restricted; location.country not: '@west'", "exceptions: allowed\n")
	for _, tt := range []struct {
		when, keys string
		want       []string
	}{
		{"location.country: CN", "", nil},
		{"location.country: DE", "", []string{"the exception X-1 never applies to T-1: no access that the rule alerts about fulfils its conditions between 2026-11-15 and 2026-12-15"}},
		{"data.classes only: [public]", "", []string{"never applies"}},
		{"data.classes: [public]", "", nil}, // beside restricted
		{"location.country: CN, location.verdict: single", "", []string{"never applies"}},
		{"location.country: CN, location.verdict: single", "evidence: single\n", nil},
		{"location.country: CN, source.arrival: late", "", []string{"never applies"}},
		{"actor.id: u-1, actor.kind: employee", "", nil},
		{"time at least: 2027-01-01", "", []string{"never applies"}},
	} {
		t.Run(tt.when, func(t *testing.T) {
			expect(t, find(t, "exception-idle", today, westAndEast, target, exception(tt.when, dates+tt.keys)), tt.want...)
		})
	}
	retired := strings.Replace(target, "active", "retired", 1)
	expect(t, find(t, "exception-idle", today, westAndEast, retired, exception("location.country: CN", dates)), "warning test.yaml:20:1: the exception X-1 names T-1, which is retired and not judged")
}

// TestExceptionIdleByDate has a rule whose countries change within and after the exception's days.
func TestExceptionIdleByDate(t *testing.T) {
	groups := func(from string) string {
		return "format: borderwatch/groups/v1\ngroups:\n  - {name: g, kind: countries, members: [DE, {code: CN, from: " + from + "}]}\n"
	}
	target := rule("location.country: '@g'", "exceptions: allowed\n")
	expect(t, find(t, "exception-idle", today, groups("2026-12-15"), target, exception("location.country: CN", dates)))
	expect(t, find(t, "exception-idle", today, groups("2026-12-16"), target, exception("location.country: CN", dates)), "never applies")
}
