package pipeline

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/ledger"
)

// simLedger keeps leaves durably, by compare-and-swap on each partition's head.
type simLedger struct{ entries []ledger.Entry }

func (l *simLedger) head(k ledger.Key) *ledger.Entry {
	for i := len(l.entries) - 1; i >= 0; i-- {
		if l.entries[i].Leaf.(ledger.Ranged).Span().Key == k {
			return &l.entries[i]
		}
	}
	return nil
}

func (l *simLedger) of(k ledger.Key) (out []ledger.Entry) {
	for _, e := range l.entries {
		if e.Leaf.(ledger.Ranged).Span().Key == k {
			out = append(out, e)
		}
	}
	return out
}

func (l *simLedger) batches(k ledger.Key) (out []ledger.Batch) {
	for _, e := range l.of(k) {
		if b, ok := e.Leaf.(ledger.Batch); ok {
			out = append(out, b)
		}
	}
	return out
}

func (l *simLedger) append(w *world, leaf ledger.Leaf) (uint64, error) {
	if err := leaf.Validate(); err != nil {
		return 0, err
	}
	span := leaf.(ledger.Ranged).Span()
	head := l.head(span.Key)
	if head != nil && head.Leaf == leaf {
		return head.Index, nil
	}
	if err := follows(span, head); err != nil && w.wrong != noCompareAndSwap {
		w.reached[refusedLeaf]++
		return 0, err
	}
	if gap, ok := leaf.(ledger.Gap); ok && gap.First <= gap.Last {
		w.reached[declaredGap]++
	}
	index := uint64(len(l.entries))
	l.entries = append(l.entries, ledger.Entry{Index: index, Leaf: leaf})
	w.checkAppend(leaf)
	return index, nil
}

// follows is the compare of the compare-and-swap.
func follows(span ledger.Span, head *ledger.Entry) error {
	if head == nil {
		if span.Prev != -1 {
			return &ledger.ConflictError{Leaf: span}
		}
		return nil
	}
	at := head.Leaf.(ledger.Ranged).Span()
	if span.First == at.Last+1 && span.Prev == int64(head.Index) {
		return nil
	}
	return &ledger.ConflictError{Leaf: span, Exists: true, Head: ledger.Head{Index: head.Index, First: at.First, Last: at.Last}}
}

// simLedgerClient is a process's way to the ledger.
type simLedgerClient struct {
	w *world
	p *process
}

func (c *simLedgerClient) Append(_ context.Context, leaf ledger.Leaf) (index uint64, err error) {
	span := leaf.(ledger.Ranged).Span()
	err = c.w.do(c.p, writing, fmt.Sprintf("append %T %d-%d", leaf, span.First, span.Last), func() (err error) {
		index, err = c.w.ledger.append(c.w, leaf)
		return err
	})
	return index, unavailable(err)
}

// unavailable makes an injected fault what the ledger calls it.
func unavailable(err error) error {
	if err == errInjectedFault || err == errKilled {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
	}
	return err
}

func (c *simLedgerClient) Head(_ context.Context, k ledger.Key) (head ledger.Head, ok bool, err error) {
	err = c.w.do(c.p, reading, "head", func() error {
		if e := c.w.ledger.head(k); e != nil {
			span := e.Leaf.(ledger.Ranged).Span()
			head, ok = ledger.Head{Index: e.Index, First: span.First, Last: span.Last}, true
		}
		return nil
	})
	return head, ok, unavailable(err)
}

func (c *simLedgerClient) Leaves(_ context.Context, k ledger.Key, from int64) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		var found []ledger.Entry
		err := c.w.do(c.p, reading, fmt.Sprintf("leaves from %d", from), func() error {
			for _, e := range c.w.ledger.of(k) {
				if e.Leaf.(ledger.Ranged).Span().Last >= from {
					found = append(found, e)
				}
			}
			return nil
		})
		if err != nil {
			yield(ledger.Entry{}, unavailable(err))
			return
		}
		for _, e := range found {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// SaltKey is the same for everybody, each day another.
func (c *simLedgerClient) SaltKey(_ context.Context, day string) (key ledger.SaltKey, err error) {
	err = c.w.do(c.p, reading, "salt key", func() error {
		key = simSaltKey(day)
		if c.w.wrong == otherSalts {
			key[0] = byte(c.p.id)
		}
		return nil
	})
	return key, unavailable(err)
}

func simSaltKey(day string) ledger.SaltKey { return sha256.Sum256([]byte(day)) }

// simBundles gives the bundle in force to all processes at once.
type simBundles struct {
	w *world
	p *process
}

func (b *simBundles) Current() *bundle.Bundle { return b.w.bundle }

func (b *simBundles) ByDigest(_ context.Context, digest string) (found *bundle.Bundle, err error) {
	err = b.w.do(b.p, reading, "bundle "+digest[:8], func() error {
		found = b.w.byDigest(digest)
		if b.w.wrong == redoByCurrentBundle {
			found = b.w.bundle
		}
		return nil
	})
	return found, err
}

func (w *world) byDigest(digest string) *bundle.Bundle {
	for _, b := range w.rig.bundles {
		if b.Digest == digest {
			return b
		}
	}
	return nil
}
