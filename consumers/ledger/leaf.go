// Package ledger is the append-only evidence log: one short text leaf per
// batch of one partition, appended durably between judging and inserting.
//
// A leaf is accepted only when it continues its partition without a hole
// (first == head.last+1) and names the leaf it follows. That compare-and-swap
// is what fences a worker that lost its partition without noticing: its leaf
// is refused and it must stop. The log itself is a C2SP tlog-tiles log, signed
// with Ed25519, that anyone can read and verify from static files.
//
// [Log] owns the files and is the only writer. [Server] offers it over HTTP
// and [Client] has the methods of [Log], so a worker takes either.
package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// MaxLeafSize is the largest leaf the ledger accepts, in bytes. A log entry
// may have at most 65,535 bytes (C2SP tlog-tiles).
const MaxLeafSize = 60_000

// First lines of the leaf kinds.
const (
	kindBatch      = "borderwatch-batch/v1"
	kindGap        = "borderwatch-gap/v1"
	kindActivation = "borderwatch-bundle/v1"
	kindStartup    = "borderwatch-config/v1"
	kindAdmin      = "borderwatch-admin/v1"
	kindHeartbeat  = "borderwatch-heartbeat/v1"
	kindRotation   = "borderwatch-key-rotation/v1"
	kindErasure    = "borderwatch-erasure/v1"
	kindRetention  = "borderwatch-retention/v1"
)

var (
	// ErrInvalidLeaf is wrapped by every error about the content of a leaf.
	ErrInvalidLeaf = errors.New("invalid leaf")
	// ErrUnknownKind means that the first line names no kind this build knows.
	// It wraps ErrInvalidLeaf.
	ErrUnknownKind = fmt.Errorf("%w: unknown kind", ErrInvalidLeaf)
)

// Leaf is one entry of the ledger: Batch, Gap, Activation, Startup, Admin, Erasure, Retention, Heartbeat or KeyRotation.
type Leaf interface {
	// Marshal returns the canonical text. Equal leaves have equal text, and
	// ParseLeaf returns an equal leaf, if Validate returns nil.
	Marshal() []byte
	// Validate returns an error that wraps ErrInvalidLeaf and names the field.
	Validate() error
}

// Ranged is a leaf that accounts for a range of offsets and so moves the head
// of its partition: Batch or Gap.
type Ranged interface {
	Leaf
	Span() Span
}

// Key names one partition of one source. The source carries cluster and epoch,
// so a topic that was deleted and made again has another key.
type Key struct {
	Source    string
	Topic     string
	Partition int32
}

// String returns source/topic/partition.
func (k Key) String() string {
	return fmt.Sprintf("%s/%s/%d", k.Source, k.Topic, k.Partition)
}

// Span is the offsets [First, Last] of one partition and the ledger index of
// the leaf before it in this partition, -1 if there is none.
type Span struct {
	Key         Key
	First, Last int64
	Prev        int64
}

// Entry is a leaf at its place in the ledger.
type Entry struct {
	Index uint64
	Leaf  Leaf
}

// ParseLeaf reads a leaf. It is strict: the text must be exactly what Marshal
// of the returned leaf gives. Errors wrap ErrInvalidLeaf and name the line.
func ParseLeaf(text []byte) (Leaf, error) {
	if len(text) > MaxLeafSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrInvalidLeaf, len(text), MaxLeafSize)
	}
	kind, rest, ok := strings.Cut(string(text), "\n")
	if !ok {
		return nil, fmt.Errorf("%w: line 1: no newline", ErrInvalidLeaf)
	}
	r := &lineReader{rest: rest, line: 1}
	leaf, err := readKind(kind, r)
	if err != nil {
		return nil, err
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := leaf.Validate(); err != nil {
		return nil, err
	}
	if !bytes.Equal(leaf.Marshal(), text) {
		return nil, fmt.Errorf("%w: not in canonical form", ErrInvalidLeaf)
	}
	return leaf, nil
}

func readKind(kind string, r *lineReader) (Leaf, error) {
	switch kind {
	case kindBatch:
		return readBatch(r), nil
	case kindGap:
		return readGap(r), nil
	case kindActivation:
		return readActivation(r), nil
	case kindStartup:
		return readStartup(r), nil
	case kindAdmin:
		return readAdmin(r), nil
	case kindHeartbeat:
		return readHeartbeat(r), nil
	case kindRotation:
		return readKeyRotation(r), nil
	case kindErasure:
		return readErasure(r), nil
	case kindRetention:
		return readRetention(r), nil
	}
	return nil, fmt.Errorf("%w: line 1: %.60q", ErrUnknownKind, kind)
}
