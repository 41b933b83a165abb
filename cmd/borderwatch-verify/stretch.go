package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/ch-go"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
)

// The tables of a batch in the order in which they are read: the salts come first, and the records last, which are judged
// again while they are read.
var tables = []string{"event_rows", "dead_letter_rows", "alert_rows", "raw_rows"}

// kinds are the names of findings about a table.
var kinds = map[string]string{"event_rows": "events", "alert_rows": "alerts", "dead_letter_rows": "dead_letters", "raw_rows": "records"}

// stretchRows is about how many records are read with one question. Of each its hashes and salt are in memory.
const stretchRows = 50_000

// stretch is consecutive batches of one partition, which are read together.
type stretch struct {
	leaves []ledger.Entry                         // each a ledger.Batch
	pick   []map[int64]bool                       // per leaf the events that a sample judges, by their position; nil where all are judged
	judged func(offset int64, alerted, same bool) // hears of each event of a sample
}

func (s *stretch) batch(i int) *ledger.Batch { b := s.leaves[i].Leaf.(ledger.Batch); return &b }

// span is all offsets of the stretch.
func (s *stretch) span() ledger.Span {
	span := s.batch(0).Span()
	span.Last = s.batch(len(s.leaves) - 1).Last
	return span
}

// checker checks stretches one after the other, with a connection and memory of its own. It belongs to one goroutine.
type checker struct {
	v       *verification
	client  *ch.Client
	readers map[string]*tableReader
	tables  map[string]*tableRows
	replays map[ledger.Key]*pipeline.Replay
	records recordReader
	feeds   feedCounter
	buf     []byte

	s       *stretch
	batches []ledger.Batch
	ids     [][16]byte
	leaf    int   // of the record that is judged
	offset  int64 // of the record that is judged
	counts  pipeline.Replayed
	replay  *pipeline.Replay // nil where nothing is judged
	begun   int              // leaves whose judging has begun
}

func (v *verification) newChecker(ctx context.Context) (*checker, error) {
	client, err := v.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &checker{v: v, client: client, readers: map[string]*tableReader{}, tables: map[string]*tableRows{}, replays: map[ledger.Key]*pipeline.Replay{}}
	for _, table := range tables {
		if c.readers[table], err = newTableReader(client, v.db, table); err != nil {
			return nil, err
		}
		c.tables[table] = &tableRows{name: table}
	}
	return c, nil
}

// check compares the stored rows of a stretch with the recorded roots, and with what the records come to when they are
// judged again. It reads tables and no view: a view can be made to hide rows.
func (c *checker) check(ctx context.Context, s *stretch) error {
	c.begin(s)
	for _, table := range tables[:3] {
		if err := c.read(ctx, table, c.keep); err != nil {
			return err
		}
	}
	if err := c.judge(ctx); err != nil {
		return err
	}
	var records int64
	for i := range s.leaves {
		records += c.batches[i].Events + c.batches[i].Quarantined
		if err := c.compare(ctx, i); err != nil {
			return err
		}
	}
	c.v.sequences.take(s.span().Key.Topic, &c.feeds, c.v.newest-c.v.options.settledAfter.Milliseconds())
	events, alerts := c.tables["event_rows"].kept(), c.tables["alert_rows"].kept()
	c.v.report.count(len(s.leaves), records, events, alerts, c.counts.Events+c.counts.Quarantined)
	return nil
}

func (c *checker) begin(s *stretch) {
	c.s, c.batches, c.ids, c.leaf, c.begun, c.counts, c.replay = s, c.batches[:0], c.ids[:0], 0, 0, pipeline.Replayed{}, nil
	for i := range s.leaves {
		c.batches = append(c.batches, *s.batch(i))
		c.ids = append(c.ids, batchID(&c.batches[i]))
	}
	for _, t := range c.tables {
		t.begin(len(s.leaves))
	}
}

// read hands the rows of a table that belong to their batch to do, after they were counted. Rows that do not are noted.
func (c *checker) read(ctx context.Context, table string, do func(*tableRows, *row)) error {
	t, at := c.tables[table], 0
	err := c.readers[table].read(ctx, c.s.span(), func(r *row) {
		for r.offset > c.batches[at].Last {
			at++
		}
		t.at = at
		b := &c.batches[at]
		switch {
		case !bytes.Equal(r.batch, c.ids[at][:]):
			t.leaves[at].foreign.add(r.offset)
			return
		case r.time != b.BatchTime.UnixMilli() || r.bundle != nil && string(r.bundle) != b.Bundle:
			t.leaves[at].mislabelled.add(r.offset)
		}
		do(t, r)
	})
	t.finish()
	return err
}

// keep hashes a row and keeps what is needed of it.
func (c *checker) keep(t *tableRows, r *row) {
	salt := r.salt
	if salt == nil {
		salt = c.saltAt(r.offset)
	}
	if salt == nil {
		t.leaves[t.at].unsalted++
	}
	var leaf hash
	leaf, c.buf = leafOf(c.buf, salt, r.canonical)
	t.add(r.offset, leaf, r.salt)
	if c.v.judging {
		t.hold(r.canonical)
	}
	if t.name == "event_rows" {
		c.feeds.see(r)
	}
}

// saltAt is the salt beside the event or the dead letter at an offset. Offsets come in rising order.
func (c *checker) saltAt(offset int64) []byte {
	if salt := c.tables["event_rows"].saltAt(offset); salt != nil {
		return salt
	}
	return c.tables["dead_letter_rows"].saltAt(offset)
}

func (c *checker) rewind() {
	for _, t := range c.tables {
		t.salted = 0
	}
}

// judge reads the records and judges them by the bundles that their leaves name.
func (c *checker) judge(ctx context.Context) (err error) {
	c.rewind()
	if c.v.judging {
		if c.replay, err = c.replayOf(c.s.span().Key); err != nil {
			return err
		}
		c.bundles(ctx)
	}
	reader := c.readers["raw_rows"]
	err = c.read(ctx, "raw_rows", func(t *tableRows, r *row) {
		salt := c.saltAt(r.offset)
		if salt == nil {
			t.leaves[t.at].unsalted++
		}
		var leaf hash
		leaf, c.buf = leafOf(c.buf, salt, r.canonical)
		t.add(r.offset, leaf, nil)
		c.advance(t.at)
		if c.replay != nil && c.judgeable(t.at) && c.picked(t.at, r.offset) {
			c.offset = r.offset
			c.replay.Add(c.records.read(r.canonical[len(reader.prefix):]))
		}
	})
	c.advance(len(c.batches))
	return err
}

// bundles has every bundle of the stretch ready, and reports those that cannot be had.
func (c *checker) bundles(ctx context.Context) {
	for i := 0; i < len(c.batches); {
		digest, first := c.batches[i].Bundle, i
		for i < len(c.batches) && c.batches[i].Bundle == digest {
			i++
		}
		if _, err := c.v.bundle(ctx, digest); err != nil {
			span := c.batches[first].Span()
			span.Last = c.batches[i-1].Last
			c.v.report.find("bundle", span, c.v.log.rows(c.s.leaves[first:i], nil, nil), "%v", err)
		}
	}
}

func (c *checker) judgeable(leaf int) bool { return c.v.fetched(c.batches[leaf].Bundle) != nil }

// advance ends the judging of the batches before leaf and begins that of leaf.
func (c *checker) advance(leaf int) {
	if c.replay == nil {
		return
	}
	for c.begun <= leaf {
		if c.begun > 0 && c.judgeable(c.begun-1) {
			n := c.replay.End()
			c.counts.Events, c.counts.Quarantined, c.counts.Alerts = c.counts.Events+n.Events, c.counts.Quarantined+n.Quarantined, c.counts.Alerts+n.Alerts
		}
		if c.leaf = c.begun; c.begun < len(c.batches) && c.judgeable(c.begun) {
			c.replay.Begin(c.batches[c.begun], c.v.fetched(c.batches[c.begun].Bundle))
		}
		c.begun++
	}
}

func (c *checker) replayOf(key ledger.Key) (*pipeline.Replay, error) {
	if r := c.replays[key]; r != nil {
		return r, nil
	}
	r, err := pipeline.NewReplay(c.v.feeds, c.v.limits, key, c.remake)
	if err != nil {
		return nil, err
	}
	c.replays[key] = r
	return r, nil
}

// remake takes a row that judging again comes to, and looks for it among the stored ones.
func (c *checker) remake(table string, canonical []byte) {
	t := c.tables[table]
	if !t.take(c.leaf, c.offset, canonical) {
		t.leaves[c.leaf].missing.add(c.offset)
		if d := &t.leaves[c.leaf]; len(d.remade) < maxShown {
			d.remade = append(d.remade, storedRow{Table: table, Offset: c.offset, Canonical: bytes.Clone(canonical)})
		}
	}
}

// picked says whether the event at an offset is one of a sample.
func (c *checker) picked(leaf int, offset int64) bool {
	if c.s.pick == nil {
		return true
	}
	t := c.tables["event_rows"]
	first := t.leaves[leaf].start
	at, ok := slices.BinarySearch(t.offsets[first:t.leaves[leaf].end], offset)
	return ok && c.s.pick[leaf][int64(at)]
}

// want is what a leaf says of a table.
func want(b *ledger.Batch, table string) (root [32]byte, rows int64) {
	switch table {
	case "event_rows":
		return b.EventsRoot, b.Events
	case "alert_rows":
		return b.AlertsRoot, b.Alerts
	case "dead_letter_rows":
		return b.QuarantineRoot, b.Quarantined
	}
	return b.RecordsRoot, b.Events + b.Quarantined
}

// compare reports what of one batch is not as it was recorded, or not as it is judged.
func (c *checker) compare(ctx context.Context, leaf int) error {
	b := &c.batches[leaf]
	judged := c.replay != nil && c.judgeable(leaf)
	recordsRoot, _ := want(b, "raw_rows")
	intact := c.tables["raw_rows"].leaves[leaf].root == recordsRoot
	for _, table := range tables {
		t := &c.tables[table].leaves[leaf]
		if err := c.compareRoot(ctx, leaf, table); err != nil {
			return err
		}
		if !judged || table == "raw_rows" {
			continue
		}
		c.tables[table].rest(leaf, c.s.pick != nil)
		if t.missing.n == 0 && t.extra.n == 0 {
			continue
		}
		root, _ := want(b, table)
		if err := c.compareJudged(ctx, leaf, table, intact && t.root == root); err != nil {
			return err
		}
	}
	if c.s.judged != nil {
		c.tellSample(leaf)
	}
	return nil
}

// compareRoot compares the stored rows of a table with what was recorded before they were stored.
func (c *checker) compareRoot(ctx context.Context, leaf int, table string) error {
	b, t := &c.batches[leaf], &c.tables[table].leaves[leaf]
	kind := kinds[table]
	for _, x := range []struct {
		what *offsets
		kind string
		text string
	}{{&t.foreign, "_foreign", "%d rows at these offsets belong to no recorded batch"}, {&t.mislabelled, "_mislabelled", "%d rows say another batch_time or bundle than their batch was recorded with"}} {
		if x.what.n == 0 {
			continue
		}
		span := x.what.span(b)
		evidence, err := c.evidence(ctx, leaf, table, span, nil)
		if err != nil {
			return err
		}
		c.v.report.find(kind+x.kind, span, evidence, x.text, x.what.n)
	}
	root, rows := want(b, table)
	if t.root == root {
		return nil
	}
	evidence, err := c.evidence(ctx, leaf, table, b.Span(), nil)
	if err != nil {
		return err
	}
	note := ""
	if t.unsalted > 0 {
		note = fmt.Sprintf("; %d have no salt beside them, which went with another row at their offset", t.unsalted)
	}
	if t.n != rows {
		c.v.report.find(kind, b.Span(), evidence, "%s holds %d rows, recorded are %d%s%s", table, t.n, rows, c.holes(leaf, table), note)
		return nil
	}
	c.v.report.find(kind, b.Span(), evidence, "the %d rows of %s are not those that were recorded%s", t.n, table, note)
	return nil
}

// compareJudged names the rows that are not what judging again comes to. Where they have the recorded root all the same,
// it is the judging that was not by the recorded rules.
func (c *checker) compareJudged(ctx context.Context, leaf int, table string, intact bool) error {
	b, t := &c.batches[leaf], &c.tables[table].leaves[leaf]
	kind := kinds[table] + "_differ"
	if intact {
		kind = "verdicts"
	}
	all := t.missing
	all.merge(&t.extra)
	span := all.span(b)
	shown, err := c.explain(ctx, leaf, table)
	if err != nil {
		return err
	}
	evidence, err := c.evidence(ctx, leaf, table, span, t.remade)
	if err != nil {
		return err
	}
	c.v.report.find(kind, span, evidence, "judged again by bundle %.12s…, %d rows of %s are otherwise or not there and %d are there that judging does not give%s",
		b.Bundle, t.missing.n, table, t.extra.n, shown)
	return nil
}

func (c *checker) tellSample(leaf int) {
	events, alerts := c.tables["event_rows"], c.tables["alert_rows"]
	for at := range c.s.pick[leaf] {
		if i := events.leaves[leaf].start + int(at); i < events.leaves[leaf].end {
			offset := events.offsets[i]
			c.s.judged(offset, alerts.has(leaf, offset), !events.leaves[leaf].missing.has(offset) && !alerts.leaves[leaf].missing.has(offset))
		}
	}
}
