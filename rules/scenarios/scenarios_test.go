package scenarios_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path"
	"slices"
	"testing"

	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
	"borderwatch/rules/scenarios"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

var update = flag.Bool("update", false, "write README.md anew")

func read(t *testing.T) ([]scenarios.Pack, *policy.Set) {
	t.Helper()
	known, err := scenarios.Read()
	if err != nil {
		t.Fatal(err)
	}
	var docs []policy.Document
	err = fs.WalkDir(packs.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		data, err := packs.Files.ReadFile(name)
		docs = append(docs, policy.Document{Path: name, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	set, problems := policy.Read(docs)
	if problems.Failed() {
		t.Fatal(problems)
	}
	return known, set
}

// TestPage checks that the page is the one that scenarios and rules make.
func TestPage(t *testing.T) {
	known, set := read(t)
	want := scenarios.Page(known, set.Rules)
	if *update {
		if err := os.WriteFile("README.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("README.md is not what the scenarios make; run go generate ./rules/scenarios")
	}
}

// TestEveryRuleIsEnacted: each rule alerts somewhere, and no scenario expects a rule that does not exist.
func TestEveryRuleIsEnacted(t *testing.T) {
	known, set := read(t)
	enacted := map[string]bool{}
	for i := range known {
		for _, s := range known[i].Scenarios {
			for j := range s.Events {
				e := &s.Events[j].Expect
				for _, id := range slices.Concat(e.Alert, e.Unknown, e.Suppressed, e.Shadow, e.None) {
					if set.Rule(id) == nil {
						t.Errorf("%s expects something of %s, which does not exist", s.Name, id)
					}
				}
				for _, id := range slices.Concat(e.Alert, e.Shadow) {
					enacted[id] = true
				}
			}
		}
	}
	for _, r := range set.Rules {
		if !enacted[r.ID] {
			t.Errorf("no scenario in which %s alerts", r.ID)
		}
	}
}

func TestCompareFindsWhatDiffers(t *testing.T) {
	verdict := &alert.Verdict{Severity: alert.High, Matched: []alert.Match{
		{RuleID: "R-1", Outcome: alert.Alert}, {RuleID: "R-2", Outcome: alert.Alert, Shadow: true}, {RuleID: "R-3", Outcome: alert.Suppressed},
	}, Alerts: []alert.Item{{RuleID: "R-3", Outcome: alert.Suppressed, Exceptions: []alert.Exception{{ID: "EX-1"}}}}}
	right := scenarios.Expect{Alert: []string{"R-1"}, Shadow: []string{"R-2"}, Suppressed: []string{"R-3"}, None: []string{"R-4"}, Exceptions: []string{"EX-1"}, Severity: "high"}
	for name, tt := range map[string]struct {
		change func(*scenarios.Expect)
		want   string
	}{
		"right":             {func(*scenarios.Expect) {}, ""},
		"too little":        {func(e *scenarios.Expect) { e.Alert = []string{"R-1", "R-4"} }, "alert: [R-1], want [R-1 R-4]"},
		"unexpected":        {func(e *scenarios.Expect) { e.Alert = nil }, "alert: [R-1], want []"},
		"shadow":            {func(e *scenarios.Expect) { e.Shadow = nil }, "shadow: [R-2], want []"},
		"none":              {func(e *scenarios.Expect) { e.None = []string{"R-2"} }, "R-2 says something, want none"},
		"severity":          {func(e *scenarios.Expect) { e.Severity = "low" }, "severity high, want low"},
		"another exception": {func(e *scenarios.Expect) { e.Exceptions = []string{"EX-2"} }, "exceptions [EX-1], want [EX-2]"},
	} {
		t.Run(name, func(t *testing.T) {
			event := scenarios.Event{Expect: right}
			tt.change(&event.Expect)
			got := event.Compare(verdict)
			if tt.want == "" && len(got) > 0 || tt.want != "" && !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	event := scenarios.Event{Place: "single DE home"}
	if got := event.ComparePlace(&access.Location{Candidates: access.AllCountries}); len(got) != 1 {
		t.Errorf("the wrong place passes: %v", got)
	}
}
