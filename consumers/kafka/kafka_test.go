package kafka_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/kafka"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFakeBroker runs the suite against an in-process broker.
func TestFakeBroker(t *testing.T) {
	suite(t, startFake(t, kfake.NumBrokers(1)).ListenAddrs())
}

// TestRealBroker runs the same suite against an Apache Kafka, given as
// host:port, with topics of its own.
func TestRealBroker(t *testing.T) {
	addr := os.Getenv("BORDERWATCH_TEST_KAFKA")
	if addr == "" {
		t.Skip("NOT TESTED against Apache Kafka: set BORDERWATCH_TEST_KAFKA=host:port")
	}
	brokers := strings.Split(addr, ",")
	suite(t, brokers)
	t.Run("compaction", func(t *testing.T) { testCompaction(t, newEnv(t, brokers), func() {}) })
}

// suite is everything a broker must do for this package, told from the
// outside: an independent client produces, transactions included.
func suite(t *testing.T, brokers []string) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *env)
	}{
		{"codecs and headers", testCodecs},
		{"transactions", testTransactions},
		{"open transaction", testOpenTransaction},
		{"empty topic and long poll", testEmpty},
		{"missing topic", testMissing},
		{"log start moves", testLogStart},
		{"beyond the end", testBeyondEnd},
		{"batch larger than the fetch", testLargerThanFetch},
		{"zstd bomb", testBomb},
		{"huge message", testHuge},
		{"read ahead", testReader},
		{"produce", testProduce},
		{"rebalance and fencing", testGroup},
		{"probe", testProbe},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newEnv(t, brokers)) })
	}
}

// env is one test's client, and franz-go's as the independent one.
type env struct {
	t       *testing.T
	ctx     context.Context
	brokers []string
	client  *kafka.Client
	other   *kgo.Client
	adm     *kadm.Client
}

func newEnv(t *testing.T, brokers []string) *env {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	client, err := kafka.New(kafka.Config{Brokers: brokers, MetadataTTL: 200 * time.Millisecond, RetryFor: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	other, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	return &env{t: t, ctx: ctx, brokers: brokers, client: client, other: other, adm: kadm.NewClient(other)}
}

// unique returns a name that no other run uses.
func unique(prefix string) string {
	var b [6]byte
	rand.Read(b[:])
	return prefix + "-" + hex.EncodeToString(b[:])
}

func (e *env) topic(partitions int, configs map[string]string) string {
	e.t.Helper()
	name := unique("bw-test")
	if err := e.client.EnsureTopic(e.ctx, name, partitions, configs); err != nil {
		e.t.Fatal(err)
	}
	return name
}

func (e *env) fetcher(cfg kafka.FetchConfig) *kafka.Fetcher {
	e.t.Helper()
	if cfg.MaxWait == 0 {
		cfg.MaxWait = 100 * time.Millisecond
	}
	f, err := e.client.NewFetcher(cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	return f
}

// produce writes values to partition 0 with the independent client, as one
// batch where it fits.
func (e *env) produce(client *kgo.Client, topic string, values ...string) {
	e.t.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topic, Value: []byte(v)}
	}
	if err := client.ProduceSync(e.ctx, records...).FirstErr(); err != nil {
		e.t.Fatal(err)
	}
}

// raw writes one hand-made batch to partition 0, and returns its offset.
func (e *env) raw(topic string, batch []byte) int64 {
	e.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 30000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rt.TopicID = e.topicID(topic)
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	leader := e.leader(topic)
	res, err := e.other.Broker(int(leader)).Request(e.ctx, req)
	if err != nil {
		e.t.Fatal(err)
	}
	p := res.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		e.t.Fatalf("produce: error %d", p.ErrorCode)
	}
	return p.BaseOffset
}

func (e *env) details(topic string) kadm.TopicDetail {
	e.t.Helper()
	for {
		topics, err := e.adm.ListTopics(e.ctx, topic)
		if err != nil {
			e.t.Fatal(err)
		}
		if d := topics[topic]; d.Err == nil {
			return d
		}
	}
}

func (e *env) leader(topic string) int32     { return e.details(topic).Partitions[0].Leader }
func (e *env) topicID(topic string) [16]byte { return e.details(topic).ID }

// readTo fetches partition 0 from first until end and returns its summaries
// joined; it checks the accounting of every chunk on the way.
func (e *env) readTo(f *kafka.Fetcher, topic string, first, end int64) (values []string, total kafka.Chunk) {
	e.t.Helper()
	for next := first; next < end; {
		c, err := f.Fetch(e.ctx, topic, 0, next)
		if err != nil {
			e.t.Fatal(err)
		}
		checkAccounting(e.t, c)
		for _, r := range c.Records {
			values = append(values, string(r.Value))
		}
		total.Control += c.Control
		total.Aborted += c.Aborted
		total.Compacted += c.Compacted
		next = c.Next
		c.Release()
	}
	return values, total
}

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
	if !errors.Is(err, kafkago.UnknownTopicOrPartition) || !strings.Contains(err.Error(), fmt.Sprintf("did you mean %q", topic)) {
		t.Errorf("got %v, want the nearest name %s", err, topic)
	}
	f, err := client.NewFetcher(kafka.FetchConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Fetch(e.ctx, topic, 99, 0); !errors.Is(err, kafkago.UnknownTopicOrPartition) {
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

func testLargerThanFetch(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	large := strings.Repeat("large", 100_000)
	e.produce(e.other, topic, large)
	e.produce(e.other, topic, "small")
	values, _ := e.readTo(e.fetcher(kafka.FetchConfig{MaxBytes: 1000}), topic, 0, 2)
	if len(values) != 2 || values[0] != large || values[1] != "small" {
		t.Errorf("%d values", len(values))
	}
}

func testBomb(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	e.produce(e.other, topic, "before")
	bomb := codecs[5].apply(kafka.NewTestBatch(0, strings.Repeat("\x00", 128<<20))).Encode()
	at := e.raw(topic, bomb)
	e.produce(e.other, topic, "after")
	f := e.fetcher(kafka.FetchConfig{MaxBatch: 4 << 20})
	if values, _ := e.readTo(f, topic, 0, at); strings.Join(values, "") != "before" {
		t.Fatalf("values %q", values)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := f.Fetch(e.ctx, topic, 0, at)
	runtime.ReadMemStats(&after)
	var tooLarge *kafka.TooLarge
	if !errors.As(err, &tooLarge) || tooLarge.Offset != at || tooLarge.Last != at || tooLarge.Topic != topic {
		t.Fatalf("got %v, want TooLarge at %d", err, at)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 32<<20 {
		t.Errorf("refusing %d bytes of bomb allocated %d bytes", len(bomb), spent)
	}
	if values, _ := e.readTo(f, topic, tooLarge.Last+1, at+2); strings.Join(values, "") != "after" {
		t.Errorf("values %q behind the bomb", values)
	}
}

func testHuge(t *testing.T, e *env) {
	topic := e.topic(1, map[string]string{"max.message.bytes": "104857600"})
	value := make([]byte, 90<<20)
	rand.Read(value[:1<<20])
	huge := kafka.NewTestBatch(0)
	huge.Records = []kafka.TestRecord{{Value: value}}
	at := e.raw(topic, huge.Encode())
	value, huge.Records = nil, nil
	f := e.fetcher(kafka.FetchConfig{MaxBatch: 16 << 20})
	_, err := f.Fetch(e.ctx, topic, 0, at)
	var tooLarge *kafka.TooLarge
	if !errors.As(err, &tooLarge) || tooLarge.Offset != at || tooLarge.Last != at {
		t.Fatalf("got %v, want TooLarge at %d", err, at)
	}
	if got := e.client.Counters().TooLarge.Load(); got != 1 {
		t.Errorf("%d are counted as too large", got)
	}
}

// testCompaction writes two alternating keys after one that stays, until the
// broker's cleaner, urged on by compact, has removed some.
func testCompaction(t *testing.T, e *env, compact func()) {
	topic := e.topic(1, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "100", "segment.bytes": "1048576",
		"min.cleanable.dirty.ratio": "0.001", "min.compaction.lag.ms": "0",
	})
	p, err := e.client.NewProducer(kafka.ProducerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	f := e.fetcher(kafka.FetchConfig{})
	written := 0
	write := func(key string) {
		placed, err := p.Produce(e.ctx, topic, []kafka.Message{{Key: []byte(key), Value: []byte(fmt.Sprint(written))}})
		if err != nil || placed[0].Offset != int64(written) {
			t.Fatal(placed, err)
		}
		written++
	}
	write("stays")
	for {
		for range 10 {
			write("even")
			write("odd")
		}
		compact()
		before := e.client.Counters().Compacted.Load()
		values, total := e.readTo(f, topic, 0, int64(written))
		if got := e.client.Counters().Compacted.Load() - before; got != total.Compacted {
			t.Errorf("%d are counted as compacted, want %d", got, total.Compacted)
		}
		if values[0] != "0" || values[len(values)-1] != fmt.Sprint(written-1) || len(values)+int(total.Compacted) != written {
			t.Fatalf("values %q, compacted %d of %d", values, total.Compacted, written)
		}
		if total.Compacted > 0 {
			return
		}
		c, err := f.Fetch(e.ctx, topic, 0, int64(written)) // waits for the long poll
		if err != nil {
			t.Fatal(err)
		}
		c.Release()
	}
}

func testReader(t *testing.T, e *env) {
	topic := e.topic(1, nil)
	const n = 200
	for i := range n {
		e.produce(e.other, topic, fmt.Sprint(i))
	}
	f := e.fetcher(kafka.FetchConfig{MaxBytes: 500})
	r := f.NewReader(topic, 0, 5, 2)
	ctx, stop := context.WithCancel(e.ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	next := int64(5)
	for next < n {
		c, err := r.Next(e.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if c.First != next {
			t.Fatalf("chunk starts at %d, want %d", c.First, next)
		}
		for _, rec := range c.Records {
			if string(rec.Value) != fmt.Sprint(rec.Offset) {
				t.Fatalf("offset %d holds %q", rec.Offset, rec.Value)
			}
		}
		next = c.Next
		c.Release()
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	for {
		c, err := r.Next(e.ctx)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Next returned %v", err)
			}
			return
		}
		c.Release()
	}
}

func testProduce(t *testing.T, e *env) {
	topic := e.topic(3, nil)
	p, err := e.client.NewProducer(kafka.ProducerConfig{MaxBatch: 2000})
	if err != nil {
		t.Fatal(err)
	}
	messages := []kafka.Message{{Value: nil, Key: []byte("tombstone")}, {Value: []byte{}}}
	for i := range 200 {
		messages = append(messages, kafka.Message{
			Key: fmt.Appendf(nil, "k%d", i%10), Value: fmt.Appendf(nil, "value %d", i),
			Headers: []kafka.Header{{Key: []byte("i"), Value: fmt.Appendf(nil, "%d", i)}}, Time: time.UnixMilli(int64(i) + 1),
		})
	}
	placed, err := p.Produce(e.ctx, topic, messages)
	if err != nil {
		t.Fatal(err)
	}
	f := e.fetcher(kafka.FetchConfig{})
	for i, at := range placed {
		c, err := f.Fetch(e.ctx, topic, at.Partition, at.Offset)
		if err != nil {
			t.Fatal(err)
		}
		got, want := c.Records[0], messages[i]
		if got.Offset != at.Offset || !sameBytes(got.Key, want.Key) || !sameBytes(got.Value, want.Value) || len(got.Headers) != len(want.Headers) {
			t.Errorf("message %d at %v: %+v", i, at, got)
		}
		if i >= 2 && (got.Timestamp != want.Time.UnixMilli() || at.Partition != placed[2+(i-2)%10].Partition) {
			t.Errorf("message %d: partition %d, %d ms", i, at.Partition, got.Timestamp)
		}
		c.Release()
	}
	if placed, err = p.ProduceTo(e.ctx, topic, 2, messages[:1]); err != nil || placed[0].Partition != 2 {
		t.Errorf("to partition 2: %v, %v", placed, err)
	}
	if got := e.client.Counters().Produced.Load(); got != int64(len(messages)+1) {
		t.Errorf("%d are counted as produced", got)
	}
}

func (e *env) group(id string, topics ...string) *kafka.Group {
	e.t.Helper()
	g, err := e.client.NewGroup(kafka.GroupConfig{
		ID: id, Topics: topics, HeartbeatInterval: 100 * time.Millisecond, SessionTimeout: 10 * time.Second,
		RebalanceTimeout: 10 * time.Second, Backoff: 100 * time.Millisecond, WatchInterval: 200 * time.Millisecond,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { g.Close() })
	return g
}

func (e *env) next(g *kafka.Group) *kafka.Generation {
	e.t.Helper()
	gen, err := g.Next(e.ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	return gen
}

// owning calls Next until the member has n partitions of topic.
func (e *env) owning(g *kafka.Group, topic string, n int) *kafka.Generation {
	e.t.Helper()
	for {
		gen := e.next(g)
		if len(gen.Assignments[topic]) == n {
			return gen
		}
		select {
		case <-gen.Done():
		case <-e.ctx.Done():
			e.t.Fatalf("member owns %v, want %d partitions", gen.Assignments, n)
		}
	}
}

func testGroup(t *testing.T, e *env) {
	topic, second := e.topic(4, nil), e.topic(2, nil)
	id := unique("group")
	a := e.group(id, topic, second)
	gen := e.owning(a, topic, 4)
	if len(gen.Assignments[second]) != 2 || gen.Assignments[topic][3].Offset != -1 {
		t.Errorf("assignments %v", gen.Assignments)
	}
	for p := range 4 {
		if err := gen.Commit(e.ctx, topic, p, int64(10+p), fmt.Sprintf("ledger %d", p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := gen.Commit(e.ctx, topic, 9, 1, ""); !errors.Is(err, kafka.ErrNotAssigned) {
		t.Errorf("commit of a partition not owned: %v", err)
	}

	b := e.group(id, topic, second)
	joined := make(chan *kafka.Generation, 1)
	go func() { joined <- e.owning(b, topic, 2) }()
	select {
	case <-gen.Done():
	case <-e.ctx.Done():
		t.Fatal("the first member never heard of the second")
	}
	// The drain: the old generation may still commit until it is released.
	if err := gen.Commit(e.ctx, topic, 0, 20, "drained"); err != nil {
		t.Errorf("commit while draining: %v", err)
	}
	now := e.owning(a, topic, 2)
	other := <-joined
	if other == nil {
		t.Fatal("the second member got no generation")
	}
	checkTakeover(t, topic, now, other)

	// A zombie still holds the first generation.
	err := gen.Commit(e.ctx, topic, 0, 99, "zombie")
	if !errors.Is(err, kafka.ErrFenced) {
		t.Errorf("commit of the old generation: %v", err)
	}
	if got := e.client.Counters().Fenced.Load(); got != 1 {
		t.Errorf("%d fenced commits are counted", got)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	last := e.owning(b, topic, 4)
	if got := last.Assignments[topic][0]; got.Offset != 20 || got.Metadata != "drained" {
		t.Errorf("partition 0 is at %+v after everything", got)
	}
}

// checkTakeover checks that two members share the partitions of topic, with
// the positions committed before.
func checkTakeover(t *testing.T, topic string, gens ...*kafka.Generation) {
	t.Helper()
	seen := map[int]kafka.Position{}
	for _, g := range gens {
		for p, at := range g.Assignments[topic] {
			seen[p] = at
		}
	}
	if len(seen) != 4 || gens[0].ID != gens[1].ID {
		t.Fatalf("generations %d and %d share %v", gens[0].ID, gens[1].ID, seen)
	}
	want := map[int]kafka.Position{0: {20, "drained"}, 1: {11, "ledger 1"}, 2: {12, "ledger 2"}, 3: {13, "ledger 3"}}
	for p, at := range want {
		if seen[p] != at {
			t.Errorf("partition %d is at %+v, want %+v", p, seen[p], at)
		}
	}
}

func testProbe(t *testing.T, e *env) {
	topic := e.topic(2, nil)
	e.produce(e.other, topic, "a", "b")
	report, err := e.client.Probe(e.ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := e.adm.Metadata(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if report.ClusterID != meta.Cluster || report.Broker == "" {
		t.Errorf("cluster %q through %q, want %q", report.ClusterID, report.Broker, meta.Cluster)
	}
	want := []kafka.Watermark{{Partition: 0, HighWatermark: 2}, {Partition: 1}}
	if got := report.Topics[topic]; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("watermarks %v, want %v", got, want)
	}
	id := e.details(topic).ID
	if got, want := report.TopicIDs[topic], base64.RawURLEncoding.EncodeToString(id[:]); got != want {
		t.Errorf("topic id %q, want %q", got, want)
	}
}
