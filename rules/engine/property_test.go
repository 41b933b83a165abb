package engine_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// lines and values are what random rules and events are made of.
var (
	lines = []string{
		"action: read", "action: [list, export]", "action not: read", "actor.kind: employee", "actor.kind not: [service, system]",
		"data.classes: restricted", "data.classes: [public, personal]", "data.classes all of: [public, restricted]", "data.classes only: [restricted, sensitive]",
		"data.subject_regions: EU", "data.categories: [health, contact]", `location.country: "@eea"`, `location.country not: "@eea"`, "location.country: CN",
		"location.country missing: true", "location.verdict: [masked, unknown]", "location.verdict not: conflict", "location.expected: away", "network.kind: [unknown, vpn]",
		"approval.id missing: true", "data.form: pseudonymised", "session.mfa: no", "outcome not: denied", "data.records at least: 10", "actor.id: [u-1, u-2]",
		"transfer.mechanism missing: true", "data.storage_country: DE", "actor.employer_country not: \"@eea\"", "gateway.decision: bypassed", "actor.covered_person: yes", "actor.employment: left",
	}
	values = map[string][]string{
		"action": {"read", "list", "export", "unknown"}, "actor.kind": {"employee", "service", "unknown"}, "actor.id": {"u-1", "u-3"},
		"data.subject_regions": {"[EU]", "[US]", "[]", "[EU, unknown]"}, "data.classes": {"[restricted]", "[public, restricted]", "[unknown]", "[public, unknown]", "[]"},
		"data.categories": {"[health]", "[other]"}, "location.country": {"DE", "CN", "[DE, CN]", "[CN, RU]", "unknown"}, "location.expected": {"home", "away"},
		"network.kind": {"vpn", "corporate"}, "data.form": {"clear", "pseudonymised"}, "session.mfa": {"yes", "no"}, "outcome": {"denied", "failure"}, "data.records": {"0", "10", "9"},
		"transfer.mechanism": {"scc", "none"}, "data.storage_country": {"DE", "US"}, "actor.employer_country": {"DE", "IN"}, "gateway.decision": {"bypassed", "allowed"},
		"actor.covered_person": {"yes", "no"}, "actor.employment": {"left", "active"}, "data.dataset": {"d", "none"}, "location.confidence": {"low", "high"},
	}
)

func randomRules(r *rand.Rand) []string {
	docs := []string{groups(eea, concern)}
	severities := []string{"info", "low", "medium", "high", "critical"}
	kinds := []string{"policy", "policy", "policy", "anonymiser", "location_conflict", "unknown_location", "missing_approval", "system_transfer"}
	for i := range 1 + r.IntN(12) {
		var when []string
		for _, n := range r.Perm(len(lines))[:1+r.IntN(3)] {
			when = append(when, lines[n])
		}
		if r.IntN(4) == 0 {
			when = append(when, "any: [{"+lines[r.IntN(len(lines))]+"}, {"+lines[r.IntN(len(lines))]+"}]")
		}
		keys := []string{"severity: " + severities[r.IntN(5)], "kind: " + kinds[r.IntN(len(kinds))]}
		if r.IntN(4) == 0 && i > 0 {
			keys = append(keys, "status: shadow")
		}
		if r.IntN(4) == 0 && !slices.Contains(keys, "severity: critical") {
			keys = append(keys, "on_unknown: ignore")
		}
		docs = append(docs, rule(fmt.Sprintf("T-%02d", i), strings.Join(dedupe(when), ", "), keys...))
	}
	return docs
}

// dedupe drops a line whose key is already there.
func dedupe(lines []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(lines, func(line string) bool {
		key, _, _ := strings.Cut(line, ":")
		twice := seen[key]
		seen[key] = true
		return twice
	})
}

func randomEvent(t *testing.T, r *rand.Rand) *access.Event {
	var fields, names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if r.IntN(3) > 0 {
			fields = append(fields, name+": "+values[name][r.IntN(len(values[name]))])
		}
	}
	if r.IntN(4) == 0 {
		fields = append(fields, "location.verdict: masked")
	}
	if r.IntN(4) == 0 {
		fields = append(fields, "data.items: [{dataset: x, classes: [restricted], subject_regions: [EU]}, {dataset: y}]")
	}
	if r.IntN(2) == 0 {
		fields = append(fields, "approval.id: A, approval.valid_until: 2026-12-01T00:00:00Z")
	}
	return event(t, strings.Join(append(fields, "session.id: s"), ", "))
}

// forEachRandom runs f on random rules and events; the seed is printed where it fails.
func forEachRandom(t *testing.T, f func(t *testing.T, r *rand.Rand, docs []string, ev *access.Event)) {
	const rounds = 25
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		docs := randomRules(r)
		for range 10 {
			f(t, r, docs, randomEvent(t, r))
		}
	}
}

// TestVerdictDoesNotDependOnOrder judges with the rules in another order of files.
func TestVerdictDoesNotDependOnOrder(t *testing.T) {
	forEachRandom(t, func(t *testing.T, r *rand.Rand, docs []string, ev *access.Event) {
		one := judge(t, compile(t, docs...), ev)
		shuffled := slices.Clone(docs)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		two := judge(t, compile(t, shuffled...), ev)
		if !reflect.DeepEqual(one, two) {
			t.Fatalf("the order of rules matters:\n%s\n%+v\n%+v", strings.Join(docs, "\n---\n"), one, two)
		}
	})
}

// TestVerdictAgreesWithThePlainReading compares the verdict, found through the index, with what the answers of
// the single conditions say by the book: AND is the minimum, OR the maximum, the worst item decides.
func TestVerdictAgreesWithThePlainReading(t *testing.T) {
	seen := map[alert.Outcome]int{}
	forEachRandom(t, func(t *testing.T, _ *rand.Rand, docs []string, ev *access.Event) {
		set := read(t, docs...)
		e, err := engine.Compile(set, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out := judge(t, e, ev)
		for _, r := range set.Rules {
			got := alert.None
			for _, m := range out.Matched {
				if m.RuleID == r.ID {
					got = m.Outcome
				}
			}
			want := plainReading(t, set, r, ev)
			seen[want]++
			if got != want {
				t.Fatalf("rule %s answers %s, by the book %s\n%s", r.ID, got, want, strings.Join(docs, "\n---\n"))
			}
		}
	})
	if seen[alert.None] == 0 || seen[alert.Alert] == 0 || seen[alert.Unknown] == 0 {
		t.Errorf("the random rules do not reach every outcome: %v", seen)
	}
}

// plainReading judges every data item by itself, each as the only one of the event.
func plainReading(t *testing.T, set *policy.Set, r *policy.Rule, ev *access.Event) alert.Outcome {
	t.Helper()
	worst := alert.None
	for i := range ev.Data.Items {
		one := *ev
		one.Data.Items = ev.Data.Items[i : i+1]
		answer := engine.True
		branches := map[int]engine.Truth{}
		e := compile1(t, set, r)
		x, ok := e.Explain(&one, r.ID)
		if !ok {
			t.Fatal("no explanation of " + r.ID)
		}
		for _, c := range x.Conditions {
			switch before, ok := branches[c.Branch]; {
			case c.Branch == 0:
				answer = min(answer, c.Truth)
			case ok:
				branches[c.Branch] = min(before, c.Truth)
			default:
				branches[c.Branch] = c.Truth
			}
		}
		best := engine.False
		for _, b := range branches {
			best = max(best, b)
		}
		if len(branches) > 0 {
			answer = min(answer, best)
		}
		worst = max(worst, outcomeOf(answer, x.NoData, r))
	}
	return worst
}

func compile1(t *testing.T, set *policy.Set, r *policy.Rule) *engine.Engine {
	t.Helper()
	alone, active := *set, *r
	active.Status = policy.Active
	alone.Rules = []*policy.Rule{&active}
	e, err := engine.Compile(&alone, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func outcomeOf(answer engine.Truth, noData bool, r *policy.Rule) alert.Outcome {
	switch {
	case noData || answer == engine.False:
		return alert.None
	case answer == engine.Maybe && r.OnUnknown == policy.UnknownIgnored:
		return alert.None
	case answer == engine.Maybe:
		return alert.Unknown
	}
	return alert.Alert
}
