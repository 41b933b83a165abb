package realdata_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"borderwatch/consumers/bundle"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// maxCases is how many open cases the CloudTrail collections may make. They are records of organisations of which the
// example company's files know nobody and nothing, so what they make are gaps, and never an alert.
const maxCases = 20

// trailFeed is the one feed of all CloudTrail records, as an organisation has one trail.
const trailFeed = "cloudtrail"

// openCase is a case with what it holds.
type openCase struct {
	kind   alert.CaseKind
	rule   string
	text   string
	alerts int
}

// collect counts the cases of a set's open alerts.
func collect(t testing.TB, b *bundle.Bundle, feed string, list []set, cases map[access.Digest]*openCase) {
	t.Helper()
	for _, s := range list {
		judge(t, b, feed, s, s.records(t), func(j judged) {
			if j.refusal != nil {
				return
			}
			for _, a := range j.open() {
				c := cases[a.Case]
				if c == nil {
					c = &openCase{kind: a.CaseKind, rule: a.RuleID, text: fmt.Sprintf("%s %s %s", a.RuleID, j.event.Data.Items[a.DataItem].System, a.Severity)}
					cases[a.Case] = c
				}
				c.alerts++
			}
		})
	}
}

func listCases(cases map[access.Digest]*openCase) string {
	var lines []string
	for _, c := range cases {
		lines = append(lines, fmt.Sprintf("%5d alerts  %s", c.alerts, c.text))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestOpenCases: real trails do not flood anybody, and no forbidden access hides in what they leave open.
func TestOpenCases(t *testing.T) {
	b := loadBundle(t)
	cases := map[access.Digest]*openCase{}
	collect(t, b, trailFeed, trails, cases)
	t.Logf("three collections as one feed make %d open cases:\n%s", len(cases), listCases(cases))
	if len(cases) > maxCases {
		t.Errorf("%d open cases, at most %d are wanted", len(cases), maxCases)
	}
	for _, c := range cases {
		if c.kind != alert.CaseGap || c.rule != alert.UnknownRule {
			t.Errorf("a policy case about records that the example files do not know: %s", c.text)
		}
	}
	separate := map[access.Digest]*openCase{}
	for _, s := range trails {
		collect(t, b, s.name, []set{s}, separate)
	}
	t.Logf("as three feeds they make %d, since a gap belongs to a feed", len(separate))
	collect(t, b, trailFeed, sets[3:6], cases)
	t.Logf("with the exfiltration and the EventBridge records in the same feed: %d", len(cases))
	if len(cases) > maxCases {
		t.Errorf("%d open cases of all CloudTrail records, at most %d are wanted", len(cases), maxCases)
	}
	checkPlanted(t, b, cases)
}

// checkPlanted judges the planted accesses in the feeds of the real ones: each alerts by its rule, in a case that it
// shares with nothing else.
func checkPlanted(t *testing.T, b *bundle.Bundle, cases map[access.Digest]*openCase) {
	t.Helper()
	taken := map[access.Digest]string{}
	for id := range maps.Keys(cases) {
		taken[id] = "real records"
	}
	all := plant(t, b)
	for _, p := range all {
		s := set{name: p.name, adapter: p.adapter, scope: "trail"}
		judge(t, b, trailFeed, s, [][]byte{p.value}, func(j judged) {
			if j.refusal != nil {
				t.Errorf("%s: %v", p.name, j.refusal)
				return
			}
			open := j.open()
			i := slices.IndexFunc(open, func(a alert.Item) bool { return a.RuleID == p.rule && a.Outcome == alert.Alert })
			if i < 0 {
				t.Errorf("%s: %s does not alert, but %+v", p.name, p.rule, open)
				return
			}
			if other, ok := taken[open[i].Case]; ok {
				t.Errorf("%s shares its case with %s", p.name, other)
			}
			for _, a := range open {
				taken[a.Case] = p.name
			}
			t.Logf("%-8s %s", open[i].Severity, open[i].Why)
		})
	}
	if len(all) < 10 {
		t.Errorf("only %d planted", len(all))
	}
}

// TestNamedNetworksCurePrivateAddresses holds the coverage report's advice: with the private networks named, exactly the
// places that were unknown for a private address become known, and cases do not grow.
func TestNamedNetworksCurePrivateAddresses(t *testing.T) {
	source := bundleSource(t)
	before, err := bundle.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	write(t, source.Dir+"/private.yaml", []byte("format: borderwatch/networks/v1\nsites:\n"+
		"  - {name: offices, kind: office, country: DE, prefixes: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}\n"))
	after, err := bundle.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	s := trails[0]
	old, cured := newTally(s.name), newTally(s.name)
	records := s.records(t)
	judge(t, before, s.name, s, records, func(j judged) { old.add(j) })
	judge(t, after, s.name, s, records, func(j judged) { cured.add(j) })
	t.Logf("unknown places %.1f %% before, %.1f %% after", share(old.verdicts["unknown"], old.stored), share(cured.verdicts["unknown"], cured.stored))
	gone := old.verdicts["unknown"] - cured.verdicts["unknown"]
	if want := old.reasons["unknown private-address"]; gone != want || want == 0 {
		t.Errorf("%d places became known, the report promised %d", gone, want)
	}
}
