package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Message is one message to produce. A nil Key spreads messages over the
// partitions; a nil Value is a tombstone.
type Message struct {
	Key, Value []byte
	Headers    []Header
	Time       time.Time // zero = now
}

// Placed tells where a message was written; Offset is -1 when it was not
// acknowledged.
type Placed struct {
	Partition int
	Offset    int64
}

// ProducerConfig tunes a producer.
type ProducerConfig struct {
	Compression string // "none", "gzip", "snappy", "lz4" or "zstd" (default)
	MaxBatch    int    // uncompressed bytes per batch, default 900 KiB, below brokers' usual 1 MiB
}

// Producer writes messages and waits until all in-sync replicas have them. It
// is not idempotent: a batch whose acknowledgement was lost is sent again, so
// readers of what it writes must bear duplicates. It is safe for concurrent
// use.
type Producer struct {
	client      *Client
	compression kafkago.Compression
	maxBatch    int
	keyless     atomic.Uint64 // spreads messages without a key
}

// NewProducer returns a producer over the client's connections.
func (c *Client) NewProducer(cfg ProducerConfig) (*Producer, error) {
	orElse(&cfg.MaxBatch, 900<<10)
	codecs := map[string]kafkago.Compression{
		"": kafkago.Zstd, "zstd": kafkago.Zstd, "lz4": kafkago.Lz4, "snappy": kafkago.Snappy, "gzip": kafkago.Gzip, "none": 0,
	}
	codec, ok := codecs[cfg.Compression]
	if !ok {
		return nil, fmt.Errorf("kafka: unknown compression %q, use none, gzip, snappy, lz4 or zstd", cfg.Compression)
	}
	return &Producer{client: c, compression: codec, maxBatch: cfg.MaxBatch}, nil
}

// Produce writes messages to a topic, keyed ones to the partition that the
// Java client would choose, and returns where each one went. On an error the
// messages with Offset >= 0 are written all the same.
func (p *Producer) Produce(ctx context.Context, topic string, messages []Message) ([]Placed, error) {
	partitions, err := p.client.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(partitions) == 0 {
		return nil, fmt.Errorf("kafka: topic %q has no partitions", topic)
	}
	shares := make(map[int][]int, len(partitions)) // partition to message indexes
	balancer := kafkago.Murmur2Balancer{Consistent: true}
	for i, m := range messages {
		to := partitions[p.keyless.Load()%uint64(len(partitions))]
		if m.Key == nil {
			p.keyless.Add(1)
		} else {
			to = balancer.Balance(kafkago.Message{Key: m.Key}, partitions...)
		}
		shares[to] = append(shares[to], i)
	}
	return p.write(ctx, topic, messages, shares)
}

// ProduceTo writes messages to one partition.
func (p *Producer) ProduceTo(ctx context.Context, topic string, partition int, messages []Message) ([]Placed, error) {
	all := make([]int, len(messages))
	for i := range all {
		all[i] = i
	}
	return p.write(ctx, topic, messages, map[int][]int{partition: all})
}

// write sends each partition its share, the partitions at the same time.
func (p *Producer) write(ctx context.Context, topic string, messages []Message, shares map[int][]int) ([]Placed, error) {
	placed := make([]Placed, len(messages))
	errs := make(chan error, len(shares))
	var wg sync.WaitGroup
	for partition, share := range shares {
		for _, i := range share {
			placed[i] = Placed{Partition: partition, Offset: -1}
		}
		wg.Go(func() {
			if err := p.share(ctx, topic, partition, messages, share, placed); err != nil {
				errs <- fmt.Errorf("kafka: produce to %s[%d]: %w", topic, partition, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return placed, errors.Join(all...)
}

// share writes one partition's messages in batches, in order.
func (p *Producer) share(ctx context.Context, topic string, partition int, messages []Message, share []int, placed []Placed) error {
	for len(share) > 0 {
		n, size := 0, 0
		for n < len(share) {
			size += messages[share[n]].size()
			if n > 0 && size > p.maxBatch {
				break
			}
			n++
		}
		base, err := p.batch(ctx, topic, partition, messages, share[:n])
		if err != nil {
			return err
		}
		for i, m := range share[:n] {
			placed[m].Offset = base + int64(i)
		}
		p.client.counters.Produced.Add(int64(n))
		share = share[n:]
	}
	return nil
}

// batch writes one batch and returns the offset of its first message.
func (p *Producer) batch(ctx context.Context, topic string, partition int, messages []Message, share []int) (int64, error) {
	var base int64
	err := p.client.retry(ctx, "produce", func(ctx context.Context) error {
		records := make([]kafkago.Record, len(share))
		for i, m := range share {
			records[i] = messages[m].record()
		}
		res, err := p.client.api.Produce(ctx, &kafkago.ProduceRequest{
			Topic: topic, Partition: partition, RequiredAcks: kafkago.RequireAll,
			Records: kafkago.NewRecordReader(records...), Compression: p.compression,
		})
		if err != nil {
			return err
		}
		base = res.BaseOffset
		return res.Error
	})
	return base, err
}

// size is about what the message takes in a batch, in bytes.
func (m *Message) size() int {
	n := len(m.Key) + len(m.Value) + 32
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value) + 8
	}
	return n
}

func (m *Message) record() kafkago.Record {
	r := kafkago.Record{Time: m.Time, Key: kafkago.NewBytes(m.Key), Value: kafkago.NewBytes(m.Value)}
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kafkago.Header{Key: string(h.Key), Value: h.Value})
	}
	return r
}

// EnsureTopic creates a topic where it does not exist. An existing topic is
// left as it is. configs are topic settings such as "retention.ms"; the
// replication factor is the cluster's default.
func (c *Client) EnsureTopic(ctx context.Context, name string, partitions int, configs map[string]string) error {
	topic := kafkago.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: -1}
	for key, value := range configs {
		topic.ConfigEntries = append(topic.ConfigEntries, kafkago.ConfigEntry{ConfigName: key, ConfigValue: value})
	}
	err := c.retry(ctx, "create topic", func(ctx context.Context) error {
		res, err := c.api.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{topic}})
		if err != nil {
			return err
		}
		err = res.Errors[name]
		if errors.Is(err, kafkago.TopicAlreadyExists) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("kafka: create topic %q: %w", name, err)
	}
	return nil
}
