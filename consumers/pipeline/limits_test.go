package pipeline_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/kafka"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
)

// big is a topic that takes messages of 200 MB.
func (r *rig) big(t testing.TB) *lane {
	limit := fmt.Sprint(200 << 20)
	return r.lane(t, 1, map[string]*string{"max.message.bytes": &limit})
}

// squeezed produces messages as one compressed batch.
func (l *lane) squeezed(messages ...message) {
	l.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(l.rig.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(time.Second),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(200<<20), kgo.BrokerMaxWriteBytes(300<<20), kgo.MaxBufferedRecords(1<<20))
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	records := make([]*kgo.Record, len(messages))
	for i, m := range messages {
		records[i] = &kgo.Record{Topic: l.topic, Partition: m.partition, Key: m.key, Value: m.value}
	}
	if err := client.ProduceSync(l.t.Context(), records...).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
	for i, m := range messages {
		l.enter(m, records[i])
	}
}

// A batch larger than the limit stops its partition with the place in words; what lies before it is delivered, and
// nothing is skipped: with a higher limit it is a dead letter with all its bytes.
func TestHugeMessage(t *testing.T) {
	t.Parallel()
	l := newRig(t).big(t)
	l.produce(traffic(30, 1)...)
	huge := message{value: bytes.Repeat([]byte("x"), 100_000_000), code: "too_large"}
	l.produce(huge)
	l.produce(traffic(30, 1)...)
	w := l.start(parts{config: pipeline.Config{Linger: time.Hour}})
	wantWords(t, w.halted("too_large"), l.topic, "offset 30", "exceeds the limit")
	if got := w.Progress().Stored(l.topic)[0]; got != 30 {
		t.Errorf("stored up to %d, want what lies before the place, 30", got)
	}
	w.stop()
	w = l.start(parts{config: pipeline.Config{Fetch: kafka.FetchConfig{MaxBatch: 128 << 20}}})
	l.caughtUp(w)
	l.check(w)
}

// A batch that is small on the wire and huge in memory is refused before it takes that memory.
func TestZstdBomb(t *testing.T) {
	t.Parallel()
	l := newRig(t).big(t)
	l.produce(traffic(30, 1)...)
	l.squeezed(message{value: bytes.Repeat([]byte(" "), 80<<20)})
	w := l.start(parts{})
	wantWords(t, w.halted("too_large"), l.topic, "offset 30", "exceeds the limit")
	if got := w.Progress().Stored(l.topic)[0]; got != 30 {
		t.Errorf("stored up to %d, want 30", got)
	}
}

// One fetch may hold more records than one insert may have: 600,000 of them are 60 kB on the wire.
func TestMoreRecordsThanABlock(t *testing.T) {
	t.Parallel()
	const n = store.MaxRows + 100_000
	l := newRig(t).big(t)
	messages := make([]message, n)
	for i := range messages {
		messages[i] = message{value: []byte("{"), code: "syntax"}
	}
	l.squeezed(messages...)
	w := l.start(parts{config: pipeline.Config{MaxRows: 200_000, Linger: time.Hour, DeadLettersInARow: -1}})
	eventually(t, "two batches of 200,000 are stored", func() bool {
		if halts := w.Progress().Halts(); len(halts) > 0 {
			t.Fatal(halts)
		}
		return w.Progress().Stored(l.topic)[0] >= 400_000
	})
	if got := l.scalar("SELECT toUInt64(max(last_offset - first_offset + 1)) FROM %[1]s.batches WHERE topic = $1", l.topic); got != 200_000 {
		t.Errorf("the largest batch has %d rows, want 200,000", got)
	}
}

// Blocks have a most; a configuration beyond it is refused before anything is recorded that could not be inserted.
func TestTooManyRowsAreRefused(t *testing.T) {
	_, err := pipeline.New(pipeline.Config{MaxRows: store.MaxRows + 1}, pipeline.Parts{})
	if err == nil {
		t.Fatal("accepted")
	}
	wantWords(t, err.Error(), "at most")
}

// The budget bounds all partitions together, and an idle partition keeps none of it from the others.
func TestMemoryBudget(t *testing.T) {
	t.Parallel()
	const budget, partitions = 200_000, 8
	l := newRig(t).lane(t, partitions, nil)
	l.produce(traffic(4000, partitions)...)
	stuck := newGate()
	w := l.start(parts{around: stuck.at("event_rows", 1), config: pipeline.Config{Memory: budget, MaxRows: 10_000, Fetch: kafka.FetchConfig{MaxBytes: 20_000}}})
	<-stuck.reached
	most := 0.0
	eventually(t, "the other partitions go on", func() bool {
		most = max(most, w.metric("batch_memory_bytes"))
		stored := 0
		for _, next := range w.Progress().Stored(l.topic) {
			if next == 4000/partitions {
				stored++
			}
		}
		return stored == partitions-1
	})
	stuck.open()
	l.caughtUp(w)
	l.check(w)
	if most > budget {
		t.Errorf("batches held %v bytes, the budget is %d", most, budget)
	}
}

// A record that no feed takes is kept, with the reason.
func TestNoFeedForAHeader(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 1, nil)
	l.feeds[0].HeaderKey, l.feeds[0].HeaderValue = "kind", "access"
	labelled := func(value string) []kgo.RecordHeader { return []kgo.RecordHeader{{Key: "kind", Value: []byte(value)}} }
	l.produce(
		message{value: event(1).value, headers: labelled("access")},
		message{value: event(2).value, headers: labelled("other"), code: "no_feed"},
		message{value: event(3).value, code: "no_feed"},
		message{value: event(4).value, headers: labelled(" access ")},
	)
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	var reason string
	if err := l.rig.conn.QueryRow(t.Context(), "SELECT any(reason) FROM "+l.rig.database+".dead_letters WHERE topic = $1", l.topic).Scan(&reason); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(reason, "no feed of this topic") {
		t.Errorf("reason %q", reason)
	}
}
