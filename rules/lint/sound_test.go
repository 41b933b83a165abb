package lint_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// randomLines and randomValues are what random rules and events are made of. They are few, so that rules often contradict
// themselves and imply each other.
var (
	randomLines = []string{
		"action: read", "action: [read, list]", "action not: [read, export]", "action missing: true", "actor.kind: vendor", "actor.kind not: [vendor, employee]",
		"data.classes: restricted", "data.classes: [restricted, public]", "data.classes all of: [restricted, public]", "data.classes only: [restricted]", "data.classes missing: true",
		"actor.groups: [a, b]", "actor.groups not: a", "actor.groups only: [a, c]", "actor.groups all of: [a, b]",
		"location.country: '@dated'", "location.country not: '@dated'", "location.country: [CN, RU]", "location.country: CN", "location.country missing: true",
		"location.verdict: [masked, unknown]", "location.verdict not: masked", "network.kind: [unknown, vpn]", "network.kind not: vpn", "outcome: success", "outcome not: success",
		"data.dataset: [eu.a, us.a]", "data.dataset starts with: eu.", "data.dataset starts with: [eu.a, us.]", "data.dataset not: eu.a", "actor.id starts with: u-", "actor.id: [u-1, v-1]",
		"source.ip within: 192.0.2.0/25", "source.ip within: [192.0.2.0/24, 198.51.100.0/24]", "source.ip: 192.0.2.1", "source.ip missing: true",
		"data.records at least: 10", "data.records at most: 10", "data.records: [9, 10]", "data.records not: 10", "time at least: 2026-11-20", "time at most: 2026-11-20",
		"dest.country same as: location.country", "dest.country differs from: location.country", "dest.country: CN", "approval.id missing: true",
	}
	randomValues = map[string][]string{
		"action": {"read", "list", "export"}, "actor.kind": {"vendor", "employee", "service"}, "actor.id": {"u-1", "u-2", "v-1"}, "actor.groups": {"[a]", "[a, b]", "[c]", "[a, b, c]", "[]"},
		"data.classes": {"[restricted]", "[public, restricted]", "[public]", "[restricted, unknown]", "[]"}, "location.country": {"DE", "CN", "[DE, CN]", "[CN, RU]", "unknown"},
		"network.kind": {"vpn", "corporate"}, "outcome": {"denied", "success"}, "data.dataset": {"eu.a", "eu.b", "us.a", "us.b"}, "source.ip": {"192.0.2.1", "192.0.2.200", "198.51.100.1"},
		"data.records": {"0", "9", "10", "11"}, "time": {"2026-11-19T12:00:00Z", "2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"}, "dest.country": {"CN", "DE"}, "location.verdict": {"masked", "agree"},
	}
	datedGroup = "format: borderwatch/groups/v1\ngroups:\n  - {name: dated, kind: countries, members: [{code: CN, until: 2026-11-20}, {code: DE, from: 2026-11-20}]}\n"
)

func randomRule(r *rand.Rand, id int) string {
	var when []string
	for range 1 + r.IntN(3) {
		line := randomLines[r.IntN(len(randomLines))]
		key, _, _ := strings.Cut(line, ":")
		if !slices.ContainsFunc(when, func(w string) bool { return strings.HasPrefix(w, key+":") }) {
			when = append(when, line)
		}
	}
	if r.IntN(3) == 0 {
		when = append(when, "any: [{"+randomLines[r.IntN(len(randomLines))]+"}, {"+randomLines[r.IntN(len(randomLines))]+"}]")
	}
	return strings.Replace(rule(strings.Join(when, "; "), ""), "T-1", fmt.Sprintf("T-%02d", id), 1)
}

func randomEvent(t *testing.T, r *rand.Rand) *access.Event {
	t.Helper()
	var e policy.EventText
	names := make([]string, 0, len(randomValues))
	for name := range randomValues {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		choice := randomValues[name]
		if r.IntN(4) == 0 && name != "time" && name != "actor.id" || name == "location.verdict" && r.IntN(3) > 0 {
			continue
		}
		f, _ := access.FieldNamed(name)
		text := choice[r.IntN(len(choice))]
		field := policy.FieldText{Field: f, List: strings.HasPrefix(text, "[")}
		if text = strings.Trim(text, "[]"); text != "" {
			field.Values = strings.Split(text, ", ")
		}
		e.Fields = append(e.Fields, field)
	}
	ev, err := engine.EventOf(&e)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

var impliedRule = regexp.MustCompile(`whenever (\S+) alerts, (\S+) alerts too`)

// TestReasoningIsSound judges random events: what lint says never holds must not alert, and where a rule alerts that
// another implies, the other must alert too.
func TestReasoningIsSound(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dead, implied, alerted := 0, 0, 0
	for range 60 {
		docs := []string{datedGroup}
		for i := range 24 {
			docs = append(docs, randomRule(r, i))
		}
		set := read(t, docs...)
		never, implies := claims(set, lint.Run(set, day(t, today)))
		dead, implied = dead+len(never), implied+len(implies)
		judge, err := engine.Compile(set, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var out alert.Verdict
		for range 150 {
			judge.Evaluate(randomEvent(t, r), access.Digest{}, &out)
			alerts := map[string]bool{}
			for _, m := range out.Matched {
				alerts[m.RuleID] = m.Outcome == alert.Alert
			}
			for id := range alerts {
				if alerts[id] {
					alerted++
				}
				if alerts[id] && never[id] {
					t.Fatalf("%s can hold:\n%s", id, strings.Join(docs, "---\n"))
				}
			}
			for narrow, wide := range implies {
				if alerts[narrow] && !alerts[wide] {
					t.Fatalf("%s alerts without %s:\n%s", narrow, wide, strings.Join(docs, "---\n"))
				}
			}
		}
	}
	if dead < 20 || implied < 20 || alerted < 500 {
		t.Errorf("%d rules never hold, %d are implied, %d alerts: too few to say anything", dead, implied, alerted)
	}
}

// claims are the rules that never hold, and by whom a rule is implied.
func claims(set *policy.Set, findings []lint.Finding) (never map[string]bool, implies map[string]string) {
	never, implies = map[string]bool{}, map[string]string{}
	dead := map[int]int{} // line of the rule → branches that never hold
	for _, f := range findings {
		if m := impliedRule.FindStringSubmatch(f.Message); m != nil {
			implies[m[1]] = m[2]
		}
		if f.Check != "never-holds" || f.Severity != policy.SeverityError {
			continue
		}
		for _, r := range set.Rules {
			if f.Line < r.Pos.Line || f.Line > lastLine(r) {
				continue
			}
			dead[r.Pos.Line]++
			if dead[r.Pos.Line] >= len(r.When.Any) || r.When.AnyPos.Line != f.Line {
				never[r.ID] = true
			}
		}
	}
	return never, implies
}

func lastLine(r *policy.Rule) int {
	last := r.Pos.Line
	r.When.Each(func(c *policy.Condition) { last = max(last, c.Pos.Line) })
	return last
}
