package bundle_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/enrich"
	"borderwatch/consumers/enrich/enrichtest"
	"borderwatch/rules/engine"
	"borderwatch/rules/lint"
	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
	"borderwatch/rules/semantics"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestSemantics runs the worked examples of rules/semantics the way a record goes: decode, enrich, evaluate. What no
// test can show yet is skipped with its reason.
func TestSemantics(t *testing.T) {
	points, err := semantics.Read()
	if err != nil {
		t.Fatal(err)
	}
	for i := range points {
		p := &points[i]
		for j := range p.Examples {
			x := &p.Examples[j]
			t.Run(fmt.Sprintf("%d.%d %s", p.Number, j+1, x.Case), func(t *testing.T) {
				if x.NotYet != "" {
					t.Skip("not shown yet: " + x.NotYet)
				}
				runExample(t, x)
			})
		}
	}
}

func runExample(t *testing.T, x *semantics.Example) {
	files, err := x.Files()
	if err != nil {
		t.Fatal(err)
	}
	changed, err := x.Changed()
	if err != nil {
		t.Fatal(err)
	}
	if x.Expect.Schema != "" {
		checkSchema(t, x.Expect.Schema)
		return
	}
	if x.Expect.RefusedAt != "" || x.Expect.AcceptedAt != "" {
		checkFiles(t, &x.Expect, files)
		return
	}
	if x.Expect.Bundle != "" {
		checkBundle(t, x, files, changed)
		return
	}
	shown := show(t, x, files)
	for _, s := range shown {
		s.check(t, &x.Expect)
	}
	if changed != nil {
		shown = append(shown, show(t, x, changed)...)
	}
	checkIdentity(t, &x.Expect, shown)
}

// partsOf makes the parts of a bundle: the files of an example, the country groups of the packs, location databases.
func partsOf(t *testing.T, x *semantics.Example, files semantics.Files) []bundle.Part {
	t.Helper()
	var parts []bundle.Part
	add := func(role, name string, data []byte) {
		sum := sha256.Sum256(data)
		parts = append(parts, bundle.Part{Role: role, Path: name, Digest: hex.EncodeToString(sum[:]), Data: data})
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		add("file", name, files[name])
	}
	for _, name := range []string{"eu/groups.yaml", "us/groups.yaml"} {
		data, err := packs.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		add("file", name, data)
	}
	for role, of := range map[string]map[string]string{"geoip": x.Geo, "geoip-second": x.Geo2} {
		if len(of) == 0 {
			continue
		}
		records := map[string]enrichtest.Record{}
		for prefix, country := range of {
			records[prefix] = enrichtest.Record{Country: country, Nested: true}
		}
		add(role, role+".mmdb", enrichtest.Database(records))
	}
	return parts
}

// checkFiles looks for errors of the reader and of lint in the lines that hold a text.
func checkFiles(t *testing.T, e *semantics.Expect, files semantics.Files) {
	docs := []policy.Document{{Path: "rules.yaml", Data: files["rules.yaml"]}}
	data, err := packs.Files.ReadFile("eu/groups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, problems := policy.Read(append(docs, policy.Document{Path: "eu/groups.yaml", Data: data}))
	if !problems.Failed() {
		problems = append(problems, lint.Run(set, day(t, "2026-11-24"))...)
	}
	lines := strings.Split(string(files["rules.yaml"]), "\n")
	text := e.RefusedAt + e.AcceptedAt
	refused := false
	for _, p := range problems {
		if p.Path == "rules.yaml" && p.Severity == policy.SeverityError && p.Line > 0 && strings.Contains(lines[p.Line-1], text) {
			refused = true
			t.Log(p.Error())
		}
	}
	if refused != (e.RefusedAt != "") {
		t.Errorf("refused at %q: %v, want %v; all that was found:\n%v\n%s", text, refused, !refused, problems, files["rules.yaml"])
	}
}

func day(t *testing.T, text string) policy.Day {
	t.Helper()
	d, ok := policy.ParseDay(text)
	if !ok {
		t.Fatalf("%s is no day", text)
	}
	return d
}

// checkBundle makes a bundle of the files and, where some change, another one.
func checkBundle(t *testing.T, x *semantics.Example, files, changed semantics.Files) {
	first, err := bundle.Compile(partsOf(t, x, files))
	if got := map[bool]string{true: "accepted", false: "refused"}[err == nil]; got != x.Expect.Bundle {
		t.Fatalf("the bundle is %s, want %s: %v", got, x.Expect.Bundle, err)
	}
	if x.Expect.Digest == "" {
		return
	}
	second, err := bundle.Compile(partsOf(t, x, changed))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "digest", sameOrDifferent(first.Digest == second.Digest), x.Expect.Digest)
}

// judged is one event and what was said of it.
type judged struct {
	event   access.Event
	content access.Digest
	verdict alert.Verdict
	judge   *engine.Engine
}

// show judges the events of an example.
func show(t *testing.T, x *semantics.Example, files semantics.Files) []*judged {
	t.Helper()
	found := bundle.Inspect(partsOf(t, x, files))
	if found.Failed() {
		t.Fatalf("%v\n%s", policy.Problems(found.Problems), files["rules.yaml"])
	}
	judge, err := engine.Compile(found.Set, engine.Options{Approved: approved(t, x, found.Set)})
	if err != nil {
		t.Fatal(err)
	}
	var shown []*judged
	for _, ev := range events(t, x, found) {
		s := &judged{event: *ev, judge: judge}
		s.content, _ = ev.ContentDigest(nil)
		if x.Event.Kind == 0 {
			found.Enricher.Enrich(&s.event)
		}
		for range max(x.Repeat, 1) {
			judge.Evaluate(&s.event, s.content, &s.verdict)
		}
		s.agrees(t)
		shown = append(shown, s)
	}
	return shown
}

func approved(t *testing.T, x *semantics.Example, set *policy.Set) map[string]access.Millis {
	t.Helper()
	if x.Approved == "" {
		return nil
	}
	out := map[string]access.Millis{}
	for _, e := range set.Exceptions {
		out[e.ID] = millis(t, x.Approved)
	}
	return out
}

func millis(t *testing.T, text string) access.Millis {
	t.Helper()
	m, ok := access.ParseTime(text)
	if !ok {
		t.Fatalf("%s is no time", text)
	}
	return m
}

// events reads the event of the example from the test that carries it, or decodes its records.
func events(t *testing.T, x *semantics.Example, found *bundle.Inspection) []*access.Event {
	t.Helper()
	if x.Event.Kind != 0 {
		ev, err := engine.EventOf(&found.Set.Rule(semantics.CarrierRule).Tests[0].Event)
		if err != nil {
			t.Fatal(err)
		}
		ev.ID, ev.Source.Feed, ev.Source.Scope = "e-1", "example", "example"
		return []*access.Event{ev}
	}
	adapter := decode.Native
	if x.Adapter != "" {
		adapter = x.Adapter
	}
	values, err := x.Values()
	if err != nil {
		t.Fatal(err)
	}
	var out []*access.Event
	for _, value := range values {
		d, err := decode.New(adapter, decode.Feed{Name: "example", Scope: "example"})
		if err != nil {
			t.Fatal(err)
		}
		ev := new(access.Event)
		ev.Reset()
		if err := d.Decode(&decode.Record{Value: value}, ev); err != nil {
			t.Fatalf("%v\n%s", err, value)
		}
		ev.Kafka.Timestamp = ev.Time
		if x.Arrival != "" {
			ev.Kafka.Timestamp = millis(t, x.Arrival)
		}
		out = append(out, ev)
	}
	return out
}

// agrees judges rule by rule, condition by condition, without anything that leaves rules out beforehand: both ways must
// say the same of every rule.
func (s *judged) agrees(t *testing.T) {
	t.Helper()
	for _, rule := range s.judge.Rules() {
		x, judges := s.judge.Explain(&s.event, rule.ID)
		if !judges {
			continue
		}
		want(t, rule.ID+" in the verdict and explained", s.outcome(rule.ID), x.Outcome.String())
	}
}

// outcome is what the verdict says of a rule.
func (s *judged) outcome(ruleID string) string {
	i := slices.IndexFunc(s.verdict.Matched, func(m alert.Match) bool { return m.RuleID == ruleID })
	if i < 0 {
		return alert.None.String()
	}
	return s.verdict.Matched[i].Outcome.String()
}

// check compares what was said of one event with the expectation.
func (s *judged) check(t *testing.T, e *semantics.Expect) {
	t.Helper()
	want(t, "outcome", s.verdict.Outcome.String(), e.Outcome)
	want(t, "severity", s.verdict.Severity.String(), e.Severity)
	s.checkPlace(t, e)
	s.checkAlerts(t, e)
	for name, value := range e.Fields {
		f, ok := access.FieldNamed(name)
		if !ok {
			t.Fatalf("there is no field %s", name)
		}
		want(t, name, engine.Format(&s.event, f, 0), value)
	}
	if differs := enrich.Disagreements(&s.event).Names(); len(e.Differs) > 0 && !slices.Equal(differs, e.Differs) {
		t.Errorf("differs = %v, want %v", differs, e.Differs)
	}
	for id, outcome := range e.Rules {
		want(t, id, s.outcome(id), outcome)
	}
	if e.Near != nil {
		near := []string{}
		for _, n := range s.verdict.Near {
			near = append(near, n.RuleID)
		}
		if !slices.Equal(near, *e.Near) {
			t.Errorf("nearly matched = %v, want %v", near, *e.Near)
		}
	}
}

func (s *judged) checkPlace(t *testing.T, e *semantics.Expect) {
	t.Helper()
	place := &s.event.Location
	want(t, "verdict", place.Verdict.String(), e.Verdict)
	want(t, "country", place.Candidates.String(), e.Country)
	want(t, "expected", place.Expected.String(), e.Expected)
	want(t, "reason", place.Reason, e.Reason)
	for _, country := range e.Evidence {
		kept := place.Evidence[:place.EvidenceCount]
		if !slices.ContainsFunc(kept, func(v access.Evidence) bool { return v.Place.String() == country }) {
			t.Errorf("evidence about %s is not kept: %v", country, kept)
		}
	}
}

func (s *judged) checkAlerts(t *testing.T, e *semantics.Expect) {
	t.Helper()
	alerts := s.verdict.Alerts
	if len(e.Alerts) > 0 {
		s.compareAlerts(t, e.Alerts)
	}
	if len(e.Missing) == 0 && e.Item == "" && e.Why == "" && e.CaseKind == "" {
		return
	}
	if len(alerts) != 1 {
		t.Fatalf("%d alerts, want one: %+v", len(alerts), alerts)
	}
	a := &alerts[0]
	if missing := a.Missing.Names(); len(e.Missing) > 0 && !equalSets(missing, e.Missing) {
		t.Errorf("missing = %v, want %v", missing, e.Missing)
	}
	want(t, "item", s.event.Data.Items[a.DataItem].Dataset, e.Item)
	want(t, "case kind", a.CaseKind.String(), e.CaseKind)
	if !strings.Contains(a.Why, e.Why) || !strings.Contains(a.Why, e.Item) {
		t.Errorf("why = %q, want %q and %q in it", a.Why, e.Why, e.Item)
	}
}

func (s *judged) compareAlerts(t *testing.T, expected []semantics.Alert) {
	t.Helper()
	if len(s.verdict.Alerts) != len(expected) {
		t.Fatalf("%d alerts, want %d: %+v", len(s.verdict.Alerts), len(expected), s.verdict.Alerts)
	}
	for _, w := range expected {
		i := slices.IndexFunc(s.verdict.Alerts, func(a alert.Item) bool { return a.RuleID == w.Rule && a.Shadow == w.Shadow })
		if i < 0 {
			t.Errorf("no alert of %s (on trial: %v): %+v", w.Rule, w.Shadow, s.verdict.Alerts)
			continue
		}
		a := &s.verdict.Alerts[i]
		want(t, w.Rule, a.Outcome.String(), w.Outcome)
		want(t, "severity of "+w.Rule, a.Severity.String(), w.Severity)
		var exceptions []string
		for _, x := range a.Exceptions {
			exceptions = append(exceptions, x.ID)
		}
		for _, c := range []struct {
			what      string
			got, want []string
		}{{"rules", a.Rules, w.Rules}, {"missing", a.Missing.Names(), w.Missing}, {"exceptions", exceptions, w.Exceptions}} {
			if len(c.want) > 0 && !equalSets(c.got, c.want) {
				t.Errorf("%s of %s = %v, want %v", c.what, w.Rule, c.got, c.want)
			}
		}
	}
}

// checkIdentity compares the contents, alerts and cases of all that was judged with those of the first.
func checkIdentity(t *testing.T, e *semantics.Expect, shown []*judged) {
	t.Helper()
	if e.Content+e.Alert+e.SameCase == "" {
		return
	}
	if len(shown) < 2 {
		t.Fatalf("%d events are nothing to compare", len(shown))
	}
	first := shown[0]
	for _, s := range shown[1:] {
		want(t, "content", sameOrDifferent(s.content == first.content), e.Content)
		if e.Alert+e.SameCase == "" {
			continue
		}
		if len(first.verdict.Alerts) != 1 || len(s.verdict.Alerts) != 1 {
			t.Fatalf("%d and %d alerts, want one each", len(first.verdict.Alerts), len(s.verdict.Alerts))
		}
		a, b := &first.verdict.Alerts[0], &s.verdict.Alerts[0]
		want(t, "alert", sameOrDifferent(a.ID == b.ID), e.Alert)
		want(t, "same case", map[bool]string{true: "yes", false: "no"}[a.Case == b.Case], e.SameCase)
	}
}

func sameOrDifferent(same bool) string {
	if same {
		return "same"
	}
	return "different"
}

// want compares with an expectation, where there is one.
func want(t *testing.T, what, got, want string) {
	t.Helper()
	if want != "" && got != want {
		t.Errorf("%s = %s, want %s", what, got, want)
	}
}

func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
