package engine_test

import (
	"fmt"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// BenchmarkEvaluate judges an event that no rule matches (an employee in Ireland reads restricted EU data) with the
// first n shipped rules, and one on public data, which most rules leave at once.
func BenchmarkEvaluate(b *testing.B) {
	set := shipped(b)
	for _, n := range []int{1, 12, 30, len(set.Rules)} {
		part := *set
		part.Rules = part.Rules[:n]
		part.Exceptions = nil
		e, err := engine.Compile(&part, engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, class := range []string{"restricted", "public"} {
			b.Run(fmt.Sprintf("rules=%d/%s", n, class), func(b *testing.B) {
				ev := event(b, "time: 2026-11-20T09:00:00Z, actor.id: u-1042, actor.kind: employee, actor.employment: active, actor.employer_country: IE, actor.covered_person: no, session.mfa: yes, action: read, outcome: success, gateway.decision: allowed, data.subject_regions: [EU], data.classes: ["+class+"], data.categories: [contact], data.dataset: eu.users.contact, data.storage_country: IE, location.country: IE, location.expected: home")
				var out alert.Verdict
				b.ReportAllocs()
				for b.Loop() {
					e.Evaluate(ev, access.Digest{}, &out)
				}
				if out.Outcome != alert.None {
					b.Fatal(out.Matched)
				}
			})
		}
	}
}

func BenchmarkEvaluateAlert(b *testing.B) {
	e, err := engine.Compile(shipped(b), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ev := event(b, "time: 2026-11-20T09:00:00Z, actor.id: u-4711, actor.kind: employee, action: read, data.subject_regions: [EU], data.classes: [restricted], data.dataset: eu.users.contact, location.country: CN, actor.employer_country: IE, actor.covered_person: no, data.categories: [contact]")
	var out alert.Verdict
	b.ReportAllocs()
	for b.Loop() {
		e.Evaluate(ev, access.Digest{}, &out)
	}
	if out.Outcome != alert.Alert {
		b.Fatal(out)
	}
}
