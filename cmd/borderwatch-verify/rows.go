package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// The rows of a table are read column by column and put together to what was hashed: schemas/README.md, "How a row is
// proved". No view is asked, and nothing that the server computes is believed: it hands over values, and their hash is
// the recorded one or not.

// row is one stored row.
type row struct {
	offset    int64
	batch     []byte // id of the batch that wrote it
	salt      []byte // nil where the table has none
	canonical []byte
}

// tableReader reads the rows of one table, batch by batch. It belongs to one goroutine.
type tableReader struct {
	client *ch.Client
	table  string
	query  string // without the place
	prefix []byte
	cells  []cell
	names  []string // of the cells
	widths []width
	offset *proto.ColInt64
	batch  *proto.ColFixedStr
	salt   *proto.ColFixedStr // nil where the table has none
	input  proto.Results
}

// cell appends the canonical value of a row.
type cell func(b []byte, row int) []byte

// orders are those in which the roots were computed. An alert's rule_id is a word in the table, so it is compared as one.
var orders = map[string]string{
	"raw_rows": "offset", "event_rows": "offset", "dead_letter_rows": "offset",
	"alert_rows": "offset, toString(rule_id), shadow, alert_id",
}

func newTableReader(client *ch.Client, database, table string) (*tableReader, error) {
	t := &tableReader{client: client, table: table, prefix: []byte("bw-row/v1\x00" + table + "\x00"), batch: &proto.ColFixedStr{Size: 16}}
	selected := []string{"CAST(batch_id, 'FixedString(16)') AS batch"}
	t.input = proto.Results{{Name: "batch", Data: t.batch}}
	for _, c := range store.Columns(table) {
		r, err := readColumn(c)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", table, c.Name, err)
		}
		if c.Name == "offset" {
			t.offset = r.column.(*proto.ColInt64)
		}
		selected = append(selected, r.expression+" AS `v_"+c.Name+"`")
		t.names, t.cells, t.widths = append(t.names, c.Name), append(t.cells, r.value), append(t.widths, r.width)
		t.input = append(t.input, proto.ResultColumn{Name: "v_" + c.Name, Data: r.column})
	}
	if table == "event_rows" || table == "dead_letter_rows" {
		t.salt = &proto.ColFixedStr{Size: store.SaltSize}
		selected = append(selected, "salt")
		t.input = append(t.input, proto.ResultColumn{Name: "salt", Data: t.salt})
	}
	t.query = fmt.Sprintf("SELECT %s FROM %s.%s WHERE source = {source:String} AND topic = {topic:String} AND partition = {partition:Int32} "+
		"AND offset BETWEEN {first:Int64} AND {last:Int64} ORDER BY %s", strings.Join(selected, ", "), database, table, orders[table])
	return t, nil
}

// reading is how a column is asked for, where its values go, and how they are written.
type reading struct {
	expression string
	column     proto.ColResult
	value      cell
	width      width
}

func readColumn(c store.Column) (reading, error) {
	switch {
	case c.Type == "String" || c.Type == "LowCardinality(String)":
		s := &proto.ColStr{}
		return reading{"CAST(" + c.Name + ", 'String')", s, func(b []byte, i int) []byte { return appendString(b, s.RowBytes(i)) }, stringWidth}, nil
	case strings.HasPrefix(c.Type, "Array("):
		s := proto.NewArray(&proto.ColStr{})
		return reading{"CAST(" + c.Name + ", 'Array(String)')", s, func(b []byte, i int) []byte { return appendArray(b, s.Row(i)) }, arrayWidth}, nil
	case strings.HasPrefix(c.Type, "Enum8("):
		n := &proto.ColInt8{}
		return reading{"CAST(" + c.Name + ", 'Int8')", n, func(b []byte, i int) []byte { return append(b, byte((*n)[i])) }, fixedWidth(1)}, nil
	case c.Type == "Bool":
		n := &proto.ColUInt8{}
		return reading{"CAST(" + c.Name + ", 'UInt8')", n, func(b []byte, i int) []byte { return append(b, (*n)[i]) }, fixedWidth(1)}, nil
	case strings.HasPrefix(c.Type, "DateTime64(3"):
		n := &proto.ColInt64{}
		return reading{"toUnixTimestamp64Milli(" + c.Name + ")", n, func(b []byte, i int) []byte { return binary.LittleEndian.AppendUint64(b, uint64((*n)[i])) }, fixedWidth(8)}, nil
	case c.Type == "Int64":
		n := &proto.ColInt64{}
		return reading{c.Name, n, func(b []byte, i int) []byte { return binary.LittleEndian.AppendUint64(b, uint64((*n)[i])) }, fixedWidth(8)}, nil
	case c.Type == "UInt32":
		n := &proto.ColUInt32{}
		return reading{c.Name, n, func(b []byte, i int) []byte { return binary.LittleEndian.AppendUint32(b, (*n)[i]) }, fixedWidth(4)}, nil
	case c.Type == "UInt16":
		n := &proto.ColUInt16{}
		return reading{c.Name, n, func(b []byte, i int) []byte { return binary.LittleEndian.AppendUint16(b, (*n)[i]) }, fixedWidth(2)}, nil
	case c.Type == "FixedString(16)":
		s := &proto.ColFixedStr{Size: 16}
		return reading{c.Name, s, func(b []byte, i int) []byte { return append(b, s.Row(i)...) }, fixedWidth(16)}, nil
	}
	return reading{}, fmt.Errorf("no canonical form for the type %s", c.Type)
}

func appendString(b, s []byte) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }

func appendArray(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// read calls do for every row at the offsets of a span, whoever wrote it, in the order of its evidence. The row is valid
// until do returns.
func (t *tableReader) read(ctx context.Context, at ledger.Span, do func(*row)) error {
	var r row
	err := t.client.Do(ctx, ch.Query{
		Body: t.query, Result: t.input,
		Parameters: ch.Parameters(map[string]any{
			"source": at.Key.Source, "topic": at.Key.Topic, "partition": at.Key.Partition, "first": at.First, "last": at.Last,
		}),
		OnResult: func(_ context.Context, block proto.Block) error {
			for i := range block.Rows {
				t.fill(&r, i)
				do(&r)
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", t.table, place(at), errors.Join(context.Cause(ctx), err))
	}
	return nil
}

func (t *tableReader) fill(r *row, i int) {
	r.offset, r.batch = (*t.offset)[i], t.batch.Row(i)
	if t.salt != nil {
		r.salt = t.salt.Row(i)
	}
	r.canonical = append(r.canonical[:0], t.prefix...)
	for _, value := range t.cells {
		r.canonical = value(r.canonical, i)
	}
}

// differing names the columns in which two canonical rows differ.
func (t *tableReader) differing(a, b []byte) (names []string) {
	a, b = bytes.TrimPrefix(a, t.prefix), bytes.TrimPrefix(b, t.prefix)
	for i, name := range t.names {
		x, y := t.widths[i](a), t.widths[i](b)
		if x < 0 || y < 0 {
			return append(names, name)
		}
		if !bytes.Equal(a[:x], b[:y]) {
			names = append(names, name)
		}
		a, b = a[x:], b[y:]
	}
	return names
}

// width is the number of bytes that the value at the beginning of b takes, -1 where it is cut off.
type width func(b []byte) int

func fixedWidth(n int) width {
	return func(b []byte) int {
		if len(b) < n {
			return -1
		}
		return n
	}
}

func stringWidth(b []byte) int {
	n, size := binary.Uvarint(b)
	if size <= 0 || uint64(len(b)-size) < n {
		return -1
	}
	return size + int(n)
}

func arrayWidth(b []byte) int {
	n, at := binary.Uvarint(b)
	if at <= 0 {
		return -1
	}
	for ; n > 0; n-- {
		size := stringWidth(b[at:])
		if size < 0 {
			return -1
		}
		at += size
	}
	return at
}
