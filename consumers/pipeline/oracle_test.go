package pipeline_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/ledger"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// The oracle compares what was produced with what people see, what the ledger says and what Kafka has committed. It
// judges every record again by the bundle that its row names, with code that knows nothing of batches.

// check holds all invariants of a lane that has been caught up.
func (l *lane) check(w *worker) {
	l.t.Helper()
	l.checkSource(w, l.source(w, l.topic))
}

// source is the name of a topic as the ledger knows it.
func (l *lane) source(w *worker, topic string) string {
	l.t.Helper()
	cluster, err := w.client.ClusterID(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	ids, err := w.client.TopicIDs(l.t.Context(), topic)
	if err != nil {
		l.t.Fatal(err)
	}
	return "kafka:" + cluster + "/" + ids[topic]
}

func (l *lane) checkSource(w *worker, source string) {
	l.t.Helper()
	l.found = findings{}
	slices.SortFunc(l.manifest, func(a, b produced) int { // transactions are entered when they end
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	o := &oracle{lane: l, t: l.t, source: source, rows: l.rows(source), again: map[int64]*verdict{}}
	o.offsets()
	for partition := range l.ends() {
		o.partition(partition)
	}
	o.alertsView()
	if n := l.scalar("SELECT count() FROM %[1]s.batch_findings WHERE source = $1 AND topic = $2", source, l.topic); n != 0 {
		l.t.Errorf("%d batches whose rows are not those of their receipts", n)
	}
	l.checkLetters(source)
	eventually(l.t, "no memory held by batches", func() bool { return w.metric("batch_memory_bytes") == 0 })
}

// scalar asks for one number; %[1]s is the database.
func (l *lane) scalar(query string, args ...any) uint64 {
	l.t.Helper()
	var n uint64
	if err := l.rig.conn.QueryRow(l.t.Context(), fmt.Sprintf(query, l.rig.database), args...).Scan(&n); err != nil {
		l.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// row is what is visible of one offset.
type row struct {
	Partition int32     `ch:"partition"`
	Offset    int64     `ch:"offset"`
	KafkaTime time.Time `ch:"kafka_time"`
	Key       string    `ch:"key"`
	Value     string    `ch:"value"`
	Keys      []string  `ch:"header_keys"`
	Values    []string  `ch:"header_values"`
	Nulls     uint32    `ch:"nulls"`
	Events    uint64    `ch:"events"` // rows of the view
	Letters   uint64    `ch:"letters"`
	Code      string    `ch:"code"`
	Bundle    string    `ch:"bundle"`
	Content   string    `ch:"content"`
	Verdict   string    `ch:"verdict"`
	Severity  string    `ch:"severity"`
	Location  string    `ch:"location"`
	Matched   string    `ch:"matched"`
	Alerts    uint64    `ch:"alerts"` // as the event says
	Found     uint64    `ch:"found"`  // visible rows of alerts
}

// rows are the visible rows of the lane's topic by partition and offset.
func (l *lane) rows(source string) []row {
	l.t.Helper()
	var out []row
	query := fmt.Sprintf(`
		SELECT r.partition AS partition, r.offset AS offset, r.kafka_time AS kafka_time, r.key AS key, r.value AS value,
			r.header_keys AS header_keys, r.header_values AS header_values, r.nulls AS nulls,
			e.n AS events, d.n AS letters, d.code AS code, e.bundle AS bundle, e.content AS content, e.verdict AS verdict,
			e.severity AS severity, e.location AS location, e.matched AS matched, e.alerts AS alerts, a.n AS found
		FROM (SELECT * FROM %[1]s.raw_rows WHERE source = $1 AND topic = $2 AND batch_id IN (SELECT batch_id FROM %[1]s.batches)) AS r
		LEFT JOIN (SELECT partition, offset, count() AS n, any(bundle) AS bundle, any(content) AS content, toString(any(verdict)) AS verdict,
			toString(any(severity)) AS severity, any(location_verdict || ' ' || location_country || ' ' || location_reason) AS location,
			arrayStringConcat(any(e.matched), ' ') AS matched, toUInt64(any(e.alerts)) AS alerts
			FROM %[1]s.events AS e WHERE source = $1 AND topic = $2 GROUP BY partition, offset) AS e ON e.partition = r.partition AND e.offset = r.offset
		LEFT JOIN (SELECT partition, offset, count() AS n, any(code) AS code FROM %[1]s.dead_letters
			WHERE source = $1 AND topic = $2 GROUP BY partition, offset) AS d ON d.partition = r.partition AND d.offset = r.offset
		LEFT JOIN (SELECT partition, offset, count() AS n FROM %[1]s.alert_rows WHERE source = $1 AND topic = $2
			AND batch_id IN (SELECT batch_id FROM %[1]s.batches) GROUP BY partition, offset) AS a ON a.partition = r.partition AND a.offset = r.offset
		ORDER BY partition, offset`, l.rig.database)
	if err := l.rig.conn.Select(l.t.Context(), &out, query, source, l.topic); err != nil {
		l.t.Fatal(err)
	}
	return out
}

type oracle struct {
	lane   *lane
	t      testing.TB
	source string
	rows   []row
	again  map[int64]*verdict // by place
	ids    []string           // of all alerts
}

// verdict is what a record comes to when it is judged again.
type verdict struct {
	content, verdict, severity, location, matched string
	alerts                                        []string
}

func place(partition int32, offset int64) int64 { return int64(partition)<<40 | offset }

// offsets holds every record against the row of its offset.
func (o *oracle) offsets() {
	o.t.Helper()
	visible := map[int64][]*row{}
	for i := range o.rows {
		at := place(o.rows[i].Partition, o.rows[i].Offset)
		visible[at] = append(visible[at], &o.rows[i])
	}
	for i := range o.lane.manifest {
		p := &o.lane.manifest[i]
		if p.offset < o.lane.gone[p.partition] {
			continue
		}
		at := place(p.partition, p.offset)
		if kind, err := o.record(visible[at], p); err != nil {
			o.report(kind, "partition %d offset %d: %v", p.partition, p.offset, err)
		}
		delete(visible, at)
		o.lane.found.records++
	}
	for at := range visible {
		o.report(altered, "partition %d offset %d: a row of no record", at>>40, at&(1<<40-1))
	}
}

// record holds one record against the raw rows of its offset, and tells what kind of harm it found.
func (o *oracle) record(rows []*row, p *produced) (harm, error) {
	if len(rows) == 0 {
		return lost, errors.New("no row is visible")
	}
	r := rows[0]
	if shown := r.Events + r.Letters; len(rows) > 1 || shown > 1 {
		return doubled, fmt.Errorf("%d raw rows, %d events and %d dead letters are visible", len(rows), r.Events, r.Letters)
	} else if shown == 0 {
		return lost, errors.New("neither an event nor a dead letter is visible")
	}
	if err := sameBytes(r, p); err != nil {
		return altered, err
	}
	return misjudged, o.sameVerdict(r, p)
}

func (o *oracle) sameVerdict(r *row, p *produced) error {
	if r.Code != p.code {
		return fmt.Errorf("dead letter %q, want %q; an event has none", r.Code, p.code)
	}
	if p.code != "" {
		return nil
	}
	v, err := o.judge(r.Bundle, p)
	if err != nil {
		return err
	}
	o.again[place(p.partition, p.offset)] = v
	o.ids = append(o.ids, v.alerts...)
	got := []string{r.Content, r.Verdict, r.Severity, r.Location, r.Matched, fmt.Sprint(r.Alerts), fmt.Sprint(r.Found)}
	n := fmt.Sprint(len(v.alerts))
	if want := []string{v.content, v.verdict, v.severity, v.location, v.matched, n, n}; !slices.Equal(got, want) {
		return fmt.Errorf("stored as\n%q, judged again\n%q", got, want)
	}
	return nil
}

// sameBytes compares a raw row with what was produced, nulls included.
func sameBytes(r *row, p *produced) error {
	var nulls uint32
	var keys, values []string
	if p.key == nil {
		nulls |= 1
	}
	if p.value == nil {
		nulls |= 2
	}
	for i, h := range p.headers {
		keys, values = append(keys, h.Key), append(values, string(h.Value))
		if h.Value == nil {
			nulls |= 4 << i
		}
	}
	switch {
	case sha256.Sum256([]byte(r.Value)) != p.sum:
		return fmt.Errorf("value of %d bytes is not the one of %d bytes that was produced", len(r.Value), len(p.value))
	case r.Key != string(p.key) || !slices.Equal(r.Keys, keys) || !slices.Equal(r.Values, values) || r.Nulls != nulls:
		return fmt.Errorf("key %q, headers %q %q, nulls %b; want %q, %q %q, %b", r.Key, r.Keys, r.Values, r.Nulls, p.key, keys, values, nulls)
	case r.KafkaTime.UnixMilli() != p.timestamp:
		return fmt.Errorf("time %v, want %v", r.KafkaTime, time.UnixMilli(p.timestamp))
	}
	return nil
}

// judge decodes, enriches and evaluates a record by the archived bundle.
func (o *oracle) judge(digest string, p *produced) (*verdict, error) {
	b, err := o.lane.rig.bundle(o.t.Context(), digest)
	if err != nil {
		return nil, err
	}
	feed := o.lane.feed(p.feed)
	decoder, err := decode.New(feed.Adapter, decode.Feed{Name: feed.Name, Scope: cmp.Or(feed.Scope, feed.Name)})
	if err != nil {
		return nil, err
	}
	var ev access.Event
	ev.Reset()
	ev.Source.Feed, ev.Source.Scope = feed.Name, cmp.Or(feed.Scope, feed.Name)
	if err := decoder.Decode(&decode.Record{Key: p.key, Value: p.value, Timestamp: access.Millis(p.timestamp)}, &ev); err != nil {
		return nil, err
	}
	content, _ := ev.ContentDigest(nil)
	ev.Kafka.Timestamp = access.Millis(p.timestamp)
	var arrived access.Event
	ev.CopyTo(&arrived)
	enricher := b.Enricher.NewWorker()
	enricher.Enrich(&ev)
	var v alert.Verdict
	if ev.Arrival() == access.ArrivalPrompt {
		b.Engine.Evaluate(&ev, content, &v)
	} else {
		enricher.EnrichAt(&arrived, ev.Kafka.Timestamp)
		b.Engine.EvaluateLate(&ev, &arrived, content, &v)
	}
	return words(&ev, content, &v), nil
}

func words(ev *access.Event, content access.Digest, v *alert.Verdict) *verdict {
	out := &verdict{content: fmt.Sprintf("%x", content[:]), verdict: v.Outcome.String(), severity: v.Severity.String()}
	out.location = fmt.Sprintf("%s %s %s", ev.Location.Verdict, ev.Location.Candidates.String(), ev.Location.Reason)
	var matched []string
	for _, m := range v.Matched {
		matched = append(matched, match(&m))
	}
	out.matched = strings.Join(matched, " ")
	for _, a := range v.Alerts {
		out.alerts = append(out.alerts, fmt.Sprintf("%x", a.ID[:]))
	}
	return out
}

func match(m *alert.Match) string {
	s := fmt.Sprintf("%s:%s:%s", m.RuleID, m.Outcome, m.Severity)
	if m.Shadow {
		s += ":shadow"
	}
	if m.DataItem > 0 {
		s += fmt.Sprintf(":item=%d", m.DataItem)
	}
	var missing []string
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		if m.Missing.Has(f) {
			missing = append(missing, f.String())
		}
	}
	if len(missing) > 0 {
		s += ":" + strings.Join(missing, "+")
	}
	return s
}

// bundle is a bundle from the archive, fetched once.
func (r *rig) bundle(ctx context.Context, digest string) (*bundle.Bundle, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.fetched[digest]; b != nil {
		return b, nil
	}
	b, err := bundle.Fetch(ctx, r.archive, digest)
	if err == nil {
		r.fetched[digest] = b
	}
	return b, err
}

// partition holds the ledger of a partition against receipts, records and the committed offset.
func (o *oracle) partition(partition int32) {
	o.t.Helper()
	key := ledger.Key{Source: o.source, Topic: o.lane.topic, Partition: partition}
	receipts, err := o.lane.rig.archive.Receipts(o.t.Context(), o.source, o.lane.topic, partition, -1)
	if err != nil {
		o.t.Fatal(err)
	}
	prev, next, n := int64(-1), int64(-1), 0
	for entry, err := range o.lane.rig.ledger.Leaves(o.t.Context(), key, 0) {
		if err != nil {
			o.t.Fatal(err)
		}
		span := entry.Leaf.(ledger.Ranged).Span()
		if span.Prev != prev || next >= 0 && span.First != next {
			o.t.Errorf("%s: leaf %d [%d,%d] follows %d, want [%d,…] after %d", key, entry.Index, span.First, span.Last, span.Prev, next, prev)
		}
		prev, next = int64(entry.Index), span.Last+1
		leaf, ok := entry.Leaf.(ledger.Batch)
		if !ok {
			continue
		}
		if n == len(receipts) {
			o.t.Errorf("%s: leaf [%d,%d] has no receipt", key, span.First, span.Last)
			continue
		}
		r := receipts[n]
		n++
		if r.First != leaf.First || r.Last != leaf.Last || r.LedgerIndex != entry.Index || r.Bundle != leaf.Bundle || !r.BatchTime.Equal(leaf.BatchTime) ||
			int64(r.Events) != leaf.Events || int64(r.Alerts) != leaf.Alerts || int64(r.DeadLetters) != leaf.Quarantined ||
			int64(r.Control) != leaf.Control || int64(r.Compacted) != leaf.Compacted {
			o.t.Errorf("%s: receipt %+v is not the one of leaf %d\n%s", key, r, entry.Index, leaf.Marshal())
		}
		o.digests(leaf)
	}
	if n != len(receipts) {
		o.t.Errorf("%s: %d receipts for %d leaves", key, len(receipts), n)
	}
	if at, ok := o.lane.committed()[partition]; ok && at.At > max(next, 0) {
		o.t.Errorf("%s: committed %d, the ledger ends at %d", key, at.At, next)
	}
}

// alertsView holds the ids of the view against those of the second verdicts: each shows once, however often it was raised.
func (o *oracle) alertsView() {
	o.t.Helper()
	want := map[string]int{}
	for _, id := range o.ids {
		want[id]++
	}
	rows, err := o.lane.rig.conn.Query(o.t.Context(), fmt.Sprintf(`SELECT alert_id, copies FROM %s.alerts WHERE source = $1 AND topic = $2`, o.lane.rig.database), o.source, o.lane.topic)
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	got := map[string]int{}
	for rows.Next() {
		var id string
		var copies uint64
		if err := rows.Scan(&id, &copies); err != nil {
			o.t.Fatal(err)
		}
		if got[id] != 0 {
			o.report(doubled, "alert %s shows twice", id)
		}
		got[id] = int(copies)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		o.report(misjudged, "%d alerts are shown, want %d", len(got), len(want))
	}
}
