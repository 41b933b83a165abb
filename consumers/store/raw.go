package store

import (
	"borderwatch/schemas/access"
)

// Header is one header of a Kafka record. A nil Value was null.
type Header struct{ Key, Value []byte }

// record are the columns that hold the exact bytes of a record.
type record struct {
	key          *text
	value        *bulk
	headerKeys   *list[*dictionary]
	headerValues *list[*text]
	nulls        *fixed
}

func newRecord(t *table) record {
	return record{
		key: t.text("key"), value: add(t, "value", &bulk{kind: "String"}),
		headerKeys:   add(t, "header_keys", &list[*dictionary]{kind: "Array(LowCardinality(String))", elements: newDictionary()}),
		headerValues: add(t, "header_values", &list[*text]{kind: "Array(String)", elements: &text{kind: "String"}}),
		nulls:        t.fixed("nulls", "UInt32", 4),
	}
}

// The bits of nulls: what was null on the wire, which is not what was empty. Headers from the 31st on are not told apart.
const (
	nullKey    = 1 << 0
	nullValue  = 1 << 1
	nullHeader = 1 << 2
)

func (c *record) add(key, value []byte, headers []Header) {
	c.key.bytes(key)
	c.value.bytes(value)
	var nulls uint32
	if key == nil {
		nulls |= nullKey
	}
	if value == nil {
		nulls |= nullValue
	}
	for i, h := range headers {
		c.headerKeys.add(h.Key)
		c.headerValues.add(h.Value)
		if h.Value == nil {
			nulls |= nullHeader << i
		}
	}
	c.headerKeys.end()
	c.headerValues.end()
	c.nulls.uint32(nulls)
}

// raw is the block of raw_rows.
type raw struct {
	table
	header
	record
}

func newRaw() *raw {
	r := &raw{table: table{name: "raw_rows"}}
	r.header = newHeader(&r.table)
	r.record = newRecord(&r.table)
	return r
}

func (r *raw) begin(b Batch) {
	r.table.reset()
	r.header.begin(b)
}

// DeadLetter is a record that could not be decoded, and why.
type DeadLetter struct {
	Offset     int64
	Timestamp  access.Millis
	Feed       string // "" where no feed took it
	Code       string // short and stable
	Reason     string // one sentence
	Field      string // dotted name, "" where none is at fault
	Position   int64  // byte offset in Value, -1 where unknown
	Key, Value []byte
	Headers    []Header
}

// deadLetters is the block of dead_letter_rows.
type deadLetters struct {
	table
	header
	feed, code      *dictionary
	reason, field   *text
	position, bytes *fixed
	record
	salt *fixed
}

func newDeadLetters() *deadLetters {
	d := &deadLetters{table: table{name: "dead_letter_rows"}}
	t := &d.table
	d.header = newHeader(t)
	d.feed, d.code = t.dictionary("feed"), t.dictionary("code")
	d.reason, d.field = t.text("reason"), t.text("field")
	d.position, d.bytes = t.int64("position"), t.fixed("size", "UInt32", 4)
	d.record = newRecord(t)
	d.salt = t.salt()
	return d
}

func (d *deadLetters) begin(b Batch) {
	d.table.reset()
	d.header.begin(b)
}

func (d *deadLetters) add(l *DeadLetter) {
	d.header.row(l.Offset, l.Timestamp)
	d.feed.string(l.Feed)
	d.code.string(l.Code)
	d.reason.string(l.Reason)
	d.field.string(l.Field)
	d.position.int64(l.Position)
	d.bytes.uint32(uint32(len(l.Value)))
	d.record.add(l.Key, l.Value, l.Headers)
}
