package pipeline_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKill has worker processes kill themselves at every step, before and after it took effect.
func TestKill(t *testing.T) {
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
				l.evict()
				w := l.start(parts{})
				l.caughtUp(w)
				l.check(w)
				made := float64(1) // again, since its receipt is missing
				if step == "ledger" && !after || step == "receipts" && after || step == "commit" {
					made = 0
				}
				if got := w.metric("takeover_batches_total"); got != made {
					t.Errorf("%v batches were made again, want %v", got, made)
				}
			})
		}
	}
}

// TestKillAnywhere kills worker processes one after the other at random points in time while records arrive.
func TestKillAnywhere(t *testing.T) {
	t.Parallel()
	random := random(t)
	l := newRig(t).lane(t, 2, nil)
	p := l.processes()
	for range 6 {
		killAnywhere(p, random)
		l.evict()
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
	l.transactions(40)
	w := l.start(parts{})
	l.caughtUp(w)
	r.apache.KillBroker(0)
	back := make(chan error, 1)
	go func() { back <- r.apache.StartBroker(t.Context(), 0) }()
	for range 10 {
		l.produce(traffic(50, 2)...) // the first ones wait for the broker
	}
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	l.transactions(20)
	l.caughtUp(w)
	l.check(w)
	if w.metric("kafka_control_offsets_total") == 0 || w.metric("kafka_aborted_offsets_total") == 0 {
		t.Error("no control records or aborted records were met")
	}
	w.stop()
	t.Run("compacted", func(t *testing.T) { r.testCompacted(t) })
}

// transactions produces in transactions of ten and aborts every third, whose records must not show.
func (l *lane) transactions(n int) {
	l.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(l.rig.brokers...), kgo.TransactionalID(unique("tx")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	for tx := range n / 10 {
		if err := client.BeginTransaction(); err != nil {
			l.t.Fatal(err)
		}
		messages, records := traffic(10, 2), make([]*kgo.Record, 10)
		for i, m := range messages {
			records[i] = &kgo.Record{Topic: l.topic, Partition: m.partition, Key: m.key, Value: m.value, Headers: m.headers}
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			l.t.Fatal(err)
		}
		commit := kgo.TransactionEndTry(tx%3 != 1)
		if err := client.EndTransaction(ctx, commit); err != nil {
			l.t.Fatal(err)
		}
		for i := range messages {
			if commit == kgo.TryCommit {
				l.enter(messages[i], records[i])
			}
		}
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
