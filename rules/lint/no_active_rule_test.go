package lint_test

import (
	"strings"
	"testing"
)

func TestNoActiveRule(t *testing.T) {
	active := rule("action: read", "")
	shadow := strings.NewReplacer("T-1", "T-2", "active", "shadow").Replace(active)
	expect(t, find(t, "no-active-rule", today, active, shadow))
	expect(t, find(t, "no-active-rule", today, shadow), "error test.yaml:4:1: no rule is active, so nothing would alert")
	expect(t, find(t, "no-active-rule", today, westAndEast))
}
