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
	if err := p.sameSource(ctx); err != nil {
		return 0, err
	}
	head, known, err := p.head(ctx)
	if err != nil {
		return 0, err
	}
	marks, err := p.watermark(ctx)
	if err != nil {
		return 0, err
	}
	p.prev, p.inForce = -1, ""
	if !known {
		return p.firstOffset(ctx, marks)
	}
	p.prev = int64(head.Index)
	if err := p.unfinished(ctx, deliver, head.Last); err != nil {
		return 0, err
	}
	return p.resume(ctx, head.Last+1, marks)
}

// head is the partition's last leaf, false where there is none.
func (p *partition) head(ctx context.Context) (head ledger.Head, known bool, err error) {
	err = p.worker.retry(ctx, "ledger_head", func(ctx context.Context) error {
		head, known, err = p.worker.ledger.Head(ctx, p.key)
		return err
	}, always)
	if err != nil {
		return head, false, fmt.Errorf("head of the ledger: %w", err)
	}
	return head, known, nil
}

// firstOffset is where a partition starts that has no leaf: at what the group committed with another tool, else at the
// log's start. Where something of it is stored already it must not start: all of that would be stored again, under a
// second ledger.
func (p *partition) firstOffset(ctx context.Context, marks kafka.Watermark) (int64, error) {
	committed, by := p.start.Offset >= 0, committedSource(p.start.Metadata)
	if committed && by == p.key.Source {
		return 0, &halt{"ledger", fmt.Errorf("a worker committed offset %d of this topic with a leaf, but the ledger has no leaf of it: it is another ledger, or it was lost; %s", p.start.Offset, putBack)}
	}
	last, err := p.worker.store.LastReceipt(ctx, p.key.Source, p.key.Topic, p.key.Partition)
	if err != nil {
		return 0, fmt.Errorf("last receipt: %w", err)
	}
	if err := p.recorded(ctx, last, -1); err != nil {
		return 0, err
	}
	if committed && by == "" {
		return p.resume(ctx, p.start.Offset, marks)
	}
	return marks.LogStart, nil // nothing is committed, or it is of the topic that had this name before
}

const putBack = "put the ledger back that has it, or store into another database"

// recorded checks that the ledger's head, at offset head when it was read, covers what is stored up to an offset: what is
// stored was recorded before, in the ledger that the database belongs to.
func (p *partition) recorded(ctx context.Context, stored, head int64) error {
	if stored <= head {
		return nil
	}
	// A former owner may have recorded and stored since the head was read.
	now, known, err := p.head(ctx)
	switch {
	case err != nil:
		return err
	case !known:
		return &halt{"ledger", fmt.Errorf("ClickHouse has receipts of this topic up to offset %d, but the ledger has no leaf of it: it is another ledger, or it was lost; %s", stored, putBack)}
	case stored > now.Last:
		return &halt{"ledger", fmt.Errorf("ClickHouse has receipts of this topic up to offset %d, but the ledger ends at offset %d: it is an older copy, or another ledger; %s", stored, now.Last, putBack)}
	}
	return nil
}

// resume checks that the log still holds next. What was deleted before it was read is recorded as a gap, and never
// jumped over in silence; a log that ends before next is not the log that was read before.
func (p *partition) resume(ctx context.Context, next int64, marks kafka.Watermark) (int64, error) {
	switch {
	case next > marks.HighWatermark:
		return 0, p.unlessReplaced(ctx, truncated(next, marks.HighWatermark))
	case next >= marks.LogStart:
		return next, nil
	}
	if err := p.sameSource(ctx); err != nil {
		return 0, err // the marks are of another topic
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

func truncated(next, high int64) error {
	return &halt{"truncated", fmt.Errorf("everything before offset %d was read, but the log ends at %d: it was truncated or replaced", next, high)}
}

// noticeGap tells everybody who queries the database about a gap.
func (p *partition) noticeGap(ctx context.Context, gap ledger.Gap, index uint64) error {
	return p.worker.store.InsertNotice(ctx, store.Notice{
		Kind: store.NoticeGap, Severity: alert.Critical, Subject: p.key.String(), Source: p.key.Source, Topic: p.key.Topic, Partition: p.key.Partition,
		First: gap.First, Last: gap.Last, LedgerIndex: index, Time: gap.BatchTime,
		Text: fmt.Sprintf("offsets %d to %d of %s[%d] were %s", gap.First, gap.Last, p.key.Topic, p.key.Partition, gap.Reason),
	})
}

// watermark asks the broker what the log of the partition holds.
func (p *partition) watermark(ctx context.Context) (kafka.Watermark, error) {
	marks, err := p.worker.broker.Watermarks(ctx, p.key.Topic)
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
