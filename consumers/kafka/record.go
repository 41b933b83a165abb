package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A record of message format v2, after its length in bytes as a varint:
//
//	attributes int8, timestamp delta varint, offset delta varint,
//	key length varint and key, value length varint and value,
//	header count varint, and per header key length, key, value length, value
//
// Varints are zigzag-encoded; a length of -1 stands for null.

var (
	errCut    = errors.New("record is cut off")
	errVarint = errors.New("malformed varint")
	errLength = errors.New("negative length in a record")
)

// records appends the batch's records from c.First on and accounts for the
// offsets between them.
func (c *Chunk) records(b *batch, payload []byte) error {
	return eachRecord(b, payload, &c.headers, func(r *Record) {
		if r.Offset < c.First {
			return
		}
		c.advance(r.Offset)
		c.Records = append(c.Records, *r)
	})
}

// advance moves Next behind offset; what lies between holds no record.
func (c *Chunk) advance(offset int64) {
	c.Compacted += offset - c.Next
	c.Next = offset + 1
}

// eachRecord decodes all records of a batch in order. Headers are appended to
// *headers; with nil they are checked but not kept.
func eachRecord(b *batch, data []byte, headers *[]Header, do func(*Record)) error {
	var rec Record
	next := b.base
	for i := range b.count {
		length, n := varint(data)
		if n <= 0 || length < 0 || length > int64(len(data)-n) {
			return fmt.Errorf("record %d of %d: %w", i+1, b.count, errCut)
		}
		body := data[n : n+int(length)]
		data = data[n+int(length):]
		if err := decodeRecord(&rec, b, body, headers); err != nil {
			return fmt.Errorf("record %d of %d: %w", i+1, b.count, err)
		}
		if rec.Offset < next || rec.Offset > b.last {
			return fmt.Errorf("record %d of %d: offset %d is outside [%d,%d]", i+1, b.count, rec.Offset, next, b.last)
		}
		next = rec.Offset + 1
		do(&rec)
	}
	if len(data) > 0 {
		return fmt.Errorf("%d bytes after the last record", len(data))
	}
	return nil
}

// decodeRecord decodes one record's body, which must be used up exactly.
func decodeRecord(r *Record, b *batch, p []byte, headers *[]Header) error {
	if len(p) == 0 {
		return errCut
	}
	p = p[1:] // attributes: unused by the format
	dt, n := varint(p)
	if n <= 0 {
		return errVarint
	}
	p = p[n:]
	do, n := varint(p)
	if n <= 0 {
		return errVarint
	}
	p = p[n:]
	if do < 0 || do > b.last-b.base {
		return fmt.Errorf("offset delta %d is outside the batch", do)
	}
	r.Offset = b.base + do
	r.Timestamp = b.baseTime + dt
	if b.attributes&attrLogAppendTime != 0 {
		r.Timestamp = b.maxTime
	}
	var err error
	if r.Key, p, err = nullable(p); err != nil {
		return err
	}
	if r.Value, p, err = nullable(p); err != nil {
		return err
	}
	r.Headers = nil
	if len(p) == 1 && p[0] == 0 {
		return nil
	}
	return decodeHeaders(r, p, headers)
}

func decodeHeaders(r *Record, p []byte, headers *[]Header) error {
	count, n := varint(p)
	if n <= 0 {
		return errVarint
	}
	p = p[n:]
	if count < 0 || count > int64(len(p)/2) { // two length bytes at least
		return fmt.Errorf("%d headers cannot fit in %d bytes", count, len(p))
	}
	start := 0
	if headers != nil {
		start = len(*headers)
	}
	for range count {
		var h Header
		var err error
		if h.Key, p, err = nullable(p); err != nil {
			return err
		}
		if h.Key == nil {
			return errLength
		}
		if h.Value, p, err = nullable(p); err != nil {
			return err
		}
		if headers != nil {
			*headers = append(*headers, h)
		}
	}
	if len(p) > 0 {
		return fmt.Errorf("%d bytes after the last header", len(p))
	}
	if headers != nil && count > 0 {
		r.Headers = (*headers)[start:len(*headers):len(*headers)]
	}
	return nil
}

// nullable reads a length-prefixed byte string; -1 gives nil, 0 an empty
// slice that is not nil.
func nullable(p []byte) (value, rest []byte, err error) {
	length, n := varint(p)
	if n <= 0 {
		return nil, nil, errVarint
	}
	p = p[n:]
	if length == -1 {
		return nil, p, nil
	}
	if length < 0 {
		return nil, nil, errLength
	}
	if length > int64(len(p)) {
		return nil, nil, errCut
	}
	return p[:length:length], p[length:], nil
}

// varint reads a zigzag varint and returns its size, or n <= 0 as
// binary.Varint does.
func varint(p []byte) (v int64, n int) {
	if len(p) > 1 {
		if p[0] < 0x80 {
			u := p[0]
			return int64(u>>1) ^ -int64(u&1), 1
		}
		if p[1] < 0x80 {
			u := uint64(p[0]&0x7f) | uint64(p[1])<<7
			return int64(u>>1) ^ -int64(u&1), 2
		}
	}
	return binary.Varint(p)
}
