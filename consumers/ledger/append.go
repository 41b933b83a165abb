package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/transparency-dev/tessera"
)

// Head is the last durable leaf of a partition.
type Head struct {
	Index uint64 // its place in the ledger, the Prev of the next leaf
	First int64  // its range
	Last  int64
}

// ConflictError means that a leaf does not continue its partition: the worker
// that made it no longer owns the partition, or missed a leaf. It must stop.
type ConflictError struct {
	Leaf   Span
	Exists bool // the partition has a head
	Head   Head
}

func (e *ConflictError) Error() string {
	if !e.Exists {
		return fmt.Sprintf("ledger conflict on %s: leaf [%d,%d] follows index %d, but the partition has no leaf",
			e.Leaf.Key, e.Leaf.First, e.Leaf.Last, e.Leaf.Prev)
	}
	return fmt.Sprintf("ledger conflict on %s: leaf [%d,%d] follows index %d, but the head is [%d,%d] at index %d",
		e.Leaf.Key, e.Leaf.First, e.Leaf.Last, e.Leaf.Prev, e.Head.First, e.Head.Last, e.Head.Index)
}

// slot is what the ledger knows of one partition. Whoever has the turn may use
// the other fields; an append keeps it until its outcome is certain.
type slot struct {
	turn   chan struct{}
	exists bool
	head   Head
	digest [32]byte // of the head's text
	// After a failed append the head is whatever the files say. They are read
	// from index resync on before the slot is used again.
	unknown bool
	resync  uint64
}

func newSlot() slot { return slot{turn: make(chan struct{}, 1)} }

func (s *slot) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slot) release() { <-s.turn }

type outcome struct {
	index uint64
	err   error
}

// Append writes a leaf and returns its index once it is durable. A ranged leaf
// must start at the offset after its partition's head and name the head's
// index as Prev; otherwise the error is a *ConflictError. The first leaf of a
// partition may start anywhere, with Prev -1. A leaf that already is the head,
// byte for byte, is not written again: its index is returned, so an append
// whose answer was lost can be repeated. Leaves without a range are written
// once for each distinct text.
//
// Other errors wrap ErrInvalidLeaf (nothing was written) or ErrUnavailable
// (the leaf may be in the ledger: append it again before going on). If ctx
// ends first the append goes on, and the next one of the partition waits for
// its outcome.
func (l *Log) Append(ctx context.Context, leaf Leaf) (uint64, error) {
	if err := leaf.Validate(); err != nil {
		return 0, err
	}
	text := leaf.Marshal()
	s, err := l.enter(leaf)
	if err != nil {
		return 0, err
	}
	if err := s.take(ctx); err != nil {
		l.inflight.Done()
		return 0, fmt.Errorf("%w: wait for the append before: %w", ErrUnavailable, err)
	}
	index, done, err := l.check(ctx, s, leaf, text)
	if done || err != nil {
		s.release()
		l.inflight.Done()
		return index, err
	}
	result := make(chan outcome, 1)
	go l.commit(context.WithoutCancel(ctx), s, leaf, text, result)
	select {
	case o := <-result:
		return o.index, o.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: append has no outcome yet: %w", ErrUnavailable, ctx.Err())
	}
}

// enter registers an append, which Close waits for, and returns its slot.
func (l *Log) enter(leaf Leaf) (*slot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return nil, err
	}
	l.inflight.Add(1)
	r, ok := leaf.(Ranged)
	if !ok {
		return &l.notices, nil
	}
	return l.slotLocked(r.Span().Key), nil
}

func (l *Log) usableLocked() error {
	if l.closed {
		return ErrClosed
	}
	return l.failed
}

func (l *Log) slotLocked(k Key) *slot {
	s := l.heads[k]
	if s == nil {
		n := newSlot()
		s = &n
		l.heads[k] = s
	}
	return s
}

// check compares the leaf with the head. It reports done with an index if the
// very leaf is there already.
func (l *Log) check(ctx context.Context, s *slot, leaf Leaf, text []byte) (index uint64, done bool, err error) {
	if err := l.settle(ctx, s, leaf); err != nil {
		return 0, false, err
	}
	digest := sha256.Sum256(text)
	r, ok := leaf.(Ranged)
	if !ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		index, done = l.noticed[digest]
		return index, done, nil
	}
	if s.exists && s.digest == digest {
		return s.head.Index, true, nil
	}
	return 0, false, s.follows(r.Span())
}

// follows is the compare half of the compare-and-swap.
func (s *slot) follows(next Span) error {
	ok := next.Prev == -1
	if s.exists {
		// Written so that it cannot overflow at the largest offset.
		ok = next.First-1 == s.head.Last && next.Prev == int64(s.head.Index)
	}
	if ok {
		return nil
	}
	return &ConflictError{Leaf: next, Exists: s.exists, Head: s.head}
}

// commit writes a leaf that passed check and gives up the turn when it is
// certain whether the leaf is in the log.
func (l *Log) commit(ctx context.Context, s *slot, leaf Leaf, text []byte, result chan<- outcome) {
	defer l.inflight.Done()
	defer s.release()
	l.mu.Lock()
	from := l.acked // entries below were sequenced before this one
	l.mu.Unlock()
	index, err := l.add(ctx, tessera.NewEntry(text))()
	if err != nil {
		s.unknown, s.resync = true, from
		result <- outcome{err: fmt.Errorf("%w: append: %w", ErrUnavailable, err)}
		return
	}
	if index.Index < from {
		result <- outcome{err: l.fail(index.Index, from)}
		return
	}
	l.note(s, index.Index, leaf, sha256.Sum256(text))
	l.mu.Lock()
	l.acked = max(l.acked, index.Index+1)
	l.mu.Unlock()
	result <- outcome{index: index.Index}
}

// fail stops the log for good: an index was given out twice, so somebody else
// changed its files. Nothing more is signed.
func (l *Log) fail(index, acked uint64) error {
	l.sign.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = fmt.Errorf("%w: the log went back to index %d after %d leaves: its files were changed by somebody else",
		ErrUnavailable, index, acked)
	return l.failed
}

// note makes a durable leaf the head. The caller has the turn.
func (l *Log) note(s *slot, index uint64, leaf Leaf, digest [32]byte) {
	r, ok := leaf.(Ranged)
	if !ok {
		l.noteUnranged(index, leaf, digest)
		return
	}
	span := r.Span()
	s.exists, s.digest = true, digest
	s.head = Head{Index: index, First: span.First, Last: span.Last}
}

// noteUnranged remembers a leaf so that it is written once. Heartbeats are many and nobody repeats them.
func (l *Log) noteUnranged(index uint64, leaf Leaf, digest [32]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch leaf := leaf.(type) {
	case Heartbeat:
		return
	case KeyRotation:
		l.rotations = append(l.rotations, leaf)
	}
	l.noticed[digest] = index
}

// settle finds out what became of a failed append: it reads the log from where
// that append could be. An append may fail after it took effect.
func (l *Log) settle(ctx context.Context, s *slot, leaf Leaf) error {
	if !s.unknown {
		return nil
	}
	want, ranged := leaf.(Ranged)
	err := l.scan(ctx, s.resync, func(e Entry, digest [32]byte) error {
		have, ok := e.Leaf.(Ranged)
		if ok == ranged && (!ok || have.Span().Key == want.Span().Key) {
			l.note(s, e.Index, e.Leaf, digest)
		}
		return nil
	})
	// The one step that may have failed after the log took the leaf is the sync
	// of the state folder. Until it succeeds the leaf is visible, not durable.
	if err = errors.Join(err, syncDir(l.treePath(".state"))); err != nil {
		return fmt.Errorf("%w: find the outcome of a failed append: %w", ErrUnavailable, err)
	}
	s.unknown = false
	return nil
}

// Head returns the last durable leaf of a partition and whether there is one.
// It waits for a running append of the partition.
func (l *Log) Head(ctx context.Context, k Key) (Head, bool, error) {
	l.mu.Lock()
	s, err := l.heads[k], l.usableLocked()
	l.mu.Unlock()
	if s == nil || err != nil {
		return Head{}, false, err
	}
	if err := s.take(ctx); err != nil {
		return Head{}, false, fmt.Errorf("%w: wait for the append before: %w", ErrUnavailable, err)
	}
	defer s.release()
	if err := l.settle(ctx, s, Gap{Source: k.Source, Topic: k.Topic, Partition: k.Partition}); err != nil {
		return Head{}, false, err
	}
	return s.head, s.exists, nil
}
