package ledger

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"time"
)

// Effective is the first offset of a partition that a bundle judges.
type Effective struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Activation is the leaf of a bundle going live (bundle/v1).
type Activation struct {
	Bundle string // SHA-256 of the bundle manifest, 64 hexadecimal digits
	// From says where the bundle takes effect, ascending by topic and partition.
	// Where it is empty a Note must say it.
	From []Effective
	Note string    // one line, at most 200 bytes; may be empty if From is not
	Time time.Time // milliseconds, UTC
}

// Marshal implements Leaf.
func (a Activation) Marshal() []byte {
	t := lines(kindActivation+"\n").text("bundle", "sha256:"+a.Bundle)
	for _, e := range a.From {
		t = fmt.Appendf(t, "effective %s %d %d\n", e.Topic, e.Partition, e.Offset)
	}
	if a.Note != "" {
		t = t.text("note", a.Note)
	}
	return t.time("time", a.Time)
}

// Validate implements Leaf.
func (a Activation) Validate() error {
	if err := validateHex("bundle", a.Bundle); err != nil {
		return err
	}
	for i, e := range a.From {
		if err := e.validate(); err != nil {
			return err
		}
		if i > 0 && a.From[i-1].compare(e) >= 0 {
			return invalid("effective", "%s %d is not in ascending order", e.Topic, e.Partition)
		}
	}
	if a.Note == "" && len(a.From) == 0 {
		return invalid("note", "neither a note nor an effective offset")
	}
	if a.Note != "" {
		if err := validateText("note", a.Note, maxTextLen); err != nil {
			return err
		}
	}
	if err := validateTime("time", a.Time); err != nil {
		return err
	}
	if n := len(a.Marshal()); n > MaxLeafSize {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrInvalidLeaf, n, MaxLeafSize)
	}
	return nil
}

func (e Effective) validate() error {
	if err := validateTopic(e.Topic); err != nil {
		return err
	}
	if e.Partition < 0 || e.Offset < 0 {
		return invalid("effective", "%s %d %d is negative", e.Topic, e.Partition, e.Offset)
	}
	return nil
}

func (e Effective) compare(o Effective) int {
	return cmp.Or(cmp.Compare(e.Topic, o.Topic), cmp.Compare(e.Partition, o.Partition))
}

func readActivation(r *lineReader) Activation {
	sum := r.digest("bundle")
	a := Activation{Bundle: hex.EncodeToString(sum[:])}
	for r.next("effective") {
		w := r.words("effective", 3)
		a.From = append(a.From, Effective{
			Topic:     w[0],
			Partition: int32(r.number(w[1], 32)),
			Offset:    r.number(w[2], 64),
		})
	}
	if r.next("note") {
		a.Note = r.text("note")
	}
	a.Time = r.time("time")
	return a
}
