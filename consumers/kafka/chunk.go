package kafka

import "sync"

// Header is one header of a record. Both slices point into the chunk.
type Header struct{ Key, Value []byte }

// Record is one record of a partition. Its slices point into the chunk's
// buffers and die with Chunk.Release. A nil Key or Value was null on the
// wire (a nil Value is a tombstone); an empty one was present and empty.
type Record struct {
	Offset    int64
	Timestamp int64 // ms since 1970 UTC, -1 = none; the append time where the topic says LogAppendTime
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Chunk is the result of one fetch. Every offset in [First,Next) is accounted
// for exactly once:
//
//	Next-First == len(Records) + Control + Aborted + Compacted
//
// An empty chunk (First == Next) means that nothing new was readable within
// the long-poll wait.
type Chunk struct {
	First, Next int64
	Records     []Record // ascending offsets

	Control   int64 // offsets of transaction markers and other control records
	Aborted   int64 // offsets of records of aborted transactions
	Compacted int64 // offsets without a record: compaction, or gaps it left

	HighWatermark int64 // next offset that will be replicated
	LastStable    int64 // first offset of the oldest open transaction, else HighWatermark
	LogStart      int64 // first offset that the log still holds

	Bytes int64 // size of the consumed record batches on the wire

	raw     []byte // response bytes; uncompressed records point here
	slab    []byte // decompressed batches; compressed records point here
	used    int    // bytes of slab in use
	need    int    // decompressed bytes of the whole chunk
	headers []Header
	pool    *sync.Pool
}

// retainLimit bounds the buffers that a released chunk keeps for its
// successor, in bytes; larger ones, from a rare huge batch, are dropped.
const retainLimit = 64 << 20

// Release gives the chunk's buffers back. Records, their keys, values and
// headers must not be used afterwards. Release must be called at most once.
func (c *Chunk) Release() {
	if c == nil || c.pool == nil {
		return
	}
	pool := c.pool
	c.pool = nil
	if cap(c.raw) > retainLimit {
		c.raw = nil
	}
	if cap(c.slab) > retainLimit {
		c.slab = nil
	}
	pool.Put(c)
}

// slabSlack is room that decoders want beyond the last byte they write.
const slabSlack = 64 << 10

// reset prepares the chunk for the answer to a fetch at offset first. A chunk
// that needed several slabs gets one that would have held them all, so that
// steady traffic soon allocates nothing.
func (c *Chunk) reset(first int64) {
	slab := c.slab
	if c.need > cap(slab) && c.need <= retainLimit {
		slab = make([]byte, c.need+c.need/8+slabSlack)
	}
	*c = Chunk{
		First: first, Next: first,
		Records: c.Records[:0], headers: c.headers[:0],
		raw: c.raw[:0], slab: slab[:cap(slab)], pool: c.pool,
	}
}

// free is the unused rest of the slab, as an empty slice to append to.
func (c *Chunk) free() []byte { return c.slab[c.used:c.used] }

// keep records that out, begun as free(), holds a decompressed batch. When
// appending has moved it, its new memory becomes the slab; the records in the
// old one keep that alive until Release.
func (c *Chunk) keep(out []byte, moved bool) {
	c.need += len(out)
	if !moved {
		c.used += len(out)
		return
	}
	c.slab = out[:cap(out)]
	c.used = len(out)
}

// mark and rollback undo a batch that turned out bad after some of its
// records were added.
type mark struct {
	records, headers            int
	next                        int64
	control, aborted, compacted int64
}

func (c *Chunk) mark() mark {
	return mark{len(c.Records), len(c.headers), c.Next, c.Control, c.Aborted, c.Compacted}
}

func (c *Chunk) rollback(m mark) {
	c.Records, c.headers = c.Records[:m.records], c.headers[:m.headers]
	c.Next, c.Control, c.Aborted, c.Compacted = m.next, m.control, m.aborted, m.compacted
}
