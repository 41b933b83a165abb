package policy_test

import (
	"io/fs"
	"reflect"
	"slices"
	"testing"

	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

const everything = `format: borderwatch/rule/v1
id: T-1
title: A rule
status: shadow
severity: medium
kind: missing_approval
owner: somebody
law: [A, B]
why: W
respond: R
when:
  approval.id missing: true
  location.country not: ["@g", NO]
  data.classes all of: [restricted, personal]
  actor.groups only: [a, b]
  data.records at least: 10
  time at most: 2026-11-23
  source.ip within: [192.0.2.0/24, "2001:db8::1"]
  data.dataset starts with: [eu., uk.]
  declared.physical_country: EUR
  actor.employer_entity differs from: data.exporter_entity
  any:
    - {action: read, actor.kind: employee}
    - {action: list}
on_unknown: ignore
exceptions: allowed
exception_must_pin: [actor.id]
licence: L
---
format: borderwatch/roster/v1
anything: [at, all]
---
format: borderwatch/groups/v1
groups:
  - {name: g, kind: countries, members: [DE, "@h", {code: GB, from: 2021-06-28, until: 2031-12-27}], from: 2020-01-01}
  - {name: h, kind: countries, members: [{code: FR, from: 2019-01-01, until: 2026-01-01}, {code: ES, from: 2019-01-01}, {code: IT, until: 2019-12-31}]}
`

func read(t *testing.T, text string) *policy.Set {
	t.Helper()
	set, problems := policy.Read([]policy.Document{{Path: "a.yaml", Data: []byte(text)}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

func TestReadRule(t *testing.T) {
	r := read(t, everything).Rules[0]
	want := []string{
		"approval.id missing: true", "location.country not: [@g, NO]", "data.classes all of: [restricted, personal]", "actor.groups only: [a, b]",
		"data.records at least: 10", "time at most: 2026-11-23", "source.ip within: [192.0.2.0/24, 2001:db8::1]", "data.dataset starts with: [eu., uk.]",
		"declared.physical_country: EUR", "actor.employer_entity differs from: data.exporter_entity", "action: read", "actor.kind: employee", "action: list",
	}
	var got []string
	r.When.Each(func(c *policy.Condition) { got = append(got, c.String()) })
	if !slices.Equal(got, want) {
		t.Errorf("conditions are\n%q\nwant\n%q", got, want)
	}
	if r.Status != policy.Shadow || r.Severity != alert.Medium || r.Kind != policy.KindMissingApproval || r.OnUnknown != policy.UnknownIgnored ||
		!r.Exceptions || r.Licence != "L" || !reflect.DeepEqual(r.MustPin, []access.Field{access.FieldActorID}) || len(r.Law) != 2 {
		t.Errorf("rule is %+v", r)
	}
	if end := access.Millis(r.When.All[5].Values[0].Number).String(); end != "2026-11-23T23:59:59.999Z" {
		t.Errorf("at most a day ends at %s, want the end of the day", end)
	}
	if pos := r.When.All[1].Values[1].Pos; pos != (policy.Position{Path: "a.yaml", Line: 13, Column: 32}) {
		t.Errorf("NO stands at %v", pos)
	}
	if c := r.When.Any[0][1]; c.Pos.Line != 23 || c.Pos.Column != 22 {
		t.Errorf("the line of any stands at %v", c.Pos)
	}
}

// TestFlatten joins the days of members, inner groups and the group itself, and drops members that are never in force.
func TestFlatten(t *testing.T) {
	set := read(t, everything)
	var got []string
	for _, m := range set.Flatten("g") {
		got = append(got, m.Text+" "+m.From.String()+" "+m.Until.String())
	}
	want := []string{"DE 2020-01-01 open", "FR 2020-01-01 2026-01-01", "ES 2020-01-01 open", "GB 2021-06-28 2031-12-27"}
	if !slices.Equal(got, want) {
		t.Errorf("members are %q, want %q", got, want)
	}
}

func TestReadDoesNotDependOnOrder(t *testing.T) {
	var docs []policy.Document
	err := fs.WalkDir(packs.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := packs.Files.ReadFile(path)
		docs = append(docs, policy.Document{Path: path, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	forward, _ := policy.Read(docs)
	slices.Reverse(docs)
	backward, _ := policy.Read(docs)
	if !reflect.DeepEqual(forward, backward) {
		t.Error("the set depends on the order of the files")
	}
}

func TestDays(t *testing.T) {
	for _, tt := range []struct {
		at   access.Millis
		want string
	}{{0, "1970-01-01"}, {-1, "1969-12-31"}, {86_399_999, "1970-01-01"}, {86_400_000, "1970-01-02"}} {
		if got := policy.DayOf(tt.at).String(); got != tt.want {
			t.Errorf("%d is on %s, want %s", tt.at, got, tt.want)
		}
	}
	if _, ok := policy.ParseDay("2026-02-29"); ok {
		t.Error("2026-02-29 was read as a day")
	}
}

// FuzzRead feeds the reader anything: it must not panic, and whatever it accepts must read the same again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(everything))
	for _, folder := range []string{"baseline", "eu", "us"} {
		entries, err := packs.Files.ReadDir(folder)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			data, err := packs.Files.ReadFile(folder + "/" + e.Name())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("format: borderwatch/exception/v1\nid: X\nrules: [A]\nvalid_from: 2026-01-01\nvalid_until: 2026-01-02\nwhen: {action: read}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, problems := policy.Read([]policy.Document{{Path: "f.yaml", Data: data}})
		for _, p := range problems {
			if p.Message == "" || p.Line < 1 || p.Column < 1 {
				t.Errorf("problem without words or place: %+v", p)
			}
		}
		if problems.Failed() {
			return
		}
		for _, g := range set.Groups {
			set.Flatten(g.Name)
		}
		again, _ := policy.Read([]policy.Document{{Path: "f.yaml", Data: data}})
		if !reflect.DeepEqual(set, again) {
			t.Error("reading twice gives two sets")
		}
	})
}
