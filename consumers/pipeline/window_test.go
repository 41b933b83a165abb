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
	source := l.source(w, l.topic)
	eventually(t, "the batches beside the one that hangs are stored", func() bool {
		hangs, behind := l.inFlight(source)
		return len(hangs) == 1 && behind == inFlight-1
	})
	w.stop()
	hangs, behind := l.inFlight(source)
	if len(hangs) != 1 || behind != inFlight-1 {
		t.Fatalf("%d batches without a receipt, %d recorded behind the first, want 1 and %d", len(hangs), behind, inFlight-1)
	}
	if at := l.committed()[0].At; at != hangs[0].First {
		t.Errorf("committed %d, the run of receipts ends before %d", at, hangs[0].First)
	}
	l.evict()
	w = l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	if n := w.metric("takeover_batches_total"); n != 1 {
		t.Errorf("%v batches were made again, want 1", n)
	}
}

// inFlight are the leaves of partition 0 without a receipt, and how many leaves follow the first of them.
func (l *lane) inFlight(source string) (without []ledger.Batch, behind int) {
	l.t.Helper()
	for entry, err := range l.rig.ledger.Leaves(l.t.Context(), ledger.Key{Source: source, Topic: l.topic}, 0) {
		if err != nil {
			l.t.Fatal(err)
		}
		if len(without) > 0 {
			behind++
		}
		leaf := entry.Leaf.(ledger.Batch)
		if l.scalar("SELECT count() FROM %[1]s.receipts WHERE topic = $1 AND first_offset = $2", l.topic, leaf.First) == 0 {
			without = append(without, leaf)
		}
	}
	return without, behind
}

func TestInFlightLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 5} {
		if _, err := pipeline.New(pipeline.Config{InFlight: n}, pipeline.Parts{}); err == nil {
			t.Errorf("%d batches in flight are accepted", n)
		}
	}
}
