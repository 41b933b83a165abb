package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// unfinished delivers every recorded batch whose receipt is missing, and finds out which bundle judged the last one. Head
// is the last offset that is recorded.
func (p *partition) unfinished(ctx, deliver context.Context, head int64) error {
	last, err := p.worker.store.LastReceipt(ctx, p.key.Source, p.key.Topic, p.key.Partition)
	if err != nil {
		return fmt.Errorf("last receipt: %w", err)
	}
	stored, end, err := p.storedFrom(ctx, last)
	if err != nil {
		return fmt.Errorf("receipts from offset %d on: %w", last, err)
	}
	if err := p.recorded(ctx, max(last, end), head); err != nil {
		return err
	}
	// From the last stored leaf on, not from the one after it: that one tells the bundle in force.
	for entry, err := range p.worker.ledger.Leaves(ctx, p.key, max(last, 0)) {
		if err != nil {
			return fmt.Errorf("leaves from offset %d on: %w", last, err)
		}
		switch leaf := entry.Leaf.(type) {
		case ledger.Batch:
			switch {
			case stored[leaf.First]:
				p.inForce = leaf.Bundle
			case leaf.First > last:
				err = p.redo(ctx, deliver, leaf, entry.Index)
			default: // there is a notice that it is lost, and perhaps an activation
				p.inForce = ""
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

// storedFrom returns the first offsets of the batches with a receipt that reach past an offset, and where the last of them
// ends, -1 where there is none: ranges do not overlap.
func (p *partition) storedFrom(ctx context.Context, offset int64) (stored map[int64]bool, end int64, err error) {
	stored, end = map[int64]bool{}, -1
	for {
		receipts, err := p.worker.store.Receipts(ctx, p.key.Source, p.key.Topic, p.key.Partition, offset)
		if err != nil {
			return nil, 0, err
		}
		for i := range receipts {
			stored[receipts[i].First] = true
			end = max(end, receipts[i].Last)
		}
		if len(receipts) < store.MaxReceipts {
			return stored, end, nil
		}
		offset = end + 1
	}
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
		p.inForce = "" // the last owner may have noted its bundle, or not
		return p.gone(ctx, err, leaf, index)
	}
	p.metrics.flush()
	if again := b.leaf(leaf.Prev); again != leaf {
		return p.unlessReplaced(ctx, &halt{"replay_differs", fmt.Errorf("offsets %d to %d come out differently from what the ledger recorded: recorded\n%sgot\n%s",
			leaf.First, leaf.Last, leaf.Marshal(), again.Marshal())})
	}
	if err := p.activated(deliver, leaf, index); err != nil {
		return err
	}
	if err := p.insert(deliver, newFlight(b, leaf, index), p.insertMissing); err != nil {
		return err
	}
	p.worker.metrics.takeovers.WithLabelValues(p.key.Topic).Inc()
	return nil
}

func rangeOf(leaf ledger.Batch) store.Range {
	return store.Range{Source: leaf.Source, Topic: leaf.Topic, Partition: leaf.Partition, First: leaf.First, Last: leaf.Last}
}

// insertMissing inserts the rows of a recorded batch that are not there. The tokens alone would do for as long as the
// server remembers them; a partition may have waited longer for its next owner. And they may do too much: rows that were
// lost after they were acknowledged do not come back under a token that is remembered. So it looks again, and only rows
// that are the recorded ones, byte for byte, may have a receipt.
func (p *partition) insertMissing(ctx context.Context, f *flight) error {
	absent, err := p.absent(ctx, &f.leaf)
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		if err := p.insertTables(ctx, f, absent); err != nil {
			return err
		}
	}
	return p.sameRows(ctx, f)
}

func (p *partition) insertTables(ctx context.Context, f *flight, tables []string) error {
	steps, err := p.worker.store.Steps(f.batch.block)
	if err != nil {
		return err
	}
	for _, step := range steps[:len(steps)-1] {
		if !slices.Contains(tables, step.Name) {
			continue
		}
		if err := step.Run(ctx); err != nil {
			return err
		}
	}
	absent, err := p.absent(ctx, &f.leaf)
	if err == nil && len(absent) > 0 {
		err = &halt{"rows_differ", fmt.Errorf("the rows of offsets %d to %d in %v were acknowledged, lost, and do not come back", f.leaf.First, f.leaf.Last, absent)}
	}
	return err
}

// sameRows compares the rows that are stored of a recorded batch with its leaf.
func (p *partition) sameRows(ctx context.Context, f *flight) error {
	leaf := &f.leaf
	roots, err := p.worker.store.StoredRoots(ctx, f.batch.block)
	if errors.Is(err, store.ErrRowsDiffer) {
		return &halt{"rows_differ", fmt.Errorf("the rows of offsets %d to %d: %w", leaf.First, leaf.Last, err)}
	}
	if err != nil {
		return err
	}
	for _, t := range []struct {
		name      string
		got, want [32]byte
	}{
		{"raw_rows", roots.Records, leaf.RecordsRoot},
		{"event_rows", roots.Events, leaf.EventsRoot},
		{"alert_rows", roots.Alerts, leaf.AlertsRoot},
		{"dead_letter_rows", roots.Quarantine, leaf.QuarantineRoot},
	} {
		if t.got != t.want {
			return &halt{"rows_differ", fmt.Errorf("the rows of offsets %d to %d in %s are not those that the ledger recorded: their root is %x, recorded was %x",
				leaf.First, leaf.Last, t.name, t.got, t.want)}
		}
	}
	return nil
}

// absent names the tables that have none of a recorded batch's rows. Some of them, or too many, stop the partition.
func (p *partition) absent(ctx context.Context, leaf *ledger.Batch) (tables []string, err error) {
	found, err := p.worker.store.Look(ctx, rangeOf(*leaf))
	if err != nil {
		return nil, err
	}
	for _, t := range []struct {
		name        string
		found, want uint64
	}{
		{"alert_rows", found.Alerts, uint64(leaf.Alerts)},
		{"raw_rows", found.Raw, uint64(leaf.Events + leaf.Quarantined)},
		{"event_rows", found.Events, uint64(leaf.Events)},
		{"dead_letter_rows", found.DeadLetters, uint64(leaf.Quarantined)},
	} {
		switch t.found {
		case t.want:
		case 0:
			tables = append(tables, t.name)
		default:
			return nil, &halt{"rows_differ", fmt.Errorf("%s has %d rows of offsets %d to %d, the ledger recorded %d", t.name, t.found, leaf.First, leaf.Last, t.want)}
		}
	}
	return tables, nil
}

// refetch reads and judges the offsets of a leaf. How many of them held no record is known from the fetch; which of
// those were control records is taken from the leaf, since a fetch may end elsewhere this time.
func (p *partition) refetch(ctx context.Context, b *batch, leaf ledger.Batch) error {
	p.judge.pin(b.bundle)
	for offset, empty := leaf.First, 0; offset <= leaf.Last; {
		chunk, err := p.fetcher.Fetch(ctx, p.key.Topic, int(p.key.Partition), offset)
		if err != nil {
			return err
		}
		for i := range chunk.Records {
			if chunk.Records[i].Offset <= leaf.Last {
				p.judge.one(b, &chunk.Records[i])
			}
		}
		high := chunk.HighWatermark
		if empty++; chunk.Next > offset {
			offset, empty = chunk.Next, 0
		}
		chunk.Release()
		if empty == 0 {
			continue
		}
		// The log ends within the batch: for a moment, behind a new leader, or for good.
		if err := p.sameSource(ctx); err != nil {
			return err
		}
		if empty >= emptyFetches {
			return truncated(leaf.Last+1, high)
		}
	}
	b.next = leaf.Last + 1
	if silent := leaf.Last - leaf.First + 1 - b.counts.events - b.counts.quarantined; silent == leaf.Control+leaf.Compacted {
		b.counts.control, b.counts.compacted = leaf.Control, leaf.Compacted
	}
	return nil
}

// emptyFetches is how often in a row a recorded batch is asked for in vain, each time for Config.Fetch.MaxWait.
const emptyFetches = 20

// gone tells what became of a recorded batch that cannot be read again. Where Kafka has deleted all of it, it is lost:
// everybody is told, and the partition goes on, since waiting would lose what follows as well. Where some of it is left
// a person has to look.
func (p *partition) gone(ctx context.Context, cause error, leaf ledger.Batch, index uint64) error {
	var out *kafka.OutOfRange
	if !errors.As(cause, &out) {
		return cause
	}
	if err := p.sameSource(ctx); err != nil {
		return err
	}
	found, err := p.worker.store.Look(ctx, rangeOf(leaf))
	switch {
	case err != nil:
		return err
	case found.Receipt: // the last owner came to it after all, since we asked for receipts
		return nil
	case out.LogStart <= leaf.First:
		return truncated(leaf.Last+1, out.HighWatermark)
	case out.LogStart <= leaf.Last:
		return &halt{"bytes_gone", fmt.Errorf("offsets %d to %d were recorded at index %d and have to be read again, but the log starts at %d: %w",
			leaf.First, leaf.Last, index, out.LogStart, out)}
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
