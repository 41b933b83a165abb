package store

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"borderwatch/schemas/access"
	schema "borderwatch/schemas/clickhouse"
)

// table is the columns of one insert.
type table struct {
	name      string
	names     []string
	columns   []column
	constants []constant
	cells     []column // those that are part of a row's evidence, see evidence.go
	offsets   column   // tells the number of rows; nil before a column is added
	input     proto.Input
}

// add appends a column.
func add[C column](t *table, name string, c C) C {
	t.cells = append(t.cells, c)
	return addBare(t, name, c)
}

// addBare appends a column that is no part of a row's evidence.
func addBare[C column](t *table, name string, c C) C {
	t.names = append(t.names, name)
	t.columns = append(t.columns, c)
	t.input = append(t.input, proto.InputColumn{Name: name, Data: c})
	if t.offsets == nil || name == "offset" {
		t.offsets = c
	}
	return c
}

// addConstant appends a column that is filled by seal.
func addConstant[C constant](t *table, name string, c C) C {
	t.constants = append(t.constants, c)
	return addBare(t, name, c)
}

func (t *table) text(name string) *text             { return add(t, name, &text{kind: "String"}) }
func (t *table) dictionary(name string) *dictionary { return add(t, name, newDictionary()) }
func (t *table) byte(name string, k kind) *fixed    { return t.fixed(name, k, 1) }
func (t *table) int64(name string) *fixed           { return t.fixed(name, "Int64", 8) }
func (t *table) time(name string) *fixed            { return t.fixed(name, timeKind, 8) }

func (t *table) fixed(name string, k kind, width int) *fixed {
	return add(t, name, &fixed{kind: k, width: width})
}

// salt appends the column of salts, which is beside a row and no part of it.
func (t *table) salt() *fixed {
	return addBare(t, "salt", &fixed{kind: "FixedString(16)", width: SaltSize})
}

// timeKind holds milliseconds since 1970 UTC.
const timeKind kind = "DateTime64(3, 'UTC')"

// enum appends a column of a vocabulary. An unknown vocabulary is a mistake in this package that every test meets.
func (t *table) enum(name, vocabulary string) *fixed {
	k, err := schema.Enum(vocabulary)
	if err != nil {
		panic(err)
	}
	return t.byte(name, kind(k))
}

// constantText appends a LowCardinality(String) column with one value.
func (t *table) constantText(name string) *one {
	return addConstant(t, name, &one{kind: "LowCardinality(String)"})
}

func (t *table) constantFixed(name string, k kind, width int) *same {
	return addConstant(t, name, &same{fixed: fixed{kind: k, width: width}})
}

func (t *table) reset() {
	for _, c := range t.columns {
		c.reset()
	}
}

// rows is the number of rows that the column offset has, or the first one where there is none; neither is a constant.
func (t *table) rows() int { return t.offsets.Rows() }

// seal fills the constants and checks that all columns are equally long: a short one would shift values into other rows.
func (t *table) seal() error {
	rows := t.rows()
	for _, c := range t.constants {
		c.repeat(rows)
	}
	for i, c := range t.columns {
		if n := c.Rows(); n != rows {
			return fmt.Errorf("column %s.%s has %d rows, want %d", t.name, t.names[i], n, rows)
		}
	}
	return nil
}

func (t *table) insert(database string) string {
	return fmt.Sprintf("INSERT INTO %s.%s (%s) VALUES", database, t.name, strings.Join(t.names, ", "))
}

// header are the columns that every row of a batch starts with.
type header struct {
	source, topic *one
	partition     *same
	offset        *fixed
	batchID       *one
	batchTime     *same
	kafkaTime     *fixed
}

func newHeader(t *table) header {
	return header{ // batchID is set when the end of the batch is known
		source: t.constantText("source"), topic: t.constantText("topic"),
		partition: t.constantFixed("partition", "Int32", 4), offset: t.int64("offset"),
		batchID:   addConstant(t, "batch_id", &one{kind: "LowCardinality(FixedString(16))", fixed: true}),
		batchTime: t.constantFixed("batch_time", timeKind, 8), kafkaTime: t.time("kafka_time"),
	}
}

func (h *header) begin(b Batch) {
	h.source.set(b.Source)
	h.topic.set(b.Topic)
	h.partition.setInt32(b.Partition)
	h.batchTime.setInt64(int64(b.BatchTime))
}

func (h *header) row(offset int64, kafkaTime access.Millis) {
	h.offset.int64(offset)
	h.kafkaTime.int64(int64(max(kafkaTime, 0)))
}
