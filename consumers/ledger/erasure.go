package ledger

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxErased is how many offsets one Erasure names at most.
const MaxErased = 1000

// Erasure is the leaf of rows that were erased at the request of those whom they are about (erasure/v1). It is written
// before the rows go. A tombstone without one is a finding.
type Erasure struct {
	Source    string // kafka:<cluster-id>/<epoch>
	Topic     string
	Partition int32
	Offsets   []int64 // ascending, 1 to 1,000

	Ticket    string   // of the request, one line
	Ground    string   // why it precedes a hold; empty where none stood against it
	Approvers []string // two or more words, ascending
	By        string   // who ran it
	// Tombstones is SHA-256 over the lines "table offset ordinal leaf" of all tombstones, in the order of table, offset
	// and ordinal.
	Tombstones [32]byte
	Time       time.Time // milliseconds, UTC
}

// Marshal implements Leaf.
func (e Erasure) Marshal() []byte {
	t := lines(kindErasure+"\n").text("source", e.Source).text("topic", e.Topic).integer("partition", int64(e.Partition))
	words := make([]string, len(e.Offsets))
	for i, offset := range e.Offsets {
		words[i] = strconv.FormatInt(offset, 10)
	}
	t = t.text("offsets", strings.Join(words, " ")).text("ticket", e.Ticket)
	if e.Ground != "" {
		t = t.text("ground", e.Ground)
	}
	return t.text("approvers", strings.Join(e.Approvers, " ")).text("by", e.By).digest("tombstones", e.Tombstones).time("time", e.Time)
}

// Key names the partition.
func (e Erasure) Key() Key { return Key{Source: e.Source, Topic: e.Topic, Partition: e.Partition} }

// Validate implements Leaf.
func (e Erasure) Validate() error {
	if err := (Span{Key: e.Key(), Prev: -1}).validate(); err != nil {
		return err
	}
	if n := len(e.Offsets); n == 0 || n > MaxErased {
		return invalid("offsets", "%d of them, want 1 to %d", n, MaxErased)
	}
	for i, offset := range e.Offsets {
		if offset < 0 || i > 0 && offset <= e.Offsets[i-1] {
			return invalid("offsets", "%d is negative or not in ascending order", offset)
		}
	}
	if len(e.Approvers) < 2 || !slices.IsSorted(e.Approvers) || len(slices.Compact(slices.Clone(e.Approvers))) != len(e.Approvers) {
		return invalid("approvers", "want two or more different ones in ascending order")
	}
	for _, name := range e.Approvers {
		if err := validateWord("approvers", name, maxTextLen); err != nil {
			return err
		}
	}
	for _, text := range []struct{ field, value string }{{"ticket", e.Ticket}, {"by", e.By}, {"ground", e.Ground}} {
		if text.field == "ground" && text.value == "" {
			continue
		}
		if err := validateText(text.field, text.value, maxTextLen); err != nil {
			return err
		}
	}
	return validateTime("time", e.Time)
}

func readErasure(r *lineReader) Erasure {
	e := Erasure{Source: r.text("source"), Topic: r.text("topic"), Partition: int32(r.integer("partition", 32))}
	for _, word := range strings.Split(r.text("offsets"), " ") {
		e.Offsets = append(e.Offsets, r.number(word, 64))
	}
	e.Ticket = r.text("ticket")
	if r.next("ground") {
		e.Ground = r.text("ground")
	}
	e.Approvers = strings.Split(r.text("approvers"), " ")
	e.By, e.Tombstones, e.Time = r.text("by"), r.digest("tombstones"), r.time("time")
	return e
}

// Retention is the leaf of rows that were dropped because their time was over (retention/v1). It is written before they
// go. What it covers cannot be proved or judged again any more, and is no finding.
type Retention struct {
	Table  string // raw_rows
	Month  string // 202611: the partition of the table that was dropped, by batch time
	Rows   int64  // how many there were
	By     string // who ran it
	Policy string // which rule says so, one line
	Time   time.Time
}

// Marshal implements Leaf.
func (r Retention) Marshal() []byte {
	t := lines(kindRetention+"\n").text("table", r.Table).text("month", r.Month).integer("rows", r.Rows)
	return t.text("by", r.By).text("policy", r.Policy).time("time", r.Time)
}

// Validate implements Leaf.
func (r Retention) Validate() error {
	if err := validateWord("table", r.Table, maxTextLen); err != nil {
		return err
	}
	if _, err := time.Parse("200601", r.Month); err != nil {
		return invalid("month", "%.20q is not a month like 202611", r.Month)
	}
	if r.Rows < 0 {
		return invalid("rows", "%d is negative", r.Rows)
	}
	for _, text := range []struct{ field, value string }{{"by", r.By}, {"policy", r.Policy}} {
		if err := validateText(text.field, text.value, maxTextLen); err != nil {
			return err
		}
	}
	return validateTime("time", r.Time)
}

// Covers reports whether the leaf is about the rows of a batch of that time in a table.
func (r Retention) Covers(table string, batchTime time.Time) bool {
	return r.Table == table && r.Month == batchTime.UTC().Format("200601")
}

func readRetention(r *lineReader) Retention {
	return Retention{Table: r.text("table"), Month: r.text("month"), Rows: r.integer("rows", 64),
		By: r.text("by"), Policy: r.text("policy"), Time: r.time("time")}
}
