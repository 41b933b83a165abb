package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// TestBatch builds a record batch for tests; encode writes it with a correct
// length and CRC.
type TestBatch struct {
	Base       int64
	LastDelta  int32 // -1 = the last record's
	Attributes int16
	BaseTime   int64
	MaxTime    int64
	Producer   int64
	Count      int32 // -1 = len(Records)
	Records    []TestRecord
	Payload    []byte              // replaces the encoded records when not nil
	Compress   func([]byte) []byte // applied to the records
	Mangle     func([]byte) []byte // applied to the records before compression
}

// TestRecord is one record of a TestBatch.
type TestRecord struct {
	Delta      int64
	TimeDelta  int64
	Key, Value []byte
	Headers    []Header
}

// NewTestBatch returns a batch at base with the given values at consecutive
// offsets.
func NewTestBatch(base int64, values ...string) TestBatch {
	b := TestBatch{Base: base, LastDelta: -1, Count: -1, Producer: -1}
	for i, v := range values {
		b.Records = append(b.Records, TestRecord{Delta: int64(i), Value: []byte(v)})
	}
	return b
}

// Marker returns the control batch that ends a transaction.
func Marker(base, producer int64, commit bool) TestBatch {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	b := NewTestBatch(base)
	b.Producer, b.Attributes = producer, attrControl|attrTransactional
	b.Records = []TestRecord{{Key: key, Value: make([]byte, 6)}}
	return b
}

// Transactional marks the batch as part of a producer's transaction.
func (b TestBatch) Transactional(producer int64) TestBatch {
	b.Producer, b.Attributes = producer, b.Attributes|attrTransactional
	return b
}

// Encode returns the batch as on the wire.
func (b TestBatch) Encode() []byte {
	payload := b.Payload
	if payload == nil {
		for _, r := range b.Records {
			payload = r.append(payload)
		}
	}
	if b.Mangle != nil {
		payload = b.Mangle(payload)
	}
	if b.Compress != nil {
		payload = b.Compress(payload)
	}
	last, count := b.LastDelta, b.Count
	if last < 0 {
		last = 0
		if n := len(b.Records); n > 0 {
			last = int32(b.Records[n-1].Delta)
		}
	}
	if count < 0 {
		count = int32(len(b.Records))
	}
	out := make([]byte, batchHeader, batchHeader+len(payload))
	binary.BigEndian.PutUint64(out, uint64(b.Base))
	binary.BigEndian.PutUint32(out[8:], uint32(batchHeader-batchPrefix+len(payload)))
	out[batchMagic] = 2
	binary.BigEndian.PutUint16(out[21:], uint16(b.Attributes))
	binary.BigEndian.PutUint32(out[23:], uint32(last))
	binary.BigEndian.PutUint64(out[27:], uint64(b.BaseTime))
	binary.BigEndian.PutUint64(out[35:], uint64(b.MaxTime))
	binary.BigEndian.PutUint64(out[43:], uint64(b.Producer))
	binary.BigEndian.PutUint16(out[51:], 0)
	binary.BigEndian.PutUint32(out[53:], ^uint32(0)) // no base sequence
	if b.Producer < 0 {
		binary.BigEndian.PutUint16(out[51:], ^uint16(0))
	}
	binary.BigEndian.PutUint32(out[57:], uint32(count))
	out = append(out, payload...)
	return Reseal(out)
}

// Reseal sets the CRC of an encoded batch to what its content demands.
func Reseal(batch []byte) []byte {
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[batchCRC:], castagnoli))
	return batch
}

func (r TestRecord) append(b []byte) []byte {
	body := []byte{0}
	body = binary.AppendVarint(body, r.TimeDelta)
	body = binary.AppendVarint(body, r.Delta)
	body = appendNullable(body, r.Key)
	body = appendNullable(body, r.Value)
	body = binary.AppendVarint(body, int64(len(r.Headers)))
	for _, h := range r.Headers {
		body = appendNullable(body, h.Key)
		body = appendNullable(body, h.Value)
	}
	return append(binary.AppendVarint(b, int64(len(body))), body...)
}

func appendNullable(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

// Aborted names an aborted transaction for Walk.
type Aborted struct{ Producer, First int64 }

// Walk decodes raw as the answer to a fetch at first, with a batch limit in
// bytes and no high watermark to speak of.
func Walk(raw []byte, first int64, limit int, aborted ...Aborted) (*Chunk, error) {
	codecs, err := newDecompressor(limit)
	if err != nil {
		return nil, err
	}
	defer codecs.zstd.Close()
	c := &Chunk{First: first, Next: first, HighWatermark: 1 << 62, raw: raw}
	w := walker{chunk: c, codecs: codecs, limit: limit}
	txns := make([]abortedTxn, len(aborted))
	for i, a := range aborted {
		txns[i] = abortedTxn{a.Producer, a.First}
	}
	return c, w.walk(txns)
}

// Walker decodes repeatedly with the buffers of one chunk, as a fetcher does.
type Walker struct {
	w walker
}

// NewWalker returns a walker with a batch limit in bytes.
func NewWalker(limit int) (*Walker, error) {
	codecs, err := newDecompressor(limit)
	if err != nil {
		return nil, err
	}
	return &Walker{walker{chunk: &Chunk{}, codecs: codecs, limit: limit}}, nil
}

// Walk decodes raw as the answer to a fetch at 0. The chunk is valid until
// the next call.
func (w *Walker) Walk(raw []byte) (*Chunk, error) {
	c := w.w.chunk
	c.reset(0)
	c.HighWatermark, c.raw = 1<<62, raw
	return c, w.w.walk(nil)
}

// DecodeTopicIDs is decodeTopicIDs, for its fuzz target.
var DecodeTopicIDs = decodeTopicIDs

// ErrPartial is errPartial.
var ErrPartial = errPartial

// Exchange answers a fetch of topic "t", partition 0, at the given API version
// with the bytes of response. The result is the record set.
func Exchange(version int16, limit int, response []byte) ([]byte, error) {
	r := &fetchRequest{clientID: "test", topic: "t", limit: limit, version: version}
	m, err := r.RawExchange(&scripted{rest: response})
	if err != nil {
		return nil, err
	}
	return m.(*fetchResponse).raw, nil
}

// scripted takes whatever is written and is read as rest.
type scripted struct{ rest []byte }

func (s *scripted) Write(p []byte) (int, error) { return len(p), nil }

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
