package kafka_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"borderwatch/consumers/kafka"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// codec is a compression by its number in the batch attributes.
type codec struct {
	name string
	id   int16
	do   func([]byte) []byte
}

var codecs = []codec{
	{"none", 0, nil},
	{"gzip", 1, func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	}},
	{"snappy", 2, func(b []byte) []byte { return s2.EncodeSnappy(nil, b) }},
	{"snappy-xerial", 2, xerial},
	{"lz4", 3, func(b []byte) []byte {
		return lz4Frames(b)
	}},
	{"lz4-small-blocks", 3, func(b []byte) []byte { // as librdkafka and the Java client write, with every option
		return lz4Frames(b, lz4.BlockSizeOption(lz4.Block64Kb), lz4.BlockChecksumOption(true), lz4.SizeOption(uint64(len(b))))
	}},
	{"zstd", 4, func(b []byte) []byte {
		w, _ := zstd.NewWriter(nil)
		return w.EncodeAll(b, nil)
	}},
	{"zstd-stream", 4, func(b []byte) []byte { // no content size in the frame
		var out bytes.Buffer
		w, _ := zstd.NewWriter(&out)
		for len(b) > 0 {
			n := min(len(b), 64<<10)
			w.Write(b[:n])
			b = b[n:]
		}
		w.Close()
		return out.Bytes()
	}},
}

func lz4Frames(b []byte, options ...lz4.Option) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	w.Apply(options...)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// xerial is the Java client's snappy framing with small blocks.
func xerial(b []byte) []byte {
	out := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}
	for len(b) > 0 {
		n := min(len(b), 100)
		block := s2.EncodeSnappy(nil, b[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		out = append(out, block...)
		b = b[n:]
	}
	return out
}

func (c codec) apply(b kafka.TestBatch) kafka.TestBatch {
	b.Attributes |= c.id
	b.Compress = c.do
	return b
}

const limit = 1 << 20

func concat(batches ...kafka.TestBatch) []byte {
	var out []byte
	for _, b := range batches {
		out = append(out, b.Encode()...)
	}
	return out
}

// summary is a chunk on one line: its range, counts, and offset=value pairs.
func summary(c *kafka.Chunk) string {
	var records []string
	for _, r := range c.Records {
		records = append(records, fmt.Sprintf("%d=%s", r.Offset, r.Value))
	}
	return fmt.Sprintf("[%d,%d) control=%d aborted=%d compacted=%d %s",
		c.First, c.Next, c.Control, c.Aborted, c.Compacted, strings.Join(records, " "))
}

func checkAccounting(t *testing.T, c *kafka.Chunk) {
	t.Helper()
	if got := int64(len(c.Records)) + c.Control + c.Aborted + c.Compacted; got != c.Next-c.First {
		t.Errorf("%d offsets are accounted for, the range is [%d,%d)", got, c.First, c.Next)
	}
	previous := c.First - 1
	for _, r := range c.Records {
		if r.Offset <= previous || r.Offset >= c.Next {
			t.Fatalf("offset %d after %d in [%d,%d)", r.Offset, previous, c.First, c.Next)
		}
		previous = r.Offset
	}
}

func TestWalkAccountsForEveryOffset(t *testing.T) {
	sparse := kafka.NewTestBatch(10, "a", "b")
	sparse.Records[0].Delta, sparse.Records[1].Delta, sparse.LastDelta = 2, 5, 9
	empty := kafka.NewTestBatch(10)
	empty.LastDelta = 4

	tests := []struct {
		name    string
		first   int64
		raw     []byte
		aborted []kafka.Aborted
		want    string
	}{
		{"nothing", 5, nil, nil, "[5,5) control=0 aborted=0 compacted=0 "},
		{"one batch", 0, concat(kafka.NewTestBatch(0, "a", "b")), nil,
			"[0,2) control=0 aborted=0 compacted=0 0=a 1=b"},
		{"from the middle of a batch", 1, concat(kafka.NewTestBatch(0, "a", "b", "c")), nil,
			"[1,3) control=0 aborted=0 compacted=0 1=b 2=c"},
		{"a batch before the offset", 2, concat(kafka.NewTestBatch(0, "a", "b"), kafka.NewTestBatch(2, "c")), nil,
			"[2,3) control=0 aborted=0 compacted=0 2=c"},
		{"gap before, within and after", 8, concat(sparse), nil,
			"[8,20) control=0 aborted=0 compacted=10 12=a 15=b"},
		{"middle of a compacted batch", 16, concat(sparse), nil,
			"[16,20) control=0 aborted=0 compacted=4 "},
		{"emptied batch", 10, concat(empty, kafka.NewTestBatch(15, "a")), nil,
			"[10,16) control=0 aborted=0 compacted=5 15=a"},
		{"only an emptied batch", 10, concat(empty), nil,
			"[10,15) control=0 aborted=0 compacted=5 "},
		{"partial batch at the end", 0,
			append(concat(kafka.NewTestBatch(0, "a")), concat(kafka.NewTestBatch(1, "b"))[:65]...), nil,
			"[0,1) control=0 aborted=0 compacted=0 0=a"},
		{"committed transaction", 0,
			concat(kafka.NewTestBatch(0, "a").Transactional(7), kafka.Marker(1, 7, true)), nil,
			"[0,2) control=1 aborted=0 compacted=0 0=a"},
		{"aborted transaction", 0,
			concat(kafka.NewTestBatch(0, "a", "b").Transactional(7), kafka.Marker(2, 7, false),
				kafka.NewTestBatch(3, "c").Transactional(7), kafka.Marker(4, 7, true)),
			[]kafka.Aborted{{7, 0}},
			"[0,5) control=2 aborted=2 compacted=0 3=c"},
		{"interleaved producers", 0,
			concat(kafka.NewTestBatch(0, "a").Transactional(7), kafka.NewTestBatch(1, "b").Transactional(8),
				kafka.NewTestBatch(2, "c"), kafka.Marker(3, 8, true), kafka.NewTestBatch(4, "d").Transactional(7),
				kafka.Marker(5, 7, false)),
			[]kafka.Aborted{{7, 0}},
			"[0,6) control=2 aborted=2 compacted=0 1=b 2=c"},
		{"aborted twice, list out of order", 0,
			concat(kafka.NewTestBatch(0, "a").Transactional(7), kafka.Marker(1, 7, false),
				kafka.NewTestBatch(2, "b").Transactional(7), kafka.Marker(3, 7, true),
				kafka.NewTestBatch(4, "c").Transactional(7), kafka.Marker(5, 7, false)),
			[]kafka.Aborted{{7, 4}, {7, 0}},
			"[0,6) control=3 aborted=2 compacted=0 2=b"},
		{"aborted from before the offset", 5,
			concat(kafka.NewTestBatch(4, "a", "b").Transactional(7), kafka.Marker(6, 7, false)),
			[]kafka.Aborted{{7, 1}},
			"[5,7) control=1 aborted=1 compacted=0 "},
		{"the same producer without a transaction", 0,
			concat(kafka.NewTestBatch(0, "a").Transactional(7), kafka.NewTestBatch(1, "b")),
			[]kafka.Aborted{{7, 0}},
			"[0,2) control=0 aborted=1 compacted=0 1=b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := kafka.Walk(tt.raw, tt.first, limit, tt.aborted...)
			if err != nil {
				t.Fatal(err)
			}
			checkAccounting(t, c)
			if got := summary(c); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestWalkDecodesEveryCodecBitForBit(t *testing.T) {
	base := kafka.TestBatch{Base: 100, LastDelta: -1, Count: -1, Producer: -1, BaseTime: 1_700_000_000_000}
	for i := range 500 {
		base.Records = append(base.Records, kafka.TestRecord{
			Delta: int64(i), TimeDelta: int64(i - 250), Key: fmt.Appendf(nil, "key-%d", i%7),
			Value:   bytes.Repeat(fmt.Appendf(nil, "%d,", i), i%90),
			Headers: []kafka.Header{{Key: []byte("h"), Value: fmt.Appendf(nil, "%d", i)}, {Key: []byte{}, Value: nil}},
		})
	}
	base.Records[0].Key, base.Records[0].Value, base.Records[0].Headers = nil, nil, nil
	base.Records[1].Key, base.Records[1].Value = []byte{}, []byte{}
	for _, codec := range codecs {
		t.Run(codec.name, func(t *testing.T) {
			c, err := kafka.Walk(concat(codec.apply(base)), 100, limit)
			if err != nil {
				t.Fatal(err)
			}
			checkAccounting(t, c)
			if len(c.Records) != len(base.Records) {
				t.Fatalf("%d records, want %d", len(c.Records), len(base.Records))
			}
			for i, got := range c.Records {
				compareRecord(t, base, i, got)
			}
		})
	}
}

func compareRecord(t *testing.T, b kafka.TestBatch, i int, got kafka.Record) {
	t.Helper()
	want := b.Records[i]
	if got.Offset != b.Base+want.Delta || got.Timestamp != b.BaseTime+want.TimeDelta {
		t.Errorf("record %d is at %d, %d ms", i, got.Offset, got.Timestamp)
	}
	if !sameBytes(got.Key, want.Key) || !sameBytes(got.Value, want.Value) {
		t.Errorf("record %d: key %q value %q, want %q %q", i, got.Key, got.Value, want.Key, want.Value)
	}
	same := func(a, b kafka.Header) bool { return sameBytes(a.Key, b.Key) && sameBytes(a.Value, b.Value) }
	if !slices.EqualFunc(got.Headers, want.Headers, same) {
		t.Errorf("record %d: headers %q, want %q", i, got.Headers, want.Headers)
	}
}

// sameBytes tells nil from empty.
func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// A frame of linked blocks: the second one copies 30 bytes from 100 back, out
// of the first one, and then has 6 literals.
func TestWalkDecodesLinkedLZ4Blocks(t *testing.T) {
	var pattern []byte
	for i := range 100 {
		pattern = fmt.Appendf(pattern, "%d", i)
	}
	pattern = pattern[:100]
	b := kafka.NewTestBatch(0, string(pattern)+string(pattern))
	b.Attributes = 3
	b.Compress = func(b []byte) []byte {
		cut := len(b) - 36
		out := []byte{0x04, 0x22, 0x4D, 0x18, 0x40, 0x40, 0}
		out = binary.LittleEndian.AppendUint32(out, uint32(cut)|1<<31)
		out = append(out, b[:cut]...)
		block := append([]byte{15, 100, 0, 30 - 4 - 15, 6 << 4}, b[len(b)-6:]...)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(block)))
		return append(append(out, block...), 0, 0, 0, 0)
	}
	c, err := kafka.Walk(concat(b), 0, limit)
	if err != nil || string(c.Records[0].Value) != string(pattern)+string(pattern) {
		t.Errorf("got %s, %v", summary(c), err)
	}
}

func TestWalkLogAppendTime(t *testing.T) {
	b := kafka.NewTestBatch(0, "a", "b")
	b.Attributes, b.BaseTime, b.MaxTime = 0x08, 1000, 5000
	c, err := kafka.Walk(concat(b), 0, limit)
	if err != nil || c.Records[0].Timestamp != 5000 || c.Records[1].Timestamp != 5000 {
		t.Errorf("records %v, error %v, want the append time 5000", c.Records, err)
	}
}

func TestWalkRefusesDamage(t *testing.T) {
	good := concat(kafka.NewTestBatch(0, "first", "second"))
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	sealed := func(at int, to byte) []byte { return kafka.Reseal(change(at, to)) }
	mangled := func(do func([]byte) []byte) []byte {
		b := kafka.NewTestBatch(0, "first", "second")
		b.Mangle = do
		return concat(b)
	}
	overlap := concat(kafka.NewTestBatch(0, "a"), kafka.NewTestBatch(0, "b"))
	lie := kafka.NewTestBatch(0, "a")
	lie.Count, lie.LastDelta = 1000, 1000
	backwards := kafka.NewTestBatch(0, "a", "b")
	backwards.Records[0].Delta, backwards.Records[1].Delta, backwards.LastDelta = 1, 0, 1
	noKey := kafka.NewTestBatch(0, "a")
	noKey.Records[0].Headers = []kafka.Header{{Key: nil}}
	garbage := kafka.NewTestBatch(0, "a")
	garbage.Attributes, garbage.Payload = 4, []byte("this is not zstd")

	tests := []struct {
		name string
		raw  []byte
		want string
	}{
		{"flipped byte of a value", change(len(good)-3, 'X'), "CRC32C"},
		{"flipped CRC", change(17, good[17]^1), "CRC32C"},
		{"flipped attributes", change(22, 4), "CRC32C"},
		{"unknown magic", change(16, 3), "message format byte is 3"},
		{"length below the header", change(11, 10), "shorter than its header"},
		{"negative length", change(8, 0xff), "shorter than its header"},
		{"negative last offset delta", sealed(23, 0xff), "offset range"},
		{"negative record count", sealed(57, 0xff), "records in"},
		{"more records than offsets", sealed(60, 9), "9 records in 2 offsets"},
		{"more records than bytes", concat(lie), "cannot fit"},
		{"bytes after the last record", mangled(func(b []byte) []byte { return append(b, 0) }), "1 bytes after the last record"},
		{"last record cut off", mangled(func(b []byte) []byte { return b[:len(b)-1] }), "cut off"},
		{"endless varint", mangled(func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) }), "cut off"},
		{"offsets run backwards", concat(backwards), "outside"},
		{"header without a key", concat(noKey), "negative length"},
		{"payload is not what the codec says", concat(garbage), "corrupt record batch"},
		{"beyond the high watermark", concat(kafka.NewTestBatch(1<<62, "a")), "high watermark"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := kafka.Walk(tt.raw, 0, limit)
			var corrupt *kafka.Corrupt
			if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want Corrupt with %q", err, tt.want)
			}
		})
	}
	t.Run("overlap", func(t *testing.T) {
		c, err := kafka.Walk(overlap, 0, limit)
		if err != nil || c.Next != 1 {
			t.Errorf("got %v, %v; want the good batch first", c, err)
		}
	})
}

func TestWalkDeliversWhatIsBeforeDamage(t *testing.T) {
	bad := kafka.NewTestBatch(2, "c", "d").Encode()
	bad[len(bad)-2] ^= 0x40
	raw := slices.Concat(concat(kafka.NewTestBatch(0, "a", "b")), bad, concat(kafka.NewTestBatch(4, "e")))
	c, err := kafka.Walk(raw, 0, limit)
	if err != nil || summary(c) != "[0,2) control=0 aborted=0 compacted=0 0=a 1=b" {
		t.Fatalf("got %s, %v", summary(c), err)
	}
	_, err = kafka.Walk(raw[len(concat(kafka.NewTestBatch(0, "a", "b"))):], 2, limit)
	var corrupt *kafka.Corrupt
	if !errors.As(err, &corrupt) || corrupt.Offset != 2 || corrupt.Last != 3 {
		t.Errorf("got %v, want Corrupt at 2 to 3", err)
	}
}

func TestWalkRollsBackAHalfReadBatch(t *testing.T) {
	bad := kafka.NewTestBatch(1, "b", "c")
	bad.Mangle = func(b []byte) []byte { return b[:len(b)-1] }
	c, err := kafka.Walk(concat(kafka.NewTestBatch(0, "a"), bad), 0, limit)
	if err != nil || summary(c) != "[0,1) control=0 aborted=0 compacted=0 0=a" {
		t.Errorf("got %s, %v", summary(c), err)
	}
}

func TestWalkNamesOldFormats(t *testing.T) {
	raw := concat(kafka.NewTestBatch(0, "a"))
	for magic := range byte(2) {
		raw[16] = magic
		_, err := kafka.Walk(raw, 0, limit)
		var unsupported *kafka.Unsupported
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), fmt.Sprintf("v%d", magic)) {
			t.Errorf("magic %d: got %v, want Unsupported", magic, err)
		}
	}
	b := kafka.NewTestBatch(0, "a")
	b.Attributes = 5
	_, err := kafka.Walk(concat(b), 0, limit)
	var unsupported *kafka.Unsupported
	if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "codec 5") {
		t.Errorf("codec 5: got %v, want Unsupported", err)
	}
}

func TestWalkPartialFirstBatch(t *testing.T) {
	raw := concat(kafka.NewTestBatch(0, "a"))
	for n := 1; n < len(raw); n++ {
		if _, err := kafka.Walk(raw[:n], 0, limit); !errors.Is(err, kafka.ErrPartial) {
			t.Fatalf("first %d bytes: %v", n, err)
		}
	}
}

// A megabyte's budget against batches that hold 256 MiB of zeros.
func TestWalkRefusesBombs(t *testing.T) {
	huge := kafka.NewTestBatch(0, strings.Repeat("\x00", 256<<20))
	for _, codec := range codecs[1:] {
		if codec.name == "snappy-xerial" {
			continue // hundred-byte blocks cannot expand
		}
		t.Run(codec.name, func(t *testing.T) {
			raw := concat(codec.apply(huge))
			const budget = 16 << 20 // room for snappy's poor ratio on the wire
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := kafka.Walk(raw, 0, budget)
			runtime.ReadMemStats(&after)
			var tooLarge *kafka.TooLarge
			if !errors.As(err, &tooLarge) || tooLarge.Offset != 0 {
				t.Fatalf("got %v, want TooLarge", err)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 6*budget {
				t.Errorf("refusing %d bytes allocated %d bytes", len(raw), spent)
			}
		})
	}
}

func TestWalkStopsAtItsBudget(t *testing.T) {
	value := strings.Repeat("x", 600_000)
	zstd := codecs[5]
	raw := concat(zstd.apply(kafka.NewTestBatch(0, value)), zstd.apply(kafka.NewTestBatch(1, value)),
		zstd.apply(kafka.NewTestBatch(2, value)), zstd.apply(kafka.NewTestBatch(3, value)))
	c, err := kafka.Walk(raw, 0, limit)
	if err != nil || c.Next != 2 {
		t.Errorf("read up to %d, %v; a budget of %d bytes is full after 2 batches", c.Next, err, limit)
	}
}

// Allocations may grow with the number of batches, never with the records.
func TestWalkDoesNotAllocatePerRecord(t *testing.T) {
	const batches, each = 4, 2000
	for _, codec := range codecs {
		if codec.name == "gzip" || codec.name == "zstd-stream" {
			continue // their decoders allocate per block
		}
		t.Run(codec.name, func(t *testing.T) {
			w, err := kafka.NewWalker(64 << 20)
			if err != nil {
				t.Fatal(err)
			}
			var raw []byte
			for i := range batches {
				b := kafka.NewTestBatch(int64(i * each))
				for j := range each {
					b.Records = append(b.Records, kafka.TestRecord{
						Delta: int64(j), Key: fmt.Appendf(nil, "%d", j), Value: fmt.Appendf(nil, "value %d", j),
						Headers: []kafka.Header{{Key: []byte("h"), Value: []byte("v")}},
					})
				}
				raw = append(raw, codec.apply(b).Encode()...)
			}
			allocs := testing.AllocsPerRun(20, func() {
				c, err := w.Walk(raw)
				if err != nil || len(c.Records) != batches*each {
					t.Fatal(len(c.Records), err)
				}
			})
			if allocs > 5*batches {
				t.Errorf("%v allocations for %d batches of %d records", allocs, batches, each)
			}
		})
	}
}

func FuzzWalk(f *testing.F) {
	for _, codec := range codecs {
		b := kafka.NewTestBatch(3, "a", "", "ccc")
		b.Records[1].Headers = []kafka.Header{{Key: []byte("k"), Value: []byte("v")}}
		b.Records[2].Value = nil
		f.Add(concat(codec.apply(b), kafka.NewTestBatch(6, "d").Transactional(7), kafka.Marker(7, 7, false)), int64(4))
	}
	f.Fuzz(func(t *testing.T, raw []byte, first int64) {
		if first < 0 {
			return
		}
		// The CRC would keep the fuzzer out of everything behind it.
		for _, raw := range [][]byte{raw, resealAll(bytes.Clone(raw))} {
			c, err := kafka.Walk(raw, first, limit, kafka.Aborted{Producer: 7, First: 6})
			if err != nil && c.Next != c.First {
				t.Errorf("error %v after progress to %d", err, c.Next)
			}
			checkAccounting(t, c)
		}
	})
}

// resealAll corrects the CRC of every complete batch in raw.
func resealAll(raw []byte) []byte {
	for rest := raw; len(rest) >= 61; {
		size := int64(int32(binary.BigEndian.Uint32(rest[8:]))) + 12
		if size < 61 || size > int64(len(rest)) {
			break
		}
		kafka.Reseal(rest[:size])
		rest = rest[size:]
	}
	return raw
}

func FuzzDecodeTopicIDs(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x01"))
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, err := kafka.DecodeTopicIDs(body)
		for name, id := range ids {
			if err == nil && len(id) != 22 {
				t.Errorf("topic %q has id %q", name, id)
			}
		}
	})
}
