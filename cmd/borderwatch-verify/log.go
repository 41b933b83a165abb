package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/ledger"
)

// tileHeight and tileWidth are those of C2SP tlog-tiles.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// merkle is the tree of the log. Of the leaves before base it keeps only the hashes that the later ones need, so a run
// that goes on from a kept state reads new leaves alone. All of it is the code of the Go checksum database, which shares
// nothing with the writer's.
type merkle struct {
	size int64
	base int64 // stored hashes before tail
	left map[int64]tlog.Hash
	tail []tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (m *merkle) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := m.left[index]
		if at := index - m.base; !ok && at >= 0 && at < int64(len(m.tail)) {
			hash, ok = m.tail[at], true
		}
		if !ok {
			return nil, fmt.Errorf("hash %d of the log is not known", index)
		}
		out[i] = hash
	}
	return out, nil
}

func (m *merkle) add(text []byte) error {
	stored, err := tlog.StoredHashes(m.size, text, m)
	m.tail = append(m.tail, stored...)
	m.size++
	return err
}

func (m *merkle) root() (tlog.Hash, error) {
	if m.size == 0 {
		return emptyRoot, nil
	}
	return tlog.TreeHash(m.size, m)
}

// edge lists the hashes that a tree needs to go on from here, by their index.
func (m *merkle) edge() (map[int64]tlog.Hash, error) {
	edge := map[int64]tlog.Hash{}
	if m.size == 0 {
		return edge, nil
	}
	_, err := tlog.TreeHash(m.size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes, err := m.ReadHashes(indexes)
		for i := range hashes {
			edge[indexes[i]] = hashes[i]
		}
		return hashes, err
	}))
	return edge, err
}

// evidenceLog is the log as far as it is signed.
type evidenceLog struct {
	files  files
	trust  *trust
	head   *checkpoint
	tree   merkle
	from   int64          // index of the first leaf that this run reads
	leaves []ledger.Entry // those that this run reads
	report *Report
}

// open reads the log up to its checkpoint: from the kept state on, or all of it. It reports whether the log can be relied
// on: a wrong signature or root, or a log that is not the one that was kept, is a finding, after which nothing else
// counts.
func (l *evidenceLog) open(ctx context.Context, kept *State) (good bool, err error) {
	l.head, err = l.trust.read(ctx, l.files)
	if errors.Is(err, errSignature) {
		l.report.add(Finding{Kind: "signature", Where: "checkpoint", Text: err.Error()})
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the checkpoint: %w", err)
	}
	if kept.Size > l.head.size {
		l.report.add(Finding{Kind: "rolled_back", Where: fmt.Sprintf("log indices %d to %d", l.head.size, kept.Size-1), Evidence: checkpointsEvidence(l.trust, l.head, kept.checkpoint()),
			Text: fmt.Sprintf("the log has %d leaves and had %d when you kept its checkpoint", l.head.size, kept.Size)})
		return false, nil
	}
	l.from = kept.Done.Size
	l.tree = merkle{size: kept.Done.Size, base: tlog.StoredHashCount(kept.Done.Size), left: kept.Done.edge()}
	return l.extend(ctx, kept)
}

// extend reads the leaves from those that are there to the checkpoint.
func (l *evidenceLog) extend(ctx context.Context, kept *State) (good bool, err error) {
	consistent := kept.Size == 0
	compare := func() error {
		if l.tree.size != kept.Size || consistent {
			return nil
		}
		root, err := l.tree.root()
		consistent = root.String() == kept.Root
		return err
	}
	if err := compare(); err != nil {
		return false, err
	}
	for l.tree.size < l.head.size {
		texts, err := l.bundle(ctx, l.tree.size)
		if errors.Is(err, errCut) || errors.Is(err, fs.ErrNotExist) {
			l.report.add(Finding{Kind: "log_truncated", Where: fmt.Sprintf("log indices %d to %d", l.tree.size, l.head.size-1), Evidence: checkpointsEvidence(l.trust, l.head), Text: err.Error()})
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the log: %w", err)
		}
		for _, text := range texts {
			if err := l.leaf(text); err != nil {
				return false, err
			}
			if err := compare(); err != nil {
				return false, err
			}
		}
	}
	return l.signed(ctx, kept, consistent)
}

// leaf takes the next leaf up.
func (l *evidenceLog) leaf(text []byte) error {
	leaf, err := ledger.ParseLeaf(text)
	if err != nil {
		l.report.add(Finding{Kind: "leaf", Where: fmt.Sprintf("log index %d", l.tree.size), Text: err.Error()})
	} else {
		l.leaves = append(l.leaves, ledger.Entry{Index: uint64(l.tree.size), Leaf: leaf})
	}
	return l.tree.add(text)
}

// signed compares what was read with the signed root and with the kept one.
func (l *evidenceLog) signed(ctx context.Context, kept *State, consistent bool) (bool, error) {
	root, err := l.tree.root()
	if err != nil {
		return false, err
	}
	if root != l.head.root && kept.Done.Size > 0 {
		// Either the files are wrong or the log is another one. Reading all of it tells.
		l.tree, l.leaves, l.from, kept.Done = merkle{}, nil, 0, Progress{}
		return l.extend(ctx, kept)
	}
	tiles, err := l.tiles(ctx)
	if err != nil {
		return false, err
	}
	if root != l.head.root {
		where, hint := "log", ""
		if len(tiles) > 0 {
			where, hint = tiles[0].Where, "; its own hashes point at the leaves named"
		}
		l.report.add(Finding{Kind: "log_root", Where: where, Evidence: checkpointsEvidence(l.trust, l.head),
			Text: fmt.Sprintf("the %d leaves have the root %s, the signed checkpoint says %s%s", l.tree.size, root, l.head.root, hint)})
		return false, nil
	}
	for _, f := range tiles {
		l.report.add(f)
	}
	if !consistent {
		l.report.add(Finding{Kind: "forked", Where: fmt.Sprintf("log indices 0 to %d", kept.Size-1), Evidence: checkpointsEvidence(l.trust, l.head, kept.checkpoint()),
			Text: fmt.Sprintf("the log does not continue the one of %d leaves whose signed checkpoint you kept: it was written anew", kept.Size)})
	}
	return consistent, nil
}

var errCut = errors.New("is cut off")

// bundle returns the leaves from an index to the end of their entry bundle, or to the checkpoint: 256 entries a file, each
// with its length in two bytes before it.
func (l *evidenceLog) bundle(ctx context.Context, from int64) (texts [][]byte, err error) {
	number, skip := from/tileWidth, from%tileWidth
	width := min(l.head.size-number*tileWidth, tileWidth)
	data, err := l.tile(ctx, tlog.Tile{H: tileHeight, L: -1, N: number, W: int(width)}, tileWidth*(2+1<<16))
	if err != nil {
		return nil, err
	}
	for i := range width {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("entry bundle %d %w", number, errCut)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if i >= skip {
			texts = append(texts, data[2:end:end])
		}
		data = data[end:]
	}
	return texts, nil
}

// tile reads a tile of at least that width: the partial one, or the full one that has replaced it since.
func (l *evidenceLog) tile(ctx context.Context, t tlog.Tile, most int64) (data []byte, err error) {
	for _, t.W = range []int{t.W, tileWidth} {
		name := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
		name = "tile/" + strings.Replace(name, "data/", "entries/", 1)
		if data, err = l.files.read(ctx, name, most); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return data, err
}

// tiles compares the hashes that the log serves for others' proofs with those of its leaves.
func (l *evidenceLog) tiles(ctx context.Context) (found []Finding, err error) {
	for _, t := range tlog.NewTiles(tileHeight, 0, l.tree.size) {
		first := t.N << (tileHeight * (t.L + 1))
		last := min((t.N<<tileHeight+int64(t.W))<<(tileHeight*t.L), l.tree.size) - 1
		if first < l.from {
			continue // checked before
		}
		where := fmt.Sprintf("log indices %d to %d", first, last)
		data, err := l.tile(ctx, t, tileWidth*tlog.HashSize)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			found = append(found, Finding{Kind: "tile", Where: where, Text: fmt.Sprintf("%s is not there, so nobody can prove what is under it", t.Path())})
			continue
		case err != nil:
			return nil, err
		}
		if f, same := l.compareTile(t, data); !same {
			f.Where, f.Kind = where, "tile"
			found = append(found, f)
		}
	}
	return found, nil
}

func (l *evidenceLog) compareTile(t tlog.Tile, data []byte) (Finding, bool) {
	indexes := make([]int64, t.W)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(t.L*tileHeight, t.N<<tileHeight+int64(i))
	}
	hashes, err := l.tree.ReadHashes(indexes)
	if err != nil {
		return Finding{Text: err.Error()}, false
	}
	for i := range hashes {
		if at := i * tlog.HashSize; len(data) < at+tlog.HashSize || string(data[at:at+tlog.HashSize]) != string(hashes[i][:]) {
			return Finding{Text: fmt.Sprintf("hash %d of %s is not the one of the leaves", i, t.Path())}, false
		}
	}
	return Finding{}, true
}

// proof is the inclusion proof of a leaf that this run has read.
func (l *evidenceLog) proof(index uint64) (tlog.RecordProof, error) {
	return tlog.ProveRecord(l.tree.size, int64(index), &l.tree)
}
