package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"borderwatch/rules/engine"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// benchEvents is how many different events a benchmark judges in turn. More would measure how fast the machine reads
// events from memory, which a worker, that reuses one event, does not do.
const benchEvents = 512

// BenchmarkEvaluate judges different events with sets of rules in which each data domain has rules of its own beside the
// shipped ones. At match=low one event in 256 is one that a rule matches or cannot decide, at match=high one in four.
// alerts/event and near/event tell what came out.
func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		e, err := engine.Compile(benchSet(b, n), engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, match := range []struct {
			name  string
			every int
		}{{"low", 256}, {"high", 4}} {
			b.Run(fmt.Sprintf("rules=%d/match=%s", n, match.name), func(b *testing.B) {
				benchEvaluate(b, e, eventsThatMatch(b, e, n, match.every))
			})
		}
	}
}

func benchEvaluate(b *testing.B, e *engine.Engine, events []*access.Event) {
	var out alert.Verdict
	var alerts, near int
	for _, ev := range events {
		e.Evaluate(ev, access.Digest{}, &out)
		alerts, near = alerts+len(out.Alerts), near+out.NearTotal
	}
	i := 0
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	for b.Loop() {
		e.Evaluate(events[i%benchEvents], access.Digest{}, &out)
		i++
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(i), "cpu-ns/op")
	b.ReportMetric(float64(alerts)/benchEvents, "alerts/event")
	b.ReportMetric(float64(near)/benchEvents, "near/event")
}

// processorTime is what this process has used: on a shared machine the clock says more about the others.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkEvaluatePlain is the same without the index.
func BenchmarkEvaluatePlain(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		e, err := engine.Compile(benchSet(b, n), engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("rules=%d/match=low", n), func(b *testing.B) { benchEvaluate(b, e.Plain(), eventsThatMatch(b, e, n, 256)) })
	}
}

// BenchmarkCompile compiles rules that are read already.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		set := benchSet(b, n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := engine.Compile(set, engine.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchRules is how many rules a data domain has.
const benchRules = 10

// benchSet is n rules: the shipped ones, a mix of them where n is smaller, and rules of data domains.
func benchSet(tb testing.TB, n int) *policy.Set {
	tb.Helper()
	set := shipped(tb)
	if n < len(set.Rules) {
		part := *set
		part.Rules = nil
		for i := range n {
			part.Rules = append(part.Rules, set.Rules[(12+i*(len(set.Rules)/n))%len(set.Rules)])
		}
		slices.SortFunc(part.Rules, func(a, b *policy.Rule) int { return cmpText(a.ID, b.ID) })
		return &part
	}
	var docs []string
	for i := range n - len(set.Rules) {
		docs = append(docs, domainRule(i/benchRules, i%benchRules))
	}
	if len(docs) == 0 {
		return set
	}
	for i := range countryGroups {
		docs = append(docs, groups(fmt.Sprintf("near_%d: %s", i, countryGroups[i])))
	}
	own := read(tb, docs...)
	all := *set
	all.Rules, all.Groups = slices.Concat(set.Rules, own.Rules), slices.Concat(set.Groups, own.Groups)
	slices.SortFunc(all.Rules, func(a, b *policy.Rule) int { return cmpText(a.ID, b.ID) })
	slices.SortFunc(all.Groups, func(a, b *policy.Group) int { return cmpText(a.Name, b.Name) })
	return &all
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// countryGroups are where domains let their people be; the third changes on the day of the events.
var countryGroups = []string{
	"[DE, FR, IE, NL, ES, IT, PL, SE]", "[DE, AT, CH, {code: GB, from: 2021-06-28, until: 2031-12-27}]", "[IE, GB, FR, {code: SG, from: 2026-11-20}]", "[US, CA, IE, DE]", "[IN, IE, DE, FR]",
}

var (
	benchClasses = []string{"restricted", "sensitive", "[restricted, sensitive]", "personal", "[restricted, sensitive, personal]"}
	benchReads   = []string{"[view, read, query]", "[view, read, query, list]", "[read, query, decrypt]", "[view, read, query, list, export, download, copy, decrypt]"}
	benchMoves   = []string{"[export, download]", "[copy, replicate, export]", "[download, copy]", "export"}
	benchPeople  = []string{"employee", "[employee, contractor]", "[employee, contractor, vendor]", "vendor"}
)

func domainName(domain int) string { return fmt.Sprintf("d%04d", domain) }
func datasetName(domain, k int) string {
	return fmt.Sprintf("%s.%s", domainName(domain), [...]string{"users", "orders", "messages", "payments", "devices", "logs"}[k])
}

// domainRule is rule k of a data domain, each with the domain's own data sets, people, places and limits.
func domainRule(domain, k int) string {
	r := rand.New(rand.NewPCG(uint64(domain), uint64(k)))
	one := func(values []string) string { return values[(domain+k)%len(values)] }
	place := fmt.Sprintf(`"@near_%d"`, (domain+k)%len(countryGroups))
	datasets := fmt.Sprintf("[%s, %s]", datasetName(domain, r.IntN(3)), datasetName(domain, 3+r.IntN(3)))
	kind := "policy"
	var when string
	switch k {
	case 0:
		when = fmt.Sprintf("data.dataset: %s, data.classes: %s, action: %s, actor.kind: %s, location.country not: %s", datasets, one(benchClasses), one(benchReads), one(benchPeople), place)
	case 1:
		when = fmt.Sprintf("data.dataset starts with: %s., action: %s, data.records at least: %d", domainName(domain), one(benchMoves), 100*(1+r.IntN(50)))
	case 2:
		when = fmt.Sprintf("data.dataset: %s, actor.employment: left, outcome not: denied", datasets)
	case 3:
		when = fmt.Sprintf("data.dataset: %s, action: %s, dest.country not: %s", datasets, one(benchMoves), place)
	case 4:
		when = fmt.Sprintf("data.dataset: %s, action: %s, actor.kind: [employee, contractor], session.mfa: no, data.classes: %s", datasets, one(benchReads), one(benchClasses))
	case 5:
		when = fmt.Sprintf("data.dataset: %s, actor.kind: vendor, actor.employer_entity: [vendor-%d, vendor-%d], location.country not: %s", datasets, domain%97, domain%89, place)
	case 6:
		when, kind = fmt.Sprintf("data.dataset: %s, action: %s, network.kind: [vpn, tor, proxy], data.classes: restricted", datasets, one(benchReads)), "anonymiser"
	case 7:
		when = fmt.Sprintf("data.system: s%03d, actor.groups: [admins-%d, break-glass], gateway.decision: bypassed", domain%300, domain%40)
	case 8:
		when, kind = fmt.Sprintf("data.dataset: %s, actor.kind: [contractor, vendor], action: %s", datasets, one(benchMoves)), "missing_approval"
	case 9:
		when = fmt.Sprintf("data.dataset: %s, data.subject_regions: [EU, CH], data.storage_country not: %s, any: [{data.form: clear}, {action: [decrypt, grant]}]", datasets, place)
	}
	return rule(fmt.Sprintf("%s-%02d", domainName(domain), k), when, "kind: "+kind, "severity: "+[...]string{"low", "medium", "high", "critical"}[(domain+k)%4])
}

// eventsThatMatch draws events of the domains of n rules until one in `every` matches or cannot be decided.
func eventsThatMatch(tb testing.TB, e *engine.Engine, n, every int) []*access.Event {
	tb.Helper()
	r := rand.New(rand.NewPCG(uint64(n), uint64(every)))
	var out []*access.Event
	var v alert.Verdict
	for tries := 0; len(out) < benchEvents; tries++ {
		if tries > 1_000_000 {
			tb.Fatalf("%d of %d events after a million tries", len(out), benchEvents)
		}
		ev := benchEvent(r, max(1, n/benchRules))
		e.Evaluate(ev, access.Digest{}, &v)
		if matches := v.Outcome != alert.None; matches == (len(out)%every == every/2) {
			out = append(out, ev)
		}
	}
	return out
}

// benchEvent is an event as it comes from enrichment: mostly people of the company at work in Europe, on the data of one
// domain; now and then a vendor, a service, somebody away, a large export, an account that should be gone.
func benchEvent(r *rand.Rand, domains int) *access.Event {
	ev := new(access.Event)
	ev.Reset()
	often := func(n int, usual, other string) string {
		if r.IntN(n) > 0 {
			return usual
		}
		return other
	}
	ev.ID, ev.Source.Feed, ev.Source.Scope = fmt.Sprintf("e-%d", r.Uint64()), "crm", "crm"
	ev.Source.Address = fmt.Sprintf("10.%d.%d.%d", r.IntN(4), r.IntN(256), r.IntN(256))
	ev.Time = access.Millis(1_795_165_200_000 + r.Int64N(12*3600*1000)) // 2026-11-20
	ev.Kafka.Timestamp = ev.Time + 800
	domain := r.IntN(domains)
	class := pick(r, "restricted", "sensitive", "personal", "public", "public")
	fill := map[access.Field]string{
		access.FieldActorID: fmt.Sprintf("u-%d", r.IntN(5000)), access.FieldActorKind: pick(r, "employee", "employee", "employee", "contractor", "vendor", "service"),
		access.FieldActorEmployerCountry: often(8, "IE", pick(r, "IN", "US", "DE")), access.FieldActorEmployerEntity: often(6, "example-ie", fmt.Sprintf("vendor-%d", r.IntN(100))),
		access.FieldActorHomeCountry: pick(r, "IE", "DE", "FR"), access.FieldActorCoveredPerson: often(200, "no", "yes"), access.FieldActorEmployment: often(100, "active", pick(r, "leave", "left")),
		access.FieldSessionID: fmt.Sprintf("s-%d", r.Uint32()), access.FieldSessionMFA: often(20, "yes", "no"),
		access.FieldAction: often(8, pick(r, "view", "read", "query", "list"), pick(r, "export", "download", "copy", "write", "delete", "decrypt")), access.FieldOutcome: often(50, "success", "denied"),
		access.FieldDataset: datasetName(domain, r.IntN(6)), access.FieldSystem: fmt.Sprintf("s%03d", domain%300), access.FieldClasses: class,
		access.FieldSubjectRegions: pick(r, "EU", "EU", "US", "UK"), access.FieldCategories: pick(r, "contact", "content", "identifiers", "financial"), access.FieldForm: often(5, "clear", "pseudonymised"),
		access.FieldStorageCountry: pick(r, "IE", "DE"), access.FieldExporterEntity: "example-ie", access.FieldRecords: fmt.Sprint(1 + r.IntN(50)),
		access.FieldGatewayID: "gw-1", access.FieldGatewayDecision: often(100, "allowed", "bypassed"), access.FieldMechanism: often(4, "scc", "unknown"),
		access.FieldActorGroups: pick(r, "staff", "analysts", "support", fmt.Sprintf("admins-%d", r.IntN(40))),
		access.FieldDestCountry: pick(r, "IE", "DE"),
	}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		if text, ok := fill[f]; ok {
			if err := ev.SetText(f, 0, text); err != nil {
				panic(err)
			}
		}
	}
	benchPlace(r, ev)
	return ev
}

func benchPlace(r *rand.Rand, ev *access.Event) {
	p := &ev.Location
	p.Verdict, p.Expected, p.Confidence, ev.Network.Kind = access.LocationAgree, 1, 3, access.NetworkCorporate
	p.Candidates = candidates(pick(r, "IE", "IE", "DE", "FR"))
	switch r.IntN(30) {
	case 0:
		p.Verdict, p.Candidates, ev.Network.Kind = access.LocationMasked, access.AllCountries, access.NetworkVPN
	case 1:
		p.Verdict, p.Candidates, p.Expected = access.LocationSingle, candidates(pick(r, "CN", "US", "BR", "IN")), 2
	case 2:
		p.Verdict, p.Candidates = access.LocationConflict, candidates(pick(r, "IE", "DE"), pick(r, "GB", "US"))
	case 3:
		p.Verdict, p.Candidates = access.LocationUnknown, access.AllCountries
	case 4:
		ev.Approval = access.Approval{ID: "A-1", Scope: "export", ValidUntil: ev.Time + 1_000_000, State: access.ApprovalConfirmed}
	}
}

func candidates(codes ...string) (s access.CountrySet) {
	for _, code := range codes {
		c, _ := access.ParseCountry(code)
		s.Add(c)
	}
	return s
}

func BenchmarkEvaluateAlert(b *testing.B) {
	e, err := engine.Compile(shipped(b), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ev := event(b, "time: 2026-11-20T09:00:00Z, actor.id: u-4711, actor.kind: employee, action: read, data.subject_regions: [EU], data.classes: [restricted], data.dataset: eu.users.contact, location.country: CN, actor.employer_country: IE, actor.covered_person: no, data.categories: [contact]")
	var out alert.Verdict
	b.ReportAllocs()
	for b.Loop() {
		e.Evaluate(ev, access.Digest{}, &out)
	}
	if out.Outcome != alert.Alert {
		b.Fatal(out)
	}
}
