package store_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestCanonicalRecord builds the row of a record by hand, as schemas/README.md describes it, and the root over it.
func TestCanonicalRecord(t *testing.T) {
	block, rows := proved(t)
	block.AppendRaw(7, testTime, nil, []byte("value"), []store.Header{{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("n")}})
	want := []byte("bw-row/v1\x00raw_rows\x00")
	want = binary.LittleEndian.AppendUint64(want, 7)
	want = binary.LittleEndian.AppendUint64(want, uint64(testTime))
	want = append(want, "\x00\x05value\x02\x01k\x01n\x02\x01v\x00"...)
	want = binary.LittleEndian.AppendUint32(want, 1|4<<1) // null key, and null second header
	if got := rows()[0]; got != string(want) {
		t.Errorf("canonical row\n%q, want\n%q", got, want)
	}
}

// TestRootsNeedEveryRow changes one thing at a time and looks at which root moves.
func TestRootsNeedEveryRow(t *testing.T) {
	fill := func(change func(ev *access.Event, v *alert.Verdict, l *store.DeadLetter), salts *store.Salts) store.Roots {
		block := store.NewBlock()
		block.Begin(store.Batch{Source: testSource, Topic: testTopic, BatchTime: testTime, Bundle: "b", Salts: salts})
		ev, v := fullEvent(5), alert.Verdict{Outcome: alert.Alert, Severity: alert.High,
			Alerts: []alert.Item{{ID: access.Digest{1}, RuleID: "EU-101", Outcome: alert.Alert, Severity: alert.High, Why: "because"}}}
		letter := store.DeadLetter{Offset: 6, Timestamp: testTime, Feed: "gateway", Code: "syntax", Reason: "not JSON", Value: []byte("{")}
		change(ev, &v, &letter)
		block.AppendRaw(5, testTime, nil, []byte(ev.ID), nil)
		block.AppendEvent(ev, access.Digest{9}, &v)
		block.AppendRaw(6, testTime, nil, letter.Value, nil)
		block.AppendDeadLetter(letter)
		return block.Roots()
	}
	salts := func(day byte) *store.Salts { return store.NewSalts([32]byte{day}, testSource, testTopic, 0) }
	none := func(*access.Event, *alert.Verdict, *store.DeadLetter) {}
	base := fill(none, salts(1))
	if again := fill(none, salts(1)); again != base {
		t.Error("the same rows have other roots")
	}
	moved := func(r store.Roots) string {
		var out []string
		for _, x := range []struct {
			name string
			same bool
		}{{"records", r.Records == base.Records}, {"events", r.Events == base.Events}, {"alerts", r.Alerts == base.Alerts}, {"quarantine", r.Quarantine == base.Quarantine}} {
			if !x.same {
				out = append(out, x.name)
			}
		}
		return strings.Join(out, " ")
	}
	for name, tt := range map[string]struct {
		change func(*access.Event, *alert.Verdict, *store.DeadLetter)
		want   string
	}{
		"a field of an event":    {func(ev *access.Event, _ *alert.Verdict, _ *store.DeadLetter) { ev.Ticket = "T-78" }, "events alerts"},
		"a field without column": {func(ev *access.Event, _ *alert.Verdict, _ *store.DeadLetter) { ev.Reason = "other" }, "events"},
		"the bytes":              {func(ev *access.Event, _ *alert.Verdict, _ *store.DeadLetter) { ev.ID = "other" }, "records events alerts"},
		"a severity":             {func(_ *access.Event, v *alert.Verdict, _ *store.DeadLetter) { v.Severity = alert.Low }, "events"},
		"words of an alert":      {func(_ *access.Event, v *alert.Verdict, _ *store.DeadLetter) { v.Alerts[0].Why = "x" }, "alerts"},
		"an alert less":          {func(_ *access.Event, v *alert.Verdict, _ *store.DeadLetter) { v.Alerts = nil }, "events alerts"},
		"reason of a letter":     {func(_ *access.Event, _ *alert.Verdict, l *store.DeadLetter) { l.Reason = "x" }, "quarantine"},
	} {
		if got := moved(fill(tt.change, salts(1))); got != tt.want {
			t.Errorf("%s moves %q, want %q", name, got, tt.want)
		}
	}
	if got := moved(fill(none, salts(2))); got != "records events alerts quarantine" {
		t.Errorf("another day's salts move %q", got)
	}
}

// TestRootsByHand computes the root of two records from their canonical rows and salts.
func TestRootsByHand(t *testing.T) {
	block, rows := proved(t)
	for offset := range int64(2) {
		block.AppendRaw(offset, testTime, nil, fmt.Appendf(nil, "record %d", offset), nil)
	}
	var leaves [2][32]byte
	for i, row := range rows() {
		leaves[i] = sha256.Sum256([]byte("\x00" + string(make([]byte, store.SaltSize)) + row))
	}
	want := sha256.Sum256(append(append([]byte{1}, leaves[0][:]...), leaves[1][:]...))
	if got := block.Roots().Records; got != want {
		t.Errorf("root %x, want %x", got, want)
	}
}

// proved is a block without salts, and the canonical rows it was given.
func proved(t *testing.T) (*store.Block, func() []string) {
	t.Helper()
	var rows []string
	block := store.NewBlock()
	block.OnRow(func(_ string, canonical []byte) { rows = append(rows, string(canonical)) })
	block.Begin(store.Batch{Source: testSource, Topic: testTopic, BatchTime: testTime, Bundle: "b"})
	return block, func() []string { return rows }
}
