package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
)

// The tables of a batch in the order in which they are read: the salts come first.
var tables = []string{"event_rows", "dead_letter_rows", "alert_rows", "raw_rows"}

// maxShown is how many rows of one table of one batch a report names.
const maxShown = 3

// batchCheck compares one recorded batch with its rows, and with what its records come to when they are judged again.
type batchCheck struct {
	v      *verification
	leaf   ledger.Batch
	where  string
	id     []byte
	salts  map[int64][]byte // by offset
	stored map[string]*storedTable
	remade map[string]*difference
	offset int64 // of the record that is judged again
}

// storedTable is what the database holds of one table.
type storedTable struct {
	tree    tree
	byPlace map[int64][]hash // leaves that judging again has not come to, in their order
	foreign int              // rows of another batch
}

// difference is what of a table judging again came to otherwise.
type difference struct {
	missing int // rows that are not stored as they are judged
	first   []rowDifference
}

type rowDifference struct {
	offset    int64
	canonical []byte // as it is judged
}

// batch checks one recorded batch: receipt, rows against the recorded roots, and the rules run again from the bytes. It
// reads tables and no view: a view can be made to hide rows.
func (v *verification) batch(ctx context.Context, leaf ledger.Batch) error {
	c := &batchCheck{v: v, leaf: leaf, where: place(leaf.Span()), salts: map[int64][]byte{}, stored: map[string]*storedTable{}, remade: map[string]*difference{}}
	found, err := c.receipt(ctx)
	if err != nil || !found {
		return err
	}
	for _, table := range tables {
		if table == "raw_rows" {
			break // they are judged again while they are read
		}
		if err := c.read(ctx, table); err != nil {
			return err
		}
	}
	judged, err := c.again(ctx)
	if err != nil {
		return err
	}
	for _, table := range tables {
		c.root(table)
	}
	if judged && c.intact("raw_rows") {
		return c.compare(ctx)
	}
	return nil
}

// receipt finds the batch that counts for the leaf.
func (c *batchCheck) receipt(ctx context.Context) (found bool, err error) {
	var ids []struct {
		ID string `ch:"id"`
	}
	err = c.v.conn.Select(ctx, &ids, `SELECT lower(hex(batch_id)) AS id FROM `+c.v.db+`.receipts
		WHERE source = $1 AND topic = $2 AND partition = $3 AND first_offset = $4 AND last_offset = $5 ORDER BY attempt DESC LIMIT 1`,
		c.leaf.Source, c.leaf.Topic, c.leaf.Partition, c.leaf.First, c.leaf.Last)
	if err != nil {
		return false, err
	}
	if len(ids) == 0 {
		c.v.report.find("receipt", c.where, "the log records the batch, but it has no receipt")
		return false, nil
	}
	c.id, err = hex.DecodeString(ids[0].ID)
	return true, err
}

// read hashes the rows of a table and keeps the salts.
func (c *batchCheck) read(ctx context.Context, table string) error {
	stored := c.table(table)
	return c.v.readers[table].read(ctx, c.leaf.Span(), func(r *row) {
		if !bytes.Equal(r.batch, c.id) {
			stored.foreign++
			return
		}
		if r.salt != nil {
			c.salts[r.offset] = bytes.Clone(r.salt)
		}
		leaf := leafOf(c.salts[r.offset], r.canonical)
		stored.tree.add(leaf)
		stored.byPlace[r.offset] = append(stored.byPlace[r.offset], leaf)
	})
}

func (c *batchCheck) table(name string) *storedTable {
	t := c.stored[name]
	if t == nil {
		t = &storedTable{byPlace: map[int64][]hash{}}
		c.stored[name] = t
		c.remade[name] = &difference{}
	}
	return t
}

// again reads the records and judges them by the bundle that the leaf names. It reports whether that could be done.
func (c *batchCheck) again(ctx context.Context) (judged bool, err error) {
	b, err := c.v.bundle(ctx, c.leaf.Bundle)
	if err != nil {
		c.v.report.find("bundle", c.where, "%v", err)
	}
	judged = err == nil
	replay, err := pipeline.NewReplay(c.v.feeds, c.v.limits, c.leaf.Span().Key, c.remake)
	if err != nil {
		return false, err
	}
	if judged {
		replay.Begin(c.leaf, b)
	}
	stored, reader := c.table("raw_rows"), c.v.readers["raw_rows"]
	err = reader.read(ctx, c.leaf.Span(), func(r *row) {
		if !bytes.Equal(r.batch, c.id) {
			stored.foreign++
			return
		}
		stored.tree.add(leafOf(c.salts[r.offset], r.canonical))
		if judged {
			c.offset = r.offset
			replay.Add(recordOf(bytes.TrimPrefix(r.canonical, reader.prefix)))
		}
	})
	if judged {
		counts := replay.End()
		c.v.report.Records += counts.Events + counts.Quarantined
		c.v.report.Events += counts.Events
		c.v.report.Alerts += counts.Alerts
	}
	return judged, err
}

// remake takes a row that judging again comes to, and looks for it among the stored ones.
func (c *batchCheck) remake(table string, canonical []byte) {
	if table == "raw_rows" {
		return
	}
	stored := c.table(table)
	leaf, rest := leafOf(c.salts[c.offset], canonical), stored.byPlace[c.offset]
	for i := range rest {
		if rest[i] == leaf {
			stored.byPlace[c.offset] = append(rest[:i], rest[i+1:]...)
			return
		}
	}
	d := c.remade[table]
	d.missing++
	if len(d.first) < maxShown {
		d.first = append(d.first, rowDifference{c.offset, bytes.Clone(canonical)})
	}
}

// want is what the leaf says of a table.
func (c *batchCheck) want(table string) (root [32]byte, rows int64) {
	switch table {
	case "event_rows":
		return c.leaf.EventsRoot, c.leaf.Events
	case "alert_rows":
		return c.leaf.AlertsRoot, c.leaf.Alerts
	case "dead_letter_rows":
		return c.leaf.QuarantineRoot, c.leaf.Quarantined
	}
	return c.leaf.RecordsRoot, c.leaf.Events + c.leaf.Quarantined
}

func (c *batchCheck) intact(table string) bool {
	root, _ := c.want(table)
	return c.stored[table].tree.root() == root
}

// kinds are the names of findings about a table.
var kinds = map[string]string{"event_rows": "events", "alert_rows": "alerts", "dead_letter_rows": "dead_letters", "raw_rows": "records"}

// root compares the stored rows of a table with what was recorded before they were stored.
func (c *batchCheck) root(table string) {
	stored := c.stored[table]
	if stored.foreign > 0 {
		c.v.report.find(kinds[table]+"_foreign", c.where, "%d rows at these offsets belong to no recorded batch", stored.foreign)
	}
	if c.intact(table) {
		return
	}
	if _, rows := c.want(table); stored.tree.n != rows {
		c.v.report.find(kinds[table], c.where, "%s holds %d rows, recorded are %d", table, stored.tree.n, rows)
		return
	}
	c.v.report.find(kinds[table], c.where, "the %d rows of %s are not those that were recorded", stored.tree.n, table)
}

// compare names the rows that are not what judging again comes to. Where they have the recorded root all the same, it is
// the judging that was not by the recorded rules.
func (c *batchCheck) compare(ctx context.Context) error {
	for _, table := range tables[:3] {
		d, extra := c.remade[table], 0
		for _, rest := range c.stored[table].byPlace {
			extra += len(rest)
		}
		if d.missing == 0 && extra == 0 {
			continue
		}
		kind := kinds[table] + "_differ"
		if c.intact(table) {
			kind = "verdicts"
		}
		shown, err := c.explain(ctx, table, d)
		if err != nil {
			return err
		}
		c.v.report.find(kind, c.where, "judged again by bundle %.12s…, %d rows of %s are otherwise or not there and %d are there that judging does not give%s",
			c.leaf.Bundle, d.missing, table, extra, shown)
	}
	return nil
}

// explain names the first rows and, where one row is at the offset, the columns that differ.
func (c *batchCheck) explain(ctx context.Context, table string, d *difference) (string, error) {
	var b strings.Builder
	for _, row := range d.first {
		names, err := c.columns(ctx, table, row)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "; offset %d: %s", row.offset, names)
	}
	return b.String(), nil
}

func (c *batchCheck) columns(ctx context.Context, table string, want rowDifference) (string, error) {
	reader, span := c.v.readers[table], c.leaf.Span()
	span.First, span.Last = want.offset, want.offset
	best, found := []string(nil), false
	err := reader.read(ctx, span, func(r *row) {
		if !bytes.Equal(r.batch, c.id) {
			return
		}
		if names := reader.differing(r.canonical, want.canonical); !found || len(names) < len(best) {
			best, found = names, true
		}
	})
	switch {
	case err != nil:
		return "", err
	case !found:
		return "no such row", nil
	}
	return strings.Join(best, ", "), nil
}

// recordOf reads a record back from the canonical row of raw_rows, whose form is fixed.
func recordOf(b []byte) *kafka.Record {
	r := &canonicalReader{b}
	record := &kafka.Record{Offset: int64(r.number(8)), Timestamp: int64(r.number(8))}
	key, value := r.text(), r.text()
	names, values := r.texts(), r.texts()
	nulls := uint32(r.number(4))
	record.Key, record.Value = orNull(key, nulls, 0), orNull(value, nulls, 1)
	for i := range names {
		record.Headers = append(record.Headers, kafka.Header{Key: names[i], Value: orNull(values[i], nulls, 2+i)})
	}
	return record
}

// orNull gives back what was null on the wire, which the row keeps as one bit.
func orNull(b []byte, nulls uint32, bit int) []byte {
	if bit < 32 && nulls&(1<<bit) != 0 {
		return nil
	}
	return b
}
