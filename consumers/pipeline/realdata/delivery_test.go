package realdata_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/pipeline"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// copySuffix marks the second feed of a trail: the same records, the same identity scope.
const copySuffix = "-again"

// at is a place in the topic.
type at struct {
	partition int32
	offset    int64
}

// sent is one record in the topic.
type sent struct {
	feed    string
	sum     string // SHA-256 of the value, hexadecimal
	refusal []problem
	eventID string // of CloudTrail
}

// delivery is what was produced.
type delivery struct {
	*path
	feeds    []pipeline.Feed
	manifest map[at]sent
}

// TestWholePath sends every record through broker, worker, ledger and database, the CloudTrail records twice through two
// feeds each.
func TestWholePath(t *testing.T) {
	d := &delivery{path: newPath(t), manifest: map[at]sent{}}
	for _, s := range sets {
		d.produce(s, s.name)
	}
	for _, s := range trails {
		d.produce(s, s.name+copySuffix)
	}
	d.run(d.feeds)
	t.Run("none lost", d.noneLost)
	t.Run("counts", d.counts)
	t.Run("dead letters", d.deadLetters)
	t.Run("bytes", d.bytes)
	t.Run("judged again", d.judgedAgain)
	t.Run("alerts once", d.alertsOnce)
	t.Run("events once", d.eventsOnce)
}

func (d *delivery) produce(s set, feed string) {
	d.t.Helper()
	d.feeds = append(d.feeds, pipeline.Feed{Name: feed, Adapter: s.adapter, Scope: s.scope, Topic: d.topic, HeaderKey: "feed", HeaderValue: feed})
	var records []*kgo.Record
	for i, raw := range s.records(d.t) {
		records = append(records, &kgo.Record{Topic: d.topic, Partition: int32(i % partitions), Value: raw, Headers: []kgo.RecordHeader{{Key: "feed", Value: []byte(feed)}}})
	}
	if err := d.producer.ProduceSync(d.t.Context(), records...).FirstErr(); err != nil {
		d.t.Fatal(err)
	}
	for _, r := range records {
		sum := sha256.Sum256(r.Value)
		d.manifest[at{r.Partition, r.Offset}] = sent{feed, hex.EncodeToString(sum[:]), problems(d.t, s.adapter, r.Value), trailID(r.Value)}
	}
}

func trailID(raw []byte) string {
	var o struct {
		EventID string `json:"eventID"`
	}
	_ = json.Unmarshal(raw, &o) // a record that is no such object has no id
	return o.EventID
}

// noneLost: every offset is an event or a dead letter, once, as the independent reader says.
func (d *delivery) noneLost(t *testing.T) {
	seen := map[at]bool{}
	visit := func(dead bool) func(driver.Rows) error {
		return func(rows driver.Rows) error {
			var where at
			var feed string
			if err := rows.Scan(&where.partition, &where.offset, &feed); err != nil {
				return err
			}
			want, ok := d.manifest[where]
			if !ok || seen[where] || want.feed != feed || (len(want.refusal) > 0) != dead {
				t.Errorf("%v of feed %s, dead letter %v: produced %v, seen before %v, sent %+v", where, feed, dead, ok, seen[where], want)
			}
			seen[where] = true
			return nil
		}
	}
	d.query("SELECT partition, offset, feed FROM bw.events", visit(false))
	d.query("SELECT partition, offset, feed FROM bw.dead_letters", visit(true))
	if len(seen) != len(d.manifest) {
		t.Errorf("%d offsets are stored, %d were produced", len(seen), len(d.manifest))
	}
	if n := d.number("SELECT count() FROM bw.batch_findings"); n != 0 {
		t.Errorf("%d batches have other rows than their receipts count", n)
	}
}

// counts compares the views with counts of the source files.
func (d *delivery) counts(t *testing.T) {
	want, got := map[string]int{}, map[string]int{}
	for _, s := range d.manifest {
		want[s.feed]++
	}
	count := func(rows driver.Rows) error {
		var feed string
		var n uint64
		if err := rows.Scan(&feed, &n); err != nil {
			return err
		}
		got[feed] += int(n)
		return nil
	}
	d.query("SELECT feed, count() FROM bw.events GROUP BY feed", count)
	d.query("SELECT feed, count() FROM bw.dead_letters GROUP BY feed", count)
	for _, s := range sets {
		if got[s.name] != s.published || want[s.name] != s.published {
			t.Errorf("%s: %d in the views, %d produced, its source counts %d", s.name, got[s.name], want[s.name], s.published)
		}
	}
	t.Logf("%d records: %d events, %d dead letters", len(d.manifest), d.number("SELECT count() FROM bw.events"), d.number("SELECT count() FROM bw.dead_letters"))
}

// deadLetters: each has one of the true reasons.
func (d *delivery) deadLetters(t *testing.T) {
	counts := map[string]int{}
	d.query("SELECT partition, offset, code, field, reason FROM bw.dead_letters", func(rows driver.Rows) error {
		var where at
		var p problem
		var reason string
		if err := rows.Scan(&where.partition, &where.offset, &p.code, &p.field, &reason); err != nil {
			return err
		}
		if want := d.manifest[where]; !slices.Contains(want.refusal, p) || reason == "" {
			t.Errorf("%v: %v (%s), true reasons are %v", where, p, reason, want.refusal)
		}
		counts[p.code+" "+p.field]++
		return nil
	})
	for _, reason := range byCount(counts) {
		t.Logf("%5d  %s", counts[reason], reason)
	}
}

// bytes: what is kept is what was produced.
func (d *delivery) bytes(t *testing.T) {
	kept := map[at]bool{}
	d.query(`SELECT partition, offset, lower(hex(SHA256(value))) FROM bw.raw_rows
		UNION ALL SELECT partition, offset, lower(hex(SHA256(value))) FROM bw.dead_letter_rows`, func(rows driver.Rows) error {
		var where at
		var sum string
		if err := rows.Scan(&where.partition, &where.offset, &sum); err != nil {
			return err
		}
		if d.manifest[where].sum != sum {
			t.Errorf("%v: other bytes are kept than were produced", where)
		}
		kept[where] = true
		return nil
	})
	if len(kept) != len(d.manifest) {
		t.Errorf("the bytes of %d offsets are kept, %d were produced", len(kept), len(d.manifest))
	}
}

// alertsOnce: the alerts of the trails are those of judging each record once, with twice as many copies.
func (d *delivery) alertsOnce(t *testing.T) {
	want := map[string]int{}
	for _, s := range trails {
		now := func(*access.Event) access.Millis { return access.Millis(time.Now().UnixMilli()) } // years after the accesses
		judgeArriving(t, d.bundles.Current(), s.name, s, s.records(t), now, func(j judged) {
			if j.refusal == nil {
				countAlerts(want, j.verdict)
			}
		})
	}
	got := 0
	d.query("SELECT alert_id, copies FROM bw.alerts WHERE scope = 'trail'", func(rows driver.Rows) error {
		var id string
		var copies uint64
		if err := rows.Scan(&id, &copies); err != nil {
			return err
		}
		if int(copies) != 2*want[id] {
			t.Errorf("alert %s has %d copies, want %d", id, copies, 2*want[id])
		}
		got++
		return nil
	})
	if got != len(want) || got == 0 {
		t.Errorf("%d alerts, want %d", got, len(want))
	}
	t.Logf("%d alerts of records delivered twice", got)
}

func countAlerts(counts map[string]int, v *alert.Verdict) {
	for _, a := range v.Alerts {
		counts[hex.EncodeToString(a.ID[:])]++
	}
}

// eventsOnce: two deliveries of a record are one distinct event. The source files bound their number from both sides:
// there are at least as many as event ids, and at most as many as different records.
func (d *delivery) eventsOnce(t *testing.T) {
	ids, records, first := map[string]bool{}, map[string]bool{}, 0
	for _, s := range d.manifest {
		if s.eventID != "" && len(s.refusal) == 0 && slices.ContainsFunc(trails, func(x set) bool { return x.name == s.feed }) {
			ids[s.eventID], records[s.sum] = true, true
			first++
		}
	}
	n := d.number("SELECT count() FROM bw.distinct_events WHERE scope = 'trail'")
	if n < uint64(len(ids)) || n > uint64(len(records)) {
		t.Errorf("%d distinct events, want between %d event ids and %d different records", n, len(ids), len(records))
	}
	if copies := d.number("SELECT sum(copies) FROM bw.distinct_events WHERE scope = 'trail'"); copies != uint64(2*first) {
		t.Errorf("%d copies, want %d", copies, 2*first)
	}
	if odd := d.number("SELECT count() FROM bw.distinct_events WHERE scope = 'trail' AND copies % 2 != 0"); odd != 0 {
		t.Errorf("%d events have an odd number of copies", odd)
	}
	t.Logf("%d distinct events of %d records delivered twice (%d event ids)", n, first, len(ids))
}
