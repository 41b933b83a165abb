package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"borderwatch/cmd/borderwatch/traffic"
	"borderwatch/consumers/backtest"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/store"
	"borderwatch/rules/examples"
	"borderwatch/rules/impact"
	"borderwatch/rules/packs"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
	schema "borderwatch/schemas/clickhouse"
)

// shippedParts are the shipped rules and the example company, with an edit of some file.
func shippedParts(t testing.TB, edit func(dir string)) []bundle.Part {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "packs"), packs.Files); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "company"), examples.Files); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(dir)
	}
	parts, err := bundle.Source{Dir: dir}.Read()
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func compiled(t testing.TB, parts []bundle.Part) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Compile(parts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	storedPartitions = 2
	storedBatch      = 100_000
)

// storedTraffic stores sample traffic as a worker does: decoded, completed, judged and inserted. Of every hundredth event
// Kafka took the record two days late.
func storedTraffic(t testing.TB, b *bundle.Bundle, events int) *store.Store {
	t.Helper()
	server := embeddedtest.SharedClickHouse(t)
	database := server.Database(t)
	if err := schema.Migrate(t.Context(), server.Open(t, "default"), schema.Options{Layout: schema.Layout{Database: database}}); err != nil {
		t.Fatal(err)
	}
	s, err := store.New(store.Options{Hosts: []string{server.Addr()}, Database: database, User: embeddedtest.Admin, Password: embeddedtest.Password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	world, err := traffic.Collect(examples.Files)
	if err != nil {
		t.Fatal(err)
	}
	w := &trafficWriter{t: t, bundle: b, block: store.NewBlock()}
	for p := range storedPartitions {
		stamper, err := traffic.NewStamper(world, traffic.Options{Seed: uint64(p + 1), Start: trafficStart, Rate: 10, PlantedShare: 0.05}, min(20_000, events))
		if err != nil {
			t.Fatal(err)
		}
		for first := 0; first < events/storedPartitions; first += storedBatch {
			w.fill(int32(p), first, min(storedBatch, events/storedPartitions-first), stamper)
			if err := s.Insert(t.Context(), w.block); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

var trafficStart = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

type trafficWriter struct {
	t      testing.TB
	bundle *bundle.Bundle
	block  *store.Block
	value  []byte
}

func (w *trafficWriter) fill(partition int32, first, n int, stamper *traffic.Stamper) {
	decoder, err := decode.New(decode.Native, decode.Feed{Name: "native", Scope: "native"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.block.Begin(store.Batch{Source: "kafka:test/1", Topic: "access", Partition: partition, First: int64(first),
		BatchTime: access.Millis(trafficStart.UnixMilli()), Bundle: w.bundle.Digest})
	worker := w.bundle.Enricher.NewWorker()
	var ev, arrived access.Event
	var verdict alert.Verdict
	for i := range n {
		w.value, _ = stamper.Append(w.value[:0])
		ev.Reset()
		ev.Source.Feed, ev.Source.Scope = "native", "native"
		if err := decoder.Decode(&decode.Record{Value: w.value}, &ev); err != nil {
			w.t.Fatal(err)
		}
		ev.Kafka = access.Position{Source: "kafka:test/1", Topic: "access", Partition: partition, Offset: int64(first + i), Timestamp: ev.Time}
		content, _ := ev.ContentDigest(nil)
		late := i%100 == 0
		if late {
			ev.Kafka.Timestamp += 2 * access.ArrivalTolerance
			ev.CopyTo(&arrived)
			worker.EnrichAt(&arrived, ev.Kafka.Timestamp)
		}
		worker.Enrich(&ev)
		if late {
			w.bundle.Engine.EvaluateLate(&ev, &arrived, content, &verdict)
		} else {
			w.bundle.Engine.Evaluate(&ev, content, &verdict)
		}
		w.block.AppendEvent(&ev, content, &verdict)
	}
	w.block.Seal(store.Seal{Last: int64(first + n - 1), LedgerIndex: 1, Worker: "test"})
}

// report compares the sides over all stored events.
func report(t testing.TB, s *store.Store, run backtest.Run, old impact.Judged) *impact.Report {
	t.Helper()
	run.Options, run.Workers = impact.Options{Rows: 20, Examples: 3}, 2
	total, err := run.Stored(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return run.Report(total, impact.Events{}, old)
}

func edited(t testing.TB, dir, name string, edit func(string) string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if changed := edit(string(text)); changed == string(text) {
		t.Fatalf("%s: the edit changes nothing", name)
	} else if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func replacing(old, new string) func(string) string {
	return func(text string) string { return strings.Replace(text, old, new, 1) }
}

// TestBacktestOfStoredEvents: the rules that judged come to what was found, late events among them; a backtest, and a diff
// from those rules, of other rules show the same changes, whichever of the two makes them and however often.
func TestBacktestOfStoredEvents(t *testing.T) {
	first := compiled(t, shippedParts(t, nil))
	s := storedTraffic(t, first, 20_000)
	stored := impact.Judged{By: impact.ByStored}
	for _, references := range []backtest.References{backtest.AsStored, backtest.Anew} {
		same := report(t, s, backtest.Run{New: first, References: references}, stored)
		if n := same.Alerts.Changes.Total() + same.Shadow.Changes.Total(); n != 0 || same.Events.Read != 20_000 || same.Events.Late != 200 {
			t.Errorf("references %d: %d changes by the rules that judged, of %+v: %+v", references, n, same.Events, same.Samples)
		}
		if !reflect.DeepEqual(same.Alerts.Before, same.Alerts.After) || same.Alerts.Before.Speaking() == 0 {
			t.Errorf("references %d: %+v", references, same.Alerts)
		}
	}
	second := compiled(t, shippedParts(t, func(dir string) {
		edited(t, dir, "packs/baseline/BASE-302.yaml", replacing("status: active\n", "status: shadow\n"))
		edited(t, dir, "packs/baseline/BASE-303.yaml", replacing("status: active\n", "status: retired\n"))
	}))
	changed := report(t, s, backtest.Run{New: second}, stored)
	rules := map[string]impact.Counts{}
	for _, row := range changed.Rules.Rows {
		rules[fmt.Sprint(row.Key, row.Shadow)] = row.Counts
	}
	if v := rules["BASE-302false"].Vanish; v == 0 || rules["BASE-302true"].Appear != v || rules["BASE-303false"].Vanish == 0 {
		t.Errorf("changes by rule: %+v", rules)
	}
	again := report(t, s, backtest.Run{New: second}, stored)
	if !reflect.DeepEqual(changed, again) {
		t.Error("the same backtest gives another report the second time")
	}
	diff := report(t, s, backtest.Run{Old: first, New: second}, impact.Judged{})
	diff.Old = changed.Old
	if !reflect.DeepEqual(diff, changed) {
		t.Errorf("diff %+v, backtest %+v", diff.Alerts, changed.Alerts)
	}
}

// BenchmarkBacktest judges stored sample traffic again, by all shipped rules, with two threads. The number of events is
// that of BORDERWATCH_BACKTEST_EVENTS, 200,000 without it. Processor time is the figure to trust on a shared machine.
func BenchmarkBacktest(b *testing.B) {
	events := 200_000
	if text := os.Getenv("BORDERWATCH_BACKTEST_EVENTS"); text != "" {
		var err error
		if events, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	rules := compiled(b, shippedParts(b, nil))
	s := storedTraffic(b, rules, events)
	for name, run := range map[string]backtest.Run{"backtest": {New: rules}, "diff": {Old: rules, New: rules}, "anew": {New: rules, References: backtest.Anew}} {
		b.Run(name, func(b *testing.B) {
			server := embeddedtest.SharedClickHouse(b).PID()
			own, other := ownTime(), processTime(server)
			for b.Loop() {
				report(b, s, run, impact.Judged{By: impact.ByStored})
			}
			n := float64(events * b.N)
			own, other = ownTime()-own, processTime(server)-other
			b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(own)/n, "own-cpu-ns/event")
			b.ReportMetric(float64(other)/n, "clickhouse-cpu-ns/event")
		})
	}
}
