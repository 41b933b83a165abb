package kafka_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/kafka"

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
