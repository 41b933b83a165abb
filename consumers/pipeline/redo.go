package pipeline

import (
	"context"
	"errors"
	"fmt"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// unfinished delivers every recorded batch whose receipt is missing, and finds out which bundle judged the last one.
func (p *partition) unfinished(ctx, deliver context.Context) error {
	last, err := p.worker.store.LastReceipt(ctx, p.key.Source, p.key.Topic, p.key.Partition)
	if err != nil {
		return fmt.Errorf("last receipt: %w", err)
	}
	receipts, err := p.worker.store.Receipts(ctx, p.key.Source, p.key.Topic, p.key.Partition, last)
	if err != nil {
		return fmt.Errorf("receipts from offset %d on: %w", last, err)
	}
	stored := make(map[int64]bool, len(receipts)) // by first offset: ranges do not overlap
	for i := range receipts {
		stored[receipts[i].First] = true
	}
	// From the last stored leaf on, not from the one after it: that one tells the bundle in force.
	for entry, err := range p.worker.ledger.Leaves(ctx, p.key, max(last, 0)) {
		if err != nil {
			return fmt.Errorf("leaves from offset %d on: %w", last, err)
		}
		switch leaf := entry.Leaf.(type) {
		case ledger.Batch:
			if stored[leaf.First] {
				p.inForce = leaf.Bundle
			} else if leaf.First > last { // else there is a notice that it is lost
				err = p.redo(ctx, deliver, leaf, entry.Index)
			}
		case ledger.Gap:
			err = p.noticeGap(ctx, leaf, entry.Index)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// redo makes exactly the recorded batch again and inserts what of it is missing. Rows that differ from the record are a
// finding, not something to insert.
func (p *partition) redo(ctx, deliver context.Context, leaf ledger.Batch, index uint64) error {
	p.worker.log.Info("making a recorded batch again, its receipt is missing", "partition", p.key.String(), "first", leaf.First, "last", leaf.Last)
	judgedBy, err := p.worker.bundles.ByDigest(ctx, leaf.Bundle)
	if errors.Is(err, bundle.ErrLost) {
		return &halt{"bundle", fmt.Errorf("offsets %d to %d were judged by bundle %s: %w", leaf.First, leaf.Last, leaf.Bundle, err)}
	}
	if err != nil {
		return fmt.Errorf("bundle of offsets %d to %d: %w", leaf.First, leaf.Last, err)
	}
	b := p.worker.blank()
	defer p.worker.recycle(b)
	salts, err := p.saltsOf(ctx, leaf.BatchTime)
	if err != nil {
		return fmt.Errorf("offsets %d to %d were recorded and not stored, and cannot be made again: %w", leaf.First, leaf.Last, err)
	}
	b.open(p.key, leaf.First, judgedBy, leaf.BatchTime, salts)
	if err := p.refetch(ctx, b, leaf); err != nil {
		return p.gone(ctx, err, leaf, index)
	}
	p.metrics.flush()
	if again := b.leaf(leaf.Prev); again != leaf {
		return &halt{"replay_differs", fmt.Errorf("offsets %d to %d come out differently from what the ledger recorded: recorded\n%sgot\n%s",
			leaf.First, leaf.Last, leaf.Marshal(), again.Marshal())}
	}
	if err := p.insert(deliver, b, leaf, index, func(ctx context.Context, block *store.Block) error {
		return p.missing(ctx, block, leaf)
	}); err != nil {
		return err
	}
	p.worker.metrics.takeovers.WithLabelValues(p.key.Topic).Inc()
	return nil
}

// missing inserts the rows of a recorded batch that are not there. The tokens alone would do for as long as the server
// remembers them; a partition may have waited longer for its next owner.
func (p *partition) missing(ctx context.Context, block *store.Block, leaf ledger.Batch) error {
	at := store.Range{Source: leaf.Source, Topic: leaf.Topic, Partition: leaf.Partition, First: leaf.First, Last: leaf.Last}
	found, err := p.worker.store.Look(ctx, at)
	if err != nil {
		return err
	}
	steps, err := p.worker.store.Steps(block)
	if err != nil {
		return err
	}
	rows := map[string]struct{ found, want uint64 }{
		"alert_rows":       {found.Alerts, uint64(leaf.Alerts)},
		"raw_rows":         {found.Raw, uint64(leaf.Events + leaf.Quarantined)},
		"event_rows":       {found.Events, uint64(leaf.Events)},
		"dead_letter_rows": {found.DeadLetters, uint64(leaf.Quarantined)},
	}
	for _, step := range steps[:len(steps)-1] {
		switch n := rows[step.Name]; n.found {
		case n.want:
		case 0:
			if err := step.Run(ctx); err != nil {
				return err
			}
		default:
			return &halt{"rows_differ", fmt.Errorf("%s has %d rows of offsets %d to %d, the ledger recorded %d", step.Name, n.found, leaf.First, leaf.Last, n.want)}
		}
	}
	return nil
}

// refetch reads and judges the offsets of a leaf. How many of them held no record is known from the fetch; which of
// those were control records is taken from the leaf, since a fetch may end elsewhere this time.
func (p *partition) refetch(ctx context.Context, b *batch, leaf ledger.Batch) error {
	p.judge.pin(b.bundle)
	for offset := leaf.First; offset <= leaf.Last; {
		chunk, err := p.fetcher.Fetch(ctx, p.key.Topic, int(p.key.Partition), offset)
		if err != nil {
			return err
		}
		for i := range chunk.Records {
			if chunk.Records[i].Offset <= leaf.Last {
				p.judge.one(b, &chunk.Records[i])
			}
		}
		offset = chunk.Next
		chunk.Release()
	}
	b.next = leaf.Last + 1
	if silent := leaf.Last - leaf.First + 1 - b.counts.events - b.counts.quarantined; silent == leaf.Control+leaf.Compacted {
		b.counts.control, b.counts.compacted = leaf.Control, leaf.Compacted
	}
	return nil
}

// gone tells what became of a recorded batch that cannot be read again. Where Kafka has deleted all of it, it is lost:
// everybody is told, and the partition goes on, since waiting would lose what follows as well. Where some of it is left
// a person has to look.
func (p *partition) gone(ctx context.Context, err error, leaf ledger.Batch, index uint64) error {
	var out *kafka.OutOfRange
	switch {
	case !errors.As(err, &out):
		return err
	case out.LogStart <= leaf.First:
		return truncated(leaf.Last+1, out.HighWatermark)
	case out.LogStart <= leaf.Last:
		return &halt{"bytes_gone", fmt.Errorf("offsets %d to %d were recorded at index %d and have to be read again, but the log starts at %d: %w",
			leaf.First, leaf.Last, index, out.LogStart, err)}
	}
	lost := ledger.Gap{First: leaf.First, Last: leaf.Last, BatchTime: batchTime(),
		Reason: fmt.Sprintf("recorded at index %d of the ledger, but deleted from the log before they were stored", index)}
	if err := p.noticeGap(ctx, lost, index); err != nil {
		return err
	}
	p.worker.metrics.gaps.WithLabelValues(p.key.Topic).Add(float64(leaf.Last - leaf.First + 1))
	p.worker.log.Error("a recorded batch is lost: it is gone from Kafka before it was stored", "partition", p.key.String(), "first", leaf.First, "last", leaf.Last, "index", index)
	return nil
}
