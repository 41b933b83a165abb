package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// FetchConfig bounds fetches.
type FetchConfig struct {
	// MaxBytes is the most the broker returns for one fetch, in bytes on the
	// wire, default 4 MiB. A single larger batch is returned all the same, so
	// progress never stops on it.
	MaxBytes int
	// MaxBatch is the largest record batch accepted, in bytes, both on the
	// wire and decompressed, default 64 MiB. A larger one gives TooLarge. One
	// chunk holds at most MaxBytes or MaxBatch on the wire, whichever is more,
	// and less than twice MaxBatch decompressed.
	MaxBatch int
	// MaxWait is how long the broker may wait for new data, default 500 ms.
	MaxWait time.Duration
}

// Fetcher reads partitions. It is safe for concurrent use, one call per
// partition at a time; every concurrent call has its own connection.
type Fetcher struct {
	client *Client
	cfg    FetchConfig
	codecs *decompressor
	pool   sync.Pool // *Chunk
}

// NewFetcher returns a fetcher over the client's connections.
func (c *Client) NewFetcher(cfg FetchConfig) (*Fetcher, error) {
	orElse(&cfg.MaxBytes, 4<<20)
	orElse(&cfg.MaxBatch, 64<<20)
	orElse(&cfg.MaxWait, 500*time.Millisecond)
	const most = 1 << 30 // lengths are int32 on the wire
	if cfg.MaxBytes > most || cfg.MaxBatch > most {
		return nil, fmt.Errorf("kafka: fetch limits of %d and %d bytes exceed %d", cfg.MaxBytes, cfg.MaxBatch, most)
	}
	codecs, err := newDecompressor(cfg.MaxBatch)
	if err != nil {
		return nil, err
	}
	return &Fetcher{client: c, cfg: cfg, codecs: codecs}, nil
}

// Fetch returns the batches from offset on, as many as MaxBytes allows, read
// committed. It waits up to MaxWait for new data and then returns an empty
// chunk. The caller releases the chunk.
//
// Leader changes, lost connections and the broker's other passing errors are
// retried for Config.RetryFor. OutOfRange, Corrupt, TooLarge and Unsupported
// say what is wrong with the data at offset, after everything before it was
// delivered.
func (f *Fetcher) Fetch(ctx context.Context, topic string, partition int, offset int64) (*Chunk, error) {
	var chunk *Chunk
	err := f.client.retry(ctx, "fetch", func(ctx context.Context) (err error) {
		chunk, err = f.once(ctx, topic, partition, offset)
		return err
	})
	if err != nil {
		f.client.counters.verdict(err)
		return nil, fmt.Errorf("fetch %s[%d] at %d: %w", topic, partition, offset, err)
	}
	f.client.counters.fetched(chunk)
	return chunk, nil
}

// once makes one attempt, asking for more bytes where a broker cut off the
// first batch.
func (f *Fetcher) once(ctx context.Context, topic string, partition int, offset int64) (*Chunk, error) {
	for maxBytes := f.cfg.MaxBytes; ; {
		chunk, err := f.ask(ctx, topic, partition, offset, maxBytes)
		if !errors.Is(err, errPartial) {
			return chunk, locate(err, topic, partition)
		}
		most := max(f.cfg.MaxBatch, f.cfg.MaxBytes)
		if maxBytes >= most {
			return nil, &TooLarge{Topic: topic, Partition: partition, Offset: offset, Last: -1, Limit: f.cfg.MaxBatch}
		}
		maxBytes = min(4*maxBytes, most)
	}
}

func (f *Fetcher) ask(ctx context.Context, topic string, partition int, offset int64, maxBytes int) (*Chunk, error) {
	chunk := f.chunk(offset)
	res, err := f.roundTrip(ctx, &fetchRequest{
		clientID: f.client.cfg.ClientID, topic: topic, partition: int32(partition), offset: offset,
		maxWait: int32(f.cfg.MaxWait.Milliseconds()), minBytes: 1, maxBytes: int32(maxBytes),
		limit: max(f.cfg.MaxBatch, f.cfg.MaxBytes), buf: chunk.raw,
	})
	if err != nil {
		return nil, err // the connection may still own the buffer
	}
	if res.code != 0 {
		chunk.Release()
		if res.code == kafkago.OffsetOutOfRange {
			return nil, f.outOfRange(ctx, topic, partition, offset)
		}
		return nil, res.code
	}
	if res.raw != nil {
		chunk.raw = res.raw
	}
	chunk.HighWatermark, chunk.LastStable, chunk.LogStart = res.highWatermark, res.stable, res.logStart
	w := walker{chunk: chunk, codecs: f.codecs, limit: f.cfg.MaxBatch}
	if err := w.walk(res.aborted); err != nil {
		chunk.Release()
		return nil, err
	}
	return chunk, nil
}

func (f *Fetcher) chunk(offset int64) *Chunk {
	c, _ := f.pool.Get().(*Chunk)
	if c == nil {
		c = &Chunk{}
	}
	c.pool = &f.pool
	c.reset(offset)
	return c
}

func (f *Fetcher) roundTrip(ctx context.Context, req *fetchRequest) (*fetchResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.MaxWait+f.client.cfg.RequestTimeout)
	defer cancel()
	m, err := f.client.transport.RoundTrip(ctx, f.client.api.Addr, req)
	if err != nil {
		return nil, err
	}
	res, ok := m.(*fetchResponse)
	if !ok {
		return nil, fmt.Errorf("fetch was answered by a %T", m)
	}
	return res, nil
}

// outOfRange finds out what the log does hold. Where that includes the
// offset, as during a change of leader, the answer is a passing error.
func (f *Fetcher) outOfRange(ctx context.Context, topic string, partition int, offset int64) error {
	marks, err := f.client.watermarks(ctx, topic, []int{partition})
	if err != nil {
		return fmt.Errorf("after %w: %w", kafkago.OffsetOutOfRange, err)
	}
	m := marks[0]
	if m.LogStart <= offset && offset <= m.HighWatermark {
		return kafkago.OffsetNotAvailable
	}
	return &OutOfRange{Topic: topic, Partition: partition, Offset: offset, LogStart: m.LogStart, HighWatermark: m.HighWatermark}
}

func (n *Counters) fetched(c *Chunk) {
	n.Fetches.Add(1)
	n.Bytes.Add(c.Bytes)
	n.Records.Add(int64(len(c.Records)))
	n.Control.Add(c.Control)
	n.Aborted.Add(c.Aborted)
	n.Compacted.Add(c.Compacted)
}

func (n *Counters) verdict(err error) {
	var (
		corrupt    *Corrupt
		tooLarge   *TooLarge
		outOfRange *OutOfRange
	)
	switch {
	case errors.As(err, &corrupt):
		n.Corrupt.Add(1)
	case errors.As(err, &tooLarge):
		n.TooLarge.Add(1)
	case errors.As(err, &outOfRange):
		n.OutOfRange.Add(1)
	}
}
