package main

import (
	"crypto/sha256"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// hash is a hash of a Merkle tree.
type hash = tlog.Hash

// emptyRoot is the root of no leaves: the hash of nothing.
var emptyRoot = hash(sha256.Sum256(nil))

// tree computes the root of RFC 6962 over leaves that arrive one by one. It keeps one hash for each complete subtree that
// has no neighbour yet, the largest first; the inner nodes are hashed by the code of the Go checksum database.
type tree struct {
	n     int64
	stack []hash
}

func (t *tree) reset() { t.n, t.stack = 0, t.stack[:0] }

func (t *tree) add(leaf hash) {
	for range bits.TrailingZeros64(^uint64(t.n)) {
		last := len(t.stack) - 1
		leaf, t.stack = tlog.NodeHash(t.stack[last], leaf), t.stack[:last]
	}
	t.stack = append(t.stack, leaf)
	t.n++
}

func (t *tree) root() hash {
	if t.n == 0 {
		return emptyRoot
	}
	root := t.stack[len(t.stack)-1]
	for i := len(t.stack) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.stack[i], root)
	}
	return root
}

// leafOf is the leaf of a row: its salt is hashed before it. buf is used again.
func leafOf(buf, salt, canonical []byte) (leaf hash, used []byte) {
	buf = append(append(append(buf[:0], 0), salt...), canonical...)
	return sha256.Sum256(buf), buf
}
