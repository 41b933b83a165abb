package pipeline_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// digests makes the root of a leaf's records again, from the manifest and the stored salts.
func (o *oracle) digests(leaf ledger.Batch) {
	o.t.Helper()
	salts := o.salts(leaf)
	var hashes storedHashes
	var events, letters int64
	for i := range o.lane.manifest {
		p := &o.lane.manifest[i]
		if p.partition != leaf.Partition || p.offset < leaf.First || p.offset > leaf.Last {
			continue
		}
		if o.again[place(p.partition, p.offset)] != nil {
			events++
		} else {
			letters++
		}
		stored, err := tlog.StoredHashes(events+letters-1, append([]byte(salts[p.offset]), canonicalRecord(p)...), hashes)
		if err != nil {
			o.t.Fatal(err)
		}
		hashes = append(hashes, stored...)
	}
	if events != leaf.Events || letters != leaf.Quarantined {
		o.t.Errorf("leaf [%d,%d] counts %d events and %d dead letters, want %d and %d", leaf.First, leaf.Last, leaf.Events, leaf.Quarantined, events, letters)
	}
	root := tlog.Hash(sha256.Sum256(nil))
	if events+letters > 0 {
		var err error
		if root, err = tlog.TreeHash(events+letters, hashes); err != nil {
			o.t.Fatal(err)
		}
	}
	if root != leaf.RecordsRoot {
		o.t.Errorf("leaf [%d,%d]: its records are not what was produced", leaf.First, leaf.Last)
	}
}

// salts are those stored beside the rows of a leaf, by offset.
func (o *oracle) salts(leaf ledger.Batch) map[int64]string {
	o.t.Helper()
	out := map[int64]string{}
	for _, table := range []string{"event_rows", "dead_letter_rows"} {
		rows, err := o.lane.rig.conn.Query(o.t.Context(), fmt.Sprintf(`SELECT offset, salt FROM %s.%s
			WHERE source = $1 AND topic = $2 AND partition = $3 AND offset BETWEEN $4 AND $5`, o.lane.rig.database, table),
			leaf.Source, leaf.Topic, leaf.Partition, leaf.First, leaf.Last)
		if err != nil {
			o.t.Fatal(err)
		}
		for rows.Next() {
			var offset int64
			var salt string
			if err := rows.Scan(&offset, &salt); err != nil {
				o.t.Fatal(err)
			}
			if len(salt) != store.SaltSize || salt == string(make([]byte, store.SaltSize)) {
				o.t.Errorf("offset %d of %s has the salt %x", offset, table, salt)
			}
			out[offset] = salt
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			o.t.Fatal(err)
		}
	}
	return out
}

// storedHashes are the hashes of a tree, for tlog.
type storedHashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = h[index]
	}
	return out, nil
}

// canonicalRecord is the row of a record as schemas/README.md describes it.
func canonicalRecord(p *produced) []byte {
	b := []byte("bw-row/v1\x00raw_rows\x00")
	text := func(v []byte) { b = append(binary.AppendUvarint(b, uint64(len(v))), v...) }
	b = binary.LittleEndian.AppendUint64(b, uint64(p.offset))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.timestamp))
	text(p.key)
	text(p.value)
	var nulls uint32
	if p.key == nil {
		nulls |= 1
	}
	if p.value == nil {
		nulls |= 2
	}
	b = binary.AppendUvarint(b, uint64(len(p.headers)))
	for _, h := range p.headers {
		text([]byte(h.Key))
	}
	b = binary.AppendUvarint(b, uint64(len(p.headers)))
	for i, h := range p.headers {
		text(h.Value)
		if h.Value == nil {
			nulls |= 4 << i
		}
	}
	return binary.LittleEndian.AppendUint32(b, nulls)
}
