package store_test

import (
	"fmt"
	"testing"
	"time"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// history writes batches whose times and ledger indexes a test chooses.
type history struct {
	t     *testing.T
	store *store.Store
	next  map[int32]int64 // offset by partition
	index uint64
}

func newHistory(t *testing.T, database string) *history {
	t.Helper()
	shared(t).migrated(t, database)
	return &history{t: t, store: open(t, shared(t).options(database)), next: map[int32]int64{}}
}

// noon is a multiple of every window of the tests.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// row is one event of a batch, as far as the questions look at it.
type row struct {
	feed, id, reason string
	seq              int64
	kafka, own       time.Time // the batch's time and noon where zero
	verdict          alert.Verdict
}

// batch stores a batch of a partition, of which the ledger index is one more than that of the one before.
func (h *history) batch(partition int32, at time.Time, rows ...row) {
	h.t.Helper()
	h.index++
	h.batchAt(h.index, partition, at, rows...)
}

func (h *history) batchAt(index uint64, partition int32, at time.Time, rows ...row) {
	h.t.Helper()
	first := h.next[partition]
	batch := testBatch(partition, first)
	batch.BatchTime = access.Millis(at.UnixMilli())
	b := store.NewBlock()
	b.Begin(batch)
	for i, r := range rows {
		ev := emptyEvent(first + int64(i))
		ev.Kafka.Partition, ev.ID, ev.Reason = partition, r.id, r.reason
		ev.Source.Feed, ev.Source.Scope, ev.Source.Seq = "gateway", "prod", r.seq-1
		if r.feed != "" {
			ev.Source.Feed = r.feed
		}
		ev.Kafka.Timestamp, ev.Time = millis(r.kafka, at), millis(r.own, noon)
		content, _ := ev.ContentDigest(nil)
		b.AppendEvent(ev, content, &r.verdict)
		b.AppendRaw(ev.Kafka.Offset, ev.Kafka.Timestamp, nil, []byte("{}"), []store.Header{{Key: []byte("feed"), Value: []byte(" " + ev.Source.Feed)}})
	}
	h.next[partition] = first + int64(len(rows))
	b.Seal(store.Seal{Last: h.next[partition] - 1, LedgerIndex: index})
	if err := h.store.Insert(h.t.Context(), b); err != nil {
		h.t.Fatal(err)
	}
}

func millis(t, otherwise time.Time) access.Millis {
	if t.IsZero() {
		t = otherwise
	}
	return access.Millis(t.UnixMilli())
}

// hour is the hour after noon in windows of five minutes.
var hour = store.Stretch{From: noon, To: noon.Add(time.Hour), Window: 5 * time.Minute, Lookback: 6 * time.Hour}

func minute(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

func TestReusedIdentities(t *testing.T) {
	h := newHistory(t, "bw_reused")
	h.batch(0, minute(-30), row{id: "old", reason: "a"}, row{id: "twice", reason: "a"}, row{id: "past", reason: "a"}, row{id: "past", reason: "b"})
	h.batch(1, minute(1), row{id: "old", reason: "a"}, row{id: "late", reason: "b"}) // a copy is no reuse
	h.batch(0, minute(2), row{id: "old", reason: "b"}, row{id: "new", reason: "a"})
	h.batch(0, minute(4), row{id: "twice", reason: "b"}, row{id: "twice", reason: "c"})
	h.batch(0, minute(7), row{id: "old", reason: "b"}, row{id: "new", reason: "b"}) // the content of "old" is known by now
	// A batch that the ledger has before that of "late" above and that is stored after it.
	h.batchAt(1, 2, minute(9), row{id: "late", reason: "a"})
	h.batch(0, minute(61), row{id: "new", reason: "c"}) // after the stretch

	got, err := h.store.ReusedIdentities(t.Context(), hour)
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Reuse{
		{Window: noon, Scope: "prod", Identities: 3, Example: "late", LedgerIndex: 2},
		{Window: minute(5), Scope: "prod", Identities: 1, Example: "new", LedgerIndex: 5},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
}

func TestSequenceBreaks(t *testing.T) {
	h := newHistory(t, "bw_sequence")
	numbered := func(from, to int64) (rows []row) {
		for n := from; n <= to; n++ {
			rows = append(rows, row{id: fmt.Sprint("e", n), seq: n + 1})
		}
		return rows
	}
	h.batch(0, minute(-10), numbered(1, 3)...)
	h.batch(0, minute(1), numbered(6, 8)...) // 4 and 5 are missing
	h.batch(0, minute(2), numbered(11, 11)...)
	h.batch(1, minute(3), numbered(9, 10)...) // out of order, in another partition: no gap
	h.batch(0, minute(6), row{id: "other", seq: 8 + 1}, row{id: "e7", seq: 7 + 1}, row{id: "bare"})
	h.batch(0, minute(59), numbered(13, 13)...)
	h.batch(0, minute(62), numbered(12, 12)...)                         // within the grace
	h.batch(0, minute(8), row{feed: "batchwise", id: "b", seq: 70 + 1}) // a feed's first number has nothing before it

	got, err := h.store.SequenceBreaks(t.Context(), hour, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := []store.SequenceBreak{
		{Window: noon, Source: testSource, Topic: testTopic, Feed: "gateway", Missing: 2, From: 4, To: 5, LedgerIndex: 2},
		{Window: minute(5), Source: testSource, Topic: testTopic, Feed: "gateway", Repeated: 1, Repeat: 8, LedgerIndex: 2},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	conn := shared(t).dial(t)
	if n := scalar(t, conn, "SELECT count() FROM bw_sequence.feed_sequences WHERE feed = 'gateway' AND numbered = events - 1 AND lowest = 1 AND highest = 13 AND missing = 2"); n != 1 {
		t.Error("feed_sequences does not say which numbers there are")
	}
}

func TestBackfills(t *testing.T) {
	h := newHistory(t, "bw_backfill")
	alerting := func(id byte, rule string, outcome alert.Outcome) alert.Verdict {
		return alert.Verdict{Outcome: outcome, Severity: alert.High, Alerts: []alert.Item{
			{ID: access.Digest{id}, RuleID: rule, Outcome: outcome, Severity: alert.High, Rules: []string{rule}},
		}}
	}
	old := noon.AddDate(0, -2, 0)
	h.batch(0, minute(1),
		row{id: "1", own: old, verdict: alerting(1, "R-1", alert.Alert)},
		row{id: "1", own: old, verdict: alerting(1, "R-1", alert.Alert)}, // a copy
		row{id: "2", own: minute(1).AddDate(0, 0, 2), verdict: alerting(2, "R-1", alert.Alert)},
		row{id: "3", own: minute(1).Add(-24 * time.Hour), verdict: alerting(3, "R-1", alert.Alert)}, // within a day
		row{id: "4", own: old, verdict: alerting(4, "R-2", alert.Suppressed)},
	)
	got, err := h.store.Backfills(t.Context(), store.Stretch{From: noon.Truncate(24 * time.Hour), To: minute(60), Window: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Backfill{{Window: noon.Truncate(24 * time.Hour), RuleID: "R-1", Severity: "high", Alerts: 2, Feeds: []string{"gateway"},
		Earliest: old, Latest: minute(1).AddDate(0, 0, 2), LedgerIndex: 1}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
}

func TestCrossed(t *testing.T) {
	h := newHistory(t, "bw_crossed")
	suppressed := func(id byte, exceptions ...string) row {
		item := alert.Item{ID: access.Digest{id}, RuleID: "R-1", Outcome: alert.Suppressed, Severity: alert.High, Rules: []string{"R-1"}}
		for _, x := range exceptions {
			item.Exceptions = append(item.Exceptions, alert.Exception{ID: x, Ticket: "T-1"})
		}
		return row{id: fmt.Sprint("e", id), verdict: alert.Verdict{Outcome: alert.Suppressed, Alerts: []alert.Item{item}}}
	}
	h.batch(0, minute(1), suppressed(1, "EX-1"), suppressed(2, "EX-1", "EX-11"), suppressed(2, "EX-1", "EX-11"))
	h.batch(0, minute(2), suppressed(3, "EX-11"), suppressed(4, "EX-2", "EX-1"), suppressed(5, "EX-1"))
	for _, tt := range []struct {
		exception string
		limit     int64
		want      string // the event, "" where it is not crossed
	}{{"EX-1", 1, "e2"}, {"EX-1", 2, "e4"}, {"EX-1", 4, ""}, {"EX-11", 1, "e3"}, {"EX-11", 2, ""}, {"EX", 1, ""}} {
		c, crossed, err := h.store.Crossed(t.Context(), tt.exception, tt.limit, noon)
		if err != nil || crossed != (tt.want != "") || c.EventID != tt.want {
			t.Errorf("%s at most %d: %+v, %v, %v; want %q", tt.exception, tt.limit, c, crossed, err, tt.want)
		}
	}
}

func TestSilences(t *testing.T) {
	h := newHistory(t, "bw_silence")
	a := func(at time.Time) row { return row{feed: "a", id: "x", kafka: at} }
	h.batch(0, minute(-20), a(minute(-20)))
	h.batch(0, minute(2), a(minute(1)), a(minute(2)), row{feed: "b", id: "y"})
	h.batch(0, minute(30), a(minute(12)), a(minute(999)), row{id: "z"}) // a timestamp from the future counts as the batch's
	for _, tt := range []struct {
		name    string
		records store.Records
		until   int
		want    []store.Silence
	}{
		{"by header", store.Records{Topic: testTopic, Header: "feed", Value: "a"}, 41,
			[]store.Silence{{Last: minute(-20), Next: minute(1)}, {Last: minute(12), Next: minute(30)}, {Last: minute(30), Next: minute(41)}}},
		{"it goes on", store.Records{Topic: testTopic, Header: "feed", Value: "a"}, 40,
			[]store.Silence{{Last: minute(-20), Next: minute(1)}, {Last: minute(12), Next: minute(30)}}},
		{"the rest of a topic", store.Records{Topic: testTopic, Others: [][2]string{{"feed", "a"}, {"feed", "b"}}}, 40, nil},
		{"a feed that is told apart by nothing", store.Records{Topic: testTopic}, 35,
			[]store.Silence{{Last: minute(-20), Next: minute(1)}, {Last: minute(12), Next: minute(30)}}},
		{"a topic without a record", store.Records{Topic: "empty"}, 1, []store.Silence{{Last: time.Unix(0, 0), Next: minute(1)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := h.store.Silences(t.Context(), tt.records, 10*time.Minute, noon, minute(tt.until))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for i := range got {
				if !got[i].Last.Equal(tt.want[i].Last) || !got[i].Next.Equal(tt.want[i].Next) {
					t.Errorf("got %v, want %v", got[i], tt.want[i])
				}
			}
		})
	}
}
