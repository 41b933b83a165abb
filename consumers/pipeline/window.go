package pipeline

import (
	"context"
	"slices"
	"sync"

	"borderwatch/consumers/ledger"
	"borderwatch/schemas/access"
)

// flight is a recorded batch on its way from its leaf to the commit.
type flight struct {
	batch  *batch
	leaf   ledger.Batch
	index  uint64
	next   int64 // first offset after the batch
	newest access.Millis
	stored bool // it has its receipt
}

func newFlight(b *batch, leaf ledger.Batch, index uint64) *flight {
	return &flight{batch: b, leaf: leaf, index: index, next: leaf.Last + 1, newest: b.newest}
}

// window holds the recorded batches of a partition in the order of their leaves, from the first one without a receipt
// on. Inserts may finish in any order; the position moves over the unbroken run of receipts alone, and the window has
// room for Config.InFlight batches: whatever has no receipt is among the last so many leaves. It is safe for concurrent
// use.
type window struct {
	room chan struct{} // one for each batch in the window

	mu      sync.Mutex
	flights []*flight
	moving  bool // somebody commits
}

func newWindow(size int) *window { return &window{room: make(chan struct{}, size)} }

// enter waits for room. False means that the delivery is stopping.
func (w *window) enter(stopping context.Context) bool {
	select {
	case w.room <- struct{}{}:
		return stopping.Err() == nil
	case <-stopping.Done():
		return false
	}
}

// add takes in a batch that has entered and whose leaf follows that of the last one.
func (w *window) add(f *flight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flights = append(w.flights, f)
}

// landed notes that a batch has its receipt. It returns the last batch of the unbroken run of receipts, nil where that
// has not grown or somebody else is moving the position: they come to it by next.
func (w *window) landed(f *flight) *flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.stored = true
	if w.moving {
		return nil
	}
	return w.advance()
}

// next returns what landed while the position was moved, nil where nothing did.
func (w *window) next() *flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.advance()
}

func (w *window) advance() (last *flight) {
	n := 0
	for n < len(w.flights) && w.flights[n].stored {
		f := w.flights[n]
		if last != nil {
			f.newest = max(f.newest, last.newest)
		}
		last = f
		n++
		<-w.room
	}
	w.flights = slices.Delete(w.flights, 0, n)
	w.moving = last != nil
	return last
}

// deliverLoop records batches one after the other, each leaf naming the one before, and has them inserted beside each
// other by start. The first batch of a partition flies alone: the run of receipts starts with it. Once one has failed
// nothing more is recorded, and what fails is not tried again: taking over makes it good.
func (p *partition) deliverLoop(ctx, stopping context.Context, fail func(), sealed <-chan *batch, start func(func() error)) error {
	for b := range sealed {
		if !p.window.enter(stopping) {
			p.worker.recycle(b) // nothing of it is recorded: whoever reads on starts at its first offset
			continue
		}
		first := p.prev < 0
		f, err := p.record(ctx, b)
		if err != nil {
			fail()
			p.worker.recycle(b)
			return err
		}
		land := func() error {
			err := p.land(ctx, f)
			if err != nil {
				fail()
			}
			return err
		}
		if !first {
			start(land)
		} else if err := land(); err != nil {
			return err
		}
	}
	return nil
}

// land inserts a recorded batch and moves the position as far as receipts go.
func (p *partition) land(ctx context.Context, f *flight) error {
	err := p.insert(ctx, f, p.insertRows)
	p.worker.recycle(f.batch)
	f.batch = nil
	if err != nil {
		return err
	}
	for last := p.window.landed(f); last != nil; last = p.window.next() {
		p.stored(last.next, last.newest)
		if err := p.commitTo(ctx, last.next, last.index); err != nil {
			return err
		}
	}
	return nil
}
