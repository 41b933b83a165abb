package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borderwatch/consumers/drain"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// A batch goes from its leaf to the commit. The order is the promise:
//
//  1. the leaf is durable in the ledger; a crash after it leaves a leaf without a receipt, which the next owner of the
//     partition makes good by delivering exactly the same rows (takeover);
//  2. a change of the bundle is noted with the offset it starts at, before the next leaf is recorded;
//  3. alerts, raw records, events and dead letters are inserted, each idempotent by its token; a crash in between leaves
//     rows without a receipt, which no view shows;
//  4. dead letters are published; a crash after that publishes them again, which readers of that topic must bear;
//  5. the receipt is inserted: from here on the batch is visible, all of it at once;
//  6. the offset is committed over the unbroken run of receipts, fenced by the group's generation; a crash before it
//     changes nothing, since the ledger's head and not Kafka decides where to read on.
//
// Steps 1 and 2 are made batch after batch (record), steps 3 to 5 of several batches run beside each other (insert).

// record makes a batch's leaf durable and gives the batch its place in the window.
func (p *partition) record(ctx context.Context, b *batch) (*flight, error) {
	if err := p.sameSource(ctx); err != nil {
		return nil, err
	}
	leaf := b.leaf(p.prev)
	index, err := p.append(ctx, leaf)
	if err != nil {
		return nil, err
	}
	p.prev = int64(index)
	if err := p.activated(ctx, leaf, index); err != nil {
		return nil, err
	}
	f := newFlight(b, leaf, index)
	p.window.add(f)
	return f, nil
}

// commitTo makes next the group's position. The leaf at index ends before it; it and all before it have their receipts.
func (p *partition) commitTo(ctx context.Context, next int64, index uint64) error {
	return p.timed(stageCommit, func() error {
		return p.worker.attempt(ctx, stepCommit, func(ctx context.Context) error {
			return p.commit(ctx, next, commitMetadata(index, p.key.Source))
		})
	})
}

// insert writes the rows of a recorded batch, by rows, and its receipt. Takeover calls it for batches whose receipt is
// missing.
func (p *partition) insert(ctx context.Context, f *flight, rows func(context.Context, *flight) error) error {
	b, leaf := f.batch, &f.leaf
	b.block.Seal(store.Seal{Last: leaf.Last, LedgerIndex: f.index, Input: leaf.RecordsRoot, Judged: judged(leaf),
		Control: leaf.Control, Compacted: leaf.Compacted, Worker: p.worker.cfg.Instance})
	if err := p.timed(stageInsert, func() error { return rows(ctx, f) }); err != nil {
		return fmt.Errorf("insert offsets %d to %d: %w", leaf.First, leaf.Last, err)
	}
	if err := p.timed(stageDeadLetters, func() error { return p.publish(ctx, b) }); err != nil {
		return fmt.Errorf("publish dead letters of offsets %d to %d: %w", leaf.First, leaf.Last, err)
	}
	if err := p.timed(stageInsert, func() error { return p.insertReceipt(ctx, f) }); err != nil {
		return fmt.Errorf("receipt of offsets %d to %d: %w", leaf.First, leaf.Last, err)
	}
	p.worker.metrics.batches.WithLabelValues(p.key.Topic).Inc()
	return nil
}

// insertRows writes all tables of a batch but the receipt.
func (p *partition) insertRows(ctx context.Context, f *flight) error {
	steps, err := p.worker.store.Steps(f.batch.block)
	if err != nil {
		return err
	}
	for _, step := range steps[:len(steps)-1] {
		if err := step.Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// insertReceipt makes a batch visible, whose rows are there.
func (p *partition) insertReceipt(ctx context.Context, f *flight) error {
	steps, err := p.worker.store.Steps(f.batch.block)
	if err != nil {
		return err
	}
	return steps[len(steps)-1].Run(ctx)
}

// activated records the offset from which another bundle judges this partition.
func (p *partition) activated(ctx context.Context, leaf ledger.Batch, index uint64) error {
	if leaf.Bundle == p.inForce {
		return nil
	}
	err := p.worker.retry(ctx, stepActivation, func(ctx context.Context) error {
		return p.worker.store.InsertActivation(ctx, store.Activation{Source: leaf.Source, Topic: leaf.Topic,
			Partition: leaf.Partition, From: leaf.First, Bundle: leaf.Bundle, LedgerIndex: index})
	}, always)
	if err != nil {
		return fmt.Errorf("activation of bundle %s at offset %d: %w", leaf.Bundle, leaf.First, err)
	}
	p.inForce = leaf.Bundle
	return nil
}

// append records the leaf. While the ledger does not answer the partition waits here, before anything is inserted:
// evidence is never skipped to keep up.
func (p *partition) append(ctx context.Context, leaf ledger.Leaf) (index uint64, err error) {
	err = p.timed(stageLedger, func() error {
		return p.worker.retry(ctx, stepLedger, func(ctx context.Context) error {
			index, err = p.worker.ledger.Append(ctx, leaf)
			return err
		}, func(err error) bool { return errors.Is(err, ledger.ErrUnavailable) })
	})
	return index, err
}

func (p *partition) publish(ctx context.Context, b *batch) error {
	if len(b.letters) == 0 {
		return nil
	}
	return p.worker.retry(ctx, stepLetters, func(ctx context.Context) error {
		_, err := p.worker.letters.Produce(ctx, p.worker.cfg.DeadLetterTopic, b.letters)
		return err
	}, always)
}

func (p *partition) timed(s stage, do func() error) error {
	start := time.Now()
	err := do()
	p.worker.metrics.stage(s, time.Since(start))
	return err
}

// The steps that Parts.Around sees.
const (
	stepLedger     = "ledger"
	stepLetters    = "dead_letters"
	stepActivation = "activation"
	stepCommit     = "commit"
)

func (w *Worker) attempt(ctx context.Context, step string, run func(context.Context) error) error {
	if w.around != nil {
		return w.around(ctx, step, run)
	}
	return run(ctx)
}

// always is for operations whose errors all may pass.
func always(error) bool { return true }

// retry repeats do with a growing pause while again says that the error may pass, until ctx ends or the worker stops.
func (w *Worker) retry(ctx context.Context, operation string, do func(context.Context) error, again func(error) bool) error {
	pause := 50 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := w.attempt(ctx, operation, do)
		if err == nil || !again(err) || ctx.Err() != nil {
			return err
		}
		w.metrics.retries.WithLabelValues(operation).Inc()
		w.log.Warn("trying again", "operation", operation, "attempt", attempt, "pause", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-drain.Stopping(ctx):
			return err
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
		pause = min(2*pause, 5*time.Second)
	}
}
