package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
)

// batch checks one recorded batch: receipt, bytes, verdicts, events and alerts. It reads tables and no view: a view can
// be made to hide rows.
func (v *verification) batch(ctx context.Context, leaf ledger.Batch) error {
	where := place(leaf.Span())
	id, err := v.receipt(ctx, leaf)
	if err != nil {
		return err
	}
	if id == "" {
		v.report.find("receipt", where, "the log records the batch, but it has no receipt")
		return nil
	}
	b, err := v.bundle(ctx, leaf.Bundle)
	if err != nil {
		v.report.find("bundle", where, "%v", err)
		return nil
	}
	want, err := v.stored(ctx, id)
	if err != nil {
		return err
	}
	again := newProof(want.salts)
	replay, err := pipeline.NewReplay(v.feeds, v.limits, leaf.Span().Key, again.row)
	if err != nil {
		return err
	}
	replay.Begin(leaf, b)
	got := newRows()
	if err := v.records(ctx, id, func(r *kafka.Record) { again.offset = r.Offset; got.add(replay, r) }); err != nil {
		return err
	}
	counts := replay.End()
	v.report.Records += counts.Events + counts.Quarantined
	v.report.Events += counts.Events
	v.report.Alerts += counts.Alerts
	switch {
	case again.root("raw_rows") != leaf.RecordsRoot:
		v.report.find("records", where, "the stored records are not those that were read (%d stored, %d recorded)", counts.Events+counts.Quarantined, leaf.Events+leaf.Quarantined)
		return nil
	case again.root("event_rows") != leaf.EventsRoot || again.root("alert_rows") != leaf.AlertsRoot || again.root("dead_letter_rows") != leaf.QuarantineRoot:
		v.report.find("verdicts", where, "judged again by bundle %.12s… the records come to %d alerts and other rows, recorded are %d", leaf.Bundle, counts.Alerts, leaf.Alerts)
	}
	compare(v.report, "events", where, got.events, want.events)
	compare(v.report, "alerts", where, got.alerts, want.alerts)
	return nil
}

// proof computes the Merkle roots of a batch's rows with the code of the Go checksum database.
type proof struct {
	salts  map[int64]string
	offset int64 // of the record whose rows come
	trees  map[string]*tree
	data   []byte
}

type tree struct {
	n   int64
	all hashes
}

func newProof(salts map[int64]string) *proof { return &proof{salts: salts, trees: map[string]*tree{}} }

// row adds a row of the current record: its leaf is the hash of 0x00, the salt and the canonical row.
func (p *proof) row(table string, canonical []byte) {
	t := p.trees[table]
	if t == nil {
		t = &tree{}
		p.trees[table] = t
	}
	p.data = append(append(p.data[:0], p.salts[p.offset]...), canonical...)
	stored, err := tlog.StoredHashes(t.n, p.data, t.all)
	if err != nil {
		panic(err) // the hashes are in memory
	}
	t.all = append(t.all, stored...)
	t.n++
}

func (p *proof) root(table string) [32]byte {
	t := p.trees[table]
	if t == nil {
		return sha256.Sum256(nil)
	}
	root, err := tlog.TreeHash(t.n, t.all)
	if err != nil {
		panic(err)
	}
	return root
}

// rows are the stored or remade rows of a batch, as text by what identifies them.
type rows struct {
	events, alerts map[string]int
	salts          map[int64]string // by offset
}

func newRows() *rows { return &rows{map[string]int{}, map[string]int{}, map[int64]string{}} }

func eventRow(offset int64, content, verdict, severity string, alerts int) string {
	return fmt.Sprintf("offset %d content %s verdict %s severity %s alerts %d", offset, content, verdict, severity, alerts)
}

func alertRow(offset int64, id, rule, outcome, severity string, shadow bool) string {
	return fmt.Sprintf("offset %d alert %s rule %s %s %s shadow %v", offset, id, rule, outcome, severity, shadow)
}

// add judges a record and keeps the rows it comes to.
func (r *rows) add(replay *pipeline.Replay, record *kafka.Record) {
	verdict, content := replay.Add(record)
	if verdict == nil {
		return
	}
	r.events[eventRow(record.Offset, hex.EncodeToString(content[:]), verdict.Outcome.String(), verdict.Severity.String(), len(verdict.Alerts))]++
	for i := range verdict.Alerts {
		a := &verdict.Alerts[i]
		r.alerts[alertRow(record.Offset, hex.EncodeToString(a.ID[:]), a.RuleID, a.Outcome.String(), a.Severity.String(), a.Shadow)]++
	}
}

// maxShown is how many rows of one batch a report names.
const maxShown = 3

// compare reports rows that are missing, changed, added or doubled.
func compare(report *Report, what, where string, want, stored map[string]int) {
	var missing, extra []string
	for row, n := range want {
		if stored[row] < n {
			missing = append(missing, row)
		}
	}
	for row, n := range stored {
		if n > want[row] {
			extra = append(extra, row)
		}
	}
	slices.Sort(missing)
	slices.Sort(extra)
	if len(missing) > 0 {
		report.find(what+"_missing", where, "%d are not stored as they were judged, first: %v", len(missing), missing[:min(len(missing), maxShown)])
	}
	if len(extra) > 0 {
		report.find(what+"_extra", where, "%d are stored that judging does not give, first: %v", len(extra), extra[:min(len(extra), maxShown)])
	}
}

// receipt returns the id of the batch that counts for a leaf, in hexadecimal, "" where there is none.
func (v *verification) receipt(ctx context.Context, leaf ledger.Batch) (string, error) {
	var ids []struct {
		ID string `ch:"id"`
	}
	err := v.conn.Select(ctx, &ids, `SELECT lower(hex(batch_id)) AS id FROM `+v.db+`.receipts
		WHERE source = $1 AND topic = $2 AND partition = $3 AND first_offset = $4 AND last_offset = $5 ORDER BY attempt DESC LIMIT 1`,
		leaf.Source, leaf.Topic, leaf.Partition, leaf.First, leaf.Last)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0].ID, nil
}

// stored reads the event and alert rows of a batch.
func (v *verification) stored(ctx context.Context, id string) (*rows, error) {
	var events []struct {
		Offset   int64  `ch:"offset"`
		Content  string `ch:"content"`
		Verdict  string `ch:"verdict"`
		Severity string `ch:"severity"`
		Alerts   uint16 `ch:"alerts"`
		Salt     string `ch:"salt"`
	}
	out := newRows()
	err := v.conn.Select(ctx, &events, `SELECT offset, lower(hex(content)) AS content, toString(verdict) AS verdict,
		toString(severity) AS severity, alerts, salt FROM `+v.db+`.event_rows WHERE batch_id = unhex($1)`, id)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		out.events[eventRow(e.Offset, e.Content, e.Verdict, e.Severity, int(e.Alerts))]++
		out.salts[e.Offset] = e.Salt
	}
	var letters []struct {
		Offset int64  `ch:"offset"`
		Salt   string `ch:"salt"`
	}
	if err := v.conn.Select(ctx, &letters, `SELECT offset, salt FROM `+v.db+`.dead_letter_rows WHERE batch_id = unhex($1)`, id); err != nil {
		return nil, err
	}
	for _, l := range letters {
		out.salts[l.Offset] = l.Salt
	}
	var alerts []struct {
		Offset   int64  `ch:"offset"`
		ID       string `ch:"id"`
		Rule     string `ch:"rule_id"`
		Outcome  string `ch:"outcome"`
		Severity string `ch:"severity"`
		Shadow   bool   `ch:"shadow"`
	}
	err = v.conn.Select(ctx, &alerts, `SELECT offset, lower(hex(alert_id)) AS id, rule_id, toString(outcome) AS outcome,
		toString(severity) AS severity, shadow FROM `+v.db+`.alert_rows WHERE batch_id = unhex($1)`, id)
	for _, a := range alerts {
		out.alerts[alertRow(a.Offset, a.ID, a.Rule, a.Outcome, a.Severity, a.Shadow)]++
	}
	return out, err
}

// records calls do for every stored record of a batch in offset order.
func (v *verification) records(ctx context.Context, id string, do func(*kafka.Record)) error {
	result, err := v.conn.Query(ctx, `SELECT offset, toUnixTimestamp64Milli(kafka_time), key, value, header_keys, header_values, nulls
		FROM `+v.db+`.raw_rows WHERE batch_id = unhex($1) ORDER BY offset`, id)
	if err != nil {
		return err
	}
	defer result.Close()
	for result.Next() {
		var r kafka.Record
		var key, value string
		var names, values []string
		var nulls uint32
		if err := result.Scan(&r.Offset, &r.Timestamp, &key, &value, &names, &values, &nulls); err != nil {
			return err
		}
		r.Key, r.Value = bytesOf(key, nulls, 0), bytesOf(value, nulls, 1)
		for i := range names {
			r.Headers = append(r.Headers, kafka.Header{Key: []byte(names[i]), Value: bytesOf(values[i], nulls, 2+i)})
		}
		do(&r)
	}
	return result.Err()
}

// bytesOf gives back what was null on the wire, which the row keeps as one bit.
func bytesOf(s string, nulls uint32, bit int) []byte {
	if bit < 32 && nulls&(1<<bit) != 0 {
		return nil
	}
	return []byte(s)
}
