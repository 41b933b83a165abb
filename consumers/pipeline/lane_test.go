package pipeline_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/pipeline"
)

// lane is one topic of a rig with its group and the manifest of what was produced to it by an independent client.
type lane struct {
	t       testing.TB
	rig     *rig
	topics  []string
	topic   string
	letters string
	group   string
	feeds   []pipeline.Feed

	other    *kgo.Client
	admin    *kadm.Client
	manifest []produced
	gone     map[int32]int64 // first offset of a partition that is not missing on purpose
	found    findings        // of the last check
	log      *logBook        // of all workers
}

// produced is one record that the broker has acknowledged.
type produced struct {
	partition  int32
	offset     int64
	timestamp  int64
	key, value []byte
	headers    []kgo.RecordHeader
	sum        [sha256.Size]byte
	code       string // "" for an event, else why it is a dead letter
	feed       string // of an event
}

// lane makes a topic of its own.
func (r *rig) lane(t testing.TB, partitions int32, configs map[string]*string) *lane {
	t.Helper()
	l := &lane{t: t, rig: r, topic: unique("access"), letters: unique("letters"), group: unique("group"), gone: map[int32]int64{}, log: &logBook{}}
	l.topics = []string{l.topic}
	l.feeds = []pipeline.Feed{{Name: "native", Adapter: "native", Topic: l.topic}}
	var err error
	l.other, err = kgo.NewClient(kgo.SeedBrokers(r.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(100<<20), kgo.BrokerMaxWriteBytes(200<<20), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.other.Close)
	t.Cleanup(l.tell) // before the client is closed, and after workers have ended
	l.admin = kadm.NewClient(l.other)
	l.create(l.topic, partitions, configs)
	l.create(l.letters, 1, nil)
	return l
}

func (l *lane) create(topic string, partitions int32, configs map[string]*string) {
	l.t.Helper()
	l.ask("create topic "+topic, func(ctx context.Context) error {
		_, err := l.admin.CreateTopic(ctx, partitions, 1, configs, topic)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			return nil // by an attempt without an answer
		}
		return err
	})
}

// message is a record to produce, and what is to become of it.
type message struct {
	partition int32
	key       []byte
	value     []byte
	headers   []kgo.RecordHeader
	code      string // as in produced
	feed      string // "" is native
}

// produce writes messages and enters them into the manifest.
func (l *lane) produce(messages ...message) {
	l.t.Helper()
	l.produceTo(l.topic, messages...)
}

func (l *lane) produceTo(topic string, messages ...message) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	records := make([]*kgo.Record, len(messages))
	for i, m := range messages {
		records[i] = &kgo.Record{Topic: topic, Partition: m.partition, Key: m.key, Value: m.value, Headers: m.headers}
	}
	if err := l.other.ProduceSync(ctx, records...).FirstErr(); err != nil {
		l.t.Fatalf("produce: %v", err)
	}
	for i, m := range messages {
		l.enter(m, records[i])
	}
}

// enter notes an acknowledged record.
func (l *lane) enter(m message, r *kgo.Record) {
	l.manifest = append(l.manifest, produced{
		partition: r.Partition, offset: r.Offset, timestamp: r.Timestamp.UnixMilli(), key: m.key, value: m.value,
		headers: m.headers, sum: sha256.Sum256(m.value), code: m.code, feed: orDefault(m.feed, "native"),
	})
}

// traffic is n native records of the example company, over the partitions in turn; every tenth cannot be decoded.
func traffic(n, partitions int) []message {
	out := make([]message, n)
	for i := range out {
		out[i] = event(i)
		if i%10 == 7 {
			out[i].value, out[i].code = []byte(`{"schema":"bw/access/v1","event_id":"x"`), "syntax"
		}
		out[i].partition = int32(i % partitions)
	}
	return out
}

// who and where the events of traffic come from: offices, a workload, places nobody knows.
var (
	actors    = []string{"u-1042", "u-1061", "u-2040", "u-3011", "u-4711", "u-3001", "svc-feed", "u-0000"}
	addresses = []string{"192.0.2.1", "192.0.2.33", "192.0.2.130", "192.0.2.170", "192.0.2.230", "198.51.100.65", "203.0.113.9", "10.80.1.2"}
)

// event is the i-th native event, deterministic.
func event(i int) message {
	id := unique("e")
	value := fmt.Sprintf(`{"schema":"bw/access/v1","event_id":%q,"time":"2026-11-23T10:%02d:%02dZ","source":{"feed":"crm","ip":%q},"actor":{"id":%q},`+
		`"action":"read","outcome":"success","data":{"dataset":"profiles","system":"warehouse","subject_regions":["%s"],"classes":["restricted"],"categories":["%s"]},"padding":"%0*d"}`,
		id, i/60%60, i%60, addresses[i%len(addresses)], actors[i/3%len(actors)], [...]string{"EU", "US"}[i%2], [...]string{"health", "financial"}[i/2%2], i%100, i)
	m := message{value: []byte(value), key: []byte(actors[i/3%len(actors)])}
	if i%5 == 0 {
		m.headers = []kgo.RecordHeader{{Key: "trace", Value: []byte{0, 1, byte(i)}}, {Key: "empty", Value: nil}}
	}
	if i%7 == 0 {
		m.key = nil
	}
	return m
}

// ends is the offset after the last record of each partition, as the broker has it.
func (l *lane) ends() map[int32]int64 {
	l.t.Helper()
	return l.endsOf(l.topic)
}

func (l *lane) endsOf(topic string) map[int32]int64 {
	l.t.Helper()
	ends := map[int32]int64{}
	l.ask("end offsets", func(ctx context.Context) error {
		listed, err := l.admin.ListEndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
		return listed.Error()
	})
	return ends
}

// caughtUp waits until a worker has stored and committed everything that is there now.
func (l *lane) caughtUp(w *worker) {
	l.t.Helper()
	ends := l.ends()
	eventually(l.t, "everything stored and committed", func() bool {
		if halts := w.Progress().Halts(); len(halts) > 0 {
			l.t.Fatalf("partitions stopped: %v", halts)
		}
		stored, committed := w.Progress().Stored(l.topic), l.committed()
		for partition, end := range ends {
			if end > 0 && (stored[partition] < end || committed[partition].At < end) {
				return false
			}
		}
		return true
	})
}

// committed is the group's position by partition.
func (l *lane) committed() map[int32]kadm.Offset {
	l.t.Helper()
	out := map[int32]kadm.Offset{}
	l.ask("committed offsets", func(ctx context.Context) error {
		offsets, err := l.admin.FetchOffsets(ctx, l.group)
		if errors.Is(err, kerr.GroupIDNotFound) {
			return nil // nobody has joined yet
		}
		if err != nil {
			return err
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.Topic == l.topic && o.Err == nil {
				out[o.Partition] = o.Offset
			}
		})
		return offsets.Error()
	})
	return out
}

// ask repeats a request while its answer is one that passes: a coordinator that loads, moves or is still being made, a
// broker that restarts.
func (l *lane) ask(what string, request func(ctx context.Context) error) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := request(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil || !passes(err) {
			l.t.Fatalf("%s: %v", what, err)
		}
		<-time.After(pause)
	}
}

func passes(err error) bool {
	var network *net.OpError
	return kerr.IsRetriable(err) || kgo.IsRetryableBrokerErr(err) || errors.As(err, &network)
}

// feed is a feed of the lane by its name.
func (l *lane) feed(name string) pipeline.Feed {
	l.t.Helper()
	for _, f := range l.feeds {
		if f.Name == name {
			return f
		}
	}
	l.t.Fatalf("no feed %s", name)
	return pipeline.Feed{}
}

// deleteBefore deletes the records of partition 0 below an offset, as retention does.
func (l *lane) deleteBefore(offset int64) {
	l.t.Helper()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: l.topic, Partition: 0, At: offset})
	l.ask("delete records", func(ctx context.Context) error {
		responses, err := l.admin.DeleteRecords(ctx, offsets)
		if err != nil {
			return err
		}
		return responses.Error()
	})
}
