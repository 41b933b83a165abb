package store_test

import (
	"testing"

	"borderwatch/consumers/store"
)

// TestFillDoesNotAllocate appends events of known words to a block that has its memory already.
func TestFillDoesNotAllocate(t *testing.T) {
	list := samples(512)
	block := store.NewBlock()
	fillSamples(block, list, testBatch(0, 0))
	block.Begin(testBatch(0, 0))
	round := func() {
		for i := range list {
			s := &list[i]
			block.AppendEvent(&s.event, s.content, s.verdict)
			block.AppendRaw(int64(i), testTime, nil, s.value, nil)
		}
	}
	for range 4 { // more than is appended below, so that the block has memory for all of it
		round()
	}
	block.Begin(testBatch(0, 0))
	if n := testing.AllocsPerRun(2, round); n > 0 {
		t.Errorf("%v allocations for %d events", n, len(list))
	}
}
