package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// A record batch of message format v2 starts with this header, big-endian:
//
//	 0 base offset       int64     27 base timestamp  int64
//	 8 batch length      int32     35 max timestamp   int64
//	12 leader epoch      int32     43 producer id     int64
//	16 magic             int8      51 producer epoch  int16
//	17 crc               uint32    53 base sequence   int32
//	21 attributes        int16     57 record count    int32
//	23 last offset delta int32
//
// The batch length counts from the leader epoch on; the CRC32C covers
// everything from the attributes on. Source: Apache Kafka documentation,
// "Message Format", and KIP-98.
const (
	batchPrefix = 12 // base offset and length
	batchMagic  = 16
	batchCRC    = 21 // first byte under the CRC
	batchHeader = 61
	minRecord   = 7 // bytes of a record with null key and value
)

// Bits of the batch attributes.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errPartial reports that the data ends inside a batch.
var errPartial = errors.New("record batch is cut off")

// batch is a parsed and checksummed record batch.
type batch struct {
	base, last int64 // first and last offset
	attributes int16
	baseTime   int64
	maxTime    int64
	producer   int64
	count      int32
	payload    []byte // records, compressed as the attributes say
	size       int    // whole batch on the wire
}

// parseBatch reads the first batch of data and verifies its CRC. It returns
// errPartial when data ends before the batch does. The offset that errors
// name is the batch's own base offset, not yet protected by any checksum.
func parseBatch(data []byte, limit int) (batch, error) {
	if len(data) <= batchMagic {
		return batch{}, errPartial
	}
	base := int64(binary.BigEndian.Uint64(data))
	length := int64(int32(binary.BigEndian.Uint32(data[8:])))
	switch magic := data[batchMagic]; magic {
	case 2:
	case 0, 1:
		return batch{}, &Unsupported{Offset: base, What: fmt.Sprintf("message format v%d, written before Kafka 0.11", magic)}
	default:
		return batch{}, &Corrupt{Offset: base, Last: -1, Reason: fmt.Sprintf("message format byte is %d", magic)}
	}
	if length < batchHeader-batchPrefix {
		return batch{}, &Corrupt{Offset: base, Last: -1, Reason: fmt.Sprintf("batch length %d is shorter than its header", length)}
	}
	size := length + batchPrefix
	if size > int64(limit) {
		return batch{}, &TooLarge{Offset: base, Last: claimedLast(data), Limit: limit}
	}
	if size > int64(len(data)) {
		return batch{}, errPartial
	}
	data = data[:size]
	want := binary.BigEndian.Uint32(data[17:])
	if got := crc32.Checksum(data[batchCRC:], castagnoli); got != want {
		return batch{}, &Corrupt{Offset: base, Last: claimedLast(data),
			Reason: fmt.Sprintf("CRC32C is %08x, the batch says %08x", got, want)}
	}
	return readHeader(data, base)
}

func readHeader(data []byte, base int64) (batch, error) {
	delta := int32(binary.BigEndian.Uint32(data[23:]))
	b := batch{
		base:       base,
		last:       base + int64(delta),
		attributes: int16(binary.BigEndian.Uint16(data[21:])),
		baseTime:   int64(binary.BigEndian.Uint64(data[27:])),
		maxTime:    int64(binary.BigEndian.Uint64(data[35:])),
		producer:   int64(binary.BigEndian.Uint64(data[43:])),
		count:      int32(binary.BigEndian.Uint32(data[57:])),
		payload:    data[batchHeader:],
		size:       len(data),
	}
	if delta < 0 || base < 0 || b.last < base {
		return b, &Corrupt{Offset: base, Last: -1, Reason: fmt.Sprintf("offset range starts at %d and is %d long", base, int64(delta)+1)}
	}
	if b.count < 0 || int64(b.count) > int64(delta)+1 {
		return b, &Corrupt{Offset: base, Last: b.last,
			Reason: fmt.Sprintf("%d records in %d offsets", b.count, int64(delta)+1)}
	}
	return b, nil
}

// claimedLast is the last offset that an unchecked header claims, or -1.
func claimedLast(data []byte) int64 {
	if len(data) < 27 {
		return -1
	}
	base := int64(binary.BigEndian.Uint64(data))
	delta := int32(binary.BigEndian.Uint32(data[23:]))
	if base < 0 || delta < 0 {
		return -1
	}
	return base + int64(delta)
}

// abortedTxn is a transaction that was aborted: records of producer at
// or after first are void until the producer's abort marker.
type abortedTxn struct{ producer, first int64 }

// walker turns the bytes of a fetch response into the records of a chunk. It
// implements read-committed as the Java consumer does: a batch of a producer
// whose aborted transaction has begun is void until that producer's abort
// marker.
type walker struct {
	chunk   *Chunk
	codecs  *decompressor
	limit   int          // largest batch in bytes, compressed or not
	pending []abortedTxn // not yet begun, by first offset
	active  []int64      // producers in an aborted transaction
}

// walk decodes the batches of c.raw. It stops without error at a trailing
// partial batch, at the chunk's memory budget, and at a bad batch that has
// good ones before it: the next fetch starts at that batch and gets the error.
// A response that holds no complete batch gives errPartial.
func (w *walker) walk(aborted []abortedTxn) error {
	c := w.chunk
	slices.SortFunc(aborted, func(a, b abortedTxn) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	w.pending, w.active = aborted, w.active[:0]
	data := c.raw
	for len(data) > 0 && c.need < w.limit {
		b, err := parseBatch(data, w.limit)
		if err == nil {
			err = w.batch(&b)
		}
		if err != nil {
			if c.Next > c.First {
				return nil
			}
			return err
		}
		data = data[b.size:]
		c.Bytes += int64(b.size)
	}
	return nil
}

// batch adds one batch to the chunk, or leaves the chunk as it was.
func (w *walker) batch(b *batch) error {
	c := w.chunk
	if b.last < c.First {
		return nil // the broker may start before the offset asked for
	}
	if b.base < c.Next && c.Next > c.First {
		return &Corrupt{Offset: b.base, Last: b.last, Reason: fmt.Sprintf("batch overlaps the one before, which ends at %d", c.Next-1)}
	}
	if b.last >= c.HighWatermark {
		return &Corrupt{Offset: b.base, Last: b.last, Reason: fmt.Sprintf("batch ends at %d, beyond the high watermark %d", b.last, c.HighWatermark)}
	}
	m := c.mark()
	err := w.fill(b)
	if err != nil {
		c.rollback(m)
		return w.name(b, err)
	}
	c.Compacted += b.last + 1 - c.Next
	c.Next = b.last + 1
	return nil
}

// name gives a decoding error the batch's place.
func (w *walker) name(b *batch, err error) error {
	if errors.Is(err, errBudget) {
		return &TooLarge{Offset: b.base, Last: b.last, Limit: w.limit}
	}
	if isVerdict(err) {
		return err
	}
	return &Corrupt{Offset: b.base, Last: b.last, Reason: err.Error()}
}

// fill decodes the records of a batch into the chunk, by the batch's kind.
func (w *walker) fill(b *batch) error {
	payload, err := w.payload(b)
	if err != nil {
		return err
	}
	if int64(b.count) > int64(len(payload)/minRecord) {
		return fmt.Errorf("%d records cannot fit in %d bytes", b.count, len(payload))
	}
	w.begin(b.last)
	switch {
	case b.attributes&attrControl != 0:
		return w.controls(b, payload)
	case b.attributes&attrTransactional != 0 && slices.Contains(w.active, b.producer):
		return w.voids(b, payload)
	}
	return w.chunk.records(b, payload)
}

// payload returns the batch's records, decompressed.
func (w *walker) payload(b *batch) ([]byte, error) {
	codec := int(b.attributes & attrCodec)
	if codec == codecNone || b.count == 0 {
		return b.payload, nil
	}
	if codec > codecZstd {
		return nil, &Unsupported{Offset: b.base, What: fmt.Sprintf("compression codec %d", codec)}
	}
	c := w.chunk
	if cap(c.slab) == 0 {
		c.slab = make([]byte, min(4*len(c.raw), w.limit))
	}
	free := c.free()
	out, err := w.codecs.decompress(codec, free, b.payload)
	if err != nil {
		return nil, err
	}
	c.keep(out, cap(out) != cap(free))
	return out, nil
}

// begin makes the aborted transactions that start at or before last active.
func (w *walker) begin(last int64) {
	for len(w.pending) > 0 && w.pending[0].first <= last {
		if p := w.pending[0].producer; !slices.Contains(w.active, p) {
			w.active = append(w.active, p)
		}
		w.pending = w.pending[1:]
	}
}

// controls counts control records; an abort marker ends its producer's
// aborted transaction.
func (w *walker) controls(b *batch, payload []byte) error {
	c := w.chunk
	abort := false
	err := eachRecord(b, payload, nil, func(r *Record) {
		abort = abort || isAbortMarker(r.Key)
		if r.Offset >= c.First {
			c.advance(r.Offset)
			c.Control++
		}
	})
	if err == nil && abort {
		if i := slices.Index(w.active, b.producer); i >= 0 {
			w.active = slices.Delete(w.active, i, i+1)
		}
	}
	return err
}

// voids counts the records of an aborted transaction.
func (w *walker) voids(b *batch, payload []byte) error {
	c := w.chunk
	return eachRecord(b, payload, nil, func(r *Record) {
		if r.Offset >= c.First {
			c.advance(r.Offset)
			c.Aborted++
		}
	})
}

// isAbortMarker reads a control record's key: version and type, both int16;
// type 0 is an abort, 1 a commit.
func isAbortMarker(key []byte) bool {
	return len(key) >= 4 && key[2] == 0 && key[3] == 0
}
