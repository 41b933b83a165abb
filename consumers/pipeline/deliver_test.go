package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 3, nil)
	l.produce(traffic(500, 3)...)
	w := l.start(parts{})
	l.produce(traffic(300, 3)...)
	l.caughtUp(w)
	l.check(w)
	w.stop()
}

// deliverySteps are the steps of a batch in their order: the leaf, the tables, the topic, the receipt, the offset.
var deliverySteps = []string{"ledger", "alert_rows", "raw_rows", "event_rows", "dead_letter_rows", "dead_letters", "activation", "receipts", "commit"}

// fault is what happens at a step, once.
type fault struct {
	name          string
	before, crash bool // before the step takes effect, or after it
}

var faults = []fault{
	{"failed", true, false}, {"failed but took effect", false, false}, {"crash before", true, true}, {"crash after", false, true},
}

var errInjected = errors.New("injected fault")

// injected wraps the error of a step such that it means that the outcome is unknown.
func injected(step string) error {
	if step == "ledger" {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, errInjected)
	}
	return errInjected
}

// once makes a fault at the n-th attempt of a step. A crash ends the worker by calling crash and lets nothing more of it
// take effect.
func (f fault) once(step string, n int64, crash func()) around {
	var seen atomic.Int64
	var dead atomic.Bool
	return func(ctx context.Context, s string, run func(context.Context) error) error {
		if dead.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		if s != step || seen.Add(1) != n {
			return run(ctx)
		}
		if !f.before {
			if err := run(ctx); err != nil {
				return err
			}
		}
		if f.crash {
			dead.Store(true)
			crash()
			<-ctx.Done()
			return ctx.Err()
		}
		return injected(s)
	}
}

// TestReplayUsesThePinnedBundle changes the rules between the leaf and the rows.
func TestReplayUsesThePinnedBundle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(60, 1)...)
	crashed := make(chan struct{})
	f := fault{"crash before", true, true}
	w := l.start(parts{around: f.once("event_rows", 1, func() { close(crashed) }), config: pipeline.Config{StopGrace: time.Millisecond}})
	<-crashed
	w.stop()
	first := r.bundles.Current().Digest
	edit(t, r.bundleDir, "packs/eu/EU-101.yaml", "status: active", "status: shadow")
	second := r.manager(t)
	if second.Current().Digest == first {
		t.Fatal("the edit changes nothing")
	}
	w = l.start(parts{bundles: second})
	l.produce(traffic(50, 1)...)
	l.caughtUp(w)
	l.check(w)
	for _, digest := range []string{first, second.Current().Digest} {
		if l.scalar("SELECT count() FROM %[1]s.events WHERE topic = $1 AND bundle = $2", l.topic, digest) == 0 {
			t.Errorf("nothing was judged by bundle %s", digest)
		}
		if l.scalar("SELECT count() FROM %[1]s.activations WHERE topic = $1 AND bundle = $2", l.topic, digest) == 0 {
			t.Errorf("no offset is recorded at which bundle %s took effect", digest)
		}
	}
}

// TestZombie freezes a worker between leaf and rows, lets another one take over, and lets the first go on.
func TestZombie(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(150, 1)...)
	frozen, thaw := make(chan struct{}), make(chan struct{})
	var hit atomic.Bool
	zombie := l.start(parts{config: pipeline.Config{Instance: "zombie"}, around: func(ctx context.Context, step string, run func(context.Context) error) error {
		if step == "event_rows" && hit.CompareAndSwap(false, true) {
			close(frozen)
			<-thaw
		}
		return run(ctx)
	}})
	<-frozen
	other := *l
	other.group = unique("group") // as after the zombie's session has timed out
	w := other.start(parts{})
	other.caughtUp(w)
	close(thaw)
	l.produce(traffic(100, 1)...)
	other.manifest = l.manifest
	other.caughtUp(w)
	zombie.stop()
	other.caughtUp(w)
	other.check(w)
}
