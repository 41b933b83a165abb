package main

import (
	"bytes"
	"slices"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// maxShown is how many rows of one table of one batch a finding names.
const maxShown = 3

// tableRows is what is kept of the rows of one table of a stretch, in the order of their offsets.
type tableRows struct {
	name    string
	offsets []int64
	hashes  []hash
	salts   []byte // store.SaltSize each, where the table has them
	bytes   []byte // canonical rows, where they are compared with those that judging comes to
	ends    []int  // of each row in bytes
	used    []bool // judging again has come to the row
	leaves  []leafRows
	at      int // leaf that rows are added to
	salted  int // where the last salt was found
	cursor  int // first row that judging has not passed
	tree    tree
	treeOf  int
}

// leafRows is what was found of one batch in one table.
type leafRows struct {
	start, end int // of its rows
	n          int64
	root       hash
	unsalted   int // rows without a salt at their offset

	foreign     offsets // rows of another batch
	mislabelled offsets // rows with another batch time or bundle
	missing     offsets // rows that judging comes to and that are not stored
	extra       offsets // rows that are stored and that judging does not come to
	remade      []storedRow
}

// offsets counts rows and knows the first and last of them.
type offsets struct {
	n           int
	first, last int64
	some        []int64 // all where a sample is judged, else the first
}

func (o *offsets) add(offset int64) {
	if o.n == 0 {
		o.first, o.last = offset, offset
	}
	o.first, o.last = min(o.first, offset), max(o.last, offset)
	o.n++
	if len(o.some) < 1000 && !slices.Contains(o.some, offset) {
		o.some = append(o.some, offset)
	}
}

func (o *offsets) merge(p *offsets) {
	if p.n == 0 {
		return
	}
	if o.n == 0 {
		*o = *p
		return
	}
	o.first, o.last, o.n = min(o.first, p.first), max(o.last, p.last), o.n+p.n
}

func (o *offsets) has(offset int64) bool { return slices.Contains(o.some, offset) }

func (o *offsets) span(b *ledger.Batch) ledger.Span {
	return ledger.Span{Key: b.Span().Key, First: o.first, Last: o.last}
}

// begin forgets the rows of the stretch before.
func (t *tableRows) begin(leaves int) {
	t.offsets, t.hashes, t.salts, t.used = t.offsets[:0], t.hashes[:0], t.salts[:0], t.used[:0]
	t.bytes, t.ends = t.bytes[:0], t.ends[:0]
	t.leaves = slices.Grow(t.leaves[:0], leaves)[:leaves]
	clear(t.leaves)
	t.at, t.salted, t.cursor, t.treeOf = 0, 0, 0, 0
	t.tree.reset()
}

// add appends a row to the batch t.at.
func (t *tableRows) add(offset int64, leaf hash, salt []byte) {
	t.turn(t.at)
	t.tree.add(leaf)
	t.offsets, t.hashes, t.used = append(t.offsets, offset), append(t.hashes, leaf), append(t.used, false)
	t.salts = append(t.salts, salt...)
}

// hold keeps the bytes of the row that was added last.
func (t *tableRows) hold(canonical []byte) {
	t.bytes = append(t.bytes, canonical...)
	t.ends = append(t.ends, len(t.bytes))
}

func (t *tableRows) canonical(i int) []byte {
	first := 0
	if i > 0 {
		first = t.ends[i-1]
	}
	return t.bytes[first:t.ends[i]]
}

// turn closes the batches before leaf.
func (t *tableRows) turn(leaf int) {
	for t.treeOf < leaf {
		l := &t.leaves[t.treeOf]
		l.end, l.n, l.root = len(t.offsets), t.tree.n, t.tree.root()
		t.tree.reset()
		t.treeOf++
		if t.treeOf < len(t.leaves) {
			t.leaves[t.treeOf].start = len(t.offsets)
		}
	}
}

// finish closes the last batch.
func (t *tableRows) finish() { t.turn(len(t.leaves)) }

func (t *tableRows) kept() int64 { return int64(len(t.offsets)) }

// of lists the offsets of a batch's rows.
func (t *tableRows) of(leaf int) []int64 { return t.offsets[t.leaves[leaf].start:t.leaves[leaf].end] }

func (t *tableRows) has(leaf int, offset int64) bool {
	_, ok := slices.BinarySearch(t.of(leaf), offset)
	return ok
}

// saltAt is the salt beside the row at an offset, nil where there is none. Offsets must not fall.
func (t *tableRows) saltAt(offset int64) []byte {
	for t.salted < len(t.offsets) && t.offsets[t.salted] < offset {
		t.salted++
	}
	if t.salted == len(t.offsets) || t.offsets[t.salted] != offset {
		return nil
	}
	return t.salts[t.salted*store.SaltSize : (t.salted+1)*store.SaltSize]
}

// take looks for a row that judging comes to among those of a batch. Offsets must not fall.
func (t *tableRows) take(leaf int, offset int64, canonical []byte) bool {
	end := t.leaves[leaf].end
	t.cursor = max(t.cursor, t.leaves[leaf].start)
	for t.cursor < end && t.offsets[t.cursor] < offset {
		t.cursor++
	}
	for i := t.cursor; i < end && t.offsets[i] == offset; i++ {
		if !t.used[i] && bytes.Equal(t.canonical(i), canonical) {
			t.used[i] = true
			return true
		}
	}
	return false
}

// rest notes the rows of a batch that judging has not come to. In a sample most are not judged.
func (t *tableRows) rest(leaf int, sample bool) {
	l := &t.leaves[leaf]
	for i := l.start; i < l.end && !sample; i++ {
		if !t.used[i] {
			l.extra.add(t.offsets[i])
		}
	}
}
