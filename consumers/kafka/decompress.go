package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Compression codecs as numbered in the attributes of a record batch.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// errBudget reports that decompressed data would exceed the budget.
var errBudget = errors.New("decompressed size exceeds the budget")

// zstdMaxWindow is the window of zstd's highest level; decoding a frame with
// a larger one would have to be asked for on the command line of zstd too.
const zstdMaxWindow = 128 << 20

// decompressor decompresses record batches of up to limit bytes. It is safe
// for concurrent use.
type decompressor struct {
	limit int
	zstd  *zstd.Decoder
	gzip  sync.Pool // *gzip.Reader
}

func newDecompressor(limit int) (*decompressor, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderMaxWindow(zstdMaxWindow))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return &decompressor{limit: limit, zstd: z}, nil
}

// decompress appends the decompressed src to dst[:0] and returns it, with
// errBudget as soon as more than the limit would come out.
func (d *decompressor) decompress(codec int, dst, src []byte) ([]byte, error) {
	switch codec {
	case codecGzip:
		return d.gunzip(dst, src)
	case codecSnappy:
		return d.unsnappy(dst, src)
	case codecLZ4:
		return d.unlz4(dst, src)
	case codecZstd:
		return d.unzstd(dst, src)
	}
	return dst, fmt.Errorf("unknown compression codec %d", codec)
}

func (d *decompressor) gunzip(dst, src []byte) ([]byte, error) {
	r, _ := d.gzip.Get().(*gzip.Reader)
	if r == nil {
		r = new(gzip.Reader)
	}
	defer d.gzip.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return dst, err
	}
	return d.readAll(dst, r)
}

func (d *decompressor) unzstd(dst, src []byte) ([]byte, error) {
	out, err := d.zstd.DecodeAll(src, dst)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return dst, errBudget
	}
	if len(out) > d.limit {
		return dst, errBudget
	}
	return out, err
}

// readAll appends all of r to dst, growing it by doubling up to the limit.
func (d *decompressor) readAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = grow(dst, min(max(2*cap(dst), 64<<10), d.limit+1))
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > d.limit {
			return dst, errBudget
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// xerialMagic begins the framing that the Java client puts around snappy.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

// xerialHeader is the magic and two version words.
const xerialHeader = 16

func (d *decompressor) unsnappy(dst, src []byte) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return d.snappyBlock(dst, src)
	}
	if len(src) < xerialHeader {
		return dst, io.ErrUnexpectedEOF
	}
	src = src[xerialHeader:]
	for len(src) > 0 {
		if len(src) < 4 {
			return dst, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(src))
		src = src[4:]
		if n > int64(len(src)) {
			return dst, io.ErrUnexpectedEOF
		}
		var err error
		if dst, err = d.snappyBlock(dst, src[:n]); err != nil {
			return dst, err
		}
		src = src[n:]
	}
	return dst, nil
}

func (d *decompressor) snappyBlock(dst, src []byte) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return dst, err
	}
	total := len(dst) + n
	if n > d.limit || total > d.limit {
		return dst, errBudget
	}
	// Snappy copies at most 64 bytes per 2 or 3 input bytes; a longer claim
	// is a lie, and must not become an allocation.
	if n > 64*len(src) {
		return dst, errors.New("snappy block claims an impossible length")
	}
	if total > cap(dst) {
		dst = grow(dst, max(total, min(2*cap(dst), d.limit)))
	}
	if _, err := s2.Decode(dst[len(dst):total], src); err != nil {
		return dst, err
	}
	return dst[:total], nil
}

// grow returns a copy of b with capacity n.
func grow(b []byte, n int) []byte {
	out := make([]byte, len(b), n)
	copy(out, b)
	return out
}
