package lint_test

import "testing"

func TestKindCondition(t *testing.T) {
	for _, tt := range []struct {
		kind, when string
		want       []string
	}{
		{"policy", "action: read", nil},
		{"anonymiser", "location.verdict: masked", nil},
		{"anonymiser", "action: read", []string{"a rule of kind anonymiser needs the condition location.verdict: masked"}},
		{"location_conflict", "location.verdict: conflict", nil},
		{"location_conflict", "location.verdict: [conflict, agree]", []string{"needs the condition location.verdict: conflict"}},
		{"unknown_location", "location.country missing: true", nil},
		{"missing_approval", "approval.id: A", []string{"needs the condition approval.id missing: true"}},
		{"system_transfer", "actor.kind: service; action: [copy, export]", nil},
		{"system_transfer", "actor.kind: employee; action: copy", []string{"needs the condition actor.kind: [service, system]"}},
	} {
		t.Run(tt.kind+"/"+tt.when, func(t *testing.T) {
			expect(t, find(t, "kind-condition", today, rule(tt.when, "kind: "+tt.kind+"\n")), tt.want...)
		})
	}
}
