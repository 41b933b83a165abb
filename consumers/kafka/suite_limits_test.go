package kafka_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"borderwatch/consumers/kafka"
)

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
	r := kafka.NewReader(f, topic, 0, 5, 2)
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
