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

	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// The rows of a table are read column by column and put together to what was hashed: schemas/README.md, "How a row is
// proved". No view is asked, and nothing that the server computes is believed: it hands over values, and their hash is
// the recorded one or not.

// row is one stored row. Its slices are valid until the next one.
type row struct {
	offset    int64
	batch     []byte // id of the batch that wrote it
	time      int64  // of the batch, milliseconds
	bundle    []byte // nil where the table has none
	salt      []byte // nil where the table has none
	canonical []byte

	feed      []byte // of an event, for its sequence
	seq       int64
	kafkaTime int64
}

// tableReader reads the rows of one table, a stretch of a partition at a time. It belongs to one goroutine.
type tableReader struct {
	client *ch.Client
	table  string
	query  string
	prefix []byte
	cells  []cell
	names  []string // of the cells
	widths []width
	input  proto.Results

	offset, time, seq, kafkaTime *proto.ColInt64
	batch, salt                  *proto.ColFixedStr // salt is nil where the table has none
	bundle, feed                 *words             // nil where the table has none
}

// cell appends the canonical value of a row.
type cell func(b []byte, row int) []byte

// orders are those in which the roots were computed. An alert's rule_id is a word in the table, so it is compared as one.
var orders = map[string]string{
	"raw_rows": "offset", "event_rows": "offset", "dead_letter_rows": "offset",
	"alert_rows": "offset, toString(rule_id), shadow, alert_id",
}

func newTableReader(client *ch.Client, database, table string) (*tableReader, error) {
	t := &tableReader{client: client, table: table, prefix: []byte("bw-row/v1\x00" + table + "\x00"),
		batch: &proto.ColFixedStr{Size: 16}, time: &proto.ColInt64{}, seq: &proto.ColInt64{}}
	var selected []string
	add := func(name, expression string, column proto.ColResult) {
		selected = append(selected, expression+" AS `v_"+name+"`")
		t.input = append(t.input, proto.ResultColumn{Name: "v_" + name, Data: column})
	}
	add("batch_id", "CAST(batch_id, 'FixedString(16)')", t.batch)
	add("batch_time", "toUnixTimestamp64Milli(batch_time)", t.time)
	for _, c := range store.Columns(table) {
		r, err := readColumn(c)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", table, c.Name, err)
		}
		switch c.Name {
		case "offset":
			t.offset = r.column.(*proto.ColInt64)
		case "kafka_time":
			t.kafkaTime = r.column.(*proto.ColInt64)
		case "seq":
			t.seq = r.column.(*proto.ColInt64)
		case "feed":
			t.feed = r.column.(*words)
		}
		add(c.Name, r.expression, r.column)
		t.names, t.cells, t.widths = append(t.names, c.Name), append(t.cells, r.value), append(t.widths, r.width)
	}
	switch table {
	case "event_rows":
		t.salt, t.bundle = &proto.ColFixedStr{Size: store.SaltSize}, newWords()
	case "alert_rows":
		t.bundle = newWords()
	case "dead_letter_rows":
		t.salt = &proto.ColFixedStr{Size: store.SaltSize}
	}
	if t.salt != nil {
		add("salt", "salt", t.salt)
	}
	if t.bundle != nil {
		add("bundle", "bundle", t.bundle)
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
	case c.Type == "String":
		s := &proto.ColStr{}
		return reading{c.Name, s, func(b []byte, i int) []byte { return appendString(b, s.RowBytes(i)) }, stringWidth}, nil
	case c.Type == "LowCardinality(String)":
		w := newWords()
		return reading{c.Name, w, func(b []byte, i int) []byte { return appendString(b, w.at(i)) }, stringWidth}, nil
	case strings.HasPrefix(c.Type, "Array("):
		s := &proto.ColStr{}
		list := proto.NewArray(s)
		return reading{"CAST(" + c.Name + ", 'Array(String)')", list, func(b []byte, i int) []byte { return appendArray(b, list, s, i) }, arrayWidth}, nil
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

// words is a LowCardinality(String) column as it is sent: a dictionary and a key for each row.
type words struct {
	proto.ColLowCardinalityRaw
	list *proto.ColStr
}

func newWords() *words {
	list := &proto.ColStr{}
	return &words{ColLowCardinalityRaw: proto.ColLowCardinalityRaw{Index: list, Key: proto.KeyUInt8}, list: list}
}

func (w *words) at(i int) []byte {
	switch w.Key {
	case proto.KeyUInt8:
		i = int(w.Keys8[i])
	case proto.KeyUInt16:
		i = int(w.Keys16[i])
	case proto.KeyUInt32:
		i = int(w.Keys32[i])
	default:
		i = int(w.Keys64[i])
	}
	return w.list.RowBytes(i)
}

func appendString(b, s []byte) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }

func appendArray(b []byte, list *proto.ColArr[string], s *proto.ColStr, i int) []byte {
	first, end := 0, int(list.Offsets[i])
	if i > 0 {
		first = int(list.Offsets[i-1])
	}
	b = binary.AppendUvarint(b, uint64(end-first))
	for ; first < end; first++ {
		b = appendString(b, s.RowBytes(first))
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
	r.offset, r.batch, r.time, r.kafkaTime = (*t.offset)[i], t.batch.Row(i), (*t.time)[i], (*t.kafkaTime)[i]
	if t.salt != nil {
		r.salt = t.salt.Row(i)
	}
	if t.bundle != nil {
		r.bundle = t.bundle.at(i)
	}
	if t.table == "event_rows" {
		r.feed, r.seq = t.feed.at(i), (*t.seq)[i]
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

// canonicalReader takes a canonical row apart that this program put together.
type canonicalReader struct{ rest []byte }

func (r *canonicalReader) number(width int) (n uint64) {
	for i := range width {
		n |= uint64(r.rest[i]) << (8 * i)
	}
	r.rest = r.rest[width:]
	return n
}

func (r *canonicalReader) text() []byte {
	n, size := binary.Uvarint(r.rest)
	v := r.rest[size : size+int(n) : size+int(n)]
	r.rest = r.rest[size+int(n):]
	return v
}

func (r *canonicalReader) texts(list [][]byte) [][]byte {
	n, size := binary.Uvarint(r.rest)
	r.rest = r.rest[size:]
	for range n {
		list = append(list, r.text())
	}
	return list
}

// recordReader reads a record back from the canonical row of raw_rows, whose form is fixed. The record is valid until the
// next one.
type recordReader struct {
	record        kafka.Record
	names, values [][]byte
}

func (rr *recordReader) read(canonical []byte) *kafka.Record {
	r := &canonicalReader{canonical}
	record := &rr.record
	record.Offset, record.Timestamp = int64(r.number(8)), int64(r.number(8))
	record.Key, record.Value = r.text(), r.text()
	rr.names, rr.values = r.texts(rr.names[:0]), r.texts(rr.values[:0])
	nulls := uint32(r.number(4))
	record.Key, record.Value = orNull(record.Key, nulls, 0), orNull(record.Value, nulls, 1)
	record.Headers = record.Headers[:0]
	for i := range min(len(rr.names), len(rr.values)) {
		record.Headers = append(record.Headers, kafka.Header{Key: rr.names[i], Value: orNull(rr.values[i], nulls, 2+i)})
	}
	return record
}

// orNull gives back what was null on the wire, which the row keeps as one bit.
func orNull(b []byte, nulls uint32, bit int) []byte {
	if bit < 32 && nulls&(1<<bit) != 0 {
		return nil
	}
	return b
}
