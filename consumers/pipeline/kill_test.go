package pipeline_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKill has worker processes kill themselves at every step, before and after it took effect.
func TestKill(t *testing.T) {
	onDemand(t)
	t.Parallel()
	r := newRig(t)
	for _, step := range deliverySteps {
		for _, after := range []bool{false, true} {
			d := death{Step: step, After: after, N: 2} // of the second batch: the first is whole
			if step == "activation" {
				d.N = 1
			}
			t.Run(d.String(), func(t *testing.T) {
				t.Parallel()
				l := r.lane(t, 1, nil)
				l.produce(traffic(150, 1)...)
				l.processes().start(d).killed()
				l.evictAll()
				w := l.start(parts{})
				l.caughtUp(w)
				l.check(w)
				made := float64(1) // again, since its receipt is missing
				if step == "ledger" && !after || step == "receipts" && after || step == "commit" {
					made = 0
				}
				if got := w.metric("takeover_batches_total"); got < made || got > made+1 {
					t.Errorf("%v batches were made again, want %v, or one more that was in flight beside it", got, made)
				}
			})
		}
	}
}

// TestKillAnywhere kills worker processes one after the other at random points in time while records arrive.
func TestKillAnywhere(t *testing.T) {
	onDemand(t)
	t.Parallel()
	random := random(t)
	l := newRig(t).lane(t, 2, nil)
	p := l.processes()
	for range 6 {
		killAnywhere(p, random)
		l.evictAll()
	}
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	t.Logf("%d records, %v batches were made again by the last worker", len(l.manifest), w.metric("takeover_batches_total"))
}

// TestApacheKafka delivers from the real broker, kills and restarts that while records arrive, and adds transactions, of
// which some are aborted.
func TestApacheKafka(t *testing.T) {
	t.Parallel()
	r := newApacheRig(t)
	l := r.lane(t, 2, nil)
	l.produce(traffic(400, 2)...)
	tx := l.transactional()
	tx.some(4)
	w := l.start(parts{})
	l.caughtUp(w)
	tx.begin() // it is open while the broker is away
	r.apache.KillBroker(0)
	back := make(chan error, 1)
	go func() { back <- r.apache.StartBroker(t.Context(), 0) }()
	for range 10 {
		l.produce(traffic(50, 2)...) // the first ones wait for the broker
	}
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	tx.end(true)
	tx.begin()
	tx.end(false)
	l.caughtUp(w)
	l.check(w)
	if w.metric("kafka_control_offsets_total") == 0 || w.metric("kafka_aborted_offsets_total") == 0 {
		t.Error("no control records or aborted records were met")
	}
	w.stop()
	t.Run("compacted", func(t *testing.T) { r.testCompacted(t) })
}

// transactional is a client that produces to a lane in transactions, one at a time.
type transactional struct {
	lane     *lane
	client   *kgo.Client
	messages []message
	records  []*kgo.Record
}

func (l *lane) transactional() *transactional {
	l.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(l.rig.brokers...), kgo.TransactionalID(unique("tx")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(client.Close)
	return &transactional{lane: l, client: client}
}

// begin opens a transaction and produces in it.
func (x *transactional) begin() {
	x.lane.t.Helper()
	ctx, cancel := context.WithTimeout(x.lane.t.Context(), patience)
	defer cancel()
	if err := x.client.BeginTransaction(); err != nil {
		x.lane.t.Fatal(err)
	}
	x.messages, x.records = traffic(10, 2), make([]*kgo.Record, 10)
	for i, m := range x.messages {
		x.records[i] = &kgo.Record{Topic: x.lane.topic, Partition: m.partition, Key: m.key, Value: m.value, Headers: m.headers}
	}
	if err := x.client.ProduceSync(ctx, x.records...).FirstErr(); err != nil {
		x.lane.t.Fatalf("produce in a transaction: %v", err)
	}
}

// end commits the transaction, or aborts it: then its records must not show.
func (x *transactional) end(commit bool) {
	x.lane.t.Helper()
	ctx, cancel := context.WithTimeout(x.lane.t.Context(), patience)
	defer cancel()
	if err := x.client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		x.lane.t.Fatalf("end a transaction: %v", err)
	}
	for i := range x.messages {
		if commit {
			x.lane.enter(x.messages[i], x.records[i])
		}
	}
}

// some makes transactions of ten records, and aborts every third.
func (x *transactional) some(n int) {
	x.lane.t.Helper()
	for i := range n {
		x.begin()
		x.end(i%3 != 1)
	}
}

// restartBroker kills Apache Kafka and waits until it is back.
func (r *rig) restartBroker(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.apache.KillBroker(0)
	if err := r.apache.StartBroker(ctx, 0); err != nil {
		t.Fatal(err)
	}
}
