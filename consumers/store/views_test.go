package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestCopiesAreOneEvent delivers one event through two feeds, judged differently: both rows stay, views of events,
// alerts and cases count one and show the more severe verdict.
func TestCopiesAreOneEvent(t *testing.T) {
	conn := shared(t).migrated(t, "bw_copies")
	s := open(t, shared(t).options("bw_copies"))
	for i, v := range []*alert.Verdict{{Outcome: alert.Unknown, Severity: alert.High}, fullVerdict(1)} {
		ev := fullEvent(int64(i))
		ev.Kafka.Partition = int32(i)
		ev.Source.Feed = []string{"trail-a", "trail-b"}[i]
		if i == 0 {
			v.Alerts = fullVerdict(1).Alerts[:1]
		}
		content, _ := ev.ContentDigest(nil)
		b := store.NewBlock()
		b.Begin(testBatch(int32(i), int64(i)))
		b.AppendEvent(ev, content, v)
		b.Seal(store.Seal{Last: int64(i)})
		if err := s.Insert(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]uint64{
		"SELECT count() FROM bw_copies.events":          2,
		"SELECT count() FROM bw_copies.distinct_events": 1,
		"SELECT count() FROM bw_copies.distinct_events WHERE copies = 2 AND verdict = 'alert' AND severity = 'critical' AND feed = 'trail-b' AND partition = 1": 1,
		"SELECT count() FROM bw_copies.alerts":                                                                      3,
		"SELECT count() FROM bw_copies.alerts WHERE rule_id = 'EU-101' AND copies = 2":                              1,
		"SELECT count() FROM bw_copies.alerts WHERE severity >= 'high'":                                             2,
		"SELECT count() FROM bw_copies.cases":                                                                       2,
		"SELECT sum(alerts) FROM bw_copies.cases":                                                                   2,
		"SELECT count() FROM bw_copies.cases WHERE kind = 'gap' AND actor_id = ''":                                  1,
		"SELECT count() FROM bw_copies.alerts WHERE exceptions = ['EX-1', 'EX-2'] AND tickets = ['DPO=1', 'DPO-2']": 1,
	} {
		if got := scalar(t, conn, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

// TestSameIDOtherContent never folds an identity that is reused with other content.
func TestSameIDOtherContent(t *testing.T) {
	conn := shared(t).migrated(t, "bw_reuse")
	b := store.NewBlock()
	b.Begin(testBatch(0, 0))
	for i := range int64(2) {
		ev := fullEvent(i)
		ev.Reason += string(rune('a' + i))
		content, _ := ev.ContentDigest(nil)
		b.AppendEvent(ev, content, &alert.Verdict{})
	}
	b.Seal(store.Seal{Last: 1})
	if err := open(t, shared(t).options("bw_reuse")).Insert(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if n := scalar(t, conn, "SELECT count() FROM bw_reuse.distinct_events"); n != 2 {
		t.Errorf("%d distinct events, want 2", n)
	}
}

// TestEventView reads the full event back through the view, as an analyst sees it.
func TestEventView(t *testing.T) {
	conn := shared(t).migrated(t, "bw_view")
	b := store.NewBlock()
	b.Begin(testBatch(0, 0))
	for i, ev := range []*access.Event{fullEvent(0), emptyEvent(1)} {
		content, _ := ev.ContentDigest(nil)
		v := &alert.Verdict{}
		if i == 0 {
			v = fullVerdict(1)
		}
		b.AppendEvent(ev, content, v)
	}
	b.Seal(store.Seal{Last: 1})
	if err := open(t, shared(t).options("bw_view")).Insert(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		offset int
		column string
		want   string
	}{
		{0, "event_id", `"evt-é-日本-🔒"`},
		{0, "actor_via", `["okta","bastion, eu"]`},
		{0, "actor_groups", `["on call","sre\nbreak\"glass"]`},
		{0, "actor_kind", `"vendor"`},
		{0, "actor_employer_country", `"CN"`},
		{0, "differs", `["actor.kind=employee","actor.employer_country=DE","actor.covered_person=no","actor.employer_entity=Example Social GmbH","data.subject_regions=EU","data.classes=public","data.form[1]=encrypted"]`},
		{0, "added", `["actor.home_country","actor.employment","data.categories","data.storage_country"]`},
		{0, "location_countries", `["CN","DE"]`},
		{0, "location_evidence", `["declared=ANY","address=ANY","address-2=ANY","prefix=ANY","device=ANY","badge=ANY","region=ANY","office=ANY"]`},
		{0, "subject_regions", `["EU","UK"]`},
		{0, "classes", `["restricted","public"]`},
		{0, "matched", `["EU-101:alert:critical:item=1","EU-104:unknown:high:location.country+approval.id","US-201:suppressed:low:shadow"]`},
		{0, "near", `["EU-102:location.country+approval.id","EU-103:location.verdict"]`},
		{0, "JSONExtractString(more_items, 1, 'dataset')", `"eu.\"quoted\"\\\u0001"`},
		{0, "JSONExtract(more_items, 1, 'subject_regions', 'Array(String)')", `[]`},
		{0, "approval_state", `"confirmed"`},
		{0, "records", `12`},
		{1, "event_id", `""`},
		{1, "actor_via", `["unknown"]`},
		{1, "location_country", `"any"`},
		{1, "subject_regions", `["unknown"]`},
		{1, "declared_office", `"unknown"`},
		{1, "records", `null`},
		{1, "seq", `null`},
		{1, "approval_until", `null`},
		{1, "differs", `[]`},
		{1, "near", `[]`},
		{1, "verdict", `"none"`},
	} {
		var text string
		query := "SELECT ifNull(toJSONString(" + test.column + "), 'null') FROM bw_view.events WHERE offset = $1"
		if err := conn.QueryRow(t.Context(), query, test.offset).Scan(&text); err != nil {
			t.Fatalf("%s: %v", test.column, err)
		}
		var got, want any
		if json.Unmarshal([]byte(text), &got) != nil || json.Unmarshal([]byte(test.want), &want) != nil {
			t.Fatalf("%s: %s or %s is no JSON", test.column, text, test.want)
		}
		if g, w := canonical(t, got), canonical(t, want); g != w {
			t.Errorf("offset %d, %s: %s, want %s", test.offset, test.column, g, w)
		}
	}
}

func canonical(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestQuestions(t *testing.T) {
	shared(t).migrated(t, "bw_questions")
	s := open(t, shared(t).options("bw_questions"))
	ctx := t.Context()
	if last, err := s.LastReceipt(ctx, testSource, testTopic, 0); err != nil || last != -1 {
		t.Fatalf("last receipt %d, %v on an empty database, want -1", last, err)
	}
	var cursor store.Cursor
	next := func(wantAlerts int) {
		t.Helper()
		alerts, c, err := s.AlertsSince(ctx, cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(alerts) != wantAlerts {
			t.Errorf("%d alerts, want %d", len(alerts), wantAlerts)
		}
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &cursor); err != nil {
			t.Fatal(err)
		}
	}
	last := func(want int64) {
		t.Helper()
		if got, err := s.LastReceipt(ctx, testSource, testTopic, 0); err != nil || got != want {
			t.Errorf("last receipt %d, %v, want %d", got, err, want)
		}
	}
	insert := func(first int64) {
		t.Helper()
		if err := s.Insert(ctx, filled(0, first, 10)); err != nil {
			t.Fatal(err)
		}
	}
	next(0)
	insert(10)
	next(3)
	next(0)
	insert(30) // ahead of 20
	last(19)
	next(0)
	insert(20)
	last(39)
	next(6)
	insert(60)
	next(0)
	notice := store.Notice{Kind: store.NoticeGap, Subject: "x", Source: testSource, Topic: testTopic, First: 40, Last: 59, Time: time.Unix(1_780_000_000, 0), Text: "gone"}
	for range 2 {
		if err := s.InsertNotice(ctx, notice); err != nil {
			t.Fatal(err)
		}
	}
	last(69)
	next(3)
	receipts, err := s.Receipts(ctx, testSource, testTopic, 0, 25)
	if err != nil || len(receipts) != 3 || receipts[0].First != 20 || receipts[0].Events != 9 || receipts[0].BatchTime.UnixMilli() != int64(testTime) {
		t.Errorf("receipts %+v, %v", receipts, err)
	}
	cases, err := s.Cases(ctx, time.Unix(0, 0), 10)
	if err != nil || len(cases) != 2 || cases[0].Severity != "critical" || cases[0].Events != 4 {
		t.Errorf("cases %+v, %v", cases, err)
	}
	alerts, err := s.AlertsOfCase(ctx, cases[0].ID, 10)
	if err != nil || len(alerts) != 4 || alerts[0].Why == "" || alerts[0].CaseID != cases[0].ID {
		t.Errorf("alerts of the case %+v, %v", alerts, err)
	}
	letters, err := s.DeadLetters(ctx, "", "duplicate_key", 10)
	if err != nil || len(letters) != 4 || letters[0].Value != "{" {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	coverage, err := s.Coverage(ctx, 10)
	if err != nil || len(coverage) != 1 || coverage[0].Verdicts["conflict"] != 1 || len(coverage[0].Missing) != 0 {
		t.Errorf("coverage %+v, %v", coverage, err)
	}
}

func TestBundles(t *testing.T) {
	conn := shared(t).migrated(t, "bw_bundles")
	s := open(t, shared(t).options("bw_bundles"))
	for range 2 {
		if err := s.InsertBundle(t.Context(), "d1", "manifest\n", map[string][]byte{"p1": {0, 1, 255}, "p2": nil}); err != nil {
			t.Fatal(err)
		}
		if err := s.InsertActivation(t.Context(), store.Activation{Source: testSource, Topic: testTopic, From: 7, Bundle: "d1"}); err != nil {
			t.Fatal(err)
		}
	}
	manifest, ok, err := s.BundleManifest(t.Context(), "d1")
	if err != nil || !ok || manifest != "manifest\n" {
		t.Errorf("manifest %q, %v, %v", manifest, ok, err)
	}
	part, ok, err := s.BundlePart(t.Context(), "p1")
	if err != nil || !ok || string(part) != "\x00\x01\xff" {
		t.Errorf("part %q, %v, %v", part, ok, err)
	}
	if _, ok, err := s.BundlePart(t.Context(), "p3"); ok || err != nil {
		t.Errorf("a part that is not there: %v, %v", ok, err)
	}
	if n := scalar(t, conn, "SELECT (SELECT count() FROM bw_bundles.bundles) + (SELECT count() FROM bw_bundles.bundle_parts) + (SELECT count() FROM bw_bundles.activations)"); n != 4 {
		t.Errorf("%d rows after storing everything twice, want 4", n)
	}
}
