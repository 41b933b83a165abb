package pipeline

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// Replay judges the records of recorded batches again, by the very code that judged them, for those who check what is
// stored. It belongs to one goroutine.
type Replay struct {
	key   ledger.Key
	judge *judge
	batch *batch
}

// Replayed is what a batch comes to when it is judged again.
type Replayed struct{ Events, Quarantined, Alerts int64 }

// NewReplay returns a replay of one partition's records, which are read by the feeds of its topic. row, where given, is
// called with the canonical form of every event, alert and dead letter that a record comes to (schemas/README.md), valid
// until it returns.
func NewReplay(feeds []Feed, limits decode.Limits, key ledger.Key, row func(table string, canonical []byte)) (*Replay, error) {
	table, err := openFeeds(feeds, key.Topic, limits)
	if err != nil {
		return nil, err
	}
	metrics := NewMetrics(prometheus.NewRegistry()).partition(key.Topic, key.Partition)
	block := store.NewBlock()
	block.Compare(row)
	return &Replay{key: key, judge: &judge{feeds: table, metrics: metrics}, batch: &batch{block: block}}, nil
}

// Begin starts the batch that leaf records, judged by the bundle that it names.
func (r *Replay) Begin(leaf ledger.Batch, b *bundle.Bundle) {
	r.batch.open(r.key, leaf.First, b, leaf.BatchTime.In(time.UTC), nil)
	r.judge.pin(b)
}

// Add judges the next record of the batch.
func (r *Replay) Add(record *kafka.Record) { r.judge.one(r.batch, record) }

// End returns what the batch came to.
func (r *Replay) End() Replayed {
	c := &r.batch.counts
	return Replayed{c.events, c.quarantined, c.alerts}
}
