package pipeline

import (
	"crypto/sha256"
	"slices"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
)

// batch is a run of consecutive offsets on its way from judging to its receipt.
type batch struct {
	key    ledger.Key
	first  int64
	next   int64 // first offset after the batch
	time   time.Time
	bundle *bundle.Bundle
	block  *store.Block

	counts  struct{ events, quarantined, control, compacted, alerts int64 }
	salts   *store.Salts
	newest  access.Millis   // largest Kafka timestamp
	letters []kafka.Message // for the dead-letter topic, where there is one
	copied  int64           // bytes of letters
	held    int64           // bytes of the budget
	opened  time.Time       // when the first offset was taken up, for the linger
}

// open makes b the empty batch that starts at first. Without salts its rows cannot be proved.
func (b *batch) open(key ledger.Key, first int64, bundle *bundle.Bundle, batchTime time.Time, salts *store.Salts) {
	*b = batch{key: key, first: first, next: first, time: batchTime, bundle: bundle, block: b.block,
		salts: salts, letters: b.letters[:0], opened: batchTime}
	b.block.Begin(b.rows())
}

// rows names the batch for the store. Last is not known before the cut; see seal.
func (b *batch) rows() store.Batch {
	return store.Batch{
		Source: b.key.Source, Topic: b.key.Topic, Partition: b.key.Partition,
		First: b.first, BatchTime: access.Millis(b.time.UnixMilli()), Bundle: b.bundle.Digest, Salts: b.salts,
	}
}

func (b *batch) empty() bool { return b.next == b.first }

// size is roughly the bytes that the batch holds.
func (b *batch) size() int64 { return int64(b.block.Size()) + b.copied }

// full says that the batch has to be cut.
func (b *batch) full(cfg *Config) bool {
	return b.block.Rows() >= cfg.MaxRows || b.size() >= cfg.MaxBytes
}

// leaf is the record of the batch for the ledger; prev is the index of the partition's last leaf, -1 for none.
func (b *batch) leaf(prev int64) ledger.Batch {
	roots := b.block.Roots()
	return ledger.Batch{
		Source: b.key.Source, Topic: b.key.Topic, Partition: b.key.Partition,
		First: b.first, Last: b.next - 1,
		Events: b.counts.events, Quarantined: b.counts.quarantined, Control: b.counts.control,
		Compacted: b.counts.compacted, Alerts: b.counts.alerts,
		RecordsRoot: roots.Records, EventsRoot: roots.Events, AlertsRoot: roots.Alerts, QuarantineRoot: roots.Quarantine,
		Bundle: b.bundle.Digest, Schema: store.SchemaVersion, BatchTime: b.time, Prev: prev,
	}
}

// judged is one digest over what was decided, for the receipt.
func judged(leaf *ledger.Batch) [32]byte {
	return sha256.Sum256(slices.Concat(leaf.EventsRoot[:], leaf.AlertsRoot[:], leaf.QuarantineRoot[:]))
}
