package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"borderwatch/consumers/drain"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// simStore is ClickHouse: blocks of rows and receipts, each whole or not at all. A token that it remembers is stored
// once, whatever comes with it.
type simStore struct {
	blocks      []simBlock
	receipts    []simReceipt
	activations map[store.Activation]bool
	notices     map[string]store.Notice
	tokens      map[string]bool
}

// simBlock is what one insert into one table left.
type simBlock struct {
	table, source string
	first, last   int64
	rows          int
	root          [32]byte
}

type simReceipt struct {
	store.Receipt
	input, judged [32]byte
}

func newSimStore() simStore {
	return simStore{activations: map[store.Activation]bool{}, notices: map[string]store.Notice{}, tokens: map[string]bool{}}
}

// forget drops the tokens, as the server does after a while.
func (w *world) forget() {
	clear(w.store.tokens)
	w.step("tokens are forgotten")
}

// once says whether a token is new.
func (w *world) once(token string) bool {
	if w.store.tokens[token] && w.wrong != noTokens {
		w.reached[doubledInsert]++
		return false
	}
	w.store.tokens[token] = true
	return true
}

// found are the blocks of a table that lie in a range.
func (s *simStore) found(table, source string, first, last int64) (out []simBlock) {
	for _, b := range s.blocks {
		if b.table == table && b.source == source && b.first >= first && b.last <= last {
			out = append(out, b)
		}
	}
	return out
}

func (s *simStore) receiptsOf(source string) (out []simReceipt) {
	for _, r := range s.receipts {
		if r.Source == source {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b simReceipt) int { return int(a.First - b.First) })
	return out
}

// simStoreClient is a process's way to the store.
type simStoreClient struct {
	w *world
	p *process
}

// Steps lists the very steps of the real store, which take effect in this one.
func (c *simStoreClient) Steps(b *store.Block) ([]store.Step, error) {
	steps, err := c.w.rig.store.Steps(b)
	if err != nil {
		return nil, err
	}
	batch, seal := b.Sealed()
	roots := b.Roots()
	content := map[string][32]byte{"alert_rows": roots.Alerts, "raw_rows": roots.Records, "event_rows": roots.Events, "dead_letter_rows": roots.Quarantine}
	for i := range steps {
		step := &steps[i]
		block := simBlock{step.Name, batch.Source, batch.First, seal.Last, step.Rows, content[step.Name]}
		effect := func() error { c.w.insertBlock(step.Token, block); return nil }
		if step.Name == "receipts" {
			r := simReceipt{store.Receipt{Source: batch.Source, Topic: batch.Topic, First: batch.First, Last: seal.Last, Bundle: batch.Bundle, LedgerIndex: seal.LedgerIndex}, seal.Input, seal.Judged}
			effect = func() error { c.insertReceipt(step.Token, r); return nil }
		}
		step.Run = c.untilAcknowledged(fmt.Sprintf("insert %s %d-%d", step.Name, batch.First, seal.Last), effect)
	}
	if c.w.wrong == receiptFirst {
		slices.Reverse(steps)
	}
	return steps, nil
}

// untilAcknowledged keeps the contract of a step: it is repeated until it is known to have happened, ctx ends or the
// process drains.
func (c *simStoreClient) untilAcknowledged(name string, effect func() error) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			err := c.w.do(c.p, inserting, name, effect)
			if err == nil {
				return err
			}
			if errors.Is(err, errRefused) {
				return &store.HaltError{Err: err}
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-drain.Stopping(ctx):
				return err
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			}
		}
	}
}

func (w *world) insertBlock(token string, b simBlock) {
	if w.wrong == acknowledgesNothing && b.table == "event_rows" && b.first%4 == 1 {
		return
	}
	if w.once(token) {
		w.store.blocks = append(w.store.blocks, b)
	}
}

func (c *simStoreClient) insertReceipt(token string, r simReceipt) {
	w := c.w
	if w.wrong == commitBeforeReceipt {
		w.checkCommit(c.p, r.Last+1, commitMetadata(r.LedgerIndex, r.Source))
	}
	if w.once(token) {
		w.store.receipts = append(w.store.receipts, r)
		w.checkReceipt(&r)
	}
}

func (c *simStoreClient) Look(_ context.Context, r store.Range) (f store.Found, err error) {
	err = c.w.do(c.p, reading, fmt.Sprintf("look %d-%d", r.First, r.Last), func() error {
		c.w.reached[madeAgain]++
		if c.w.store.after(r.Source, r.Last) {
			c.w.reached[filledHole]++
		}
		if c.w.wrong == blindRedo {
			return nil
		}
		count := func(table string) (n uint64) {
			for _, b := range c.w.store.found(table, r.Source, r.First, r.Last) {
				n += uint64(b.rows)
			}
			return n
		}
		f = store.Found{Receipt: c.w.store.receipt(r.Source, r.First, r.Last), Events: count("event_rows"), Raw: count("raw_rows"), Alerts: count("alert_rows"), DeadLetters: count("dead_letter_rows")}
		return nil
	})
	return f, err
}

// StoredRoots are those of the blocks in the range. A table that has none, or more than one, was told by Look.
func (c *simStoreClient) StoredRoots(_ context.Context, b *store.Block) (roots store.Roots, err error) {
	batch, seal := b.Sealed()
	err = c.w.do(c.p, reading, fmt.Sprintf("roots %d-%d", batch.First, seal.Last), func() error {
		if c.w.wrong == believesCounts {
			roots = b.Roots()
			return nil
		}
		roots, _ = store.LeafRoots(nil)
		for table, root := range map[string]*[32]byte{"alert_rows": &roots.Alerts, "raw_rows": &roots.Records, "event_rows": &roots.Events, "dead_letter_rows": &roots.Quarantine} {
			for _, stored := range c.w.store.found(table, batch.Source, batch.First, seal.Last) {
				*root = stored.root
			}
		}
		return nil
	})
	return roots, err
}

func (c *simStoreClient) LastReceipt(_ context.Context, source, _ string, _ int32) (last int64, err error) {
	err = c.w.do(c.p, reading, "last receipt", func() error {
		last = c.w.store.unbroken(source)
		if c.w.wrong == forgetsUnfinished {
			if head := c.w.ledger.head(simKey(source)); head != nil {
				last = head.Leaf.(ledger.Ranged).Span().Last
			}
		}
		return nil
	})
	return last, err
}

// after says whether there is a receipt behind an offset.
func (s *simStore) after(source string, offset int64) bool {
	return slices.ContainsFunc(s.receipts, func(r simReceipt) bool { return r.Source == source && r.First > offset })
}

// unbroken is the last offset of the unbroken run of receipts and noticed gaps, -1 without any.
func (s *simStore) unbroken(source string) int64 {
	type span struct{ first, last int64 }
	var spans []span
	for _, r := range s.receipts {
		if r.Source == source {
			spans = append(spans, span{r.First, r.Last})
		}
	}
	for _, n := range s.notices {
		if n.Source == source {
			spans = append(spans, span{n.First, n.Last})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.first - b.first) })
	last := int64(-1)
	for i, sp := range spans {
		if i > 0 && sp.first > last+1 {
			break
		}
		last = max(last, sp.last)
	}
	return last
}

func (c *simStoreClient) Receipts(_ context.Context, source, _ string, _ int32, from int64) (out []store.Receipt, err error) {
	err = c.w.do(c.p, reading, fmt.Sprintf("receipts from %d", from), func() error {
		for _, r := range c.w.store.receiptsOf(source) {
			if r.Last >= from {
				out = append(out, r.Receipt)
			}
		}
		return nil
	})
	return out, err
}

func (c *simStoreClient) InsertActivation(_ context.Context, a store.Activation) error {
	return c.w.do(c.p, writing, fmt.Sprintf("activation %d", a.From), func() error {
		c.w.store.activations[a] = true
		return nil
	})
}

func (c *simStoreClient) InsertNotice(_ context.Context, n store.Notice) error {
	return c.w.do(c.p, writing, fmt.Sprintf("notice %d-%d", n.First, n.Last), func() error {
		if _, ok := c.w.ledger.entries[n.LedgerIndex].Leaf.(ledger.Batch); ok {
			c.w.reached[declaredLost]++
		}
		id := n.ID()
		c.w.store.notices[string(id[:])] = n
		return nil
	})
}
