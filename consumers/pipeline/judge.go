package pipeline

import (
	"errors"
	"strconv"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/enrich"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// judge turns the records of one partition into rows. It is a pure function of the record and the batch's bundle: it
// looks at no clock, network or other row, so a replay comes to the same rows. It belongs to one goroutine.
type judge struct {
	feeds   *feedTable
	metrics *partitionMetrics
	publish bool // dead letters are published

	bundle *bundle.Bundle // whose worker is kept
	worker *enrich.Worker

	record  decode.Record
	event   access.Event
	arrived access.Event // copy of a late or early event, completed as of its arrival
	verdict alert.Verdict
	scratch []byte
	headers []store.Header

	inARow int // dead letters since the last good record
	sample int // counts records, to time one of sampleEvery
}

// sampleEvery is how rarely the stages of a single record are timed: reading the clock costs as much as a stage.
const sampleEvery = 64

// part is what of a chunk is not judged yet.
type part struct {
	records            []kafka.Record
	next, end          int64 // offsets
	control, compacted int64 // offsets without a record
}

func newPart(c *kafka.Chunk) part {
	return part{records: c.Records, next: c.First, end: c.Next, control: c.Control + c.Aborted, compacted: c.Compacted}
}

func (p *part) done() bool { return p.next == p.end }

// part judges records into the batch until that is full or the part is done, and accounts for the offsets that hold
// none. It reports whether the batch is full.
func (j *judge) part(b *batch, p *part, cfg *Config) (full bool) {
	j.pin(b.bundle)
	n := 0
	for n < len(p.records) && !full {
		j.one(b, &p.records[n])
		n++
		full = b.full(cfg)
	}
	next := p.end
	if n < len(p.records) {
		next = p.records[n-1].Offset + 1
	}
	// Where a chunk is cut, which of its silent offsets were control records is not known; their sum is.
	silent := next - p.next - int64(n)
	control := min(silent, p.control)
	b.counts.control += control
	b.counts.compacted += silent - control
	p.control, p.compacted = p.control-control, p.compacted-(silent-control)
	p.records, p.next, b.next = p.records[n:], next, next
	return full
}

// pin makes bundle the one that records are judged by.
func (j *judge) pin(bundle *bundle.Bundle) {
	if j.bundle != bundle {
		j.bundle, j.worker = bundle, bundle.Enricher.NewWorker()
	}
}

func (j *judge) one(b *batch, r *kafka.Record) {
	b.newest = max(b.newest, access.Millis(r.Timestamp))
	b.block.AppendRaw(r.Offset, access.Millis(r.Timestamp), r.Key, r.Value, j.rowHeaders(r.Headers))
	feed := j.feeds.of(r.Headers)
	if feed == nil {
		j.quarantine(b, r, "", &decode.Malformed{Code: "no_feed", Reason: "no feed of this topic takes a record with these headers", Position: -1})
		return
	}
	timed := j.sample%sampleEvery == 0
	j.sample++
	t := j.clock(timed)

	j.event.Reset()
	j.event.Source.Feed, j.event.Source.Scope = feed.Name, feed.Scope
	j.record = decode.Record{Key: r.Key, Value: r.Value, Timestamp: access.Millis(r.Timestamp)}
	if err := feed.decoder.Decode(&j.record, &j.event); err != nil {
		j.quarantine(b, r, feed.Name, err)
		return
	}
	j.event.Kafka = access.Position{Source: b.key.Source, Topic: b.key.Topic, Partition: b.key.Partition,
		Offset: r.Offset, Timestamp: access.Millis(r.Timestamp)}
	var content access.Digest
	content, j.scratch = j.event.ContentDigest(j.scratch)
	t = j.lap(timed, t, stageDecode)

	far := j.enrich()
	t = j.lap(timed, t, stageEnrich)

	if far {
		b.bundle.Engine.EvaluateLate(&j.event, &j.arrived, content, &j.verdict)
	} else {
		b.bundle.Engine.Evaluate(&j.event, content, &j.verdict)
	}
	t = j.lap(timed, t, stageEvaluate)

	b.block.AppendEvent(&j.event, content, &j.verdict)
	b.counts.events++
	j.inARow = 0
	b.counts.alerts += int64(len(j.verdict.Alerts))
	j.lap(timed, t, stageColumns)
	j.metrics.judged(j.counts(feed), &j.event, &j.verdict, feed.decoder.Extra())
}

// enrich completes the event, and a copy as of its Kafka timestamp where its own time is far from that.
func (j *judge) enrich() (far bool) {
	arrival := j.event.Arrival()
	if far = arrival == access.ArrivalLate || arrival == access.ArrivalEarly; far {
		j.event.CopyTo(&j.arrived)
		j.worker.EnrichAt(&j.arrived, j.event.Kafka.Timestamp)
	}
	j.worker.Enrich(&j.event)
	return far
}

// quarantine keeps a record that cannot be decoded, with its bytes and the reason, in the dead letters.
func (j *judge) quarantine(b *batch, r *kafka.Record, feed string, err error) {
	var bad *decode.Malformed
	if !errors.As(err, &bad) {
		bad = &decode.Malformed{Code: "internal", Reason: err.Error(), Position: -1}
	}
	b.counts.quarantined++
	j.inARow++
	b.block.AppendDeadLetter(store.DeadLetter{
		Offset: r.Offset, Timestamp: access.Millis(r.Timestamp), Feed: feed, Code: string(bad.Code), Reason: bad.Reason,
		Field: bad.Field, Position: int64(bad.Position), Key: r.Key, Value: r.Value, Headers: j.rowHeaders(r.Headers),
	})
	if j.publish {
		m := letter(b, r, feed, bad)
		b.letters = append(b.letters, m)
		b.copied += int64(len(m.Key) + len(m.Value))
	}
	j.metrics.deadLetter(feed, string(bad.Code))
}

// maxLetter is the most bytes of a record that are published: brokers take messages of 1 MiB unless told otherwise, and
// a letter that they refuse would hold up its partition for good.
const maxLetter = 900 << 10

// letter is the message for the dead-letter topic: key, value and headers as they were, and the reason in headers of
// ours. Of a record that is too large for a message they tell the size alone; the table has its bytes. A letter is
// copied, since the record's bytes are gone when it is sent.
func letter(b *batch, r *kafka.Record, feed string, bad *decode.Malformed) kafka.Message {
	m := kafka.Message{Time: time.UnixMilli(max(r.Timestamp, 0))}
	size := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		size += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	if size > maxLetter {
		m.Headers = append(m.Headers, kafka.Header{Key: []byte("borderwatch-omitted-bytes"), Value: strconv.AppendInt(nil, int64(size), 10)})
		r = &kafka.Record{Offset: r.Offset}
	}
	m.Key, m.Value = clone(r.Key), clone(r.Value)
	for i := range r.Headers {
		m.Headers = append(m.Headers, kafka.Header{Key: clone(r.Headers[i].Key), Value: clone(r.Headers[i].Value)})
	}
	for _, h := range [...][2]string{
		{"borderwatch-source", b.key.Source},
		{"borderwatch-topic", b.key.Topic},
		{"borderwatch-partition", strconv.Itoa(int(b.key.Partition))},
		{"borderwatch-offset", strconv.FormatInt(r.Offset, 10)},
		{"borderwatch-feed", feed},
		{"borderwatch-code", string(bad.Code)},
		{"borderwatch-reason", bad.Reason},
		{"borderwatch-field", bad.Field},
		{"borderwatch-position", strconv.Itoa(bad.Position)},
	} {
		m.Headers = append(m.Headers, kafka.Header{Key: []byte(h[0]), Value: []byte(h[1])})
	}
	return m
}

// rowHeaders is the headers as the store takes them, valid until the next call.
func (j *judge) rowHeaders(headers []kafka.Header) []store.Header {
	j.headers = j.headers[:0]
	for i := range headers {
		j.headers = append(j.headers, store.Header(headers[i]))
	}
	return j.headers
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// counts are the counts of a feed, looked up once.
func (j *judge) counts(feed *openFeed) *feedCounts {
	if feed.counts == nil {
		feed.counts = j.metrics.feed(feed.Name)
	}
	return feed.counts
}

func (j *judge) clock(timed bool) (t time.Time) {
	if timed {
		t = time.Now()
	}
	return t
}

func (j *judge) lap(timed bool, since time.Time, stage stage) (t time.Time) {
	if timed {
		t = time.Now()
		j.metrics.stageSample(stage, t.Sub(since))
	}
	return t
}
