package ledger

import "time"

// Gap is the leaf of offsets that will never be judged (gap/v1) and says why.
// It moves the head like a batch does: what is missing is on record, signed.
type Gap struct {
	Source    string // kafka:<cluster-id>/<epoch>
	Topic     string
	Partition int32
	First     int64 // first missing offset, inclusive
	Last      int64 // last missing offset, inclusive

	Reason    string    // one line, at most 200 bytes
	BatchTime time.Time // when it was found, milliseconds, UTC
	Prev      int64     // ledger index of the partition's previous leaf, -1 for none
}

// Span returns the offsets the leaf accounts for.
func (g Gap) Span() Span {
	return Span{
		Key:   Key{Source: g.Source, Topic: g.Topic, Partition: g.Partition},
		First: g.First, Last: g.Last, Prev: g.Prev,
	}
}

// Marshal implements Leaf.
func (g Gap) Marshal() []byte {
	t := g.Span().open(kindGap)
	return t.text("reason", g.Reason).time("batch-time", g.BatchTime).integer("prev", g.Prev)
}

// Validate implements Leaf.
func (g Gap) Validate() error {
	if err := g.Span().validate(); err != nil {
		return err
	}
	if err := validateText("reason", g.Reason, maxTextLen); err != nil {
		return err
	}
	return validateTime("batch-time", g.BatchTime)
}

func readGap(r *lineReader) Gap {
	s := r.place()
	return Gap{
		Source: s.Key.Source, Topic: s.Key.Topic, Partition: s.Key.Partition, First: s.First, Last: s.Last,
		Reason:    r.text("reason"),
		BatchTime: r.time("batch-time"),
		Prev:      r.integer("prev", 64),
	}
}
