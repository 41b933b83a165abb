package kafka

import "context"

// Reader fetches one partition ahead of its consumer, so that the broker and
// the network work while the last chunk is processed. Memory is bounded: at
// most depth chunks wait, one is being fetched and one is with the consumer.
type Reader struct {
	source    Source
	topic     string
	partition int
	offset    int64
	chunks    chan *Chunk
	err       error // set before chunks is closed
}

// Source is what a Reader reads from: a Fetcher.
type Source interface {
	Fetch(ctx context.Context, topic string, partition int, offset int64) (*Chunk, error)
}

// NewReader returns a reader of the partition from offset on that keeps depth
// chunks ready (at least one). Run does the work.
func NewReader(source Source, topic string, partition int, offset int64, depth int) *Reader {
	return &Reader{
		source: source, topic: topic, partition: partition, offset: offset,
		chunks: make(chan *Chunk, max(depth, 1)),
	}
}

// Run fetches until ctx ends or a fetch fails, and returns why. It may be
// called once.
func (r *Reader) Run(ctx context.Context) error {
	defer close(r.chunks)
	for offset := r.offset; ; {
		chunk, err := r.source.Fetch(ctx, r.topic, r.partition, offset)
		if err != nil {
			r.err = err
			return err
		}
		offset = chunk.Next
		select {
		case r.chunks <- chunk:
		case <-ctx.Done():
			chunk.Release()
			r.err = ctx.Err()
			return r.err
		}
	}
}

// Next returns the next chunk, empty ones included: each carries the current
// watermarks. Chunks fetched before an error come before it; after the end of
// ctx none do.
func (r *Reader) Next(ctx context.Context) (*Chunk, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case chunk, ok := <-r.chunks:
		if !ok {
			return nil, r.err
		}
		return chunk, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
