package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"
)

// replay rebuilds all heads and checks the leaves against the checkpoint. It
// runs before anyone else can use the log, so it takes no turns.
func (l *Log) replay(ctx context.Context) error {
	cp, err := l.openCheckpoint(ctx)
	if err != nil {
		return err
	}
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	err = l.scanText(ctx, 0, func(index uint64, text []byte) error {
		if err := l.restore(index, text); err != nil {
			return fmt.Errorf("leaf at index %d: %w", index, err)
		}
		if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(text), nil); err != nil {
			return err
		}
		if index+1 == cp.Size {
			return compareRoot(tree, cp)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if tree.End() < cp.Size {
		return fmt.Errorf("the log has %d leaves and a checkpoint for %d: it was rolled back", tree.End(), cp.Size)
	}
	l.acked = tree.End()
	return nil
}

// openCheckpoint returns a zero checkpoint for a log that has none yet.
func (l *Log) openCheckpoint(ctx context.Context) (cp log.Checkpoint, err error) {
	raw, err := l.reader.ReadCheckpoint(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return cp, nil
	}
	if err != nil {
		return cp, fmt.Errorf("read checkpoint: %w", err)
	}
	n, err := note.Open(raw, l.keys)
	if err != nil {
		return cp, fmt.Errorf("checkpoint is not signed by this ledger's key: %w", err)
	}
	if _, err := cp.Unmarshal([]byte(n.Text)); err != nil {
		return cp, fmt.Errorf("read checkpoint: %w", err)
	}
	return cp, nil
}

func compareRoot(tree *compact.Range, cp log.Checkpoint) error {
	root, err := tree.GetRootHash(nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(root, cp.Hash) {
		return fmt.Errorf("the first %d leaves hash to %x, the signed checkpoint says %x: they were altered", cp.Size, root, cp.Hash)
	}
	return nil
}

// restore applies the rule of Append to a leaf that is already in the log.
func (l *Log) restore(index uint64, text []byte) error {
	leaf, err := ParseLeaf(text)
	if err != nil {
		return err
	}
	s := &l.notices
	if r, ok := leaf.(Ranged); ok {
		s = l.slotLocked(r.Span().Key)
		if err := s.follows(r.Span()); err != nil {
			return err
		}
	}
	l.note(s, index, leaf, sha256.Sum256(text))
	return nil
}

// scan calls f for every parsed leaf from index on.
func (l *Log) scan(ctx context.Context, from uint64, f func(e Entry, digest [32]byte) error) error {
	return l.scanText(ctx, from, func(index uint64, text []byte) error {
		leaf, err := ParseLeaf(text)
		if err != nil {
			return fmt.Errorf("leaf at index %d: %w", index, err)
		}
		return f(Entry{Index: index, Leaf: leaf}, sha256.Sum256(text))
	})
}

func (l *Log) scanText(ctx context.Context, from uint64, f func(index uint64, text []byte) error) error {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return fmt.Errorf("read the size of the log: %w", err)
	}
	if from >= size {
		return nil
	}
	for r := range layout.Range(from, size-from, size) {
		if err := ctx.Err(); err != nil {
			return err
		}
		texts, err := l.readBundle(ctx, r.Index, r.Partial)
		if err != nil {
			return err
		}
		if uint(len(texts)) < r.First+r.N {
			return fmt.Errorf("entry bundle %d has %d leaves, want %d", r.Index, len(texts), r.First+r.N)
		}
		base := r.Index * layout.EntryBundleWidth
		for i := r.First; i < r.First+r.N; i++ {
			if err := f(base+uint64(i), texts[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Log) readBundle(ctx context.Context, index uint64, partial uint8) ([][]byte, error) {
	raw, err := l.reader.ReadEntryBundle(ctx, index, partial)
	if err != nil {
		return nil, fmt.Errorf("read entry bundle %d: %w", index, err)
	}
	var b api.EntryBundle
	if err := b.UnmarshalText(raw); err != nil {
		return nil, fmt.Errorf("entry bundle %d: %w", index, err)
	}
	return b.Entries, nil
}

// Leaves returns the leaves of a partition that reach offset from or a later
// one, in order, up to the head at the time of the call. It ends with the
// first error. Only the ledger indices of the leaves are held in memory.
func (l *Log) Leaves(ctx context.Context, k Key, from int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := &cursor{log: l}
		indices, err := c.back(ctx, k, from)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		for _, index := range slices.Backward(indices) {
			leaf, err := c.read(ctx, index)
			if !yield(Entry{Index: index, Leaf: leaf}, err) || err != nil {
				return
			}
		}
	}
}

// cursor reads single leaves and keeps the bundle of the last one, which
// mostly has the neighbour too.
type cursor struct {
	log    *Log
	bundle uint64
	texts  [][]byte
}

// back follows Prev from the head until a leaf that starts at or before from,
// and returns the indices of those that reach it, last first.
func (c *cursor) back(ctx context.Context, k Key, from int64) ([]uint64, error) {
	head, ok, err := c.log.Head(ctx, k)
	if err != nil || !ok || head.Last < from {
		return nil, err
	}
	indices := []uint64{head.Index}
	if head.First <= from {
		return indices, nil
	}
	for {
		index := indices[len(indices)-1]
		leaf, err := c.read(ctx, index)
		if err != nil {
			return nil, err
		}
		r, ok := leaf.(Ranged)
		if !ok || r.Span().Key != k {
			return nil, fmt.Errorf("leaf at index %d is not one of %s: the log was altered", index, k)
		}
		if r.Span().First <= from || r.Span().Prev < 0 {
			return indices, nil
		}
		indices = append(indices, uint64(r.Span().Prev))
	}
}

func (c *cursor) read(ctx context.Context, index uint64) (Leaf, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bundle, i := index/layout.EntryBundleWidth, index%layout.EntryBundleWidth
	if c.texts == nil || c.bundle != bundle || uint64(len(c.texts)) <= i {
		size, err := c.log.reader.IntegratedSize(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the size of the log: %w", err)
		}
		texts, err := c.log.readBundle(ctx, bundle, layout.PartialTileSize(0, bundle, size))
		if err != nil {
			return nil, err
		}
		c.bundle, c.texts = bundle, texts
	}
	if uint64(len(c.texts)) <= i {
		return nil, fmt.Errorf("no leaf at index %d", index)
	}
	leaf, err := ParseLeaf(c.texts[i])
	if err != nil {
		return nil, fmt.Errorf("leaf at index %d: %w", index, err)
	}
	return leaf, nil
}
