package main

import (
	"context"
	"fmt"
	"time"

	"borderwatch/consumers/ledger"
)

// census finds rows that no leaf accounts for: of topics or partitions that the log does not know, before the first
// offset of one, after its last, and where the log says that offsets are lost. Rows at the offsets of recorded batches
// are compared one by one instead.
func (v *verification) census(ctx context.Context) error {
	for _, table := range tables {
		if err := v.censusOf(ctx, table); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	return nil
}

func (v *verification) censusOf(ctx context.Context, table string) error {
	var rows []struct {
		Source    string `ch:"source"`
		Topic     string `ch:"topic"`
		Partition int32  `ch:"partition"`
		First     int64  `ch:"first"`
		Last      int64  `ch:"last"`
		N         uint64 `ch:"n"`
	}
	err := v.conn.Select(ctx, &rows, "SELECT source, topic, partition, min(offset) AS first, max(offset) AS last, count() AS n FROM "+
		v.db+"."+table+" GROUP BY source, topic, partition ORDER BY ALL")
	if err != nil {
		return err
	}
	for _, r := range rows {
		span := ledger.Span{Key: ledger.Key{Source: r.Source, Topic: r.Topic, Partition: r.Partition}, First: r.First, Last: r.Last}
		c := v.chains[span.Key]
		if c == nil {
			v.early = append(v.early, early{span, table, 0})
			continue
		}
		if r.First < c.first {
			v.unrecorded(table, ledger.Span{Key: span.Key, First: r.First, Last: min(r.Last, c.first-1)})
		}
		if r.Last > c.last {
			v.early = append(v.early, early{ledger.Span{Key: span.Key, First: max(r.First, c.last+1), Last: r.Last}, table, 0})
		}
		if err := v.inGaps(ctx, table, c); err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) unrecorded(table string, span ledger.Span) {
	v.report.find(kinds[table]+"_without_leaf", span, checkpointsEvidence(v.log.trust, v.log.head), "%s has rows there, and the log accounts for no such offsets", table)
}

// inGaps finds rows where the log says that there is nothing.
func (v *verification) inGaps(ctx context.Context, table string, c *chain) error {
	for _, e := range c.leaves {
		gap, ok := e.Leaf.(ledger.Gap)
		if !ok {
			continue
		}
		var n uint64
		err := v.conn.QueryRow(ctx, "SELECT count() FROM "+v.db+"."+table+" WHERE source = $1 AND topic = $2 AND partition = $3 AND offset BETWEEN $4 AND $5",
			gap.Source, gap.Topic, gap.Partition, gap.First, gap.Last).Scan(&n)
		if err != nil {
			return err
		}
		if n > 0 {
			v.report.find(kinds[table]+"_without_leaf", gap.Span(), v.log.rows([]ledger.Entry{e}, nil, nil), "%s has %d rows where the log says that the offsets are lost", table, n)
		}
	}
	return nil
}

// settle waits for what was on its way while the run began: a batch is in the log before its rows are stored, and the log
// signs a checkpoint about it within seconds. What is still not there when the wait is over is a finding.
func (v *verification) settle(ctx context.Context) error {
	deadline := v.now().Add(v.options.wait)
	for {
		done, err := v.settled(ctx)
		if err != nil || done {
			return err
		}
		if !v.now().Before(deadline) {
			break
		}
		select {
		case <-time.After(min(time.Second, v.options.wait)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, e := range v.early {
		if e.what != "receipts" {
			v.unrecorded(e.what, e.span)
			continue
		}
		v.report.find("receipt_without_leaf", e.span, checkpointsEvidence(v.log.trust, v.log.head), "the log has %d leaves, the receipt names index %d", v.log.head.size, e.size-1)
	}
	for _, index := range sortedKeys(v.unreceipted) {
		leaf := v.unreceipted[index].Leaf.(ledger.Batch)
		v.report.find("receipt", leaf.Span(), v.log.rows([]ledger.Entry{v.unreceipted[index]}, nil, nil), "the log records the batch at index %d, but it has no receipt", index)
	}
	return nil
}

// settled looks again at what was not there. It reports whether nothing is left.
func (v *verification) settled(ctx context.Context) (bool, error) {
	if len(v.early) > 0 {
		if err := v.reach(ctx); err != nil {
			return false, err
		}
	}
	if len(v.unreceipted) > 0 {
		if err := v.lateReceipts(ctx); err != nil {
			return false, err
		}
	}
	return len(v.early) == 0 && len(v.unreceipted) == 0, nil
}

// reach drops what a newer checkpoint accounts for. Its batches are for the next run to check.
func (v *verification) reach(ctx context.Context) error {
	next := &evidenceLog{files: v.log.files, trust: v.log.trust, report: v.report}
	state := &State{}
	state.keep(v.log.head)
	if err := state.Done.advance(&v.log.tree); err != nil {
		return err
	}
	good, err := next.open(ctx, state)
	if err != nil || !good {
		v.early = nil // the finding about the log says more
		return err
	}
	ends := map[ledger.Key]int64{}
	for _, e := range next.leaves {
		if r, ok := e.Leaf.(ledger.Ranged); ok {
			ends[r.Span().Key] = r.Span().Last
		}
	}
	left := v.early[:0]
	for _, e := range v.early {
		end, ok := ends[e.span.Key]
		if !ok || end < e.span.Last || next.tree.size < e.size {
			left = append(left, e)
		}
	}
	v.early = left
	return nil
}

// lateReceipts takes up the batches whose receipts have come since, and checks them.
func (v *verification) lateReceipts(ctx context.Context) error {
	rows, err := v.readReceipts(ctx, int64(sortedKeys(v.unreceipted)[0]))
	if err != nil {
		return err
	}
	var come []*stretch
	for i := range rows {
		entry, ok := v.unreceipted[rows[i].Index]
		if !ok {
			continue
		}
		rows[i].BatchTime = rows[i].BatchTime.UTC()
		if names := rows[i].differing(receiptOf(entry)); len(names) > 0 {
			continue
		}
		delete(v.unreceipted, rows[i].Index)
		come = append(come, &stretch{leaves: []ledger.Entry{entry}})
	}
	if len(come) == 0 {
		return nil
	}
	c, err := v.newChecker(ctx)
	if err != nil {
		return err
	}
	defer c.client.Close()
	for _, s := range come {
		if err := c.check(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
