package packs_test

import (
	"io/fs"
	"path"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
)

// read reads all shipped rules, groups and exceptions.
func read(t testing.TB) *policy.Set {
	t.Helper()
	var docs []policy.Document
	for _, files := range []fs.FS{packs.Files, examples.Files} {
		err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
				return err
			}
			data, err := fs.ReadFile(files, name)
			docs = append(docs, policy.Document{Path: name, Data: data})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	set, problems := policy.Read(docs)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

func TestShippedTestsPass(t *testing.T) {
	results := engine.RunTests(read(t))
	if len(results) < 100 {
		t.Fatalf("only %d tests were found", len(results))
	}
	for i := range results {
		if !results[i].Passed() {
			t.Error(results[i].String())
		}
	}
}

func TestShippedRulesAreExplained(t *testing.T) {
	for _, r := range read(t).Rules {
		if len(r.Law) == 0 || r.Why == "" || r.Respond == "" || r.Owner == "" {
			t.Errorf("%s lacks law, why, respond or owner", r.ID)
		}
	}
}

func TestPacksCompile(t *testing.T) {
	e, err := engine.Compile(read(t), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(e.Rules()); n < 20 {
		t.Fatalf("%d rules ship, want at least 20", n)
	}
}

// TestGroupMembers holds the group tables against counts and members that are written here from the sources again.
func TestGroupMembers(t *testing.T) {
	set := read(t)
	for _, tt := range []struct {
		group   string
		day     string
		count   int
		in, out []string
	}{
		{"eea", "2026-11-24", 30, []string{"IS", "LI", "NO", "HR", "CY"}, []string{"SJ", "GB", "CH", "AX"}},
		{"eu_territory", "2026-11-24", 7, []string{"AX", "RE", "YT"}, []string{"GL", "NC", "PF"}},
		{"us_concern", "2026-11-24", 8, []string{"CN", "HK", "MO", "VE"}, []string{"TW", "BY", "SY"}},
		{"us_concern", "2025-04-07", 0, nil, []string{"CN"}},
		{"adequacy", "2026-11-24", 15, []string{"GB", "BR", "JP", "KR"}, []string{"US", "IN", "AU"}},
		{"adequacy", "2031-12-27", 15, []string{"GB"}, nil},
		{"adequacy", "2031-12-28", 14, nil, []string{"GB"}},
		{"adequacy", "2026-01-25", 14, nil, []string{"BR"}},
		{"approved_for_eu_restricted", "2026-11-24", 39, []string{"DE", "GB", "CH", "GP"}, []string{"SG", "US"}},
	} {
		t.Run(tt.group+"/"+tt.day, func(t *testing.T) {
			day, ok := policy.ParseDay(tt.day)
			if !ok {
				t.Fatal(tt.day)
			}
			members := map[string]bool{}
			for _, m := range set.Flatten(tt.group) {
				if m.From <= day && (m.Until == policy.NoDay || day <= m.Until) {
					members[m.Text] = true
				}
			}
			if len(members) != tt.count {
				t.Errorf("%d members, want %d", len(members), tt.count)
			}
			for _, c := range tt.in {
				if !members[c] {
					t.Errorf("%s is missing", c)
				}
			}
			for _, c := range tt.out {
				if members[c] {
					t.Errorf("%s should not be in it", c)
				}
			}
		})
	}
}
