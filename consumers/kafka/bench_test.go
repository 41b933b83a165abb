//go:build unix

package kafka_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"borderwatch/consumers/kafka"
)

// BenchmarkFetch reads a preloaded topic of an Apache Kafka in its own
// process, given by BORDERWATCH_TEST_KAFKA, through the whole path: transport,
// read ahead, CRC, decompression, walk. cpu-ns/record is this process alone.
func BenchmarkFetch(b *testing.B) {
	addr := os.Getenv("BORDERWATCH_TEST_KAFKA")
	if addr == "" {
		b.Skip("set BORDERWATCH_TEST_KAFKA=host:port")
	}
	client, err := kafka.New(kafka.Config{Brokers: strings.Split(addr, ",")})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	const records = 200_000
	for _, codec := range []string{"none", "lz4", "zstd"} {
		topic := unique("bw-bench-" + codec)
		if err := client.EnsureTopic(b.Context(), topic, 1, map[string]string{"retention.ms": "600000"}); err != nil {
			b.Fatal(err)
		}
		preload(b, client, topic, codec, records)
		b.Run(codec, func(b *testing.B) { readAll(b, client, topic, records) })
	}
}

func preload(b *testing.B, client *kafka.Client, topic, codec string, n int) {
	p, err := client.NewProducer(kafka.ProducerConfig{Compression: codec})
	if err != nil {
		b.Fatal(err)
	}
	for base := 0; base < n; base += 10_000 {
		var messages []kafka.Message
		for _, r := range benchBatch(base, 10_000).Records {
			messages = append(messages, kafka.Message{Key: r.Key, Value: r.Value})
		}
		if _, err := p.Produce(b.Context(), topic, messages); err != nil {
			b.Fatal(err)
		}
	}
}

func readAll(b *testing.B, client *kafka.Client, topic string, n int64) {
	f, err := client.NewFetcher(kafka.FetchConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		for next := int64(0); next < n; {
			c, err := f.Fetch(b.Context(), topic, 0, next)
			if err != nil {
				b.Fatal(err)
			}
			next = c.Next
			c.Release()
		}
	}
	total := float64(b.N) * float64(n)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/total, "ns/record")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/total, "cpu-ns/record")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWalk decodes 751-byte flat JSON values, 1,000 to a batch, all
// distinct, with a key.
func BenchmarkWalk(b *testing.B) {
	const batches, each = 8, 1000
	for _, name := range []string{"none", "lz4", "zstd", "snappy", "gzip"} {
		codec := codecs[slices.IndexFunc(codecs, func(c codec) bool { return c.name == name })]
		var raw []byte
		for i := range batches {
			raw = append(raw, codec.apply(benchBatch(i*each, each)).Encode()...)
		}
		b.Run(name, func(b *testing.B) {
			w, err := kafka.NewWalker(64 << 20)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c, err := w.Walk(raw)
				if err != nil || len(c.Records) != batches*each {
					b.Fatal(len(c.Records), err)
				}
			}
			records := float64(b.N) * batches * each
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/records, "ns/record")
			b.ReportMetric(float64(len(raw))/(batches*each), "wire-bytes/record")
		})
	}
}

func benchBatch(base, n int) kafka.TestBatch {
	batch := kafka.TestBatch{Base: int64(base), LastDelta: -1, Count: -1, Producer: -1, BaseTime: 1_700_000_000_000}
	for i := range n {
		id := uint64(base+i) * 0x9e3779b97f4a7c15
		value := fmt.Appendf(nil, `{"event_id":"%016x","actor":"user-%05d","resource":"/records/%012d","action":"read","ip":"10.%d.%d.%d"`,
			id, id%20000, id>>16, id>>8&255, id>>24&255, id>>40&255)
		for len(value) < 740 {
			value = fmt.Appendf(value, `,"field_%d":"%x"`, len(value), id*uint64(len(value))>>40)
		}
		batch.Records = append(batch.Records, kafka.TestRecord{
			Delta: int64(i), TimeDelta: int64(i), Key: fmt.Appendf(nil, "user-%05d", id%20000), Value: append(value, '}'),
		})
	}
	return batch
}
