package store

import (
	"crypto/sha256"
	"fmt"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
	schema "borderwatch/schemas/clickhouse"
)

// SchemaVersion is the version of the rows that this build writes; leaves and receipts carry it.
const SchemaVersion = schema.RowVersion

// MaxRows is the most rows of a block: above, a server may split it, and an insert of two blocks is not atomic.
const MaxRows = 500_000

// Batch names a run of offsets of one partition that is stored together.
type Batch struct {
	Source    string // kafka:<cluster-id>/<epoch>
	Topic     string
	Partition int32
	First     int64         // first offset
	BatchTime access.Millis // pinned before the batch is recorded; decides the table partition
	Bundle    string        // digest of the bundle that judged
	Salts     *Salts        // of the partition and the day of BatchTime; nil leaves the rows without proof
	Attempt   uint16        // 0, or the number of the repair that writes the batch again and replaces the earlier ones
}

// Seal completes a batch once its end is known and its leaf is in the ledger.
type Seal struct {
	Last               int64 // last offset, inclusive
	LedgerIndex        uint64
	Control, Compacted int64 // offsets without a record
	Input, Judged      [32]byte
	Worker             string
}

// Block holds the rows of one batch, ready to be sent. It is large and meant to be used again: Begin keeps the memory.
// It is not safe for concurrent use; nothing it was given is kept.
type Block struct {
	batch   Batch
	seal    Seal
	sealed  bool
	host    string // where an attempt to insert it was made first
	events  *events
	raw     *raw
	alerts  *alerts
	letters *deadLetters
	receipt *receipts
	leaves  leaves
}

// NewBlock returns a block without memory; Begin comes first.
func NewBlock() *Block {
	return &Block{events: newEvents(), raw: newRaw(), alerts: newAlerts(), letters: newDeadLetters(), receipt: newReceipts()}
}

// Begin empties the block for a batch.
func (b *Block) Begin(batch Batch) {
	b.batch, b.seal, b.sealed, b.host = batch, Seal{}, false, ""
	b.events.begin(batch)
	b.raw.begin(batch)
	b.alerts.begin(batch)
	b.letters.begin(batch)
	b.leaves.reset()
}

// id names this attempt at the batch.
func (b *Block) id() access.Digest { return batchID(b.batch, b.seal.Last, b.batch.Attempt) }

// AppendEvent appends an event with its verdict and its alerts. ev.Kafka says where it lies.
func (b *Block) AppendEvent(ev *access.Event, content access.Digest, v *alert.Verdict) {
	salt := b.batch.Salts.at(ev.Kafka.Offset)
	b.events.add(ev, &content, v)
	b.events.salt.bytes(salt[:])
	b.leaves.add(&b.leaves.events, salt, &b.events.table)
	for _, i := range b.leaves.order(v.Alerts) {
		b.alerts.add(ev, &content, &v.Alerts[i])
		b.leaves.add(&b.leaves.alerts, salt, &b.alerts.table)
	}
}

// AppendRaw appends the bytes of a record. nil and empty are kept apart for key, value and the values of the first 30
// headers.
func (b *Block) AppendRaw(offset int64, timestamp access.Millis, key, value []byte, headers []Header) {
	if b.leaves.compared {
		return
	}
	b.raw.header.row(offset, timestamp)
	b.raw.record.add(key, value, headers)
	b.leaves.add(&b.leaves.records, b.batch.Salts.at(offset), &b.raw.table)
}

// AppendDeadLetter appends a record that could not be decoded.
func (b *Block) AppendDeadLetter(l DeadLetter) {
	salt := b.batch.Salts.at(l.Offset)
	b.letters.add(&l)
	b.letters.salt.bytes(salt[:])
	b.leaves.add(&b.leaves.quarantine, salt, &b.letters.table)
}

// Events is the number of events so far.
func (b *Block) Events() int { return b.events.rows() }

// Rows is the number of rows of the largest table so far; keep it within MaxRows.
func (b *Block) Rows() int {
	return max(b.events.rows(), b.raw.rows(), b.alerts.rows(), b.letters.rows())
}

// Size is roughly the number of bytes the block holds: raw values are nearly all of it.
func (b *Block) Size() int {
	return b.raw.value.size + b.letters.value.size + 400*b.events.rows()
}

// Seal completes the block; Insert needs it.
func (b *Block) Seal(s Seal) { b.seal, b.sealed = s, true }

// Sealed returns what Begin and Seal were given.
func (b *Block) Sealed() (Batch, Seal) { return b.batch, b.seal }

// prepare checks the block and fills its constant columns.
func (b *Block) prepare() error {
	if !b.sealed {
		return fmt.Errorf("batch %s[%d] from offset %d is not sealed", b.batch.Topic, b.batch.Partition, b.batch.First)
	}
	if b.seal.Last < b.batch.First {
		return fmt.Errorf("batch %s[%d]: range %d to %d", b.batch.Topic, b.batch.Partition, b.batch.First, b.seal.Last)
	}
	b.receipt.set(b)
	id := b.id()
	for _, h := range []*header{&b.events.header, &b.raw.header, &b.alerts.header, &b.letters.header} {
		h.batchID.set(string(id[:]))
	}
	for _, t := range b.tables() {
		if n := t.rows(); n > MaxRows {
			return fmt.Errorf("%s: %d rows in one block, at most %d", t.name, n, MaxRows)
		}
		if err := t.seal(); err != nil {
			return err
		}
	}
	return b.receipt.table.seal()
}

// tables are the rows of the batch in the order of their insert: an alert is never missing where its event is there.
func (b *Block) tables() []*table {
	return []*table{&b.alerts.table, &b.raw.table, &b.events.table, &b.letters.table}
}

// token names the insert of one table. The same token twice is one insert, however its outcome was lost.
func (b *Block) token(table string) string {
	t := fmt.Sprintf("bw1/%s/%s/%d/%d-%d/%s/%d", b.batch.Source, b.batch.Topic, b.batch.Partition,
		b.batch.First, b.seal.Last, table, SchemaVersion)
	if b.batch.Attempt > 0 {
		t += fmt.Sprintf("/%d", b.batch.Attempt)
	}
	return t
}

// digestOf hashes a name of a thing, each part with its length.
func digestOf(kind string, parts ...any) access.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", kind)
	for _, p := range parts {
		s := fmt.Sprint(p)
		fmt.Fprintf(h, "%d:%s\n", len(s), s)
	}
	return access.Digest(h.Sum(nil)[:16])
}
