package box_test

import (
	"strings"
	"testing"

	"borderwatch/rules/lint/box"
	"borderwatch/rules/policy"
)

// lines reads the conditions of rules, one text for each.
func lines(t *testing.T, whens ...string) (*policy.Set, [][]policy.Condition) {
	t.Helper()
	text := `format: borderwatch/groups/v1
groups:
  - {name: g, kind: countries, members: [DE, {code: GB, from: 2021-06-28, until: 2031-12-27}]}
`
	for i, when := range whens {
		text += "---\nformat: borderwatch/rule/v1\nid: T-" + string(rune('a'+i)) + "\ntitle: T\nstatus: active\nseverity: high\nwhen: {" + when + "}\n"
	}
	set, problems := policy.Read([]policy.Document{{Path: "a.yaml", Data: []byte(text)}})
	if problems.Failed() {
		t.Fatal(problems)
	}
	out := make([][]policy.Condition, len(whens))
	for i := range whens {
		out[i] = set.Rule("T-" + string(rune('a'+i))).When.All
	}
	return set, out
}

func days(spans []box.Span) string {
	var out []string
	for _, s := range spans {
		from, to := s.First.String(), s.Last.String()
		if s.First == box.Beginning {
			from = ""
		}
		if s.Last == box.End {
			to = ""
		}
		out = append(out, from+"/"+to)
	}
	return strings.Join(out, " ")
}

func TestSpans(t *testing.T) {
	for _, tt := range []struct{ when, want string }{
		{"action: read", "/"},
		{"location.country: GB, location.country not: DE", "/"},
		{"location.country: '@g', location.country not: DE", "2021-06-28/2031-12-27"},
		{"location.country: GB, location.country not: '@g'", "/2021-06-27 2031-12-28/"},
		{"location.country: '@g', location.country not: DE, time at least: 2030-01-01", "2030-01-01/2031-12-27"},
		{"location.country: '@g', location.country not: DE, time at most: 2020-01-01", ""},
		{"time at least: 2026-01-02, time at most: 2026-01-01", ""},
	} {
		set, conditions := lines(t, tt.when)
		if got := days(box.NewSpace(set, nil).Spans(conditions[0])); got != tt.want {
			t.Errorf("%s holds on %q, want %q", tt.when, got, tt.want)
		}
	}
}

func TestContainsAndMeet(t *testing.T) {
	for _, tt := range []struct {
		outer, inner   string
		contains, meet bool
	}{
		{"location.country: '@g'", "location.country: DE", true, true},
		{"location.country: '@g'", "location.country: GB", false, true}, // on some days only
		{"location.country: '@g'", "location.country: GB, time at least: 2025-01-01, time at most: 2025-12-31", true, true},
		{"location.country: '@g'", "location.country: FR", false, false},
		{"data.classes: [public, personal]", "data.classes all of: [public, restricted]", true, true},
		{"data.classes only: public", "data.classes: restricted", false, false},
		{"data.records at least: 10", "data.records: [9, 11]", false, true},
		{"source.ip within: 192.0.2.0/24", "source.ip within: 192.0.2.128/25", true, true},
		{"source.ip within: 192.0.2.0/25", "source.ip within: 192.0.2.128/25", false, false},
	} {
		set, conditions := lines(t, tt.outer, tt.inner)
		space := box.NewSpace(set, nil)
		outer, inner := space.Spans(conditions[0]), space.Spans(conditions[1])
		if got := space.Contains(outer, inner); got != tt.contains {
			t.Errorf("%s contains %s: %v", tt.outer, tt.inner, got)
		}
		if _, _, got := space.Meet(outer, inner); got != tt.meet {
			t.Errorf("%s meets %s: %v", tt.outer, tt.inner, got)
		}
	}
}

// TestKeyIsInTheCorner wants a box that contains another to be found by one of the other's points.
func TestKeyIsInTheCorner(t *testing.T) {
	set, conditions := lines(t, "action: [read, list], location.country not: DE", "action: list, actor.kind: vendor, location.country: FR", "data.dataset not: d")
	space := box.NewSpace(set, nil)
	wide, narrow, open := space.Spans(conditions[0]), space.Spans(conditions[1]), space.Spans(conditions[2])
	key, ok := space.Key(&wide[0].Box)
	found := false
	for _, point := range space.Corner(&narrow[0].Box) {
		for _, k := range key {
			found = found || k == point
		}
	}
	if !ok || !found || len(key) != 2 {
		t.Errorf("the key is %v and not among %v", key, space.Corner(&narrow[0].Box))
	}
	if key, ok := space.Key(&open[0].Box); !ok || len(key) != 1 {
		t.Errorf("the key of a line with not is %v", key)
	}
}
