package store

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/ClickHouse/ch-go/proto"
)

// dictionary is a LowCardinality(String) column: every distinct value once, and an index per row. The table of values is
// the column's own: open addressing over the bytes that will be sent. Entry 0 is the empty string.
type dictionary struct {
	kind
	seed    maphash.Seed
	slots   []entry  // by hash; a power of two
	entries int      // with entry 0, which has no slot
	wire    []byte   // entries as uvarint length and bytes
	starts  []uint32 // where each entry starts in wire, and where the last one ends
	rows    []uint32 // entry of each row
	keys    []byte   // rows in the width that is sent
	last    entry    // found last: values come in runs
}

// entry is a slot of the table. It holds all that a search needs but the bytes, since each place in memory that a search
// visits costs more than the hash.
type entry struct {
	hash       uint32
	index      uint32 // 0 marks a slot that is free
	start, end uint32 // of the bytes in wire
}

const (
	dictionarySlots = 256
	// serialization of LowCardinality in the native format
	dictionaryVersion = 1
	dictionaryFlags   = 1<<9 | 1<<10 // has additional keys, needs an update of the dictionary
)

func newDictionary() *dictionary {
	d := &dictionary{kind: "LowCardinality(String)", seed: maphash.MakeSeed(), slots: make([]entry, dictionarySlots)}
	d.reset()
	return d
}

func (c *dictionary) reset() {
	if c.entries != 1 {
		clear(c.slots) // dear, and most columns of a small batch are empty
	}
	c.wire, c.starts, c.rows = append(c.wire[:0], 0), append(c.starts[:0], 0, 1), c.rows[:0]
	c.entries, c.last = 1, entry{start: 1, end: 1}
}

func (c *dictionary) Rows() int { return len(c.rows) }

func (c *dictionary) appendCell(b []byte) []byte {
	i := c.rows[len(c.rows)-1]
	return append(b, c.wire[c.starts[i]:c.starts[i+1]]...)
}

// string appends a row.
func (c *dictionary) string(s string) {
	if s == "" {
		c.rows = append(c.rows, 0)
		return
	}
	c.rows = append(c.rows, c.index(s))
}

// add appends a row that holds entry i.
func (c *dictionary) add(i uint32) { c.rows = append(c.rows, i) }

// index returns the entry of s, a new one where there is none.
func (c *dictionary) index(s string) uint32 {
	if string(c.wire[c.last.start:c.last.end]) != s {
		c.last = *lookup(c, uint32(maphash.String(c.seed, s)), s)
	}
	return c.last.index
}

func (c *dictionary) indexBytes(b []byte) uint32 {
	if string(c.wire[c.last.start:c.last.end]) != string(b) {
		c.last = *lookup(c, uint32(maphash.Bytes(c.seed, b)), b)
	}
	return c.last.index
}

// lookup returns the entry of s, valid until the next call.
func lookup[S string | []byte](c *dictionary, h uint32, s S) *entry {
	mask := uint32(len(c.slots) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		e := &c.slots[at]
		if e.index == 0 {
			insert(c, e, h, s)
			return e
		}
		if e.hash == h && string(c.wire[e.start:e.end]) == string(s) {
			return e
		}
	}
}

// insert makes the free slot e the entry of s. A table that is now half full grows, which leaves e a copy.
func insert[S string | []byte](c *dictionary, e *entry, h uint32, s S) {
	c.wire = binary.AppendUvarint(c.wire, uint64(len(s)))
	start := uint32(len(c.wire))
	c.wire = append(c.wire, s...)
	*e = entry{h, uint32(c.entries), start, uint32(len(c.wire))}
	c.starts = append(c.starts, e.end)
	c.entries++
	if 2*c.entries > len(c.slots) {
		c.grow()
	}
}

func (c *dictionary) grow() {
	old := c.slots
	c.slots = make([]entry, 4*len(old))
	mask := uint32(len(c.slots) - 1)
	for _, e := range old {
		if e.index == 0 {
			continue
		}
		at := e.hash & mask
		for c.slots[at].index != 0 {
			at = (at + 1) & mask
		}
		c.slots[at] = e
	}
}

// pack turns the rows into keys as narrow as the number of entries allows, and returns the code of their width.
func (c *dictionary) pack() (width uint64) {
	c.keys = c.keys[:0]
	switch n := c.entries; {
	case n <= 1<<8:
		for _, i := range c.rows {
			c.keys = append(c.keys, byte(i))
		}
		return 0
	case n <= 1<<16:
		for _, i := range c.rows {
			c.keys = binary.LittleEndian.AppendUint16(c.keys, uint16(i))
		}
		return 1
	}
	for _, i := range c.rows {
		c.keys = binary.LittleEndian.AppendUint32(c.keys, i)
	}
	return 2
}

// EncodeState writes the version of the serialization.
func (c *dictionary) EncodeState(b *proto.Buffer) { b.PutUInt64(dictionaryVersion) }

func (c *dictionary) EncodeColumn(b *proto.Buffer) {
	if len(c.rows) == 0 {
		return
	}
	b.PutUInt64(dictionaryFlags | c.pack())
	b.PutInt64(int64(c.entries))
	b.PutRaw(c.wire)
	b.PutInt64(int64(len(c.rows)))
	b.PutRaw(c.keys)
}

func (c *dictionary) WriteColumn(w *proto.Writer) {
	if len(c.rows) == 0 {
		return
	}
	w.ChainBuffer(func(b *proto.Buffer) {
		b.PutUInt64(dictionaryFlags | c.pack())
		b.PutInt64(int64(c.entries))
	})
	w.ChainWrite(c.wire)
	w.ChainBuffer(func(b *proto.Buffer) { b.PutInt64(int64(len(c.rows))) })
	w.ChainWrite(c.keys)
}

// one is a dictionary column with one value for all rows, of type String or FixedString.
type one struct {
	kind
	fixed bool // FixedString: no length before the value
	n     int
	value []byte
	keys  []byte
}

func (c *one) set(v string) {
	c.value = c.value[:0]
	if !c.fixed {
		c.value = binary.AppendUvarint(c.value, uint64(len(v)))
	}
	c.value = append(c.value, v...)
}

func (c *one) Rows() int                  { return c.n }
func (c *one) appendCell(b []byte) []byte { return append(b, c.value...) }
func (c *one) reset()                     { c.n = 0 }
func (c *one) repeat(rows int)            { c.n, c.keys = rows, append(c.keys[:0], make([]byte, rows)...) }

// EncodeState writes the version of the serialization.
func (c *one) EncodeState(b *proto.Buffer) { b.PutUInt64(dictionaryVersion) }

func (c *one) EncodeColumn(b *proto.Buffer) {
	b.PutUInt64(dictionaryFlags)
	b.PutInt64(1)
	b.PutRaw(c.value)
	b.PutInt64(int64(c.n))
	b.PutRaw(c.keys)
}

func (c *one) WriteColumn(w *proto.Writer) { w.ChainBuffer(c.EncodeColumn) }

// keyed is a dictionary whose values are known by a small key, so that their text is written once per block.
type keyed[K comparable] struct {
	dictionary
	byKey map[K]uint32
	last  K
	index uint32
	valid bool
}

func newKeyed[K comparable]() *keyed[K] {
	return &keyed[K]{dictionary: *newDictionary(), byKey: make(map[K]uint32)}
}

func (c *keyed[K]) reset() {
	c.dictionary.reset()
	clear(c.byKey)
	c.valid = false
}

// find appends a row if k has been seen in this block. If not, the caller defines it.
func (c *keyed[K]) find(k K) bool {
	if c.valid && c.last == k {
		c.add(c.index)
		return true
	}
	i, ok := c.byKey[k]
	if ok {
		c.add(i)
		c.last, c.index, c.valid = k, i, true
	}
	return ok
}

// define gives k its text and appends a row.
func (c *keyed[K]) define(k K, text string) {
	var i uint32
	if text != "" {
		i = c.dictionary.index(text)
	}
	c.byKey[k] = i
	c.add(i)
	c.last, c.index, c.valid = k, i, true
}

// codes is a dictionary whose values are known by a small number.
type codes struct {
	dictionary
	byCode []uint32 // entry+1
}

func newCodes(n int) *codes { return &codes{*newDictionary(), make([]uint32, n)} }

func (c *codes) reset() {
	c.dictionary.reset()
	clear(c.byCode)
}

// find appends a row if the code has been seen in this block. If not, the caller defines it.
func (c *codes) find(code int) bool {
	i := c.byCode[code]
	if i == 0 {
		return false
	}
	c.add(i - 1)
	return true
}

func (c *codes) define(code int, text string) {
	i := c.dictionary.index(text)
	c.byCode[code] = i + 1
	c.add(i)
}
