package pipeline_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
)

// gate holds a worker at a step until it is opened.
type gate struct {
	reached chan struct{}
	opened  chan struct{}

	mu   sync.Mutex
	seen int
}

func newGate() *gate { return &gate{reached: make(chan struct{}), opened: make(chan struct{})} }

// at holds the n-th attempt of a step.
func (g *gate) at(step string, n int) around {
	return func(ctx context.Context, s string, run func(context.Context) error) error {
		if s == step && g.count() == n {
			close(g.reached)
			select {
			case <-g.opened:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return run(ctx)
	}
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen++
	return g.seen
}

func (g *gate) open() { close(g.opened) }

// crashAt runs a worker that dies at the n-th attempt of a step, and returns the leaf that it could not finish: it has
// one batch in flight.
func (l *lane) crashAt(step string, n int) ledger.Batch {
	l.t.Helper()
	g := newGate()
	w := l.start(parts{around: g.at(step, n), config: pipeline.Config{StopGrace: time.Millisecond, InFlight: 1}})
	<-g.reached
	source := l.source(w, l.topic)
	w.stop()
	var last ledger.Batch
	for entry, err := range l.rig.ledger.Leaves(l.t.Context(), ledger.Key{Source: source, Topic: l.topic}, 0) {
		if err != nil {
			l.t.Fatal(err)
		}
		last = entry.Leaf.(ledger.Batch)
	}
	return last
}

// pretend records a gap in partition 0 that follows the head, or is the first leaf.
func (r *rig) pretend(t testing.TB, source, topic string, first, last int64) {
	t.Helper()
	head, ok, err := r.ledger.Head(t.Context(), ledger.Key{Source: source, Topic: topic})
	if err != nil {
		t.Fatal(err)
	}
	prev := int64(-1)
	if ok {
		prev = int64(head.Index)
	}
	leaf := ledger.Gap{Source: source, Topic: topic, First: first, Last: last, Reason: "made by a test", BatchTime: time.Now().UTC().Truncate(time.Millisecond), Prev: prev}
	if _, err := r.ledger.Append(t.Context(), leaf); err != nil {
		t.Fatal(err)
	}
}
