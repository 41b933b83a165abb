package pipeline

import (
	"time"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// The invariants of the simulation. Some hold at every step and are checked where it happens; audit holds the rest, when
// all is done, by what the log's records come to when they are judged by code that knows of no delivery.

// checkAppend is called for every new leaf.
func (w *world) checkAppend(leaf ledger.Leaf) {
	span := leaf.(ledger.Ranged).Span()
	chain := w.ledger.of(span.Key)
	if len(chain) > 1 {
		before := chain[len(chain)-2]
		if at := before.Leaf.(ledger.Ranged).Span(); span.First != at.Last+1 || span.Prev != int64(before.Index) {
			w.violate("ledger: leaf %d-%d after %d names leaf %d, but follows %d-%d at %d", span.First, span.Last, span.Prev, span.Prev, at.First, at.Last, before.Index)
		}
	}
	if start := w.broker.log.start; span.Key.Source == w.broker.log.source() && span.First < start && start <= span.Last {
		w.excused = true // of a batch that was recorded late only some is left
	}
	open := 0
	for _, b := range w.ledger.batches(span.Key) {
		if !w.store.covered(b.Source, b.First, b.Last) {
			open++
		}
	}
	if open > w.plan.inFlight {
		w.violate("memory: %d recorded batches without a receipt, at most %d are allowed", open, w.plan.inFlight)
	}
}

// checkReceipt is called for every new receipt: from now on people see the batch.
func (w *world) checkReceipt(r *simReceipt) {
	for _, other := range w.store.receipts[:len(w.store.receipts)-1] {
		if other.Source == r.Source && other.First <= r.Last && r.First <= other.Last {
			w.violate("doubled: receipts of %d-%d and %d-%d of %s", other.First, other.Last, r.First, r.Last, r.Source)
		}
	}
	for _, e := range w.ledger.of(simKey(r.Source)) {
		if b, ok := e.Leaf.(ledger.Batch); ok && e.Index == r.LedgerIndex {
			w.checkRows(b)
			return
		}
	}
	w.violate("receipt of %d-%d names leaf %d, which is none of its partition", r.First, r.Last, r.LedgerIndex)
}

// checkRows holds the rows of a batch against its leaf.
func (w *world) checkRows(b ledger.Batch) {
	for _, t := range []struct {
		table string
		rows  int64
		root  [32]byte
	}{
		{"raw_rows", b.Events + b.Quarantined, b.RecordsRoot}, {"event_rows", b.Events, b.EventsRoot},
		{"alert_rows", b.Alerts, b.AlertsRoot}, {"dead_letter_rows", b.Quarantined, b.QuarantineRoot},
	} {
		blocks := w.store.found(t.table, b.Source, b.First, b.Last)
		switch {
		case t.rows == 0 && len(blocks) == 0:
		case len(blocks) == 0:
			w.violate("lost: %s has no rows of the visible batch %d-%d", t.table, b.First, b.Last)
		case len(blocks) > 1:
			w.violate("doubled: %s has the rows of %d-%d %d times", t.table, b.First, b.Last, len(blocks))
		case int64(blocks[0].rows) != t.rows || blocks[0].root != t.root:
			w.violate("altered: the rows of %d-%d in %s are not those of the leaf", b.First, b.Last, t.table)
		}
	}
}

// checkCommit is called for every accepted commit. The position may go back where an earlier commit of the same member
// arrives late: the ledger decides where to read on.
func (w *world) checkCommit(p *process, next int64, metadata string) {
	source := committedSource(metadata)
	head := w.ledger.head(simKey(source))
	if head == nil || next > head.Leaf.(ledger.Ranged).Span().Last+1 {
		w.violate("commit: offset %d is past the ledger's head", next)
		return
	}
	if p.generation != w.broker.generation && next < w.broker.committed.Offset {
		w.violate("commit: a member without the partition moved the position back from %d to %d", w.broker.committed.Offset, next)
	}
	first := w.ledger.of(simKey(source))[0].Leaf.(ledger.Ranged).Span().First
	if !w.store.covered(source, first, next-1) {
		w.violate("commit: not all before offset %d has its receipt", next)
	}
}

// covered says whether receipts and noticed gaps cover a range.
func (s *simStore) covered(source string, first, last int64) bool {
	for at := first; at <= last; {
		next := at
		for _, r := range s.receipts {
			if r.Source == source && r.First <= at && at <= r.Last {
				next = r.Last + 1
			}
		}
		for _, n := range s.notices {
			if n.Source == source && n.First <= at && at <= n.Last {
				next = max(next, n.Last+1)
			}
		}
		if next == at {
			return false
		}
		at = next
	}
	return true
}

// checkEnded looks for what a process leaves behind. Its blocks and decoders, which are dear to make, go to the next one.
func (w *world) checkEnded(p *process) {
	if !p.ended {
		w.violate("process %d does not end", p.id)
		return
	}
	if !p.worker.budget.try(p.worker.budget.total) {
		w.violate("memory: process %d holds some after its end", p.id)
	}
	w.rig.spare = append(w.rig.spare, p.worker.spare...)
	if p.judge != nil {
		w.rig.judges = append(w.rig.judges, p.judge)
	}
}

// audit looks at everything once more, at the end.
func (w *world) audit() {
	for _, l := range sortedLogs(&w.broker) {
		live := l == w.broker.log
		key := simKey(l.source())
		chain := w.ledger.of(key)
		if live && !w.excused && l.end() > l.began {
			w.checkComplete(l, chain)
		}
		for _, e := range chain {
			b, ok := e.Leaf.(ledger.Batch)
			if !ok || !w.store.receipt(b.Source, b.First, b.Last) {
				continue
			}
			w.checkRows(b)
			w.checkJudged(l, b)
			if said := w.store.inForce(b.Source, b.First); said != b.Bundle {
				w.violate("activation: bundle %.8s judged offset %d, activations say %.8s", b.Bundle, b.First, said)
			}
			w.checkLetters(l, b)
		}
	}
	for a := range w.store.activations {
		if leaf, ok := w.ledger.entries[a.LedgerIndex].Leaf.(ledger.Batch); !ok || leaf.First != a.From || leaf.Bundle != a.Bundle {
			w.violate("activation of %.8s at %d names leaf %d, which is another", a.Bundle, a.From, a.LedgerIndex)
		}
	}
}

// checkComplete holds the log against ledger and store: no record that was there is missing.
func (w *world) checkComplete(l *simLog, chain []ledger.Entry) {
	if len(chain) == 0 {
		w.violate("lost: nothing of %s is recorded", l.source())
		return
	}
	first, last := chain[0].Leaf.(ledger.Ranged).Span().First, chain[len(chain)-1].Leaf.(ledger.Ranged).Span().Last
	if first > l.began || last != l.end()-1 {
		w.violate("lost: the ledger has offsets %d to %d, the log had %d to %d", first, last, l.began, l.end()-1)
	}
	if !w.store.covered(l.source(), first, last) {
		w.violate("lost: not all offsets from %d to %d have a receipt or a notice", first, last)
	}
	for _, n := range w.store.notices {
		if n.Source == l.source() && n.Last >= l.start {
			w.violate("lost: offsets %d to %d are called a gap, and the log starts at %d", n.First, n.Last, l.start)
		}
	}
}

// receipt says whether the very range has a receipt.
func (s *simStore) receipt(source string, first, last int64) bool {
	for i := range s.receipts {
		if r := &s.receipts[i]; r.Source == source && r.First == first && r.Last == last {
			return true
		}
	}
	return false
}

// inForce is the bundle that the activations name for an offset.
func (s *simStore) inForce(source string, offset int64) string {
	var last store.Activation
	for a := range s.activations {
		if a.Source == source && a.From <= offset && (last.Bundle == "" || a.From > last.From) {
			last = a
		}
	}
	return last.Bundle
}

// checkJudged judges the records of a batch again by the bundle that its leaf names.
func (w *world) checkJudged(l *simLog, leaf ledger.Batch) {
	j, b := w.rig.judge, w.rig.batch
	key := simSaltKey(leaf.BatchTime.Format(time.DateOnly))
	bundle := w.byDigest(leaf.Bundle)
	b.open(simKey(l.source()), leaf.First, bundle, leaf.BatchTime, store.NewSalts(key, leaf.Source, leaf.Topic, leaf.Partition))
	j.pin(bundle)
	silent := int64(0)
	for i := leaf.First; i <= leaf.Last; i++ {
		if e := &l.entries[i]; e.kind == anEvent || e.kind == aLetter {
			j.one(b, &e.record)
		} else {
			silent++
		}
	}
	b.next = leaf.Last + 1
	b.counts.control, b.counts.compacted = leaf.Control, leaf.Compacted
	if again := b.leaf(leaf.Prev); again != leaf || silent != leaf.Control+leaf.Compacted {
		w.violate("misjudged: offsets %d to %d come to\n%s, the ledger has\n%s", leaf.First, leaf.Last, again.Marshal(), leaf.Marshal())
	}
}

// checkLetters looks for the dead letters of a stored batch in their topic.
func (w *world) checkLetters(l *simLog, b ledger.Batch) {
	for i := b.First; i <= b.Last; i++ {
		if e := &l.entries[i]; e.kind == aLetter && w.broker.letters[string(e.record.Value)] == 0 {
			w.violate("lost: the dead letter at offset %d was not published", i)
		}
	}
}
