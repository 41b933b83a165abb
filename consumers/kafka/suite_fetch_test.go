package kafka_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/kafka"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func testCodecs(t *testing.T, e *env) {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, e.brokers)
			topic := e.topic(1, nil)
			client, err := kgo.NewClient(kgo.SeedBrokers(e.brokers...), kgo.ProducerBatchCompression(codec))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			want := sampleRecords(topic)
			if err := client.ProduceSync(e.ctx, want...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			c, err := e.fetcher(kafka.FetchConfig{}).Fetch(e.ctx, topic, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Release()
			checkAccounting(t, c)
			if len(c.Records) != len(want) || c.HighWatermark != int64(len(want)) || c.LogStart != 0 {
				t.Fatalf("%d records, high watermark %d, log start %d", len(c.Records), c.HighWatermark, c.LogStart)
			}
			for i, got := range c.Records {
				compareProduced(t, want[i], got)
			}
		})
	}
}

func sampleRecords(topic string) []*kgo.Record {
	records := []*kgo.Record{
		{Topic: topic, Key: nil, Value: nil},
		{Topic: topic, Key: []byte{}, Value: []byte{}},
		{Topic: topic, Key: []byte("k"), Value: nil, Headers: []kgo.RecordHeader{{Key: "null", Value: nil}, {Key: "", Value: []byte{}}}},
	}
	for i := range 300 {
		records = append(records, &kgo.Record{
			Topic: topic, Key: fmt.Appendf(nil, "key-%d", i), Value: bytes.Repeat(fmt.Appendf(nil, "v%d|", i), i%40),
			Headers:   []kgo.RecordHeader{{Key: "n", Value: fmt.Appendf(nil, "%d", i)}},
			Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i*i)),
		})
	}
	return records
}

func compareProduced(t *testing.T, want *kgo.Record, got kafka.Record) {
	t.Helper()
	if got.Offset != want.Offset || got.Timestamp != want.Timestamp.UnixMilli() {
		t.Errorf("offset %d at %d ms, want %d at %d", got.Offset, got.Timestamp, want.Offset, want.Timestamp.UnixMilli())
	}
	if !sameBytes(got.Key, want.Key) || !sameBytes(got.Value, want.Value) {
		t.Errorf("offset %d: %q %q, want %q %q", got.Offset, got.Key, got.Value, want.Key, want.Value)
	}
	if len(got.Headers) != len(want.Headers) {
		t.Fatalf("offset %d: %d headers, want %d", got.Offset, len(got.Headers), len(want.Headers))
	}
	for i, h := range got.Headers {
		if w := want.Headers[i]; string(h.Key) != w.Key || !sameBytes(h.Value, w.Value) {
			t.Errorf("offset %d: header %q=%q, want %q=%q", got.Offset, h.Key, h.Value, w.Key, w.Value)
		}
	}
}

func (e *env) transactional() *kgo.Client {
	e.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(e.brokers...), kgo.TransactionalID(unique("txn")),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(client.Close)
	return client
}

// transaction produces values to partition 0 and ends the transaction.
func (e *env) transaction(client *kgo.Client, topic string, commit kgo.TransactionEndTry, values ...string) {
	e.t.Helper()
	if err := client.BeginTransaction(); err != nil {
		e.t.Fatal(err)
	}
	e.produce(client, topic, values...)
	if err := client.EndTransaction(e.ctx, commit); err != nil {
		e.t.Fatal(err)
	}
}

func testTransactions(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	one, two := e.transactional(), e.transactional()
	e.transaction(one, topic, kgo.TryCommit, "a", "b") // 0 1, marker 2
	e.transaction(one, topic, kgo.TryAbort, "x", "y")  // 3 4, marker 5
	e.produce(e.other, topic, "c")                     // 6
	e.transaction(two, topic, kgo.TryAbort, "z")       // 7, marker 8
	e.transaction(one, topic, kgo.TryCommit, "d")      // 9, marker 10
	f := e.fetcher(kafka.FetchConfig{})
	for first := range int64(11) {
		values, total := e.readTo(f, topic, first, 11)
		if first == 0 && (strings.Join(values, "") != "abcd" || total.Control != 4 || total.Aborted != 3 || total.Compacted != 0) {
			t.Errorf("values %q, control %d, aborted %d, compacted %d", values, total.Control, total.Aborted, total.Compacted)
		}
		if strings.ContainsAny(strings.Join(values, ""), "xyz") {
			t.Errorf("from %d: aborted values in %q", first, values)
		}
	}
}

func testOpenTransaction(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	e.produce(e.other, topic, "a")
	open := e.transactional()
	if err := open.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	e.produce(open, topic, "x")
	e.produce(e.other, topic, "b")
	f := e.fetcher(kafka.FetchConfig{})
	values, _ := e.readTo(f, topic, 0, 1)
	c, err := f.Fetch(e.ctx, topic, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != 1 || c.Next != 1 || c.LastStable != 1 || c.HighWatermark != 3 {
		t.Errorf("values %q, next %d, last stable %d, high watermark %d", values, c.Next, c.LastStable, c.HighWatermark)
	}
	c.Release()
	if err := open.EndTransaction(e.ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if values, _ = e.readTo(f, topic, 1, 4); strings.Join(values, "") != "xb" {
		t.Errorf("values %q after the commit", values)
	}
}

func testEmpty(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	f := e.fetcher(kafka.FetchConfig{MaxWait: 200 * time.Millisecond})
	start := time.Now()
	c, err := f.Fetch(e.ctx, topic, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c.First != 0 || c.Next != 0 || len(c.Records) != 0 || c.HighWatermark != 0 {
		t.Errorf("chunk %+v of an empty topic", c)
	}
	if waited := time.Since(start); waited < 150*time.Millisecond {
		t.Errorf("answered after %v, the long poll is 200 ms", waited)
	}
	c.Release()
	if got := e.client.Counters().Fetches.Load(); got != 1 {
		t.Errorf("%d fetches are counted", got)
	}
}

func testMissing(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	client, err := kafka.New(kafka.Config{Brokers: e.brokers, RetryFor: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Watermarks(e.ctx, strings.ToUpper(topic)+"s")
	if !errors.Is(err, kafka.ErrUnknownTopic) || !strings.Contains(err.Error(), fmt.Sprintf("did you mean %q", topic)) {
		t.Errorf("got %v, want the nearest name %s", err, topic)
	}
	f, err := client.NewFetcher(kafka.FetchConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Fetch(e.ctx, topic, 99, 0); !errors.Is(err, kafka.ErrUnknownTopic) {
		t.Errorf("partition 99: %v", err)
	}
}

func testLogStart(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	for i := range 5 {
		e.produce(e.other, topic, fmt.Sprint(i))
	}
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 3})
	if _, err := e.adm.DeleteRecords(e.ctx, offsets); err != nil {
		t.Fatal(err)
	}
	f := e.fetcher(kafka.FetchConfig{})
	_, err := f.Fetch(e.ctx, topic, 0, 1)
	var gone *kafka.OutOfRange
	if !errors.As(err, &gone) || gone.LogStart != 3 || gone.HighWatermark != 5 || gone.Offset != 1 || gone.Topic != topic {
		t.Fatalf("got %v, want OutOfRange with [3,5)", err)
	}
	if got := e.client.Counters().OutOfRange.Load(); got != 1 {
		t.Errorf("%d are counted as out of range", got)
	}
	c, err := f.Fetch(e.ctx, topic, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if len(c.Records) != 2 || c.LogStart != 3 {
		t.Errorf("%d records, log start %d", len(c.Records), c.LogStart)
	}
}

func testBeyondEnd(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	e.produce(e.other, topic, "a")
	_, err := e.fetcher(kafka.FetchConfig{}).Fetch(e.ctx, topic, 0, 7)
	var gone *kafka.OutOfRange
	if !errors.As(err, &gone) || gone.LogStart != 0 || gone.HighWatermark != 1 {
		t.Errorf("got %v, want OutOfRange with [0,1)", err)
	}
}
