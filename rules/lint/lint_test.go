package lint_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"

	"borderwatch/rules/examples"
	"borderwatch/rules/lint"
	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
)

var update = flag.Bool("update", false, "write the golden files and CHECKS.md anew")

const today = "2026-11-24"

func day(t *testing.T, text string) policy.Day {
	t.Helper()
	d, ok := policy.ParseDay(text)
	if !ok {
		t.Fatal(text)
	}
	return d
}

func read(t *testing.T, docs ...string) *policy.Set {
	t.Helper()
	set, problems := policy.Read([]policy.Document{{Path: "test.yaml", Data: []byte(strings.Join(docs, "\n---\n"))}})
	if problems.Failed() {
		t.Fatal(problems)
	}
	return set
}

// compare holds text against a golden file.
func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// find runs all checks over the documents and returns what the named check found, as "line:column: message".
func find(t *testing.T, check, on string, docs ...string) []string {
	t.Helper()
	var out []string
	for _, f := range lint.Run(read(t, docs...), day(t, on)) {
		if f.Check == check {
			out = append(out, f.Severity.String()+" "+f.Error())
		}
	}
	return out
}

// expect compares findings with what they must contain, one text for each finding.
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d findings, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("finding %d is\n%s\nand should contain\n%s", i, got[i], want[i])
		}
	}
}

// rule is a rule with the lines of when and further keys.
func rule(when, keys string) string {
	return "format: borderwatch/rule/v1\nid: T-1\ntitle: T\nstatus: active\nseverity: high\n" + keys + "when:\n  " + strings.Join(strings.Split(when, "; "), "\n  ") + "\n"
}

func exception(when, keys string) string {
	return "format: borderwatch/exception/v1\nid: X-1\nrules: [T-1]\n" + keys + "when: {" + when + "}\n"
}

const dates = "valid_from: 2026-11-15\nvalid_until: 2026-12-15\n"

func TestChecksAreDescribed(t *testing.T) {
	last := ""
	for _, c := range lint.Checks() {
		if c.ID <= last || c.Title == "" || c.Why == "" {
			t.Errorf("check %q is out of order or not described", c.ID)
		}
		last = c.ID
	}
}

// TestPage keeps CHECKS.md as the checks describe themselves.
func TestPage(t *testing.T) {
	var page bytes.Buffer
	if err := lint.WritePage(&page); err != nil {
		t.Fatal(err)
	}
	compare(t, "CHECKS.md", page.Bytes())
}

// TestOneFilePerCheck wants a file and a test of the check's name.
func TestOneFilePerCheck(t *testing.T) {
	for _, c := range lint.Checks() {
		name := strings.ReplaceAll(c.ID, "-", "_")
		for _, file := range []string{name + ".go", name + "_test.go"} {
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestShippedFilesAreClean runs all checks over everything that ships, on the day it was last checked.
func TestShippedFilesAreClean(t *testing.T) {
	var docs []policy.Document
	for _, files := range []fs.FS{packs.Files, examples.Files} {
		err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yaml") {
				return err
			}
			data, err := fs.ReadFile(files, path)
			docs = append(docs, policy.Document{Path: path, Data: data})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	set, problems := policy.Read(docs)
	if problems.Failed() {
		t.Fatal(problems)
	}
	for _, f := range lint.Run(set, day(t, today)) {
		if f.Severity != policy.SeverityNote {
			t.Error(f.Error(), f.Check)
		}
	}
}

func TestSilencing(t *testing.T) {
	target := rule("action: read", "exceptions: allowed\nexception_must_pin: actor.id\n") // untested and unexplained as well
	wide := exception("action: read", "valid_from: 2026-01-01\nvalid_until: 2026-12-31\n")
	set, problems := policy.Read([]policy.Document{{Path: "test.yaml", Data: []byte(target + "---\n" + wide)}})
	if problems.Failed() {
		t.Fatal(problems)
	}
	found := map[string]int{}
	for _, f := range lint.Silencing(set) {
		found[f.Check]++
	}
	if found["exception-wide"] != 1 || found["exception-term"] != 1 || found["exception-approval"] != 3 || len(found) != 3 {
		t.Errorf("found %v", found)
	}
}
