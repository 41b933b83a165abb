package ledger

import (
	"encoding/hex"
	"strings"
	"time"
)

// Batch is the leaf of one judged batch (batch/v1): what was read, what was
// decided, and by which bundle. It is written before the rows are inserted. The
// limits of its fields keep the text below 1,200 bytes.
type Batch struct {
	Source    string // kafka:<cluster-id>/<epoch>
	Topic     string
	Partition int32
	First     int64 // first offset, inclusive
	Last      int64 // last offset, inclusive

	// Every offset of the range is one of these four, so they add up to
	// Last-First+1.
	Events      int64 // judged events
	Quarantined int64 // dead letters
	Control     int64 // control records and records of aborted transactions
	Compacted   int64 // offsets that Kafka no longer has

	Alerts int64

	// Merkle roots of RFC 6962 over the salted canonical rows (schemas/README.md): records, events and dead letters in the
	// order of their offsets, alerts by offset, rule_id, shadow and alert_id.
	RecordsRoot, EventsRoot, AlertsRoot, QuarantineRoot [32]byte

	Bundle    string    // SHA-256 of the bundle manifest, 64 hexadecimal digits
	Schema    int       // version of the row schema, 1 or more
	BatchTime time.Time // pinned time of the batch, milliseconds, UTC
	Prev      int64     // ledger index of the partition's previous leaf, -1 for none
}

// Span returns the offsets the leaf accounts for.
func (b Batch) Span() Span {
	return Span{
		Key:   Key{Source: b.Source, Topic: b.Topic, Partition: b.Partition},
		First: b.First, Last: b.Last, Prev: b.Prev,
	}
}

// Marshal implements Leaf.
func (b Batch) Marshal() []byte {
	t := b.Span().open(kindBatch)
	t = append(t, "counts"...)
	t = t.count("events", b.Events).count("quarantined", b.Quarantined).count("control", b.Control)
	t = t.count("compacted", b.Compacted).count("alerts", b.Alerts)
	t = append(t, '\n')
	t = t.digest("records", b.RecordsRoot).digest("events", b.EventsRoot).digest("alerts", b.AlertsRoot).digest("quarantine", b.QuarantineRoot)
	t = t.text("bundle", "sha256:"+b.Bundle)
	return t.integer("schema", int64(b.Schema)).time("batch-time", b.BatchTime).integer("prev", b.Prev)
}

// Validate implements Leaf.
func (b Batch) Validate() error {
	if err := b.Span().validate(); err != nil {
		return err
	}
	if err := b.validateCounts(); err != nil {
		return err
	}
	if err := validateHex("bundle", b.Bundle); err != nil {
		return err
	}
	if b.Schema < 1 {
		return invalid("schema", "%d, want 1 or more", b.Schema)
	}
	return validateTime("batch-time", b.BatchTime)
}

// validateCounts subtracts from the width instead of adding up, so that huge
// counts cannot wrap around to the right sum.
func (b Batch) validateCounts() error {
	rest := b.Last - b.First // width - 1, which cannot overflow
	for _, n := range []int64{b.Events, b.Quarantined, b.Control, b.Compacted} {
		if n < 0 || n-1 > rest {
			return invalid("counts", "do not add up to the offsets %d to %d", b.First, b.Last)
		}
		rest -= n
	}
	if rest != -1 {
		return invalid("counts", "%d offsets of %d to %d are not accounted for", rest+1, b.First, b.Last)
	}
	if b.Alerts < 0 {
		return invalid("counts", "alerts=%d is negative", b.Alerts)
	}
	return nil
}

func readBatch(r *lineReader) Batch {
	s := r.place()
	b := Batch{Source: s.Key.Source, Topic: s.Key.Topic, Partition: s.Key.Partition, First: s.First, Last: s.Last}
	w := r.words("counts", 5)
	b.Events = r.count(w[0], "events")
	b.Quarantined = r.count(w[1], "quarantined")
	b.Control = r.count(w[2], "control")
	b.Compacted = r.count(w[3], "compacted")
	b.Alerts = r.count(w[4], "alerts")
	b.RecordsRoot = r.digest("records")
	b.EventsRoot = r.digest("events")
	b.AlertsRoot = r.digest("alerts")
	b.QuarantineRoot = r.digest("quarantine")
	bundle := r.digest("bundle")
	b.Bundle = hex.EncodeToString(bundle[:])
	b.Schema = int(r.integer("schema", 32))
	b.BatchTime = r.time("batch-time")
	b.Prev = r.integer("prev", 64)
	return b
}

func (r *lineReader) count(word, name string) int64 {
	value, ok := strings.CutPrefix(word, name+"=")
	if !ok {
		r.fail("want %s=…, have %.60q", name, word)
		return 0
	}
	return r.number(value, 64)
}
