package engine_test

import (
	"testing"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// An event that is dated into a time in which more was allowed: a country that left the group, an account that was still
// active. What only the day of the arrival forbids is unknown; what its own day forbids stays an alert.
func TestLateEventIsJudgedAtBothTimes(t *testing.T) {
	dated := groups("allowed: [DE, {code: SG, from: 2026-01-01, until: 2026-10-31}, {code: BR, from: 2026-11-01}]")
	for _, tt := range []struct {
		name    string
		when    string
		more    []string
		arrived string // what differs when the event arrives: fields of the test event
		country string
		want    alert.Outcome
		missing access.FieldSet
	}{
		{name: "allowed at both times", country: "DE", want: alert.None},
		{name: "allowed at neither", country: "CN", want: alert.Alert},
		{name: "no longer allowed on arrival", country: "SG", want: alert.Unknown, missing: arrivalField},
		{name: "not yet allowed at its time", country: "BR", want: alert.Alert},
		{name: "a rule that ignores what is unknown", country: "SG", more: []string{"on_unknown: ignore"}, want: alert.Unknown, missing: arrivalField},
		{name: "and one that lacks a field at both times", country: "unknown", more: []string{"on_unknown: ignore"}, want: alert.None},
		{name: "had left on arrival", when: "actor.employment: left", country: "DE", arrived: "actor.employment: left", want: alert.Unknown, missing: arrivalField},
		{name: "unknown on arrival", when: "actor.employment: left", country: "DE", arrived: "actor.employment: unknown", want: alert.Unknown,
			missing: arrivalField.With(access.FieldActorEmployment)},
		{name: "approval over on arrival", when: "approval.id missing: true", more: []string{"kind: missing_approval"}, country: "DE", arrived: "approval.id: unknown",
			want: alert.Unknown, missing: arrivalField},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.when == "" {
				tt.when = `location.country not: "@allowed"`
			}
			base := "time: 2026-10-15T09:00:00Z, source.arrival: late, location.country: " + tt.country
			own := event(t, base+", actor.employment: active, approval.id: A-1, approval.valid_until: 2026-10-20T00:00:00Z")
			own.Kafka.Timestamp = day(t, "2026-11-20").Start()
			arrived := event(t, base+", "+tt.arrived)
			arrived.Kafka.Timestamp = own.Kafka.Timestamp

			var out alert.Verdict
			compile(t, dated, rule("T-1", tt.when, tt.more...)).EvaluateLate(own, arrived, access.Digest{1}, &out)
			if out.Outcome != tt.want {
				t.Fatalf("outcome is %s, want %s", out.Outcome, tt.want)
			}
			if tt.want == alert.Unknown && (out.Matched[0].Missing != tt.missing || out.Severity != alert.Medium) {
				t.Errorf("missing %v at %s, want %v one step below high", out.Matched[0].Missing.Names(), out.Severity, tt.missing.Names())
			}
		})
	}
}

const arrivalField = access.FieldSet(1 << access.FieldArrival)

func day(t *testing.T, text string) policy.Day {
	t.Helper()
	d, ok := policy.ParseDay(text)
	if !ok {
		t.Fatalf("no day %q", text)
	}
	return d
}

// A rule that panics on the copy as of the arrival alerts as one that panics on the event does.
func TestLateEventErrorOnArrival(t *testing.T) {
	own := event(t, "source.arrival: late, action: read, actor.employment: active")
	arrived := event(t, "source.arrival: late, action: read, actor.employment: active")
	arrived.Data.Items = nil // no accessor of a data field expects that

	var out alert.Verdict
	compile(t, rule("T-1", "data.classes: restricted, action: write"), rule("T-2", "data.classes: public")).EvaluateLate(own, arrived, access.Digest{1}, &out)
	if out.Outcome != alert.Error || len(out.Matched) != 2 {
		t.Errorf("outcome is %s of %d rules, want error of both", out.Outcome, len(out.Matched))
	}
}

// A backfill brings thousands of late events at once: they are one case of their feed and system, not one a person.
func TestLateArrivalsAreOneCase(t *testing.T) {
	e := compile(t, rule("T-1", "source.arrival: [late, early], data.classes: restricted", "kind: late_arrival"))
	cases := map[access.Digest]bool{}
	for _, fields := range []string{
		"actor.id: u-1, location.country: DE", "actor.id: u-2, location.country: CN", "actor.id: u-2, location.country: unknown",
	} {
		v := judge(t, e, event(t, fields+", source.arrival: late, data.classes: [restricted], data.system: crm"))
		if len(v.Alerts) != 1 || v.Alerts[0].CaseKind != alert.CaseGap {
			t.Fatalf("alerts of %s are %+v, want one of a gap case", fields, v.Alerts)
		}
		cases[v.Alerts[0].Case] = true
	}
	if len(cases) != 1 {
		t.Errorf("%d cases for one backfill", len(cases))
	}
	early := judge(t, e, event(t, "actor.id: u-1, source.arrival: early, data.classes: [restricted], data.system: crm"))
	if cases[early.Alerts[0].Case] {
		t.Error("an event dated ahead is in the case of a backfill")
	}
}
