package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/store"
	"borderwatch/schemas/alert"
	schema "borderwatch/schemas/clickhouse"
)

// secret is in the rows that are erased and nowhere else.
const secret = "u-erase-me-4711"

// TestErase replaces rows by tombstones with the rights of the account for it. The roots over rows and tombstones are
// those of the batch before, and the erased value is in no table and, once ClickHouse has cleared the old parts, in no part.
func TestErase(t *testing.T) {
	server := withRoles(t)
	migrate := server.as("bw_migrate").dial(t)
	if err := schema.Migrate(t.Context(), migrate, schema.Options{Layout: schema.Layout{Database: rightsDB}}); err != nil {
		t.Fatal(err)
	}
	block, want := withSecret()
	for _, table := range tables { // so that the test need not wait as long as an operator
		if err := server.dial(t).Exec(t.Context(), "ALTER TABLE bw."+table+" MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, server.as("bw_ingest").options(rightsDB)).Insert(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	s := open(t, server.as("bw_erase").options(rightsDB))
	at := store.Range{Source: testSource, Topic: testTopic, Partition: 3, First: 100, Last: 109}
	offsets := []int64{104, 109}
	receipts, err := s.ReceiptsOf(t.Context(), at, offsets)
	if err != nil || len(receipts) != 1 {
		t.Fatal(receipts, err)
	}
	batch := receipts[0]
	before, err := s.RowLeaves(t.Context(), at, batch.Batch)
	if err != nil {
		t.Fatal(err)
	}
	wantRoots(t, before, nil, want, "before")
	found, err := s.Erasable(t.Context(), at, offsets)
	if err != nil || len(found) != 1 || found[0].Actor != secret {
		t.Errorf("erasable: %+v, %v", found, err)
	}
	tombstones := tombstonesOf(before, offsets)
	if len(tombstones) != 6 { // event, two alerts and record; dead letter and record
		t.Errorf("%d tombstones: %+v", len(tombstones), tombstones)
	}
	for range 2 { // after a crash it is done again
		if err := s.InsertTombstones(t.Context(), batch, tombstones); err != nil {
			t.Fatal(err)
		}
		if err := s.EraseRows(t.Context(), at, offsets); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.RowLeaves(t.Context(), at, batch.Batch)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.Tombstones(t.Context(), at, batch.Batch)
	if err != nil || len(stored) != len(tombstones) || stored[0].Ticket != "DSR-1" || !slices.Equal(stored[0].Approvers, []string{"ada", "bob"}) {
		t.Fatalf("%+v, %v", stored, err)
	}
	var erased []store.RowLeaf
	for _, tombstone := range stored {
		erased = append(erased, tombstone.RowLeaf)
	}
	wantRoots(t, rows, erased, want, "after")
	if _, err := store.MergeLeaves(rows, erased[1:]); err == nil && store.TombstonesDigest(erased) == store.TombstonesDigest(erased[1:]) {
		t.Error("a tombstone less is the same")
	}
	admin := server.dial(t)
	if n := scalar(t, admin, "SELECT count() FROM bw.batch_findings"); n != 0 {
		t.Errorf("%d findings about an erased batch", n)
	}
	nowhere(t, admin)
}

// withSecret is a batch with an event and a dead letter that name the secret, and its roots.
func withSecret() (*store.Block, store.Roots) {
	block, batch := store.NewBlock(), testBatch(3, 100)
	batch.Salts = store.NewSalts([32]byte{1}, testSource, testTopic, 3)
	fill(block, batch, 4)
	ev, v := fullEvent(104), alert.Verdict{Outcome: alert.Alert, Severity: alert.High, Alerts: []alert.Item{
		{ID: [16]byte{2}, RuleID: "EU-102", Outcome: alert.Alert, Severity: alert.High, Why: secret + " did it"},
		{ID: [16]byte{1}, RuleID: "EU-101", Outcome: alert.Alert, Severity: alert.High, Why: "because of " + secret},
	}}
	ev.Actor.ID = secret
	block.AppendEvent(ev, [16]byte{9}, &v)
	block.AppendRaw(104, testTime, nil, []byte(`{"actor":"`+secret+`"}`), []store.Header{{Key: []byte("k"), Value: []byte(secret)}})
	for i := range int64(4) {
		ev := fullEvent(105 + i)
		block.AppendEvent(ev, [16]byte{8}, &alert.Verdict{})
		block.AppendRaw(105+i, testTime, nil, []byte("x"), nil)
	}
	block.AppendDeadLetter(store.DeadLetter{Offset: 109, Timestamp: testTime, Feed: "gateway", Code: "syntax", Reason: "not JSON", Value: []byte(secret)})
	block.AppendRaw(109, testTime, nil, []byte(secret), nil)
	roots := block.Roots()
	block.Seal(store.Seal{Last: 109, LedgerIndex: 7})
	return block, roots
}

func tombstonesOf(leaves []store.RowLeaf, offsets []int64) (out []store.Tombstone) {
	for _, l := range leaves {
		if slices.Contains(offsets, l.Offset) {
			out = append(out, store.Tombstone{RowLeaf: l, LedgerIndex: 12, Ticket: "DSR-1", Approvers: []string{"ada", "bob"}})
		}
	}
	return out
}

func wantRoots(t *testing.T, rows, erased []store.RowLeaf, want store.Roots, when string) {
	t.Helper()
	merged, err := store.MergeLeaves(rows, erased)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if got, n := store.LeafRoots(merged); got != want {
		t.Errorf("%s the roots over %v rows are\n%x, recorded\n%x", when, n, got, want)
	}
}

// nowhere looks for the secret in every text column of every table, and waits until the parts from before are gone.
func nowhere(t *testing.T, conn driver.Conn) {
	t.Helper()
	for _, table := range append(slices.Clone(tables), "notices", "tombstones") {
		query := fmt.Sprintf("SELECT count() FROM bw.%s WHERE position(toString(tuple(*)), '%s') > 0", table, secret)
		if n := scalar(t, conn, query); n != 0 {
			t.Errorf("%s has the erased value in %d rows", table, n)
		}
	}
	old := "SELECT count() FROM system.parts WHERE database = 'bw' AND NOT active AND table IN ('event_rows', 'alert_rows', 'raw_rows', 'dead_letter_rows')"
	for deadline := time.Now().Add(time.Minute); scalar(t, conn, old) > 0; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("ClickHouse keeps the parts from before the erasure")
		}
	}
}

func TestMergeLeaves(t *testing.T) {
	leaf := func(table string, offset int64, ordinal uint32, b byte) store.RowLeaf {
		return store.RowLeaf{Table: table, Offset: offset, Ordinal: ordinal, Leaf: [32]byte{b}}
	}
	rows := []store.RowLeaf{leaf("alert_rows", 1, 0, 1), leaf("alert_rows", 3, 0, 4)}
	for name, tt := range map[string]struct {
		erased []store.RowLeaf
		want   string // first bytes, "" for an error
	}{
		"between":                {[]store.RowLeaf{leaf("alert_rows", 2, 1, 3), leaf("alert_rows", 2, 0, 2)}, "1234"},
		"interrupted":            {[]store.RowLeaf{leaf("alert_rows", 1, 0, 1)}, "14"},
		"another in its place":   {[]store.RowLeaf{leaf("alert_rows", 1, 0, 9)}, ""},
		"the first one missing":  {[]store.RowLeaf{leaf("alert_rows", 2, 1, 3)}, ""},
		"the middle one missing": {[]store.RowLeaf{leaf("alert_rows", 2, 0, 3), leaf("alert_rows", 2, 2, 3)}, ""},
	} {
		merged, err := store.MergeLeaves(rows, tt.erased)
		var got strings.Builder
		for _, l := range merged {
			fmt.Fprintf(&got, "%d", l.Leaf[0])
		}
		if got.String() != tt.want || (tt.want == "") != errors.Is(err, store.ErrRowsDiffer) {
			t.Errorf("%s: %s, %v", name, got.String(), err)
		}
	}
}
