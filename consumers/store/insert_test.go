package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

var tables = []string{"alert_rows", "raw_rows", "event_rows", "dead_letter_rows", "receipts"}

// filled is a sealed block with rows for every table.
func filled(partition int32, first int64, n int) *store.Block {
	b := store.NewBlock()
	fill(b, testBatch(partition, first), n-1)
	last := first + int64(n) - 1
	b.AppendDeadLetter(store.DeadLetter{Offset: last, Timestamp: testTime, Feed: "gateway", Code: "duplicate_key", Reason: "key x twice", Position: 17, Value: []byte("{")})
	b.AppendRaw(last, testTime, nil, []byte("{"), nil)
	b.Seal(store.Seal{Last: last, LedgerIndex: 7})
	return b
}

// counts are the rows of each table, and of the views of events and alerts.
func counts(t *testing.T, conn driver.Conn, database string) map[string]uint64 {
	t.Helper()
	out := make(map[string]uint64)
	for _, table := range append(slices.Clone(tables), "events", "alerts", "dead_letters", "distinct_events") {
		out[table] = scalar(t, conn, fmt.Sprintf("SELECT count() FROM %s.%s", database, table))
	}
	return out
}

var wantTen = map[string]uint64{"alert_rows": 3, "raw_rows": 10, "event_rows": 9, "dead_letter_rows": 1, "receipts": 1,
	"events": 9, "alerts": 3, "dead_letters": 1, "distinct_events": 9}

func compareCounts(t *testing.T, got, want map[string]uint64) {
	t.Helper()
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s has %d rows, want %d", name, got[name], n)
		}
	}
}

// TestFaults makes every step fail, before and after it took effect: one retry later all is there exactly once.
func TestFaults(t *testing.T) {
	conn := shared(t).migrated(t, "bw_faults")
	lost := errors.New("connection reset by peer")
	partition := int32(0)
	for _, table := range tables {
		for _, effect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/took_effect=%v", table, effect), func(t *testing.T) {
				var retried []string
				opt := shared(t).options("bw_faults")
				opt.Around = func(ctx context.Context, step string, run func(context.Context) error) error {
					if step != table || len(retried) > 0 {
						return run(ctx)
					}
					if effect {
						if err := run(ctx); err != nil {
							return err
						}
					}
					return lost
				}
				opt.OnRetry = func(step string, _ int, err error) {
					if !errors.Is(err, lost) {
						t.Errorf("retry of %s for %v", step, err)
					}
					retried = append(retried, step)
				}
				before := counts(t, conn, "bw_faults")
				if err := open(t, opt).Insert(t.Context(), filled(partition, 0, 10)); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(retried, []string{table}) {
					t.Errorf("retried %v, want %s once", retried, table)
				}
				after := counts(t, conn, "bw_faults")
				for name := range after {
					after[name] -= before[name]
				}
				compareCounts(t, after, wantTen)
			})
			partition++
		}
	}
}

// TestCrashAndTakeover stops after every step, as a killed worker does, and lets another worker insert the batch again:
// nothing is seen until the receipt, and everything once after it.
func TestCrashAndTakeover(t *testing.T) {
	conn := shared(t).migrated(t, "bw_crash")
	s := open(t, shared(t).options("bw_crash"))
	for stop := range len(tables) {
		partition := int32(stop)
		steps, err := s.Steps(filled(partition, 0, 10))
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) != len(tables) {
			t.Fatalf("%d steps, want %d", len(steps), len(tables))
		}
		for i, step := range steps[:stop] {
			if step.Name != tables[i] {
				t.Fatalf("step %d is %s, want %s", i, step.Name, tables[i])
			}
			if err := step.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		seen := fmt.Sprintf("SELECT count() FROM bw_crash.events WHERE partition = %d", partition)
		if n := scalar(t, conn, seen); n != 0 {
			t.Errorf("stopped before %s: %d events are seen without a receipt", tables[stop], n)
		}
		found, err := s.Look(t.Context(), store.Range{Source: testSource, Topic: testTopic, Partition: partition, First: 0, Last: 9})
		if err != nil {
			t.Fatal(err)
		}
		want := store.Found{}
		for _, table := range tables[:stop] {
			switch table {
			case "alert_rows":
				want.Alerts = 3
			case "raw_rows":
				want.Raw = 10
			case "event_rows":
				want.Events = 9
			case "dead_letter_rows":
				want.DeadLetters = 1
			}
		}
		if found != want {
			t.Errorf("stopped before %s: found %+v, want %+v", tables[stop], found, want)
		}
		if err := s.Insert(t.Context(), filled(partition, 0, 10)); err != nil {
			t.Fatal(err)
		}
		if n := scalar(t, conn, seen); n != 9 {
			t.Errorf("stopped before %s: %d events after the takeover, want 9", tables[stop], n)
		}
		if found, _ := s.Look(t.Context(), store.Range{Source: testSource, Topic: testTopic, Partition: partition, First: 0, Last: 9}); !found.Receipt || found.Doubled > 0 {
			t.Errorf("after the takeover: %+v", found)
		}
	}
	if n := scalar(t, conn, "SELECT count() FROM bw_crash.batch_findings"); n != 0 {
		t.Errorf("%d findings on a healthy database", n)
	}
}

// TestRepair writes a batch again after its rows were deleted: the old token would bring nothing back.
func TestRepair(t *testing.T) {
	conn := shared(t).migrated(t, "bw_repair")
	s := open(t, shared(t).options("bw_repair"))
	if err := s.Insert(t.Context(), filled(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(t.Context(), "DELETE FROM bw_repair.event_rows WHERE offset = 4"); err != nil {
		t.Fatal(err)
	}
	if n := scalar(t, conn, "SELECT count() FROM bw_repair.batch_findings"); n != 1 {
		t.Errorf("%d findings after a row was deleted, want 1", n)
	}
	if err := s.Insert(t.Context(), filled(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	if n := scalar(t, conn, "SELECT count() FROM bw_repair.events"); n != 8 {
		t.Errorf("the same token brought rows back: %d events, want 8", n)
	}
	b := filled(0, 0, 10)
	batch := testBatch(0, 0)
	batch.Attempt = 1
	fill(b, batch, 10)
	if err := s.Insert(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if n := scalar(t, conn, "SELECT count() FROM bw_repair.events"); n != 10 {
		t.Errorf("%d events after the repair, want 10", n)
	}
	if n := scalar(t, conn, "SELECT count() FROM bw_repair.events GROUP BY partition, offset ORDER BY 1 DESC LIMIT 1"); n != 1 {
		t.Errorf("an offset is seen %d times after the repair", n)
	}
}

// TestTokensReachTheServer reads the pinned settings back from the server's own log.
func TestTokensReachTheServer(t *testing.T) {
	conn := shared(t).migrated(t, "bw_tokens")
	if err := open(t, shared(t).options("bw_tokens")).Insert(t.Context(), filled(5, 100, 10)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(t.Context(), "SYSTEM FLUSH LOGS"); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		token := fmt.Sprintf("bw1/%s/%s/5/100-109/%s/%d", testSource, testTopic, table, store.SchemaVersion)
		n := scalar(t, conn, `SELECT count() FROM system.query_log WHERE type = 'QueryFinish' AND query_kind = 'Insert'
			AND Settings['insert_deduplication_token'] = $1 AND Settings['async_insert'] = '0' AND Settings['max_partitions_per_insert_block'] = '1'`, token)
		if n != 1 {
			t.Errorf("%d inserts with token %s, want 1", n, token)
		}
	}
	if n := scalar(t, conn, "SELECT max(c) FROM (SELECT count() AS c FROM system.parts WHERE database = 'bw_tokens' AND active AND table != 'schema_migrations' GROUP BY table)"); n != 1 {
		t.Errorf("%d parts of one insert, want 1", n)
	}
}

func TestRetryAndHalt(t *testing.T) {
	shared(t).migrated(t, "bw_retry")
	for _, test := range []struct {
		code  int32
		halts bool
	}{
		{159, false}, {202, false}, {209, false}, {210, false}, {241, false}, {242, false}, {243, false}, {252, false},
		{285, false}, {286, false}, {319, false}, {999, false}, {0, false}, {1002, false},
		{16, true}, {33, true}, {47, true}, {53, true}, {60, true}, {131, true}, {469, true}, {497, true}, {516, true},
	} {
		t.Run(fmt.Sprint(test.code), func(t *testing.T) {
			failure := errors.New("no answer")
			if test.code != 0 {
				failure = &ch.Exception{Code: proto.Error(test.code), Message: "injected"}
			}
			attempts := 0
			opt := shared(t).options("bw_retry")
			opt.Around = func(ctx context.Context, _ string, run func(context.Context) error) error {
				if attempts++; attempts == 1 {
					return failure
				}
				return run(ctx)
			}
			b := store.NewBlock()
			fill(b, testBatch(test.code, 0), 1)
			err := open(t, opt).Insert(t.Context(), b)
			var halt *store.HaltError
			if errors.As(err, &halt) != test.halts || (err == nil) == test.halts {
				t.Fatalf("got %v, halts %v", err, test.halts)
			}
			if test.halts && (halt.Code != test.code || attempts != 1) {
				t.Errorf("code %d after %d attempts", halt.Code, attempts)
			}
		})
	}
}

// TestContextEndsRetries keeps a failing insert within its context, and says that the outcome is unknown, not refused.
func TestContextEndsRetries(t *testing.T) {
	var attempts atomic.Int32
	opt := shared(t).options("bw")
	opt.Around = func(context.Context, string, func(context.Context) error) error {
		attempts.Add(1)
		return errors.New("no route to host")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := open(t, opt).Insert(ctx, filled(0, 0, 10))
	var halt *store.HaltError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &halt) {
		t.Errorf("got %v", err)
	}
	if n := attempts.Load(); n < 2 {
		t.Errorf("%d attempts in 300 ms", n)
	}
}

func TestBadBlocks(t *testing.T) {
	s := open(t, shared(t).options("bw"))
	open := store.NewBlock()
	open.Begin(testBatch(0, 0))
	backwards := store.NewBlock()
	fill(backwards, testBatch(0, 100), 1)
	backwards.Seal(store.Seal{Last: 99})
	for name, b := range map[string]*store.Block{"is not sealed": open, "range 100 to 99": backwards} {
		err := s.Insert(t.Context(), b)
		var halt *store.HaltError
		if !errors.As(err, &halt) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want a halt that says %q", err, name)
		}
	}
}

// TestDriftHalts refuses to write into a table whose types are not this build's, instead of letting the server convert.
func TestDriftHalts(t *testing.T) {
	conn := shared(t).migrated(t, "bw_drift")
	if err := conn.Exec(t.Context(), "ALTER TABLE bw_drift.event_rows MODIFY COLUMN action Enum8('unknown' = 0, 'view' = 1, 'read' = 2)"); err != nil {
		t.Fatal(err)
	}
	err := open(t, shared(t).options("bw_drift")).Insert(t.Context(), filled(0, 0, 10))
	var halt *store.HaltError
	if !errors.As(err, &halt) || !strings.Contains(err.Error(), "run borderwatch migrate") {
		t.Fatalf("got %v", err)
	}
	// A migration adds the words, and the very same batch goes through.
	if err := schema.Migrate(t.Context(), conn, schema.Options{Layout: schema.Layout{Database: "bw_drift"}}); err != nil {
		t.Fatal(err)
	}
	if err := open(t, shared(t).options("bw_drift")).Insert(t.Context(), filled(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	compareCounts(t, counts(t, conn, "bw_drift"), wantTen)
}

// TestOptions refuses what could store rows twice or means nothing.
func TestOptions(t *testing.T) {
	for want, opt := range map[string]store.Options{
		"no host":                {},
		"need replicated tables": {Hosts: []string{"a:9000", "b:9000"}},
		"compression \"snappy\"": {Hosts: []string{"a:9000"}, Compression: "snappy"},
	} {
		if _, err := store.New(opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestCompressed sends the same rows compressed.
func TestCompressed(t *testing.T) {
	conn := shared(t).migrated(t, "bw_lz4")
	opt := shared(t).options("bw_lz4")
	opt.Compression = "lz4"
	if err := open(t, opt).Insert(t.Context(), filled(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	compareCounts(t, counts(t, conn, "bw_lz4"), wantTen)
}
