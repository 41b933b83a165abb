package store

import "borderwatch/schemas/access"

// receipts is the block of receipts: one row.
type receipts struct {
	table
	source, topic                *dictionary
	partition, first, last       *fixed
	attempt, batchID             *fixed
	supersedes                   *list[*fixed]
	batchTime                    *fixed
	bundle                       *dictionary
	schema                       *fixed
	events, raw, alerts, letters *fixed
	control, compacted           *fixed
	input, judged, ledgerIndex   *fixed
	worker                       *dictionary
}

func newReceipts() *receipts {
	r := &receipts{table: table{name: "receipts"}}
	t := &r.table
	r.source, r.topic = t.dictionary("source"), t.dictionary("topic")
	r.partition, r.first, r.last = t.fixed("partition", "Int32", 4), t.int64("first_offset"), t.int64("last_offset")
	r.attempt, r.batchID = t.fixed("attempt", "UInt16", 2), t.fixed("batch_id", "FixedString(16)", 16)
	r.supersedes = add(t, "supersedes", &list[*fixed]{kind: "Array(FixedString(16))", elements: &fixed{kind: "FixedString(16)", width: 16}})
	r.batchTime, r.bundle = t.time("batch_time"), t.dictionary("bundle")
	r.schema = t.fixed("schema", "UInt16", 2)
	count := func(name string) *fixed { return t.fixed(name, "UInt32", 4) }
	r.events, r.raw, r.alerts, r.letters = count("events"), count("raw"), count("alerts"), count("dead_letters")
	r.control, r.compacted = count("control"), count("compacted")
	r.input, r.judged = t.fixed("input_digest", "FixedString(32)", 32), t.fixed("judged_digest", "FixedString(32)", 32)
	r.ledgerIndex, r.worker = t.fixed("ledger_index", "UInt64", 8), t.dictionary("worker")
	return r
}

// set replaces the block by the receipt of one batch.
func (r *receipts) set(b *Block) {
	r.table.reset()
	r.source.string(b.batch.Source)
	r.topic.string(b.batch.Topic)
	r.partition.uint32(uint32(b.batch.Partition))
	r.first.int64(b.batch.First)
	r.last.int64(b.seal.Last)
	r.attempt.uint16(b.batch.Attempt)
	id := b.id()
	r.batchID.bytes(id[:])
	r.setSupersedes(b)
	r.batchTime.int64(int64(b.batch.BatchTime))
	r.bundle.string(b.batch.Bundle)
	r.schema.uint16(SchemaVersion)
	r.events.uint32(uint32(b.events.rows()))
	r.raw.uint32(uint32(b.raw.rows()))
	r.alerts.uint32(uint32(b.alerts.rows()))
	r.letters.uint32(uint32(b.letters.rows()))
	r.control.uint32(uint32(b.seal.Control))
	r.compacted.uint32(uint32(b.seal.Compacted))
	r.input.bytes(b.seal.Input[:])
	r.judged.bytes(b.seal.Judged[:])
	r.ledgerIndex.int64(int64(b.seal.LedgerIndex))
	r.worker.string(b.seal.Worker)
}

// setSupersedes names every earlier attempt at the same offsets: ids follow from the attempt's number.
func (r *receipts) setSupersedes(b *Block) {
	for attempt := range b.batch.Attempt {
		id := batchID(b.batch, b.seal.Last, attempt)
		r.supersedes.add(id[:])
	}
	r.supersedes.end()
}

// batchID names an attempt at a batch. The offsets of batches do not overlap: the ledger's compare-and-swap sees to it.
func batchID(b Batch, last int64, attempt uint16) access.Digest {
	return digestOf("bw-batch/v1", b.Source, b.Topic, b.Partition, b.First, last, attempt)
}
