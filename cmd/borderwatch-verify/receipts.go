package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
	"borderwatch/schemas/alert"
)

// receipt is a row of receipts: what the operator's views say of a batch. All of it follows from the leaf, but for the
// name of the worker, which nothing proves.
type receipt struct {
	Source      string    `ch:"source"`
	Topic       string    `ch:"topic"`
	Partition   int32     `ch:"partition"`
	First       int64     `ch:"first_offset"`
	Last        int64     `ch:"last_offset"`
	Attempt     uint16    `ch:"attempt"`
	Batch       string    `ch:"batch"`
	Supersedes  uint64    `ch:"superseded"`
	BatchTime   time.Time `ch:"batch_time"`
	Bundle      string    `ch:"bundle"`
	Schema      uint16    `ch:"schema"`
	Events      uint32    `ch:"events"`
	Raw         uint32    `ch:"raw"`
	Alerts      uint32    `ch:"alerts"`
	DeadLetters uint32    `ch:"dead_letters"`
	Control     uint32    `ch:"control"`
	Compacted   uint32    `ch:"compacted"`
	Input       string    `ch:"input"`
	Judged      string    `ch:"judged"`
	Index       uint64    `ch:"ledger_index"`
}

func (r *receipt) span() ledger.Span {
	return ledger.Span{Key: ledger.Key{Source: r.Source, Topic: r.Topic, Partition: r.Partition}, First: r.First, Last: r.Last}
}

// batchID is the id of the rows of a batch. It follows from the place, so that nobody can choose it.
func batchID(b *ledger.Batch) [16]byte {
	h := sha256.New()
	fmt.Fprint(h, "bw-batch/v1\n")
	for _, part := range []any{b.Source, b.Topic, b.Partition, b.First, b.Last, 0} {
		text := fmt.Sprint(part)
		fmt.Fprintf(h, "%d:%s\n", len(text), text)
	}
	return [16]byte(h.Sum(nil)[:16])
}

// receiptOf is the receipt that a leaf asks for.
func receiptOf(e ledger.Entry) receipt {
	b := e.Leaf.(ledger.Batch)
	judged := sha256.Sum256(slices.Concat(b.EventsRoot[:], b.AlertsRoot[:], b.QuarantineRoot[:]))
	return receipt{Source: b.Source, Topic: b.Topic, Partition: b.Partition, First: b.First, Last: b.Last, Batch: fmt.Sprintf("%x", batchID(&b)),
		BatchTime: b.BatchTime.UTC(), Bundle: b.Bundle, Schema: uint16(b.Schema), Events: uint32(b.Events), Raw: uint32(b.Events + b.Quarantined),
		Alerts: uint32(b.Alerts), DeadLetters: uint32(b.Quarantined), Control: uint32(b.Control), Compacted: uint32(b.Compacted),
		Input: fmt.Sprintf("%x", b.RecordsRoot), Judged: fmt.Sprintf("%x", judged), Index: e.Index}
}

// differing names the fields in which two receipts differ.
func (r receipt) differing(o receipt) (names []string) {
	a, b := reflect.ValueOf(r), reflect.ValueOf(o)
	for i := range a.NumField() {
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); x != y {
			names = append(names, fmt.Sprintf("%s is %v, recorded is %v", a.Type().Field(i).Tag.Get("ch"), x, y))
		}
	}
	return names
}

// receipts compares receipts and leaves, both ways. A batch that has none yet, and a receipt that the checkpoint does not
// reach yet, are looked at again at the end of the run.
func (v *verification) receipts(ctx context.Context, from int64) error {
	leaves := map[uint64]ledger.Entry{}
	for _, c := range v.chains {
		for _, e := range c.leaves {
			if _, ok := e.Leaf.(ledger.Batch); ok && int64(e.Index) >= from {
				leaves[e.Index] = e
			}
		}
	}
	rows, err := v.readReceipts(ctx, from)
	if err != nil {
		return err
	}
	seen := map[uint64]int{}
	for i := range rows {
		r := &rows[i]
		r.BatchTime = r.BatchTime.UTC()
		entry, ok := leaves[r.Index]
		switch {
		case int64(r.Index) >= v.log.tree.size:
			v.early = append(v.early, early{r.span(), "receipts", int64(r.Index) + 1})
		case !ok || entry.Leaf.(ledger.Ranged).Span().Key != r.span().Key || entry.Leaf.(ledger.Ranged).Span().First != r.First || entry.Leaf.(ledger.Ranged).Span().Last != r.Last:
			v.report.find("receipt_without_leaf", r.span(), r, "the log's index %d records no such batch", r.Index)
		default:
			seen[r.Index]++
			if names := r.differing(receiptOf(entry)); len(names) > 0 {
				v.report.find("receipt_differs", r.span(), v.log.rows([]ledger.Entry{entry}, nil, nil), "%s", strings.Join(names, "; "))
			}
			if seen[r.Index] == 2 {
				v.report.find("receipt_doubled", r.span(), v.log.rows([]ledger.Entry{entry}, nil, nil), "the batch has more than one receipt")
			}
		}
	}
	for _, index := range sortedKeys(leaves) {
		if seen[index] == 0 {
			v.unreceipted[index] = leaves[index]
		}
	}
	return nil
}

func (v *verification) readReceipts(ctx context.Context, from int64) (rows []receipt, err error) {
	err = v.conn.Select(ctx, &rows, `SELECT source, topic, partition, first_offset, last_offset, attempt, lower(hex(batch_id)) AS batch,
		length(supersedes) AS superseded, batch_time, bundle, schema, events, raw, alerts, dead_letters, control, compacted,
		lower(hex(input_digest)) AS input, lower(hex(judged_digest)) AS judged, ledger_index
		FROM `+v.db+`.receipts WHERE ledger_index >= $1 ORDER BY source, topic, partition, first_offset`, from)
	return rows, err
}

// activations compares what the database says about bundles with the leaves.
func (v *verification) activations(ctx context.Context, from int64) error {
	var rows []struct {
		Source    string `ch:"source"`
		Topic     string `ch:"topic"`
		Partition int32  `ch:"partition"`
		From      int64  `ch:"from_offset"`
		Bundle    string `ch:"bundle"`
		Index     uint64 `ch:"ledger_index"`
	}
	err := v.conn.Select(ctx, &rows, "SELECT source, topic, partition, from_offset, bundle, ledger_index FROM "+v.db+".activations WHERE ledger_index >= $1 ORDER BY ALL", from)
	if err != nil {
		return err
	}
	said := map[uint64]bool{}
	for _, r := range rows {
		if int64(r.Index) >= v.log.tree.size {
			continue
		}
		entry, _ := v.leafAt(r.Index)
		leaf, ok := entry.Leaf.(ledger.Batch)
		if ok && leaf.Source == r.Source && leaf.Topic == r.Topic && leaf.Partition == r.Partition && leaf.First == r.From && leaf.Bundle == r.Bundle {
			said[r.Index] = true
			continue
		}
		at := ledger.Span{Key: ledger.Key{Source: r.Source, Topic: r.Topic, Partition: r.Partition}, First: r.From, Last: r.From}
		v.report.find("activation", at, r, "the database says that bundle %s judges from here on by index %d of the log, which says otherwise", r.Bundle, r.Index)
	}
	for _, c := range v.sortedChains() {
		before := c.stateBundle
		for _, e := range c.leaves {
			leaf, ok := e.Leaf.(ledger.Batch)
			if !ok {
				continue
			}
			if leaf.Bundle != before && !said[e.Index] && v.receipted(e.Index) {
				v.report.find("activation_missing", leaf.Span(), v.log.rows([]ledger.Entry{e}, nil, nil), "from here on bundle %s judges, and the database does not say so", leaf.Bundle)
			}
			before = leaf.Bundle
		}
	}
	return nil
}

// notices compares what the database says about lost offsets with the leaves. Other notices are answers to questions about
// stored rows; of them only the id is checked.
func (v *verification) notices(ctx context.Context, from int64) error {
	var rows []struct {
		ID        string    `ch:"id"`
		Kind      string    `ch:"kind"`
		Subject   string    `ch:"subject"`
		Severity  string    `ch:"severity"`
		Source    string    `ch:"source"`
		Topic     string    `ch:"topic"`
		Partition int32     `ch:"partition"`
		First     int64     `ch:"first_offset"`
		Last      int64     `ch:"last_offset"`
		Index     uint64    `ch:"ledger_index"`
		Time      time.Time `ch:"time"`
		Until     time.Time `ch:"until"`
	}
	err := v.conn.Select(ctx, &rows, `SELECT lower(hex(notice_id)) AS id, kind, subject, toString(severity) AS severity, source, topic, partition,
		first_offset, last_offset, ledger_index, time, until FROM `+v.db+".notices ORDER BY ALL")
	if err != nil {
		return err
	}
	said := map[uint64]bool{}
	for _, r := range rows {
		at := ledger.Span{Key: ledger.Key{Source: r.Source, Topic: r.Topic, Partition: r.Partition}, First: r.First, Last: r.Last}
		n := store.Notice{Kind: r.Kind, Subject: r.Subject, Source: r.Source, Topic: r.Topic, Partition: r.Partition, First: r.First, Last: r.Last, Time: r.Time.UTC()}
		if r.Until.UnixMilli() != 0 {
			n.Until = r.Until.UTC()
		}
		if id := n.ID(); fmt.Sprintf("%x", id[:]) != r.ID {
			v.report.find("notice", at, r, "the notice %q about %s does not have the id that follows from it: it was altered", r.Kind, r.Subject)
			continue
		}
		if r.Kind != store.NoticeGap || int64(r.Index) < from || int64(r.Index) >= v.log.tree.size {
			continue
		}
		entry, _ := v.leafAt(r.Index)
		if leaf, ok := entry.Leaf.(ledger.Ranged); !ok || leaf.Span().Key != at.Key || r.First != leaf.Span().First || r.Last != leaf.Span().Last || r.Severity != alert.Critical.String() {
			v.report.find("notice", at, r, "the database says that these offsets are lost by index %d of the log, which says otherwise", r.Index)
			continue
		}
		said[r.Index] = true
	}
	for _, c := range v.sortedChains() {
		for _, e := range c.leaves {
			if gap, ok := e.Leaf.(ledger.Gap); ok && !said[e.Index] {
				v.report.find("notice_missing", gap.Span(), v.log.rows([]ledger.Entry{e}, nil, nil), "the log says that these offsets are lost (%s), the database tells nobody", gap.Reason)
			}
		}
	}
	return nil
}
