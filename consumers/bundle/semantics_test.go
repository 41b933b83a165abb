package bundle_test

import (
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
	"borderwatch/rules/release"
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
	if len(x.Signers) > 0 {
		checkSignatures(t, x, files, changed)
		return
	}
	if x.Expect.Bundle != "" {
		checkBundle(t, x, files, changed)
		return
	}
	shown := show(t, x, files)
	expect := x.Expect
	if x.Departs != nil {
		expect.Outcome = x.Departs.Outcome
	}
	for _, s := range shown {
		s.check(t, &expect)
	}
	if changed != nil {
		shown = append(shown, show(t, x, changed)...)
	}
	checkIdentity(t, &expect, shown)
}

// partsOf makes the parts of a bundle: the files of an example, the country groups of the packs, location databases.
func partsOf(t *testing.T, x *semantics.Example, files semantics.Files) []release.Part {
	t.Helper()
	var parts []release.Part
	add := func(role, name string, data []byte) { parts = append(parts, release.NewPart(role, name, data)) }
	for _, name := range slices.Sorted(maps.Keys(files)) {
		add(release.RoleFile, name, files[name])
	}
	for _, name := range []string{"eu/groups.yaml", "us/groups.yaml"} {
		data, err := packs.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		add(release.RoleFile, name, data)
	}
	for role, of := range map[string]map[string]string{release.RoleGeoIP: x.Geo, release.RoleGeoIPSecond: x.Geo2} {
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
	late    bool // or early: its own time is not the only one that counts
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
		s.judgeAs(x, found.Enricher.NewWorker())
		s.agrees(t)
		shown = append(shown, s)
	}
	return shown
}

// judgeAs completes and judges the event as a worker does, a late or early one as of both its times.
func (s *judged) judgeAs(x *semantics.Example, worker *enrich.Worker) {
	if x.Event.Kind != 0 {
		s.judge.Evaluate(&s.event, s.content, &s.verdict)
		return
	}
	var arrived access.Event
	s.late = s.event.Arrival() == access.ArrivalLate || s.event.Arrival() == access.ArrivalEarly
	if s.late {
		s.event.CopyTo(&arrived)
		worker.EnrichAt(&arrived, s.event.Kafka.Timestamp)
	}
	worker.Enrich(&s.event)
	for range max(x.Repeat, 1) {
		if s.late {
			s.judge.EvaluateLate(&s.event, &arrived, s.content, &s.verdict)
		} else {
			s.judge.Evaluate(&s.event, s.content, &s.verdict)
		}
	}
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
