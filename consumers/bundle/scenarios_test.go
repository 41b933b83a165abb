package bundle_test

import (
	"io/fs"
	"testing"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/rules/engine"
	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
	"borderwatch/rules/release"
	"borderwatch/rules/scenarios"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestScenarios runs the known cases of rules/scenarios with all shipped packs and the example company, the way a
// record goes: decode, enrich, evaluate. Every rule that says something must be expected.
func TestScenarios(t *testing.T) {
	known, err := scenarios.Read()
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := bundle.Compile(shippedParts(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range known {
		for j := range known[i].Scenarios {
			s := &known[i].Scenarios[j]
			for k := range s.Events {
				e := &s.Events[k]
				t.Run(known[i].Name+"/"+s.Name+"/"+e.What, func(t *testing.T) {
					enact(t, shipped, e)
				})
			}
		}
	}
}

// shippedParts are the packs and the example company, as a worker finds them in its folder.
func shippedParts(t *testing.T) (parts []bundle.Part) {
	t.Helper()
	for folder, files := range map[string]fs.FS{"packs": packs.Files, "company": examples.Files} {
		err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(files, name)
			parts = append(parts, release.NewPart(release.RoleFile, folder+"/"+name, data))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return parts
}

func enact(t *testing.T, shipped *bundle.Bundle, e *scenarios.Event) {
	value, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := decode.New(decode.Native, decode.Feed{Name: "scenario", Scope: "scenario"})
	if err != nil {
		t.Fatal(err)
	}
	ev := new(access.Event)
	ev.Reset()
	if err := decoder.Decode(&decode.Record{Value: value}, ev); err != nil {
		t.Fatalf("%v\n%s", err, value)
	}
	ev.Kafka.Timestamp = ev.Time
	if e.Arrival != "" {
		ev.Kafka.Timestamp = millis(t, e.Arrival)
	}
	content, _ := ev.ContentDigest(nil)
	shipped.Enricher.Enrich(ev)
	var verdict alert.Verdict
	shipped.Engine.Evaluate(ev, content, &verdict)
	for _, difference := range append(e.ComparePlace(&ev.Location), e.Compare(&verdict)...) {
		t.Error(difference)
	}
	if t.Failed() {
		explain(t, shipped, ev, &verdict)
	}
}

// explain shows why the rules said what they said.
func explain(t *testing.T, shipped *bundle.Bundle, ev *access.Event, verdict *alert.Verdict) {
	for i := range verdict.Alerts {
		t.Log(verdict.Alerts[i].Why)
	}
	t.Log("place", ev.Location.Verdict, ev.Location.Candidates.String(), "classes", engine.Format(ev, access.FieldClasses, 0))
}
