package store

import (
	"encoding/binary"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// column is one column of a block in the native format: bytes that go to the socket as they are. It is filled row by
// row, sent any number of times, and reset with its memory kept. Not safe for concurrent use.
type column interface {
	proto.ColInput
	proto.Inferable
	proto.StateEncoder
	reset()
	// appendCell appends the canonical form of the last row's value (canonical.go). The column has a row.
	appendCell(b []byte) []byte
}

// constant is a column whose value is the same in all rows of a block; it takes part in the fill once.
type constant interface {
	column
	repeat(rows int)
}

// kind is the type of a column, exactly as the server writes it.
type kind string

// Type is sent before the column's bytes.
func (k kind) Type() proto.ColumnType { return proto.ColumnType(k) }

// Infer compares with the type the server has: an insert never relies on a conversion.
func (k kind) Infer(t proto.ColumnType) error {
	if string(t) != string(k) {
		return &driftError{have: string(t), want: string(k)}
	}
	return nil
}

// EncodeState writes nothing; dictionaries override it.
func (kind) EncodeState(*proto.Buffer) {}

// driftError says that a table is not as this build writes it.
type driftError struct{ have, want string }

func (e *driftError) Error() string {
	return fmt.Sprintf("the table has type %s, this build writes %s: run borderwatch migrate", e.have, e.want)
}

// fixed holds values of equal width, little-endian.
type fixed struct {
	kind
	width int
	buf   []byte
}

func (c *fixed) Rows() int                    { return len(c.buf) / c.width }
func (c *fixed) EncodeColumn(b *proto.Buffer) { b.PutRaw(c.buf) }
func (c *fixed) WriteColumn(w *proto.Writer)  { w.ChainWrite(c.buf) }
func (c *fixed) reset()                       { c.buf = c.buf[:0] }
func (c *fixed) byte(v uint8)                 { c.buf = append(c.buf, v) }
func (c *fixed) uint16(v uint16)              { c.buf = binary.LittleEndian.AppendUint16(c.buf, v) }
func (c *fixed) uint32(v uint32)              { c.buf = binary.LittleEndian.AppendUint32(c.buf, v) }
func (c *fixed) int64(v int64)                { c.buf = binary.LittleEndian.AppendUint64(c.buf, uint64(v)) }
func (c *fixed) bytes(v []byte)               { c.buf = append(c.buf, v...) }

func (c *fixed) appendCell(b []byte) []byte { return append(b, c.buf[len(c.buf)-c.width:]...) }

func (c *fixed) bool(v bool) {
	if v {
		c.byte(1)
		return
	}
	c.byte(0)
}

// same is a fixed column with one value for all rows.
type same struct {
	fixed
	value []byte
}

func (c *same) setInt32(v int32) { c.value = binary.LittleEndian.AppendUint32(c.value[:0], uint32(v)) }
func (c *same) setInt64(v int64) { c.value = binary.LittleEndian.AppendUint64(c.value[:0], uint64(v)) }

func (c *same) repeat(rows int) {
	c.buf = c.buf[:0]
	for range rows {
		c.buf = append(c.buf, c.value...)
	}
}

// text is a String column.
type text struct {
	kind
	rows int
	buf  []byte
	cell int // where the last row starts in buf
}

func (c *text) Rows() int                    { return c.rows }
func (c *text) EncodeColumn(b *proto.Buffer) { b.PutRaw(c.buf) }
func (c *text) WriteColumn(w *proto.Writer)  { w.ChainWrite(c.buf) }
func (c *text) reset()                       { c.rows, c.buf = 0, c.buf[:0] }
func (c *text) appendCell(b []byte) []byte   { return append(b, c.buf[c.cell:]...) }

func (c *text) string(v string) {
	c.cell = len(c.buf)
	c.buf = binary.AppendUvarint(c.buf, uint64(len(v)))
	c.buf = append(c.buf, v...)
	c.rows++
}

func (c *text) bytes(v []byte) {
	c.cell = len(c.buf)
	c.buf = binary.AppendUvarint(c.buf, uint64(len(v)))
	c.buf = append(c.buf, v...)
	c.rows++
}

// bulk is a String column of long values. It is kept in segments: one buffer would be copied whole each time it grows,
// and hold up to a quarter more than is in it.
type bulk struct {
	kind
	rows     int
	size     int      // bytes in all segments
	segments [][]byte // those before the last in use are full, those behind it empty
	used     int
	cell     int // where the last row starts in the last segment in use
}

// The first segment is small, for partitions in which little arrives; each next one is as large as all before it.
const (
	minSegment = 16 << 10
	maxSegment = 1 << 20
)

func (c *bulk) Rows() int                  { return c.rows }
func (c *bulk) appendCell(b []byte) []byte { return append(b, c.segments[c.used-1][c.cell:]...) }

func (c *bulk) EncodeColumn(b *proto.Buffer) {
	for _, s := range c.segments[:c.used] {
		b.PutRaw(s)
	}
}

func (c *bulk) WriteColumn(w *proto.Writer) {
	for _, s := range c.segments[:c.used] {
		w.ChainWrite(s)
	}
}

// reset keeps the memory.
func (c *bulk) reset() {
	for i := range c.segments {
		c.segments[i] = c.segments[i][:0]
	}
	c.rows, c.size, c.used = 0, 0, 0
}

func (c *bulk) bytes(v []byte) {
	need := binary.MaxVarintLen64 + len(v)
	if c.used == 0 || cap(c.segments[c.used-1])-len(c.segments[c.used-1]) < need {
		c.next(need)
	}
	s := &c.segments[c.used-1]
	c.cell = len(*s)
	*s = binary.AppendUvarint(*s, uint64(len(v)))
	*s = append(*s, v...)
	c.size += len(*s) - c.cell
	c.rows++
}

// next takes the following segment in use, a new one where there is none or it is too small for the next value.
func (c *bulk) next(need int) {
	if c.used == len(c.segments) {
		c.segments = append(c.segments, nil)
	}
	if cap(c.segments[c.used]) < need {
		c.segments[c.used] = make([]byte, 0, max(need, min(max(c.size, minSegment), maxSegment)))
	}
	c.used++
}

// element is a column that the elements of an array are in.
type element interface {
	column
	bytes(v []byte)
}

// list is an Array column: the ends of the rows, and the elements in a column of their own.
type list[C element] struct {
	kind
	ends     []byte
	last     uint64
	elements C
	n        uint64 // elements of the row that is being filled
	open     []byte // their canonical form
	cell     []byte // canonical form of the last row
}

func (c *list[C]) Rows() int                  { return len(c.ends) / 8 }
func (c *list[C]) appendCell(b []byte) []byte { return append(b, c.cell...) }

func (c *list[C]) EncodeState(b *proto.Buffer) { c.elements.EncodeState(b) }

func (c *list[C]) EncodeColumn(b *proto.Buffer) {
	b.PutRaw(c.ends)
	c.elements.EncodeColumn(b)
}

func (c *list[C]) WriteColumn(w *proto.Writer) {
	w.ChainWrite(c.ends)
	c.elements.WriteColumn(w)
}

func (c *list[C]) reset() {
	c.ends, c.last, c.n, c.open = c.ends[:0], 0, 0, c.open[:0]
	c.elements.reset()
}

// add appends an element to the row that is being filled.
func (c *list[C]) add(v []byte) {
	c.elements.bytes(v)
	c.open = c.elements.appendCell(c.open)
	c.n++
}

// end closes the row.
func (c *list[C]) end() {
	c.last += c.n
	c.ends = binary.LittleEndian.AppendUint64(c.ends, c.last)
	c.cell = append(binary.AppendUvarint(c.cell[:0], c.n), c.open...)
	c.n, c.open = 0, c.open[:0]
}
