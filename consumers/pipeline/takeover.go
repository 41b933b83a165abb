package pipeline

import (
	"context"
	"fmt"

	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
	"borderwatch/schemas/alert"
)

// takeover makes good what the last owner of the partition recorded but did not finish, and returns the offset to read
// on from. It goes through the very code of ordinary delivery: the same judging, the same inserts, the same tokens.
//
// ctx stops it between batches, deliver bounds the inserts themselves.
func (p *partition) takeover(ctx, deliver context.Context) (next int64, err error) {
	var head ledger.Head
	var known bool
	err = p.worker.retry(ctx, "ledger", func(ctx context.Context) error {
		head, known, err = p.worker.ledger.Head(ctx, p.key)
		return err
	}, func(error) bool { return true })
	if err != nil {
		return 0, fmt.Errorf("head of the ledger: %w", err)
	}
	marks, err := p.watermark(ctx)
	if err != nil {
		return 0, err
	}
	if !known {
		p.prev = -1
		return p.firstOffset(ctx, marks)
	}
	p.prev = int64(head.Index)
	if err := p.unfinished(ctx, deliver); err != nil {
		return 0, err
	}
	if err := p.lastBundle(ctx, head); err != nil {
		return 0, err
	}
	return p.resume(ctx, head.Last+1, marks)
}

// lastBundle finds out which bundle judged the last batch, so that a change is seen as one.
func (p *partition) lastBundle(ctx context.Context, head ledger.Head) error {
	for entry, err := range p.worker.ledger.Leaves(ctx, p.key, head.Last) {
		if err != nil {
			return fmt.Errorf("last leaf: %w", err)
		}
		if leaf, ok := entry.Leaf.(ledger.Batch); ok {
			p.inForce = leaf.Bundle
		}
	}
	return nil
}

// firstOffset is where a partition starts that has no leaf: at the group's committed offset, else at the log's start.
func (p *partition) firstOffset(ctx context.Context, marks kafka.Watermark) (int64, error) {
	if p.start.Offset < 0 {
		return marks.LogStart, nil
	}
	return p.resume(ctx, p.start.Offset, marks)
}

// resume checks that the log still holds next. What was deleted before it was read is recorded as a gap, and never
// jumped over in silence; a log that ends before next is not the log that was read before.
func (p *partition) resume(ctx context.Context, next int64, marks kafka.Watermark) (int64, error) {
	switch {
	case next > marks.HighWatermark:
		return 0, &halt{"truncated", fmt.Errorf("offset %d was read before, but the log ends at %d: it was truncated or replaced", next, marks.HighWatermark)}
	case next >= marks.LogStart:
		return next, nil
	}
	gap := ledger.Gap{
		Source: p.key.Source, Topic: p.key.Topic, Partition: p.key.Partition, First: next, Last: marks.LogStart - 1,
		Reason: "deleted from the log before it was read", BatchTime: batchTime(), Prev: p.prev,
	}
	index, err := p.append(ctx, gap)
	if err != nil {
		return 0, err
	}
	p.prev = int64(index)
	p.worker.metrics.gaps.WithLabelValues(p.key.Topic).Add(float64(gap.Last - gap.First + 1))
	p.worker.log.Error("offsets are gone from Kafka before they were read", "partition", p.key.String(), "first", gap.First, "last", gap.Last)
	return marks.LogStart, p.noticeGap(ctx, gap, index)
}

// noticeGap tells everybody who queries the database about a gap.
func (p *partition) noticeGap(ctx context.Context, gap ledger.Gap, index uint64) error {
	return p.worker.store.InsertNotice(ctx, store.Notice{
		Kind: store.NoticeGap, Severity: alert.Critical, Subject: p.key.String(), Source: p.key.Source, Topic: p.key.Topic, Partition: p.key.Partition,
		First: gap.First, Last: gap.Last, LedgerIndex: index, Time: gap.BatchTime,
		Text: fmt.Sprintf("offsets %d to %d of %s[%d] were %s", gap.First, gap.Last, p.key.Topic, p.key.Partition, gap.Reason),
	})
}

// unfinished delivers every recorded batch whose receipt is missing.
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
	for entry, err := range p.worker.ledger.Leaves(ctx, p.key, last+1) {
		if err != nil {
			return fmt.Errorf("leaves from offset %d on: %w", last+1, err)
		}
		switch leaf := entry.Leaf.(type) {
		case ledger.Batch:
			if !stored[leaf.First] {
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

// redo makes exactly the recorded batch again and inserts it. What was inserted before is dropped by its token. Rows
// that differ from the record are a finding, not something to insert.
func (p *partition) redo(ctx, deliver context.Context, leaf ledger.Batch, index uint64) error {
	p.worker.log.Info("making a recorded batch again, its receipt is missing", "partition", p.key.String(), "first", leaf.First, "last", leaf.Last)
	bundle, err := p.worker.bundles.ByDigest(ctx, leaf.Bundle)
	if err != nil {
		return &halt{"bundle", fmt.Errorf("offsets %d to %d were judged by bundle %s: %w", leaf.First, leaf.Last, leaf.Bundle, err)}
	}
	b := p.worker.blank()
	defer p.worker.recycle(b)
	b.open(p.key, leaf.First, bundle, leaf.BatchTime)
	if err := p.refetch(ctx, b, leaf); err != nil {
		return err
	}
	p.metrics.flush()
	if again := b.leaf(leaf.Prev); again != leaf {
		return &halt{"replay_differs", fmt.Errorf("offsets %d to %d come out differently from what the ledger recorded: recorded\n%sgot\n%s",
			leaf.First, leaf.Last, leaf.Marshal(), again.Marshal())}
	}
	p.worker.metrics.takeovers.WithLabelValues(p.key.Topic).Inc()
	return p.insert(deliver, b, leaf, index)
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

// watermark asks the broker what the log of the partition holds.
func (p *partition) watermark(ctx context.Context) (kafka.Watermark, error) {
	marks, err := p.worker.client.Watermarks(ctx, p.key.Topic)
	if err != nil {
		return kafka.Watermark{}, err
	}
	for _, m := range marks {
		if m.Partition == int(p.key.Partition) {
			return m, nil
		}
	}
	return kafka.Watermark{}, fmt.Errorf("topic %s has no partition %d", p.key.Topic, p.key.Partition)
}
