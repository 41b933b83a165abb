package lint_test

import (
	"strings"
	"testing"
)

func TestExceptionOverlap(t *testing.T) {
	target := rule("data.classes: restricted; location.country not: '@west'", "exceptions: allowed\n")
	for _, tt := range []struct {
		first, second, until string
		want                 []string
	}{
		{"actor.id: u-1", "actor.id: u-2", "2026-12-15", nil},
		{"actor.id: [u-1, u-3]", "actor.id: [u-2, u-3]", "2026-12-15", []string{"warning test.yaml:31:1: the exceptions X-1 and X-2 to T-1 cover the same accesses from 2026-12-01 to 2026-12-15"}},
		{"actor.id: u-1", "data.dataset: d", "2026-12-15", []string{"cover the same accesses"}},
		{"actor.id starts with: u-", "actor.id: u-1", "2026-12-15", []string{"cover the same accesses"}},
		{"actor.id starts with: u-", "actor.id: v-1", "2026-12-15", nil},
		{"actor.id: u-1, location.country: CN", "actor.id: u-1, location.country: [CN, RU]", "2026-12-15", []string{"cover the same accesses"}},
		{"actor.id: u-1, location.country: CN", "actor.id: u-1, location.country: RU", "2026-12-15", nil},
		{"actor.id: u-1, location.country: DE", "actor.id: u-1, location.country: DE", "2026-12-15", nil}, // neither ever applies
		{"actor.id: u-1", "actor.id: u-1", "2026-11-30", nil},                                             // one after the other
		{"data.categories: health", "data.categories: financial", "2026-12-15", []string{"cover the same accesses"}},
		{"data.categories only: health", "data.categories: financial", "2026-12-15", nil},
	} {
		t.Run(tt.first+" and "+tt.second, func(t *testing.T) {
			second := strings.Replace(exception(tt.second, "valid_from: 2026-12-01\nvalid_until: 2026-12-31\n"), "X-1", "X-2", 1)
			expect(t, find(t, "exception-overlap", today, westAndEast, target, exception(tt.first, "valid_from: 2026-11-15\nvalid_until: "+tt.until+"\n"), second), tt.want...)
		})
	}
}
