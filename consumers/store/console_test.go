package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/casework"
	schema "borderwatch/schemas/clickhouse"
)

// console is a database with two partitions of 30 events each, and the console's account there.
func console(t *testing.T) (api *store.Store, conn driver.Conn, now time.Time) {
	t.Helper()
	server := withRoles(t)
	if err := schema.Migrate(t.Context(), server.as("bw_migrate").dial(t), schema.Options{Layout: schema.Layout{Database: rightsDB}}); err != nil {
		t.Fatal(err)
	}
	writer := open(t, server.as("bw_ingest").options(rightsDB))
	for partition := range int32(2) {
		block, batch := store.NewBlock(), testBatch(partition, 0)
		batch.BatchTime = access.Millis(time.Now().UnixMilli())
		fill(block, batch, 30)
		if err := writer.Insert(t.Context(), block); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, server.as("bw_api").options(rightsDB)), server.as("bw_api").dial(t), time.Now()
}

// TestConsoleQuestions asks what the console asks, with its rights, and compares the answers with each other.
func TestConsoleQuestions(t *testing.T) {
	s, _, now := console(t)
	ctx, hour := t.Context(), now.Add(-time.Hour)
	alerts, err := s.AlertRows(ctx, casework.AlertFilter{Since: hour, Limit: 1000})
	if err != nil || len(alerts) == 0 {
		t.Fatalf("%d alerts, %v", len(alerts), err)
	}
	cases, err := s.CaseFacts(ctx, casework.CaseFilter{Since: hour, Limit: 100}, now)
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	compareCases(t, cases, alerts)
	one := cases[0]
	checkFilters(t, s, &one, hour, now)
	a := alerts[0]
	if a.Detected.Before(hour) || a.Batch == "" || a.EventID == "" || len(a.Evidence) == 0 {
		t.Errorf("an alert lacks what its page shows: %+v", a)
	}
	if proof, ok, err := s.BatchProof(ctx, a.Batch); err != nil || !ok || proof.LedgerIndex != 7 || proof.Worker != "w-1" {
		t.Errorf("proof %+v, %v, %v", proof, ok, err)
	}
	moments, err := s.Timeline(ctx, a.ActorID, a.Time.Add(-time.Hour), a.Time.Add(time.Hour), 1000)
	if err != nil || len(moments) != 60 {
		t.Errorf("timeline of %d accesses, %v; want 60", len(moments), err)
	}
	for dimension := range store.Dimensions {
		points, err := s.AlertsOverTime(ctx, dimension, hour, time.Minute, 1000)
		total := uint64(0)
		for _, p := range points {
			total += p.Alerts
		}
		notShadow := slices.DeleteFunc(slices.Clone(alerts), func(a casework.Alert) bool { return a.Shadow })
		if err != nil || total != uint64(len(notShadow)) {
			t.Errorf("%s: %d alerts in the chart, %d in the list, %v", dimension, total, len(notShadow), err)
		}
	}
	if feeds, err := s.Feeds(ctx, hour, now); err != nil || len(feeds) != 1 || feeds[0].Events != 60 || feeds[0].Hour != 60 {
		t.Errorf("feeds %+v, %v", feeds, err)
	}
	for name, question := range map[string]func() error{
		"notices":      func() error { _, err := s.NoticeRows(ctx, "gap", hour, 10); return err },
		"dead letters": func() error { _, err := s.DeadLetterCounts(ctx, hour, 10); return err },
	} {
		if err := question(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// compareCases adds up the list of alerts and compares it with the cases.
func compareCases(t *testing.T, cases []casework.Facts, alerts []casework.Alert) {
	t.Helper()
	want := map[string]uint64{}
	for _, a := range alerts {
		if !a.Shadow && a.Outcome != "suppressed" {
			want[a.CaseID]++
		}
	}
	if len(want) != len(cases) {
		t.Errorf("%d cases, the alerts are of %d", len(cases), len(want))
	}
	for _, c := range cases {
		if c.Alerts != want[c.ID] || c.Hour != c.Alerts || c.Day != c.Alerts || c.Why == "" || c.Detected.After(c.Arrived) {
			t.Errorf("case %+v, want %d alerts", c, want[c.ID])
		}
	}
}

// checkFilters asks for one case by each of its values, and for values that it does not have.
func checkFilters(t *testing.T, s *store.Store, one *casework.Facts, since, now time.Time) {
	t.Helper()
	for name, f := range map[string]casework.CaseFilter{
		"id": {ID: one.ID}, "severity": {Severity: one.Severity}, "rule": {Rule: one.Rules[0]}, "country": {Country: one.Countries[0]},
		"data set": {Dataset: one.Datasets[0]}, "kind": {Kind: one.Kind},
	} {
		f.Since, f.Limit = since, 100
		cases, err := s.CaseFacts(t.Context(), f, now)
		if err != nil || !slices.ContainsFunc(cases, func(c casework.Facts) bool { return c.ID == one.ID && c.Alerts == one.Alerts }) {
			t.Errorf("by %s: %+v, %v", name, cases, err)
		}
	}
	for name, f := range map[string]casework.CaseFilter{"rule": {Rule: "nothing"}, "actor": {Actor: `' OR 1 --`}, "id": {ID: "00000000000000000000000000000000"}} {
		f.Since, f.Limit = since, 100
		if cases, err := s.CaseFacts(t.Context(), f, now); err != nil || len(cases) != 0 {
			t.Errorf("by a %s that is not there: %d, %v", name, len(cases), err)
		}
	}
	before, err := s.Growth(t.Context(), map[string]time.Time{one.ID: since}, now)
	if err != nil || len(before) != 1 || before[0].Alerts != one.Alerts || len(before[0].Datasets) == 0 {
		t.Errorf("growth since before: %+v, %v", before, err)
	}
	if after, err := s.Growth(t.Context(), map[string]time.Time{one.ID: now.Add(time.Minute)}, now); err != nil || len(after) != 0 {
		t.Errorf("growth since after: %+v, %v", after, err)
	}
}

// TestActions: kept once, listed in order, and nothing else can be written or taken away.
func TestActions(t *testing.T) {
	s, conn, now := console(t)
	ctx := t.Context()
	pulse, err := s.Pulse(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	a := casework.Action{ID: store.NewActionID(), Time: now.UTC().Truncate(time.Millisecond), Who: "anna", Roles: "analyst", Channel: "page", Action: "take", Subject: "c1", Done: true,
		Detail: `{"text":"'; DROP"}`, LedgerIndex: 9}
	for range 2 { // the second is a retry
		if err := s.InsertAction(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	refused := a
	refused.ID, refused.Done, refused.Time = store.NewActionID(), false, a.Time.Add(time.Second)
	if err := s.InsertAction(ctx, refused); err != nil {
		t.Fatal(err)
	}
	if on, err := s.ActionsOn(ctx, []string{"c1", "c2"}); err != nil || len(on) != 1 || on[0] != a {
		t.Errorf("on the case: %+v, %v", on, err)
	}
	if all, err := s.Actions(ctx, now.Add(-time.Hour), 10); err != nil || len(all) != 2 || all[0].Done {
		t.Errorf("all: %+v, %v", all, err)
	}
	if again, err := s.Pulse(ctx, now); err != nil || again == pulse {
		t.Errorf("the pulse did not change: %v", err)
	}
	if err := s.InsertAction(ctx, casework.Action{ID: "x"}); err == nil {
		t.Error("an action without an id is kept")
	}
	for _, query := range []string{"ALTER TABLE bw.actions DELETE WHERE 1", "ALTER TABLE bw.actions UPDATE who = 'x' WHERE 1", "TRUNCATE TABLE bw.actions", "DELETE FROM bw.actions WHERE 1",
		"INSERT INTO bw.alert_rows (topic) VALUES ('x')", "DROP TABLE bw.actions"} {
		err := conn.Exec(ctx, query)
		var refused *clickhouse.Exception
		if !errors.As(err, &refused) || refused.Code != accessDenied {
			t.Errorf("%s: %v", query, err)
		}
	}
}
