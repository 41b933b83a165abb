package store

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/ClickHouse/ch-go/proto"

	"borderwatch/schemas/access"
	schema "borderwatch/schemas/clickhouse"
)

// The columns below are read block by block into memory that is used again. What they return is valid until the next
// block.

// values is a column of values of equal width, as the server sends them.
type values struct {
	kind
	width int
	buf   []byte
}

func (c *values) Rows() int { return len(c.buf) / c.width }
func (c *values) Reset()    { c.buf = c.buf[:0] }

// DecodeColumn reads one block.
func (c *values) DecodeColumn(r *proto.Reader, rows int) error {
	n := rows * c.width
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	return r.ReadFull(c.buf)
}

func (c *values) byte(row int) uint8           { return c.buf[row] }
func (c *values) bool(row int) bool            { return c.buf[row] != 0 }
func (c *values) uint16(row int) uint16        { return binary.LittleEndian.Uint16(c.buf[2*row:]) }
func (c *values) uint32(row int) uint32        { return binary.LittleEndian.Uint32(c.buf[4*row:]) }
func (c *values) int64(row int) int64          { return int64(binary.LittleEndian.Uint64(c.buf[8*row:])) }
func (c *values) millis(row int) access.Millis { return access.Millis(c.int64(row)) }
func (c *values) digest(row int) access.Digest { return access.Digest(c.buf[16*row : 16*row+16]) }

// texts is a String column.
type texts struct{ proto.ColStr }

// at returns the text of a row without copying it.
func (c *texts) at(row int) string {
	b := c.RowBytes(row)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// words is a LowCardinality(String) column. Each value is parsed once per block, however many rows have it.
type words[T any] struct {
	proto.ColLowCardinalityRaw
	name   string
	parse  func(text string) (T, bool)
	parsed []T
}

// DecodeColumn reads one block and parses its values.
func (c *words[T]) DecodeColumn(r *proto.Reader, rows int) error {
	if err := c.ColLowCardinalityRaw.DecodeColumn(r, rows); err != nil {
		return err
	}
	index := c.Index.(*proto.ColStr)
	c.parsed = c.parsed[:0]
	for i := range index.Rows() {
		text := index.Row(i)
		v, ok := c.parse(text)
		if !ok {
			return fmt.Errorf("column %s: this build cannot read %q", c.name, text)
		}
		c.parsed = append(c.parsed, v)
	}
	return nil
}

// at returns the parsed value of a row.
func (c *words[T]) at(row int) *T {
	switch c.Key {
	case proto.KeyUInt8:
		return &c.parsed[c.Keys8[row]]
	case proto.KeyUInt16:
		return &c.parsed[c.Keys16[row]]
	case proto.KeyUInt32:
		return &c.parsed[c.Keys32[row]]
	}
	return &c.parsed[c.Keys64[row]]
}

// columns collects the columns of a query in the order in which they are asked for.
type columns struct {
	names   []string
	results proto.Results
}

func read[C proto.ColResult](c *columns, name string, column C) C {
	c.names = append(c.names, name)
	c.results = append(c.results, proto.ResultColumn{Name: name, Data: column})
	return column
}

func readWords[T any](c *columns, name string, parse func(string) (T, bool)) *words[T] {
	w := &words[T]{name: name, parse: parse}
	w.Index = new(proto.ColStr)
	return read(c, name, w)
}

func (c *columns) text(name string) *texts         { return read(c, name, new(texts)) }
func (c *columns) word(name string) *words[string] { return readWords(c, name, asText) }
func (c *columns) time(name string) *values        { return c.values(name, timeKind, 8) }
func (c *columns) int64(name string) *values       { return c.values(name, "Int64", 8) }
func (c *columns) bool(name string) *values        { return c.values(name, "Bool", 1) }
func (c *columns) digest(name string) *values      { return c.values(name, "FixedString(16)", 16) }

func (c *columns) values(name string, k kind, width int) *values {
	return read(c, name, &values{kind: k, width: width})
}

// enum asks for a column of a vocabulary. An unknown vocabulary is a mistake in this package that every test meets.
func (c *columns) enum(name, vocabulary string) *values {
	k, err := schema.Enum(vocabulary)
	if err != nil {
		panic(err)
	}
	return c.values(name, kind(k), 1)
}

func asText(text string) (string, bool) { return text, true }
