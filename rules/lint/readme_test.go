package lint_test

import (
	"os"
	"regexp"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
)

// TestGuide reads, tests and lints every file that the guide shows.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var docs []policy.Document
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(guide, -1) {
		docs = append(docs, policy.Document{Path: "README.md", Data: block[1]})
	}
	if len(docs) < 2 {
		t.Fatalf("the guide shows %d files", len(docs))
	}
	set, problems := policy.Read(docs)
	if problems.Failed() {
		t.Fatal(problems)
	}
	for _, f := range lint.Run(set, day(t, today)) {
		if f.Severity != policy.SeverityNote {
			t.Error(f.Error())
		}
	}
	results := engine.RunTests(set)
	for i := range results {
		if !results[i].Passed() {
			t.Error(results[i].String())
		}
	}
}
