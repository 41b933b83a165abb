package policy_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestErrorTexts holds the words, the place and the hint of every refusal against its golden file.
func TestErrorTexts(t *testing.T) {
	paths, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(paths) < 60 {
		t.Fatalf("%d cases, %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file := name + ".yaml"
			_, problems := policy.Read([]policy.Document{{Path: file, Data: data}})
			if !problems.Failed() {
				t.Fatal("the file was accepted")
			}
			var got bytes.Buffer
			if err := lint.Format(&got, problems, map[string][]byte{file: data}); err != nil {
				t.Fatal(err)
			}
			compare(t, strings.TrimSuffix(path, ".yaml")+".golden", got.Bytes())
		})
	}
}

// TestChecks holds the list of the reader's checks against what the cases above find.
func TestChecks(t *testing.T) {
	found := map[string]bool{"limits": true} // TestLimits
	goldens, err := filepath.Glob("testdata/*/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range goldens {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m): error: .* \[([a-z-]+)\]$`).FindAllSubmatch(data, -1) {
			found[string(m[1])] = true
		}
	}
	last := ""
	for _, c := range policy.Checks() {
		if c.ID <= last || c.Title == "" || c.Why == "" || !found[c.ID] {
			t.Errorf("%s is out of order, not described, or no case finds it", c.ID)
		}
		last = c.ID
		delete(found, c.ID)
	}
	if len(found) > 0 {
		t.Errorf("checks that are not in the list: %v", found)
	}
}

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
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLimits(t *testing.T) {
	bomb := "format: borderwatch/groups/v1\ngroups:\n  - {name: g0, kind: countries, members: [DE, FR]}\n"
	for i := 1; i <= 40; i++ {
		bomb += fmt.Sprintf("  - {name: g%d, kind: countries, members: ['@g%d', '@g%d']}\n", i, i-1, i-1)
	}
	aliases := "format: borderwatch/rule/v1\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"bytes", "# " + strings.Repeat("x", policy.MaxFileBytes), "a.yaml:1:1: the file has 262146 bytes, the limit is 262144"},
		{"aliases", aliases, "a.yaml:2:4: anchors (&) and aliases (*) are not read; write the value out (use a group for lists that several rules share)"},
		{"nested groups", bomb, "a.yaml:19:6: the group g16 has more than 100000 members with the groups in it"},
		{"brackets", "format: " + strings.Repeat("[", 100_000), "a.yaml:1:1: the file is not YAML: exceeded max depth of 10000"},
		{"not text", "format: \xff\xfe", "a.yaml:1:1: the file is not YAML: invalid leading UTF-8 octet"},
		{"nothing", "", "a.yaml:1:1: the file holds nothing; it must start with a line like format: borderwatch/rule/v1"},
		{"comments", "# to be written\n---\n", "a.yaml:1:1: the file holds nothing; it must start with a line like format: borderwatch/rule/v1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := policy.Read([]policy.Document{{Path: "a.yaml", Data: []byte(tt.text)}})
			if !problems.Failed() || problems.Error() != tt.want {
				t.Errorf("got\n%.900s\nwant\n%s", problems.Error(), tt.want)
			}
		})
	}
}

func TestTooManyRules(t *testing.T) {
	var docs []policy.Document
	for i := 0; i <= policy.MaxRules; i++ {
		text := fmt.Sprintf("format: borderwatch/rule/v1\nid: T-%05d\ntitle: T\nstatus: active\nseverity: low\nwhen: {action: read}\n", i)
		docs = append(docs, policy.Document{Path: "a.yaml", Data: []byte(text)})
	}
	_, problems := policy.Read(docs)
	if len(problems) != 1 || !strings.Contains(problems.Error(), "the bundle has 10001 rules, the limit is 10000") {
		t.Errorf("got %v", problems)
	}
}
