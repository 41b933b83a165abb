package kafka_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"borderwatch/consumers/kafka"
)

func (e *env) group(id string, topics ...string) *kafka.Group {
	e.t.Helper()
	g, err := e.client.NewGroup(kafka.GroupConfig{
		ID: id, Topics: topics, HeartbeatInterval: 100 * time.Millisecond, SessionTimeout: 10 * time.Second,
		RebalanceTimeout: 10 * time.Second, Backoff: 100 * time.Millisecond, WatchInterval: 200 * time.Millisecond,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { g.Close(context.Background()) })
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
	if err := a.Close(e.ctx); err != nil {
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
