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

// moreLines are conditions of every operator and type of field, beside those of property_test.go.
var moreLines = []string{
	"data.dataset: eu.users", "data.dataset: [eu.users, eu.messages]", "data.dataset not: eu.users", `data.dataset: "@crown"`, `data.dataset not: "@crown"`,
	"data.dataset starts with: eu.", "data.dataset starts with: [eu.u, us, eu.users.contact]", "data.dataset missing: true", "data.system: [crm, lake]", "data.system missing: true",
	`actor.id: "@rota"`, `actor.id not: "@rota"`, "actor.id starts with: u-", "actor.via: u-1", "actor.via only: [u-1, gw]", "actor.via not: [u-2]", "actor.via missing: true", `actor.via: "@rota"`,
	"actor.groups: [admins, dba]", "actor.groups all of: [admins, dba]", "actor.groups only: [admins]", "actor.groups not: admins", "actor.groups missing: true",
	`source.ip within: "@offices"`, "source.ip within: [10.0.0.0/8, 10.1.0.0/16, 2001:db8::/32]", "source.ip within: 10.1.2.3", "source.ip: 10.1.2.3", "source.ip starts with: 10.",
	"data.records at most: 9", "data.records: [0, 10]", "data.records not: 9", "data.records missing: true", "data.bytes at least: 100", "approval.valid_until at most: 2026-12-01",
	"approval.valid_until at least: 2026-11-01", "approval.valid_until missing: true", "time at least: 2026-11-20", "network.asn: [64500, 64501]", "network.org starts with: Ex",
	"approval.id: A", "approval.id starts with: A", "approval.scope: eu.users", "location.confidence: low", "location.verdict missing: true", "location.expected missing: true",
	`location.country: "@dated"`, `location.country not: "@dated"`, "location.country: [DE, CN, RU]", "location.country same as: actor.home_country",
	"location.country differs from: actor.employer_country", "location.country same as: data.storage_country", "declared.physical_country: EUR", "declared.physical_country not: [DE, FR]",
	"declared.office_country: DE", "declared.office_country missing: true", `dest.country not: "@dated"`, "dest.country differs from: data.storage_country", "dest.country missing: true",
	"actor.employer_entity differs from: data.exporter_entity", "actor.employer_entity: example-ie", "data.exporter_entity same as: dest.entity", "data.subjects same as: data.records",
	"actor.covered_person same as: session.mfa", "data.classes missing: true", "data.categories missing: true", "data.categories only: [health]", "data.subject_regions not: US",
	"network.kind missing: true", "network.kind not: [vpn, tor]", "source.arrival: [late, early]", "source.arrival not: prompt", "gateway.id: gw-1", "ticket.id missing: true",
	"justification starts with: because", "session.id same as: actor.id", "actor.kind missing: true", "action missing: true",
}

// datedGroups change in the week of the events.
const datedGroups = "format: borderwatch/groups/v1\ngroups:\n" +
	"  - {name: dated, kind: countries, members: [DE, {code: CN, from: 2026-11-20, until: 2026-11-21}, {code: IN, until: 2026-11-19}, {code: US, from: 2026-11-22}, {code: CN, from: 2026-11-21, until: 2026-11-22}]}\n" +
	"  - {name: rota, kind: actors, members: [u-1, {id: u-2, from: 2026-11-20, until: 2026-11-20}, {id: u-3, from: 2026-11-21}]}\n" +
	"  - {name: crown, kind: datasets, from: 2026-11-20, members: [eu.users, {name: us.users, until: 2026-11-21}]}\n" +
	"  - {name: offices, kind: networks, members: [192.0.2.0/24, {cidr: 10.1.0.0/16, from: 2026-11-21}, {cidr: \"2001:db8:1::/48\", until: 2026-11-20}]}"

// pick is one of some values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// agreeRules are n random rules of all kinds, with groups and exceptions. A big set names data sets of its own, so that
// rows are long and different.
func agreeRules(r *rand.Rand, n int) []string {
	all := slices.Concat(lines, moreLines)
	docs := []string{groups(eea, concern), datedGroups}
	for i := range n {
		var when []string
		for range 1 + r.IntN(4) {
			when = append(when, pick(r, all...))
		}
		if n > 60 && r.IntN(3) > 0 {
			when = append(when, fmt.Sprintf("data.dataset: [ds-%d, ds-%d]", r.IntN(40), i%40))
		}
		if r.IntN(5) == 0 {
			when = append(when, "any: [{"+strings.Join(dedupe([]string{pick(r, all...), pick(r, all...)}), ", ")+"}, {"+pick(r, all...)+"}]")
		}
		id := fmt.Sprintf("T-%04d", (i*7919)%10_000) // ids say nothing about what the rules ask
		keys := []string{
			"severity: " + pick(r, "info", "low", "medium", "high", "critical"), "exceptions: allowed",
			"kind: " + pick(r, "policy", "policy", "policy", "policy", "anonymiser", "location_conflict", "unknown_location", "missing_approval", "system_transfer", "late_arrival"),
		}
		if i > 0 {
			keys = append(keys, "status: "+pick(r, "active", "active", "active", "shadow", "draft", "retired"))
		}
		if !slices.Contains(keys, "severity: critical") {
			keys = append(keys, "on_unknown: "+pick(r, "alert", "alert", "ignore"))
		}
		docs = append(docs, rule(id, strings.Join(dedupe(when), ", "), keys...))
		if r.IntN(4) == 0 {
			docs = append(docs, fmt.Sprintf("format: borderwatch/exception/v1\nid: X-%d\nticket: T-1\nrules: [%s]\nvalid_from: 2026-11-%d\nvalid_until: 2026-11-%d\nevidence: %s\nwhen: {%s}\n",
				i, id, 18+r.IntN(3), 20+r.IntN(3), pick(r, "agree", "single"), pick(r, "actor.id: u-1", "location.country: CN", "data.dataset: eu.users")))
		}
	}
	return docs
}

// agreeEvent is a random event of 2026-11-19 to 23: words and sets unknown, missing or in two minds, several data sets,
// candidates of one, a few and many countries, addresses that are none.
func agreeEvent(r *rand.Rand) *access.Event {
	ev := new(access.Event)
	ev.Reset()
	ev.ID, ev.Source.Feed, ev.Source.Scope = "e-1", "feed", "scope"
	ev.Time = access.Millis(1_795_046_400_000 + r.Int64N(5*policy.MillisPerDay))
	ev.Kafka.Timestamp = ev.Time + pick(r, 0, 1000, 2*access.ArrivalTolerance, -2*access.ArrivalTolerance)
	agreeActor(r, ev)
	for range r.IntN(6) / 4 * (1 + r.IntN(4)) {
		ev.AddItem()
	}
	for i := range ev.Data.Items {
		agreeItem(r, &ev.Data.Items[i])
	}
	ev.Data.Records, ev.Data.Bytes, ev.Data.Subjects = pick(r, access.Unknown, 0, 9, 10, 11, 1<<62), pick(r, access.Unknown, 0, 100), pick(r, access.Unknown, 9, 10)
	ev.Data.ExporterEntity = pick(r, "", "example-ie", "example-in")
	ev.Dest = access.Dest{Country: country(r), Entity: pick(r, "", "example-ie", "example-us")}
	ev.Approval = access.Approval{ID: pick(r, "", "A", "A-2"), Scope: pick(r, "", "eu.users"), ValidUntil: pick(r, 0, ev.Time, 1_796_083_199_999), State: access.ApprovalState(r.IntN(4))}
	ev.Ticket, ev.Reason = pick(r, "", "T-1"), pick(r, "", "because of T-1")
	ev.Mechanism, ev.Gateway = access.Mechanism(word(r, access.Mechanisms)), access.Gateway{ID: pick(r, "", "gw-1"), Decision: access.Decision(word(r, access.Decisions))}
	agreePlace(r, ev)
	return ev
}

func agreeActor(r *rand.Rand, ev *access.Event) {
	a := &ev.Actor
	a.ID = pick(r, "u-1", "u-2", "u-3", "svc", "unknown")
	a.Kind, a.KindRef = access.ActorKind(word(r, access.ActorKinds)), access.ActorKind(rarely(r, word(r, access.ActorKinds)))
	a.Employment, a.EmploymentRef = access.Employment(word(r, access.Employments)), access.Employment(rarely(r, word(r, access.Employments)))
	a.CoveredPerson, a.CoveredPersonRef = access.Answer(word(r, access.Answers)), access.Answer(rarely(r, word(r, access.Answers)))
	a.EmployerCountry, a.EmployerCountryRef = country(r), rarely(r, country(r))
	a.HomeCountry, a.HomeCountryRef = country(r), rarely(r, country(r))
	a.EmployerEntity, a.EmployerEntityRef = pick(r, "", "example-ie", "example-in", "unknown"), rarely(r, "example-us")
	for range r.IntN(4) {
		a.Groups, a.Via = append(a.Groups, pick(r, "admins", "dba", "staff", "unknown", "")), append(a.Via, pick(r, "u-1", "u-2", "gw"))
	}
	a.GroupsGiven, a.ViaGiven = len(a.Groups) > 0 || r.IntN(2) == 0, len(a.Via) > 0 && r.IntN(5) > 0 || r.IntN(3) == 0
	ev.Session = access.Session{ID: pick(r, "", "u-1", "s-1"), MFA: access.Answer(word(r, access.Answers))}
	ev.Action, ev.Outcome = access.Action(word(r, access.Actions)), access.Outcome(word(r, access.Outcomes))
	ev.Source.Address = pick(r, "", "10.1.2.3", "10.1.2.3:443", "::ffff:10.1.9.9", "192.0.2.77", "2001:db8:1::5", "203.0.113.9", "s3.amazonaws.com", "unknown", "[2001:db8::1]:80")
}

func agreeItem(r *rand.Rand, i *access.Item) {
	i.Dataset = pick(r, "", "eu.users", "eu.users.contact", "eu.messages", "us.users", "none", fmt.Sprintf("ds-%d", r.IntN(45)), fmt.Sprintf("ds-%d", r.IntN(45)))
	i.System, i.SystemRef = pick(r, "", "crm", "hr"), rarely(r, "lake")
	i.Regions, i.RegionsRef = wordSet(r, access.SubjectRegions), rarely(r, wordSet(r, access.SubjectRegions))
	i.Classes, i.ClassesRef = wordSet(r, access.DataClasses), rarely(r, wordSet(r, access.DataClasses))
	i.Categories, i.CategoriesRef = wordSet(r, access.DataCategories), rarely(r, wordSet(r, access.DataCategories))
	i.Form, i.FormRef = access.DataForm(word(r, access.DataForms)), access.DataForm(rarely(r, word(r, access.DataForms)))
	i.StorageCountry, i.StorageCountryRef = country(r), rarely(r, country(r))
}

func agreePlace(r *rand.Rand, ev *access.Event) {
	ev.Declared = access.Declared{Office: place(r), Physical: place(r)}
	p := &ev.Location
	switch r.IntN(8) {
	case 0:
		p.Candidates = access.AllCountries
	case 1: // nobody looked
	case 2:
		p.Candidates = place(r).Countries()
	default:
		for range 1 + r.IntN(3) {
			p.Candidates.Add(country(r))
		}
	}
	p.Verdict, p.Expected = access.LocationVerdict(word(r, access.Verdicts)), access.Expectation(word(r, access.Expectations))
	p.Confidence, p.AddressOnly, p.Contested = access.Confidence(word(r, access.Confidences)), r.IntN(2) == 0, r.IntN(2) == 0
	ev.Network = access.Network{ASN: pick[uint32](r, 0, 64500, 64502), Org: pick(r, "", "Example Net"), Kind: access.NetworkKind(word(r, access.NetworkKinds))}
}

func word(r *rand.Rand, v *access.Vocabulary) uint8 { return uint8(r.IntN(len(v.Words()))) }

func wordSet(r *rand.Rand, v *access.Vocabulary) (s access.Set) {
	if r.IntN(6) == 0 {
		return pick(r, 0, access.EmptySet)
	}
	for range 1 + r.IntN(3) {
		s = s.With(max(word(r, v), min(1, uint8(r.IntN(5))))) // 0, which is unknown, now and then
	}
	return s
}

func country(r *rand.Rand) access.Country {
	c, _ := access.ParseCountry(pick(r, "DE", "FR", "CN", "RU", "IN", "US", "SG", ""))
	return c
}

func place(r *rand.Rand) access.Place {
	p, _ := access.ParsePlace(pick(r, "", "DE", "CN", "EUR", "ASI", "ANY", "FR"))
	return p
}

func rarely[T any](r *rand.Rand, value T) (none T) {
	if r.IntN(4) == 0 {
		return value
	}
	return none
}

// agree judges events through the index and by the plain evaluator, on time and late, and counts what it saw.
func agree(t testing.TB, r *rand.Rand, rules, events int, seen map[string]int) {
	t.Helper()
	docs := agreeRules(r, rules)
	e := compile(t, docs...)
	plain := e.Plain()
	var got, want, found alert.Verdict
	for range events {
		ev, arrived := agreeEvent(r), agreeEvent(r)
		if r.IntN(4) > 0 {
			e.Candidates(ev, nil, &found)
			e.Evaluate(ev, access.Digest{1}, &got)
			plain.Evaluate(ev, access.Digest{1}, &want)
		} else {
			arrived.Kafka = ev.Kafka
			e.Candidates(ev, arrived, &found)
			e.EvaluateLate(ev, arrived, access.Digest{1}, &got)
			plain.EvaluateLate(ev, arrived, access.Digest{1}, &want)
			seen["late"]++
		}
		count(seen, ev, &want)
		if !slices.Equal(found.Matched, want.Matched) || !same(&got, &want) {
			t.Fatalf("the index says\n%+v\nthe plain evaluator\n%+v\nof\n%+v\nby\n%s", got, want, ev, strings.Join(docs, "\n---\n"))
		}
	}
}

// same compares verdicts, of which empty slices may or may not be nil.
func same(a, b *alert.Verdict) bool {
	return a.Outcome == b.Outcome && a.Severity == b.Severity && a.NearTotal == b.NearTotal && slices.Equal(a.Matched, b.Matched) && slices.Equal(a.Near, b.Near) &&
		slices.EqualFunc(a.Alerts, b.Alerts, func(x, y alert.Item) bool { return reflect.DeepEqual(x, y) })
}

func count(seen map[string]int, ev *access.Event, v *alert.Verdict) {
	seen[v.Outcome.String()]++
	for i := range v.Alerts {
		seen["alert:"+v.Alerts[i].Outcome.String()]++
	}
	if v.NearTotal > alert.MaxNear {
		seen["many near"]++
	}
	if v.NearTotal > 0 {
		seen["near"]++
	}
	if len(ev.Data.Items) > 1 {
		seen["items"]++
	}
}

// TestIndexAgrees holds the index against the plain evaluator: verdict, matched and nearly matched rules, alerts, their
// exceptions, items and sentences are the same, for sets of one rule, of one word, of some and of many.
func TestIndexAgrees(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	seen := map[string]int{}
	for range 60 {
		agree(t, r, 1+r.IntN(20), 40, seen)
	}
	for range 6 {
		agree(t, r, 60+r.IntN(140), 200, seen)
	}
	for range 2 {
		agree(t, r, 500+r.IntN(500), 300, seen)
	}
	for _, what := range []string{"none", "unknown", "alert", "alert:suppressed", "alert:unknown", "alert:alert", "near", "many near", "items", "late"} {
		if seen[what] == 0 {
			t.Errorf("no random event came to %q: %v", what, seen)
		}
	}
	t.Log(seen)
}

// TestIndexAllocatesNothing judges events that no rule matches by long rows: ordinary ones, with several data sets, late.
func TestIndexAllocatesNothing(t *testing.T) {
	const rules = 1000
	e, err := engine.Compile(benchSet(t, rules), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out alert.Verdict
	for _, ev := range eventsThatMatch(t, e, rules, 1<<20)[:32] {
		several, arrived := new(access.Event), new(access.Event)
		ev.CopyTo(several)
		several.Data.Items = append(several.Data.Items, several.Data.Items[0])
		ev.CopyTo(arrived)
		allocs := testing.AllocsPerRun(10, func() {
			e.Evaluate(ev, access.Digest{}, &out)
			e.Evaluate(several, access.Digest{}, &out)
			e.EvaluateLate(ev, arrived, access.Digest{}, &out)
		})
		if out.Outcome != alert.None || allocs > 0 {
			t.Fatalf("%v allocations for events with the outcome %s", allocs, out.Outcome)
		}
	}
}

// FuzzIndexAgrees lets the fuzzer choose the random numbers that rules and events are made of.
func FuzzIndexAgrees(f *testing.F) {
	f.Add(uint8(3), []byte("borderwatch"))
	f.Add(uint8(70), []byte{0, 1, 2, 3, 250, 7, 99})
	f.Add(uint8(200), []byte{})
	f.Fuzz(func(t *testing.T, rules uint8, choices []byte) {
		agree(t, rand.New(&chosen{choices, rand.NewPCG(uint64(len(choices)), 1)}), 1+int(rules), 5, map[string]int{})
	})
}

// chosen is a source of numbers that are given, and of others when these are used up.
type chosen struct {
	choices []byte
	rest    rand.Source
}

func (c *chosen) Uint64() uint64 {
	if len(c.choices) == 0 {
		return c.rest.Uint64()
	}
	n := uint64(c.choices[0])
	c.choices = c.choices[1:]
	return n<<56 | n<<24 | n // random numbers are cut from either end
}
