package main

import (
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"
)

// hash is a hash of a Merkle tree.
type hash = tlog.Hash

// tree computes the root of RFC 6962 over leaves that arrive one by one, with the code of the Go checksum database. That
// shares nothing with the writer's.
type tree struct {
	n   int64
	all hashes
}

func (t *tree) add(leaf hash) {
	stored, err := tlog.StoredHashesForRecordHash(t.n, leaf, t.all)
	if err != nil {
		panic(err) // the hashes are in memory
	}
	t.all = append(t.all, stored...)
	t.n++
}

func (t *tree) root() hash {
	if t.n == 0 {
		return sha256.Sum256(nil)
	}
	root, err := tlog.TreeHash(t.n, t.all)
	if err != nil {
		panic(err)
	}
	return root
}

// leafOf is the leaf of a row: its salt is hashed before it.
func leafOf(salt, canonical []byte) hash {
	return tlog.RecordHash(append(append(make([]byte, 0, len(salt)+len(canonical)), salt...), canonical...))
}

// canonicalReader takes a canonical row apart that this program put together.
type canonicalReader struct{ rest []byte }

func (r *canonicalReader) number(width int) (n uint64) {
	for i := range width {
		n |= uint64(r.rest[i]) << (8 * i)
	}
	r.rest = r.rest[width:]
	return n
}

func (r *canonicalReader) text() []byte {
	n, size := binary.Uvarint(r.rest)
	v := r.rest[size : size+int(n) : size+int(n)]
	r.rest = r.rest[size+int(n):]
	return v
}

func (r *canonicalReader) texts() [][]byte {
	n, size := binary.Uvarint(r.rest)
	r.rest = r.rest[size:]
	list := make([][]byte, n)
	for i := range list {
		list[i] = r.text()
	}
	return list
}
