package pipeline_test

import (
	"testing"
	"time"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
)

// A batch that hangs keeps the position where it is, however many behind it have their receipts, and no more than are
// allowed are recorded. The next owner makes the one in the middle good, and nothing else.
func TestSeveralBatchesInFlight(t *testing.T) {
	t.Parallel()
	const inFlight = 3
	l := newRig(t).lane(t, 1, nil)
	g := newGate()
	w := l.start(parts{around: g.at("event_rows", 2), config: pipeline.Config{InFlight: inFlight, StopGrace: time.Millisecond}})
	l.produce(traffic(200, 1)...)
	<-g.reached
	receipts := func() uint64 {
		return l.scalar("SELECT count() FROM %[1]s.receipts WHERE topic = $1", l.topic)
	}
	eventually(t, "the batches beside the one that hangs are stored", func() bool { return receipts() == inFlight })
	source := l.source(w, l.topic)
	w.stop()
	var leaves []ledger.Batch
	for entry, err := range l.rig.ledger.Leaves(t.Context(), ledger.Key{Source: source, Topic: l.topic}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, entry.Leaf.(ledger.Batch))
	}
	if len(leaves) != 1+inFlight || receipts() != inFlight {
		t.Errorf("%d leaves and %d receipts, want %d and %d", len(leaves), receipts(), 1+inFlight, inFlight)
	}
	if at := l.committed()[0].At; at != leaves[0].Last+1 {
		t.Errorf("committed %d, the run of receipts ends at %d", at, leaves[0].Last)
	}
	l.evict()
	w = l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	if n := w.metric("takeover_batches_total"); n != 1 {
		t.Errorf("%v batches were made again, want 1", n)
	}
}

func TestInFlightLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 5} {
		if _, err := pipeline.New(pipeline.Config{InFlight: n}, pipeline.Parts{}); err == nil {
			t.Errorf("%d batches in flight are accepted", n)
		}
	}
}
