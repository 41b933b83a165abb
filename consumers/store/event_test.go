package store_test

import (
	"fmt"
	"math/rand/v2"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

const (
	testSource = "kafka:test-cluster/1"
	testTopic  = "access-events"
	testTime   = access.Millis(1_780_000_000_000)
)

func must[T any](v T, ok bool) T {
	if !ok {
		panic("not a word of the vocabulary")
	}
	return v
}

func country(code string) access.Country { return must(access.ParseCountry(code)) }

// emptyEvent is an event of which the source said as little as it can.
func emptyEvent(offset int64) *access.Event {
	var ev access.Event
	ev.Reset()
	ev.Location.Candidates = access.AllCountries
	ev.Kafka = access.Position{Source: testSource, Topic: testTopic, Offset: offset, Timestamp: testTime}
	return &ev
}

// fullEvent has every field set, with text that is hard on encodings.
func fullEvent(offset int64) *access.Event {
	ev := emptyEvent(offset)
	ev.ID, ev.Time = "evt-é-日本-\U0001F512", testTime-1500
	ev.Source = access.Source{Feed: "gateway", Scope: "prod", Seq: 42, Address: "2001:db8::7"}
	ev.Actor = access.Actor{
		ID: "u-1042", Kind: access.ActorEmployee, KindRef: access.ActorVendor,
		Via: []string{"okta", "bastion, eu"}, ViaGiven: true,
		EmployerCountry: country("DE"), EmployerCountryRef: country("CN"),
		EmployerEntity: "Example Social GmbH", EmployerEntityRef: "Example Vendor Ltd",
		HomeCountryRef: country("FR"), Groups: []string{"on call", "sre\nbreak\"glass"}, GroupsGiven: true,
		CoveredPerson: access.No, CoveredPersonRef: access.Yes, EmploymentRef: access.EmploymentActive,
	}
	ev.Session = access.Session{ID: "s-ß", MFA: access.Yes}
	ev.Declared = access.Declared{Office: access.PlaceOf(country("IE")), Physical: region("EUR")}
	ev.Presence = access.Presence{Badge: access.PlaceOf(country("SG")), Device: access.PlaceOf(country("SG")), ClientAddress: "203.0.113.7"}
	ev.Action, ev.Outcome = access.ActionDecrypt, access.OutcomeDenied
	ev.Data = access.Data{
		Items: []access.Item{
			{Dataset: "eu.users.contact", System: "warehouse", Regions: words(access.SubjectRegions, "EU"), RegionsRef: words(access.SubjectRegions, "EU", "UK"),
				ClassesRef: words(access.DataClasses, "restricted"), Classes: words(access.DataClasses, "public"), CategoriesRef: words(access.DataCategories, "contact", "health"),
				Form: access.FormClear, FormRef: access.FormClear, StorageCountryRef: country("NO")},
			{Dataset: "eu.\"quoted\"\\\x01", System: "lake", Regions: access.EmptySet, Form: access.FormEncrypted, FormRef: access.FormAggregated},
		},
		ExporterEntity: "Example Social Ireland", Subjects: 3, Records: 12, Bytes: 4096,
	}
	ev.Dest = access.Dest{System: "backup", Country: country("US"), Entity: "Example Social Inc"}
	ev.Approval = access.Approval{ID: "AP-1", Scope: "eu.users.contact", ValidUntil: testTime + 86_400_000, State: access.ApprovalConfirmed}
	ev.Ticket, ev.Reason, ev.Mechanism = "T-77", "customer asked: \"why?\"\n日本", 2
	ev.Gateway = access.Gateway{ID: "gw-1", Decision: access.DecisionBlocked}
	ev.Location = access.Location{Candidates: access.SetOf(country("CN"), country("DE")), Verdict: access.LocationConflict,
		Reason: "badge-against-address", Expected: access.ExpectedAway, Confidence: access.ConfidenceLow, Contested: true, AddressOnly: true}
	for k := access.EvidenceDeclared; k <= access.EvidenceOffice; k++ {
		ev.Location.AddEvidence(k, region("ANY"))
	}
	ev.Network = access.Network{ASN: 4_200_000_000, Org: "Example Networks", Kind: access.NetworkVPN}
	return ev
}

func region(code string) access.Place { return must(access.ParsePlace(code)) }

func words(v *access.Vocabulary, list ...string) (s access.Set) {
	for _, w := range list {
		s = s.With(must(v.Parse(w)))
	}
	return s
}

// fullVerdict has a match of every outcome, near rules, and one alert of each kind.
func fullVerdict(id byte) *alert.Verdict {
	missing := access.FieldSet(0).With(access.FieldLocationCountry).With(access.FieldApprovalID)
	return &alert.Verdict{
		Outcome: alert.Alert, Severity: alert.Critical,
		Matched: []alert.Match{
			{RuleID: "EU-101", Outcome: alert.Alert, Severity: alert.Critical, DataItem: 1},
			{RuleID: "EU-104", Outcome: alert.Unknown, Severity: alert.High, Missing: missing},
			{RuleID: "US-201", Outcome: alert.Suppressed, Severity: alert.Low, Shadow: true},
		},
		Near:      []alert.Near{{RuleID: "EU-102", False: missing}, {RuleID: "EU-103", False: access.FieldSet(0).With(access.FieldLocationVerdict)}},
		NearTotal: 17,
		Alerts: []alert.Item{
			{ID: access.Digest{id, 1}, RuleID: "EU-101", Outcome: alert.Alert, Severity: alert.Critical, DataItem: 1, Rules: []string{"EU-101"},
				Why: "u-1042 decrypted eu.users.contact from CN or DE", Case: access.Digest{9, 1}},
			{ID: access.Digest{id, 2}, RuleID: alert.UnknownRule, Outcome: alert.Unknown, Severity: alert.High, Rules: []string{"EU-104", "EU-105"},
				Missing: missing, Why: "nobody knows", Case: access.Digest{9, 2}, CaseKind: alert.CaseGap},
			{ID: access.Digest{id, 3}, RuleID: "US-201", Outcome: alert.Suppressed, Severity: alert.Low, Shadow: true, Rules: []string{"US-201"},
				Exceptions: []alert.Exception{{ID: "EX-1", Ticket: "DPO=1"}, {ID: "EX-2", Ticket: "DPO-2"}}, Why: "allowed", Case: access.Digest{9, 3}},
		},
	}
}

func testBatch(partition int32, first int64) store.Batch {
	return store.Batch{Source: testSource, Topic: testTopic, Partition: partition, First: first, BatchTime: testTime,
		Bundle: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
}

// fill makes a sealed batch of n events with their raw records; every tenth event has the full verdict.
func fill(b *store.Block, batch store.Batch, n int) {
	b.Begin(batch)
	var none alert.Verdict
	for i := range int64(n) {
		offset := batch.First + i
		ev := fullEvent(offset)
		ev.Kafka.Partition = batch.Partition
		ev.ID = fmt.Sprintf("e-%d-%d", batch.Partition, offset)
		content, _ := ev.ContentDigest(nil)
		v := &none
		if offset%10 == 0 {
			v = fullVerdict(0)
			for k := range v.Alerts {
				v.Alerts[k].ID = access.Digest{byte(k), byte(batch.Partition), byte(offset >> 16), byte(offset >> 8), byte(offset)}
			}
		}
		b.AppendEvent(ev, content, v)
		b.AppendRaw(offset, testTime, []byte("k"), []byte(`{"event_id":"`+ev.ID+`"}`), nil)
	}
	b.Seal(store.Seal{Last: batch.First + int64(n) - 1, LedgerIndex: 7, Worker: "w-1"})
}

// randomEvent draws every field from a seeded source.
func randomEvent(r *rand.Rand, offset int64) *access.Event {
	ev := fullEvent(offset)
	pick := func(n int) int { return r.IntN(n) }
	ev.ID = fmt.Sprintf("%x", r.Uint64())
	ev.Actor.ID = fmt.Sprintf("u-%d", pick(3000))
	ev.Actor.Kind, ev.Actor.KindRef = access.ActorKind(pick(8)), access.ActorKind(pick(8))
	ev.Actor.ViaGiven, ev.Actor.GroupsGiven = pick(2) == 0, pick(2) == 0
	ev.Actor.Groups = [][]string{nil, {"a"}, {"a", "b"}, {"unknown"}, {""}}[pick(5)]
	ev.Actor.GroupsAdded = pick(len(ev.Actor.Groups) + 1)
	ev.Actor.EmployerCountry, ev.Actor.EmployerCountryRef = access.Country(pick(250)), access.Country(pick(250))
	ev.Actor.EmployerEntityRef = []string{"", "Example Social GmbH", "other"}[pick(3)]
	ev.Data.ExporterEntityRef = []string{"", "Example Social Ireland", "other"}[pick(3)]
	ev.Actor.CoveredPerson, ev.Actor.CoveredPersonRef = access.Answer(pick(3)), access.Answer(pick(3))
	ev.Source.Address = fmt.Sprintf("10.%d.%d.%d", pick(256), pick(256), pick(256))
	ev.Declared.Physical = access.Place(pick(250))
	ev.Action, ev.Outcome = access.Action(pick(16)), access.Outcome(pick(4))
	ev.Location.Candidates = [...]access.CountrySet{access.AllCountries, access.SetOf(access.Country(1 + pick(249))), {}}[pick(3)]
	ev.Location.Verdict, ev.Location.Expected = access.LocationVerdict(pick(6)), access.Expectation(pick(3))
	ev.Location.EvidenceCount = uint8(pick(8))
	for i := range ev.Data.Items {
		ev.Data.Items[i].SystemRef = []string{"", "warehouse", "lake"}[pick(3)]
	}
	item := &ev.Data.Items[0]
	item.Regions, item.RegionsRef = randomSet(r, 8), randomSet(r, 8)
	item.Classes, item.ClassesRef = randomSet(r, 5), randomSet(r, 5)
	item.Categories, item.CategoriesRef = randomSet(r, 16), randomSet(r, 16)
	item.Form, item.FormRef = access.DataForm(pick(5)), access.DataForm(pick(5))
	ev.Data.Items = ev.Data.Items[:1+pick(2)]
	ev.Data.Subjects = int64(pick(3)) - 1
	ev.Ticket, ev.Reason = []string{"", "T-1"}[pick(2)], []string{"", "because"}[pick(2)]
	ev.Approval.ValidUntil, ev.Approval.State = access.Millis(pick(2))*testTime, access.ApprovalState(pick(4))
	return ev
}

func randomSet(r *rand.Rand, n int) (s access.Set) {
	if r.IntN(3) == 0 {
		return s
	}
	s = access.EmptySet
	for range r.IntN(3) {
		s = s.With(uint8(r.IntN(n)))
	}
	return s
}
