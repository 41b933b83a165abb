package store

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"borderwatch/schemas/alert"
)

// Rows are proved by Merkle roots, one per table and batch. The leaf of a row is
//
//	SHA-256(0x00 ‖ salt ‖ canonical row)
//
// and a canonical row is "bw-row/v1", NUL, the table's name, NUL, then the values of its columns in the order of the
// table, without those that are the same for the whole batch (source, topic, partition, batch_id, batch_time, bundle) and
// without salt. A value of a type of fixed width is its bytes, least first (an Enum8 its number, a DateTime64(3) its
// milliseconds, a Bool one byte); a string is its length as an unsigned varint and its bytes; an array is the number of
// its elements as an unsigned varint and the elements. The schema version that the leaf names fixes the columns.
//
// The salt keeps a hash from being tested against guesses once its row was erased. It is stored beside the row.
const canonicalPrefix = "bw-row/v1\x00"

// SaltSize is the size of a salt in bytes.
const SaltSize = 16

// Salts derives the salts of the rows of one partition on one day. Whoever takes a partition over derives the same ones;
// once the key of the day is destroyed they are only beside their rows. Not safe for concurrent use.
type Salts struct {
	block   cipher.Block
	in, out [SaltSize]byte
}

// NewSalts takes the secret key of a day and the partition. The salt of an offset is AES-256 of the offset under
// HMAC-SHA-256(key of the day, partition): a keyed hash for each row would cost ten times as much.
func NewSalts(day [32]byte, source, topic string, partition int32) *Salts {
	mac := hmac.New(sha256.New, day[:])
	fmt.Fprintf(mac, "bw-salt/v1\n%s\n%s\n%d\n", source, topic, partition)
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	return &Salts{block: block}
}

var noSalt [SaltSize]byte

// at returns the salt of an offset, valid until the next call. Without salts it is zero: the rows of a replay are
// compared, not proved.
func (s *Salts) at(offset int64) *[SaltSize]byte {
	if s == nil {
		return &noSalt
	}
	binary.BigEndian.PutUint64(s.in[:], uint64(offset))
	s.block.Encrypt(s.out[:], s.in[:])
	return &s.out
}

// Roots are the Merkle roots over the rows of a block: records and events in the order of their offsets, so with the dead
// letters, alerts by offset, rule_id, shadow and alert_id.
type Roots struct{ Records, Events, Alerts, Quarantine [32]byte }

// leaves computes the roots of a block while it is filled.
type leaves struct {
	records, events, alerts, quarantine tree
	leaf                                []byte // 0x00, salt and canonical row of the row last added
	onRow                               func(table string, canonical []byte)
	compared                            bool // onRow is all that is wanted
	sorted                              []int
}

func (l *leaves) reset() {
	l.records.reset()
	l.events.reset()
	l.alerts.reset()
	l.quarantine.reset()
}

// add appends the last row of a table to the tree.
func (l *leaves) add(to *tree, salt *[SaltSize]byte, t *table) {
	l.leaf = append(append(l.leaf[:0], 0), salt[:]...)
	l.leaf = t.appendRow(l.leaf)
	if !l.compared {
		to.add(sha256.Sum256(l.leaf))
	}
	if l.onRow != nil {
		l.onRow(t.name, l.leaf[1+SaltSize:])
	}
}

// order lists the alerts of one event in the order of their evidence, valid until the next call.
func (l *leaves) order(list []alert.Item) []int {
	l.sorted = l.sorted[:0]
	for i := range list {
		l.sorted = append(l.sorted, i)
	}
	if len(list) > 1 {
		slices.SortFunc(l.sorted, func(i, j int) int {
			a, b := &list[i], &list[j]
			return cmp.Or(cmp.Compare(a.RuleID, b.RuleID), compareBool(a.Shadow, b.Shadow), bytes.Compare(a.ID[:], b.ID[:]))
		})
	}
	return l.sorted
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Column is a column whose values are part of the evidence of a row.
type Column struct {
	Name string
	Type string // as the server writes it
}

// Columns lists the columns of raw_rows, event_rows, alert_rows or dead_letter_rows that make a canonical row, in order.
func Columns(table string) []Column {
	b := NewBlock()
	for _, t := range b.tables() {
		if t.name != table {
			continue
		}
		var out []Column
		for i, c := range t.columns {
			if slices.Contains(t.cells, c) {
				out = append(out, Column{Name: t.names[i], Type: string(c.Type())})
			}
		}
		return out
	}
	return nil
}

// OnRow has f called with the canonical form of every row that is appended from now on, valid until f returns.
func (b *Block) OnRow(f func(table string, canonical []byte)) { b.leaves.onRow = f }

// Compare has f called as OnRow has, for rows that are compared with stored ones and not proved: the block then has no
// roots, and takes up no records, which are half of what a row costs.
func (b *Block) Compare(f func(table string, canonical []byte)) {
	b.leaves.onRow, b.leaves.compared = f, true
}

// Roots returns the roots over the rows so far.
func (b *Block) Roots() Roots {
	return Roots{Records: b.leaves.records.root(), Events: b.leaves.events.root(),
		Alerts: b.leaves.alerts.root(), Quarantine: b.leaves.quarantine.root()}
}

// appendRow appends the canonical form of the last row.
func (t *table) appendRow(b []byte) []byte {
	b = append(append(append(b, canonicalPrefix...), t.name...), 0)
	for _, c := range t.cells {
		b = c.appendCell(b)
	}
	return b
}
