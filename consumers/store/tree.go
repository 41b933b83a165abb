package store

import (
	"crypto/sha256"
	"math/bits"
)

// tree computes the Merkle root of RFC 6962 (section 2.1) over leaves that arrive one by one. It keeps one hash per
// level, and allocates nothing.
type tree struct {
	n     uint64       // leaves so far
	stack [64][32]byte // by level: the hash of the complete subtree that bit of n stands for
	buf   [65]byte
}

func (t *tree) reset() { t.n = 0 }

// add appends the leaf whose hash, with the prefix 0x00, is h.
func (t *tree) add(h [32]byte) {
	level := bits.TrailingZeros64(^t.n)
	for i := range level {
		h = t.node(&t.stack[i], &h)
	}
	t.stack[level] = h
	t.n++
}

// root is the root over all leaves so far; without any it is the hash of nothing.
func (t *tree) root() [32]byte {
	if t.n == 0 {
		return sha256.Sum256(nil)
	}
	level := bits.TrailingZeros64(t.n)
	h := t.stack[level]
	for rest := t.n >> (level + 1) << (level + 1); rest != 0; rest &= rest - 1 {
		h = t.node(&t.stack[bits.TrailingZeros64(rest)], &h)
	}
	return h
}

// node hashes an inner node, whose prefix is 0x01.
func (t *tree) node(left, right *[32]byte) [32]byte {
	t.buf[0] = 1
	copy(t.buf[1:], left[:])
	copy(t.buf[33:], right[:])
	return sha256.Sum256(t.buf[:])
}
