package engine_test

import (
	"reflect"
	"strings"
	"sync"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestPanicAlerts gives an event that no decoder makes, without a data item: the rules that read one panic and answer
// error, the others keep their outcome.
func TestPanicAlerts(t *testing.T) {
	e := compile(t, rule("A-1", "data.classes: restricted", "kind: anonymiser"), rule("B-1", "action: read", "kind: unknown_location"), rule("C-1", "action: list", "kind: unknown_location"))
	ev := event(t, "action: read, location.country: unknown")
	ev.Data.Items = nil
	out := judge(t, e, ev)
	if out.Outcome != alert.Error || out.Severity != alert.High {
		t.Fatalf("verdict is %s %s", out.Outcome, out.Severity)
	}
	want := map[string]alert.Outcome{"A-1": alert.Error, "B-1": alert.Alert}
	for _, m := range out.Matched {
		if m.Outcome != want[m.RuleID] {
			t.Errorf("%s answers %s", m.RuleID, m.Outcome)
		}
		if m.Outcome == alert.Error && m.Reason == "" {
			t.Error("the error has no reason")
		}
		delete(want, m.RuleID)
	}
	if len(want) > 0 || len(out.Alerts) != 2 || !strings.Contains(out.Alerts[0].Why, "could not be evaluated") {
		t.Errorf("missing %v, alerts %+v", want, out.Alerts)
	}
	var again alert.Verdict
	e.Evaluate(ev, access.Digest{1}, &again)
	if !reflect.DeepEqual(out, &again) {
		t.Error("judging the same event twice gives two verdicts")
	}
}

func TestWhy(t *testing.T) {
	docs := []string{groups(eea), rule("EU-1", "data.classes: restricted, action: [read, decrypt, replicate], "+overseas, "exceptions: allowed"),
		"format: borderwatch/exception/v1\nid: X-1\nticket: T-9\nrules: [EU-1]\nvalid_from: 2026-11-15\nvalid_until: 2026-12-15\nwhen: {actor.id: u-9}\n",
		rule("P-1", "location.verdict: masked, network.kind: vpn", "kind: anonymiser")}
	for _, tt := range []struct{ name, event, want string }{
		{"person", "actor.id: u-1, actor.kind: employee, action: read, data.dataset: eu.users, data.classes: [restricted], data.subject_regions: [EU], location.country: CN",
			"u-1 (employee) read eu.users [restricted, EU] from China (agree): location.country is not in @eea. EU-1: Title of EU-1"},
		{"denied", "actor.id: u-1, actor.kind: vendor, action: read, outcome: denied, data.dataset: eu.users, data.classes: [restricted], location.country: [CN, RU]",
			"u-1 (vendor) was stopped (denied) on read of eu.users [restricted] from China or Russia (conflict): location.country is not in @eea. EU-1: Title of EU-1"},
		{"unknown", "actor.id: u-1, action: read, data.classes: [restricted], location.country: unknown",
			"u-1 (unknown kind) read an unknown data set [restricted] from an unknown place (unknown): cannot decide EU-1, missing location.country"},
		{"attached", "actor.id: u-1, actor.kind: employee, action: decrypt, data.dataset: eu.users, data.classes: [restricted], location.verdict: masked, network.kind: vpn",
			"u-1 (employee) decrypted eu.users [restricted] from an unknown place (masked, vpn network): location.verdict is masked. P-1: Title of P-1 - the missing country also leaves open EU-1"},
		{"suppressed", "actor.id: u-9, actor.kind: employee, action: read, data.dataset: eu.users, data.classes: [restricted], location.country: SG",
			"u-9 (employee) read eu.users [restricted] from Singapore (agree): location.country is not in @eea. EU-1: Title of EU-1 - suppressed by X-1 (T-9)"},
		{"transfer", "actor.id: svc, actor.kind: service, action: replicate, dest.country: IN, data.dataset: eu.users, data.classes: [restricted], location.country: US, location.verdict: service",
			"svc (service) replicated eu.users [restricted] from United States (service) to India: location.country is not in @eea. EU-1: Title of EU-1"},
		{"hostile", "actor.id: \"u\\e[31m\\n\\u202e1\", actor.kind: employee, action: read, data.dataset: eu.users, data.classes: [restricted], location.country: CN",
			"u?[31m??1 (employee) read eu.users [restricted] from China (agree): location.country is not in @eea. EU-1: Title of EU-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := judge(t, compile(t, docs...), event(t, tt.event)).Alerts[0].Why; got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestWhyCutsLongNames(t *testing.T) {
	ev := event(t, "action: read")
	ev.Actor.ID = strings.Repeat("é", 100_000)
	if why := judge(t, compile(t, rule("A-1", "action: read")), ev).Alerts[0].Why; len(why) > 400 {
		t.Errorf("the sentence has %d bytes", len(why))
	}
}

// TestNoAllocationWhenNothingMatches also covers rules that nearly match, which every ordinary access has.
func TestNoAllocationWhenNothingMatches(t *testing.T) {
	e, err := engine.Compile(shipped(t), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ev := event(t, "actor.id: u-1, actor.kind: employee, actor.employment: active, actor.employer_country: IE, actor.covered_person: no, session.mfa: yes, action: read, outcome: success, data.subject_regions: [EU], data.classes: [restricted], data.categories: [contact], data.dataset: eu.users.contact, data.storage_country: IE, location.country: IE, location.expected: home")
	var out alert.Verdict
	e.Evaluate(ev, access.Digest{}, &out)
	if out.Outcome != alert.None || out.NearTotal == 0 {
		t.Fatalf("verdict is %+v", out)
	}
	if n := testing.AllocsPerRun(100, func() { e.Evaluate(ev, access.Digest{}, &out) }); n != 0 {
		t.Errorf("%v allocations for an event that no rule matches", n)
	}
}

func TestEngineIsSafeForConcurrentUse(t *testing.T) {
	e, err := engine.Compile(shipped(t), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ev := event(t, "actor.id: u-1, actor.kind: employee, action: read, data.subject_regions: [EU], data.classes: [restricted], location.country: CN")
	want := judge(t, e, ev)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var out alert.Verdict
			for range 200 {
				e.Evaluate(ev, access.Digest{1}, &out)
				if !reflect.DeepEqual(&out, want) {
					t.Error("the verdict changed")
					return
				}
			}
		})
	}
	group.Wait()
}

func TestRulesAndFieldsUsed(t *testing.T) {
	e := compile(t, rule("A-1", "action: read, actor.employer_entity differs from: data.exporter_entity", "kind: anonymiser", "owner: o"), rule("B-1", "action: read", "status: draft"))
	if rules := e.Rules(); len(rules) != 2 || rules[0].Owner != "o" || rules[1].Status != policy.Draft || rules[0].Title != "Title of A-1" {
		t.Errorf("rules are %+v", rules)
	}
	if got := strings.Join(e.FieldsUsed("A-1").Names(), " "); got != "actor.employer_entity location.verdict action data.exporter_entity" {
		t.Errorf("fields are %s", got)
	}
	if e.FieldsUsed("nobody") != 0 {
		t.Error("an unknown rule uses fields")
	}
}

func TestExplain(t *testing.T) {
	e := compile(t, groups(eea), rule("A-1", "data.classes: restricted, "+overseas+", any: [{action: list}, {data.records at least: 5}]", "exceptions: allowed"),
		"format: borderwatch/exception/v1\nid: X-1\nrules: [A-1]\nvalid_from: 2026-11-15\nvalid_until: 2026-12-15\nwhen: {actor.id: u-1, location.country: SG}\n")
	x, ok := e.Explain(event(t, "actor.id: u-1, action: list, data.classes: [restricted, public], location.country: SG, location.verdict: single"), "A-1")
	if !ok || x.Outcome != alert.Alert || x.Severity != alert.High {
		t.Fatalf("explanation is %+v", x)
	}
	var got []string
	for _, c := range x.Conditions {
		got = append(got, c.Condition+" = "+c.Value+" "+c.Truth.String())
	}
	want := "data.classes: restricted = [restricted,public] true\nlocation.country not: @eea = SG true\naction: list = list true\ndata.records at least: 5 = unknown unknown"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if len(x.Exceptions) != 1 || x.Exceptions[0].Applies || !x.Exceptions[0].InForce || x.Exceptions[0].PlaceShown {
		t.Errorf("exceptions are %+v", x.Exceptions)
	}
	if _, ok := e.Explain(event(t, "action: list"), "nobody"); ok {
		t.Error("an unknown rule is explained")
	}
}

// TestRunTests makes tests of every kind fail, so that a passing run means something.
func TestRunTests(t *testing.T) {
	const ev = "event: {time: 2026-11-20T09:00:00Z, action: read}"
	set := read(t,
		rule("A-1", "action: read", "status: draft", "exceptions: allowed", "tests:", "  - {name: good, expect: alert, severity: high, "+ev+"}", "  - {name: bad outcome, expect: none, "+ev+"}",
			"  - {name: bad severity, expect: alert, severity: low, "+ev+"}", "  - {name: suppressed, expect: suppressed, "+ev+", exception: {valid_from: 2026-11-20, valid_until: 2026-11-20, when: {action: read}}}",
			"  - {name: expired, expect: suppressed, "+ev+", exception: {valid_from: 2026-11-20, valid_until: 2026-11-20, when: {action: list}}}"),
		"format: borderwatch/exception/v1\nid: X-1\nrules: [A-1]\nvalid_from: 2026-11-15\nvalid_until: 2026-12-15\nwhen: {action: read}\ntests:\n  - {name: of exception, expect: suppressed, "+ev+"}\n  - {name: of exception bad, expect: alert, "+ev+"}\n")
	var failed []string
	results := engine.RunTests(set)
	for i := range results {
		if !results[i].Passed() {
			failed = append(failed, results[i].String())
		}
	}
	want := []string{"bad outcome", "bad severity", "expired", "of exception bad"}
	if len(results) != 7 || len(failed) != len(want) {
		t.Fatalf("%d results, failed are\n%s", len(results), strings.Join(failed, "\n"))
	}
	for i, name := range want {
		if !strings.Contains(failed[i], `"`+name+`"`) || !strings.HasPrefix(failed[i], "test.yaml:") {
			t.Errorf("failed is %s, want %s", failed[i], name)
		}
	}
}
