package lint_test

import (
	"testing"

	"borderwatch/rules/lint"
)

func TestExceptionWide(t *testing.T) {
	target := rule("action: read", "exceptions: allowed\nexception_must_pin: [actor.id, location.country]\n")
	groups := "format: borderwatch/groups/v1\ngroups:\n  - {name: rota, kind: actors, members: [u-1, u-2]}\n  - {name: asia, kind: countries, members: [SG, JP]}\n"
	for _, tt := range []struct {
		when string
		want []string
	}{
		{"actor.id: u-1, location.country: SG", nil},
		{"actor.id: '@rota', location.country: [SG, JP]", nil},
		{"actor.id: u-1", []string{"does not pin location.country, which rule T-1 demands"}},
		{"actor.id: u-1, location.country: '@asia'", []string{"does not pin location.country for rule T-1"}},
		{"actor.id starts with: u-, location.country: SG", []string{"actor.id starts with: u- does not pin"}},
		{"actor.id not: u-1, location.country: SG", []string{"actor.id not: u-1 does not pin"}},
		{"actor.id: u-1, location.country: [SG, JP, CN, TH, VN, KR]", []string{"write at most 5 values"}},
		{"actor.id: u-1, location.country missing: true", []string{"does not pin location.country", "would never apply"}},
	} {
		t.Run(tt.when, func(t *testing.T) {
			expect(t, find(t, "exception-wide", today, target, groups, exception(tt.when, dates)), tt.want...)
		})
	}
}

// TestExceptionPinsNothing is about rules that demand no pin.
func TestExceptionPinsNothing(t *testing.T) {
	target := rule("action: read", "exceptions: allowed\n")
	for _, tt := range []struct {
		when string
		want []string
	}{
		{"actor.kind: contractor", []string{"warning test.yaml:16:1: the exception pins nothing and rule T-1 demands nothing: it covers everyone with actor.kind: contractor"}},
		{"actor.id starts with: u-, action: read", []string{"everyone with actor.id starts with: u-, action: read"}},
		{"actor.id: u-1", nil},
		{"actor.kind: contractor, data.dataset: eu.users.contact", nil},
	} {
		t.Run(tt.when, func(t *testing.T) {
			expect(t, find(t, "exception-wide", today, target, exception(tt.when, dates)), tt.want...)
		})
	}
	for _, f := range lint.Silencing(read(t, target, exception("actor.kind: contractor", dates))) {
		if f.Check == "exception-wide" {
			t.Errorf("a worker would refuse %s", f.Error())
		}
	}
}
