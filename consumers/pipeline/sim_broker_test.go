package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
)

const simTopic = "access"

func simKey(source string) ledger.Key { return ledger.Key{Source: source, Topic: simTopic} }

// simBroker holds one partition of one topic, and is the coordinator of the only group.
type simBroker struct {
	log        *simLog
	old        []*simLog // of topics that had the name before
	generation int       // of the group

	committed   kafka.Position
	committedBy string // source in its metadata
	letters     map[string]int
}

// simLog is a partition's log. Its records never change; retention takes them from the front.
type simLog struct {
	id      int // of the topic
	entries []simEntry
	start   int64 // first offset that is held
	began   int64 // where the first reader begins: what was deleted before nobody promised to read
}

// simEntry is an offset.
type simEntry struct {
	record kafka.Record
	kind   entryKind
}

type entryKind int

const (
	anEvent entryKind = iota
	aLetter
	aControl // a transaction's marker
	aHole    // compacted away
)

func (l *simLog) end() int64     { return int64(len(l.entries)) }
func (l *simLog) source() string { return fmt.Sprintf("kafka:cluster/topic-%d", l.id) }

// produce appends records until the plan's number is reached.
func (w *world) produce() {
	l := w.broker.log
	n := min(1+w.random.IntN(6), w.plan.records-len(l.entries))
	for range n {
		offset := l.end()
		e := simEntry{kind: []entryKind{anEvent, anEvent, anEvent, anEvent, aLetter, aControl, aHole}[w.random.IntN(7)]}
		e.record = kafka.Record{Offset: offset, Timestamp: simTime + offset, Key: []byte("key"), Value: simValue(l.id, offset, e.kind)}
		l.entries = append(l.entries, e)
	}
	w.step("%d records", n)
}

// simTime is when all records arrived, in ms.
const simTime = 946_684_800_000

// simValue is a record that no other offset of any topic has.
func simValue(topic int, offset int64, kind entryKind) []byte {
	if kind == aLetter {
		return fmt.Appendf(nil, `{"event_id":"%d-%d"`, topic, offset)
	}
	return fmt.Appendf(nil, `{"schema":"bw/access/v1","event_id":"%d-%d","time":"2000-01-01T00:00:00Z","source":{"feed":"native","ip":"192.0.2.1"},`+
		`"actor":{"id":"u-1"},"action":"%s","outcome":"success","data":{"dataset":"profiles"}}`, topic, offset, []string{"read", "export", "delete"}[offset%3])
}

// retention deletes from the front of the log.
func (w *world) retention() {
	l := w.broker.log
	if l.start == l.end() {
		return
	}
	l.start += 1 + w.random.Int64N(l.end()-l.start)
	if w.ledger.head(simKey(l.source())) == nil && (w.broker.committedBy != l.source()) {
		l.began = l.start
	}
	if w.splits(l.start) {
		w.excused = true // a recorded batch of which only some is left
	}
	w.step("log starts at %d", l.start)
}

// splits says whether a recorded batch without a receipt lies on both sides of an offset.
func (w *world) splits(offset int64) bool {
	for _, leaf := range w.ledger.batches(simKey(w.broker.log.source())) {
		if leaf.First < offset && offset <= leaf.Last {
			return true
		}
	}
	return false
}

// recreate deletes the topic and makes one of the same name.
func (w *world) recreate() {
	w.broker.old = append(w.broker.old, w.broker.log)
	w.broker.log = &simLog{id: w.broker.log.id + 1}
	w.step("topic made again")
	w.produce()
}

// commit keeps the coordinator's contract: a member of an old generation is refused.
func (b *simBroker) commit(w *world, p *process, next int64, metadata string) error {
	if p.generation != b.generation && w.wrong != unfencedCommits {
		w.reached[refusedCommit]++
		return fmt.Errorf("commit %d: %w", next, kafka.ErrFenced)
	}
	if head := w.ledger.head(simKey(committedSource(metadata))); head != nil && w.wrong == commitsEverything {
		next = head.Leaf.(ledger.Ranged).Span().Last + 1
	}
	w.checkCommit(p, next, metadata)
	b.committed, b.committedBy = kafka.Position{Offset: next, Metadata: metadata}, committedSource(metadata)
	return nil
}

// simFetcher reads the log that has the topic's name now.
type simFetcher struct {
	w *world
	p *process
}

func (f *simFetcher) Fetch(ctx context.Context, topic string, partition int, offset int64) (chunk *kafka.Chunk, err error) {
	asked := time.Now()
	ready := func() bool { // else a long poll
		return offset != f.w.broker.log.end() || ctx.Err() != nil || time.Since(asked) >= f.w.plan.linger
	}
	err = f.w.doWhen(f.p, reading, fmt.Sprintf("fetch %d", offset), ready, func() error {
		if err = ctx.Err(); err == nil {
			chunk, err = f.w.fetch(offset)
		}
		return err
	})
	return chunk, err
}

func (w *world) fetch(offset int64) (*kafka.Chunk, error) {
	l := w.broker.log
	if offset < l.start || offset > l.end() {
		return nil, &kafka.OutOfRange{Topic: simTopic, Offset: offset, LogStart: l.start, HighWatermark: l.end()}
	}
	next := min(offset+1+w.random.Int64N(5), l.end())
	c := &kafka.Chunk{First: offset, Next: next, HighWatermark: l.end(), LogStart: l.start}
	for _, e := range l.entries[offset:next] {
		switch e.kind {
		case aControl:
			c.Control++
		case aHole:
			c.Compacted++
		default:
			c.Records = append(c.Records, e.record)
		}
	}
	return c, nil
}

// simBrokerClient answers what a worker asks about cluster and topic.
type simBrokerClient struct {
	w *world
	p *process
}

func (c *simBrokerClient) ClusterID(context.Context) (string, error) { return "cluster", nil }

func (c *simBrokerClient) TopicIDs(_ context.Context, topics ...string) (ids map[string]string, err error) {
	err = c.w.do(c.p, reading, "topic id", func() error {
		id := c.w.broker.log.id
		if c.w.wrong == sameSourceAlways {
			id = 1
		}
		ids = map[string]string{simTopic: fmt.Sprintf("topic-%d", id)}
		return nil
	})
	return ids, err
}

func (c *simBrokerClient) Watermarks(context.Context, string) (marks []kafka.Watermark, err error) {
	err = c.w.do(c.p, reading, "watermarks", func() error {
		l := c.w.broker.log
		marks = []kafka.Watermark{{LogStart: l.start, HighWatermark: l.end()}}
		return nil
	})
	return marks, err
}

// simLetters is the dead-letter topic.
type simLetters struct {
	w *world
	p *process
}

func (c *simLetters) Produce(_ context.Context, _ string, messages []kafka.Message) ([]kafka.Placed, error) {
	values := make([]string, len(messages))
	for i := range messages {
		values[i] = string(messages[i].Value)
	}
	return nil, c.w.do(c.p, writing, "letters "+values[0], func() error {
		for _, v := range values {
			c.w.broker.letters[v]++
		}
		return nil
	})
}

func sortedLogs(b *simBroker) []*simLog { return append(slices.Clone(b.old), b.log) }
