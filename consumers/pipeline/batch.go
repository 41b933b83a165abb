package pipeline

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
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

	counts struct{ events, quarantined, control, compacted, alerts int64 }
	input  inputDigest
	judged hash.Hash

	newest  access.Millis   // largest Kafka timestamp
	letters []kafka.Message // for the dead-letter topic, where there is one
	copied  int64           // bytes of letters
	held    int64           // bytes of the budget
	opened  time.Time       // when the first offset was taken up, for the linger
}

// open makes b the empty batch that starts at first.
func (b *batch) open(key ledger.Key, first int64, bundle *bundle.Bundle, batchTime time.Time) {
	*b = batch{key: key, first: first, next: first, time: batchTime, bundle: bundle, block: b.block,
		input: b.input, judged: b.judged, letters: b.letters[:0], opened: batchTime}
	if b.judged == nil {
		b.judged, b.input.sum = sha256.New(), sha256.New()
	}
	b.judged.Reset()
	b.input.reset()
	b.block.Begin(b.rows())
}

// rows names the batch for the store. Last is not known before the cut; see seal.
func (b *batch) rows() store.Batch {
	return store.Batch{
		Source: b.key.Source, Topic: b.key.Topic, Partition: b.key.Partition,
		First: b.first, BatchTime: access.Millis(b.time.UnixMilli()), Bundle: b.bundle.Digest,
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
	leaf := ledger.Batch{
		Source: b.key.Source, Topic: b.key.Topic, Partition: b.key.Partition,
		First: b.first, Last: b.next - 1,
		Events: b.counts.events, Quarantined: b.counts.quarantined, Control: b.counts.control,
		Compacted: b.counts.compacted, Alerts: b.counts.alerts,
		Bundle: b.bundle.Digest, Schema: store.SchemaVersion, BatchTime: b.time, Prev: prev,
	}
	b.input.sum.Sum(leaf.Input[:0])
	b.judged.Sum(leaf.Judged[:0])
	return leaf
}

// inputDigest hashes every record of a batch in offset order: offset, timestamp, then key, value and headers, each with
// its length, so that no two sequences of records have the same input.
type inputDigest struct {
	sum    hash.Hash
	prefix []byte
}

// nullLength marks a null key or value, which is not an empty one.
const nullLength = ^uint32(0)

func (d *inputDigest) reset() { d.sum.Reset() }

func (d *inputDigest) add(r *kafka.Record) {
	p := d.prefix[:0]
	p = binary.BigEndian.AppendUint64(p, uint64(r.Offset))
	p = binary.BigEndian.AppendUint64(p, uint64(r.Timestamp))
	p = appendBytes(p, r.Key)
	p = binary.BigEndian.AppendUint32(p, uint32(len(r.Headers)))
	for i := range r.Headers {
		p = appendBytes(p, r.Headers[i].Key)
		p = appendBytes(p, r.Headers[i].Value)
	}
	p = appendLength(p, r.Value)
	d.sum.Write(p)
	d.sum.Write(r.Value)
	d.prefix = p
}

func appendBytes(p, v []byte) []byte { return append(appendLength(p, v), v...) }

func appendLength(p, v []byte) []byte {
	if v == nil {
		return binary.BigEndian.AppendUint32(p, nullLength)
	}
	return binary.BigEndian.AppendUint32(p, uint32(len(v)))
}
