package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

// outage makes steps fail for as long as it lasts.
type outage struct {
	steps []string
	over  atomic.Bool
	tries atomic.Int64
	err   error
}

func (o *outage) around(ctx context.Context, step string, run func(context.Context) error) error {
	for _, s := range o.steps {
		if s == step && !o.over.Load() {
			o.tries.Add(1)
			return o.err
		}
	}
	return run(ctx)
}

// While ClickHouse is away a worker takes in no more than its budget and waits; afterwards all is there.
func TestClickHouseIsAway(t *testing.T) {
	t.Parallel()
	const budget = 150_000
	l := newRig(t).lane(t, 2, nil)
	away := &outage{steps: []string{"alert_rows", "raw_rows", "event_rows", "dead_letter_rows", "receipts"}, err: errors.New("dial tcp: connection refused")}
	w := l.start(parts{around: away.around, config: pipeline.Config{Memory: budget, Fetch: kafka.FetchConfig{MaxBytes: 1}}})
	for range 10 {
		l.produce(traffic(100, 2)...) // small batches: a fetch returns one
	}
	eventually(t, "inserts are tried again", func() bool { return away.tries.Load() >= 4 })
	fetched := w.metric("kafka_records_total")
	if held := w.metric("batch_memory_bytes"); held > budget || int(fetched) == len(l.manifest) {
		t.Errorf("%v bytes are held and %v records read while nothing can be stored", held, fetched)
	}
	if w.metric("retries_total", "insert") == 0 {
		t.Error("no metric tells of the retries")
	}
	away.over.Store(true)
	l.caughtUp(w)
	l.check(w)
}

// A server that ends and comes back is an outage as well.
func TestClickHouseRestarts(t *testing.T) {
	t.Parallel()
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{})
	r := rigWith(t, embeddedtest.Broker(t, embedded.BrokerConfig{}).Addrs(), server)
	l := r.lane(t, 1, nil)
	l.produce(traffic(200, 1)...)
	stuck := newGate()
	w := l.start(parts{around: stuck.at("event_rows", 2)})
	<-stuck.reached
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	stuck.open()
	eventually(t, "inserts are tried again", func() bool { return w.metric("retries_total", "insert") > 0 })
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.caughtUp(w)
	l.check(w)
}

// stopSoon ends a worker that has something to wait for, and fails where it does wait. A busy machine takes seconds.
func (w *worker) stopSoon() {
	w.t.Helper()
	begun := time.Now()
	w.stop()
	took := time.Since(begun).Round(time.Millisecond)
	if w.t.Logf("stopped after %v", took); took > 20*time.Second {
		w.t.Errorf("the worker took %v to stop", took)
	}
}

// A worker that is stopped while something it needs is away gives up at once, however long a running insert might take:
// the leaf is in the ledger, or nothing of the batch is anywhere. The next one finishes the batch.
func TestStopDuringOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, step := range []string{"ledger", "event_rows", "dead_letters", "activation", "receipts", "commit"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			l := r.lane(t, 1, nil)
			l.produce(traffic(60, 1)...)
			away := &outage{steps: []string{step}, err: fmt.Errorf("%w: made by a test", ledger.ErrUnavailable)}
			w := l.start(parts{around: away.around, config: pipeline.Config{StopGrace: time.Hour}})
			eventually(t, "the step fails", func() bool { return away.tries.Load() >= 1 })
			w.stopSoon()
			w = l.start(parts{})
			l.caughtUp(w)
			l.check(w)
		})
	}
}

// A server that takes an insert and does not answer holds up a worker that ends for ExitGrace, whatever StopGrace is.
func TestStopWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 1, nil)
	l.produce(traffic(60, 1)...)
	stuck := newGate() // it opens with the context of the insert only
	w := l.start(parts{around: stuck.at("event_rows", 2), config: pipeline.Config{StopGrace: time.Hour, ExitGrace: 100 * time.Millisecond}})
	<-stuck.reached
	w.stopSoon()
	w = l.start(parts{})
	l.caughtUp(w)
	l.check(w)
}

// The same as with failing steps where nothing listens: every retry on the way gives up.
func TestStopWithoutServers(t *testing.T) {
	t.Parallel()
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{})
	r := rigWith(t, embeddedtest.Broker(t, embedded.BrokerConfig{}).Addrs(), server)
	l := r.lane(t, 1, nil)
	address, token, shut := r.serveLedger(t)
	remote, err := ledger.NewClient(address, ledger.ClientOptions{Token: token, Attempts: 1000})
	if err != nil {
		t.Fatal(err)
	}
	stopAt := func(step string, shut func() error) {
		l.produce(traffic(100, 1)...)
		stuck := newGate()
		w := l.start(parts{ledger: remote, around: stuck.at(step, 2), config: pipeline.Config{StopGrace: time.Hour}})
		<-stuck.reached
		if err := shut(); err != nil {
			t.Fatal(err)
		}
		stuck.open()
		w.stopSoon()
	}
	stopAt("event_rows", func() error { return server.Stop(t.Context()) })
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopAt("ledger", shut)
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
}

// A broker that is away holds up neither the commit nor the end of the membership for long.
func TestStopWithoutKafka(t *testing.T) {
	t.Parallel()
	broker := embeddedtest.Broker(t, embedded.BrokerConfig{})
	l := rigOn(t, broker.Addrs()).lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	stuck := newGate()
	w := l.start(parts{around: stuck.at("commit", 2), config: pipeline.Config{StopGrace: time.Hour}})
	<-stuck.reached
	if err := broker.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	stuck.open()
	w.stopSoon()
}

// While the ledger does not answer nothing is inserted: evidence is never skipped to keep up.
func TestLedgerIsAway(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	away := &outage{steps: []string{"ledger"}, err: fmt.Errorf("%w: connection refused", ledger.ErrUnavailable)}
	w := l.start(parts{around: away.around})
	eventually(t, "appends are tried again", func() bool { return w.metric("retries_total", "ledger") >= 3 })
	if n := l.scalar("SELECT count() FROM %[1]s.raw_rows WHERE topic = $1", l.topic); n != 0 {
		t.Errorf("%d rows were inserted without a leaf", n)
	}
	away.over.Store(true)
	l.caughtUp(w)
	l.check(w)
}

// A leaf that the ledger refuses for good stops the partition.
func TestLedgerRefusesALeaf(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 1, nil)
	l.produce(traffic(10, 1)...)
	refused := &outage{steps: []string{"ledger"}, err: fmt.Errorf("%w: made by a test", ledger.ErrInvalidLeaf)}
	w := l.start(parts{around: refused.around})
	wantWords(t, w.halted("ledger"), "made by a test")
}

// An insert that is refused for good stops the partition and says which.
func TestInsertIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	if err := r.conn.Exec(t.Context(), "RENAME TABLE "+r.database+".event_rows TO "+r.database+".hidden"); err != nil {
		t.Fatal(err)
	}
	l.produce(traffic(10, 1)...)
	w := l.start(parts{})
	wantWords(t, w.halted("store"), "event_rows", "insert refused for good")
	w.stop()
	if err := r.conn.Exec(t.Context(), "RENAME TABLE "+r.database+".hidden TO "+r.database+".event_rows"); err != nil {
		t.Fatal(err)
	}
	w = l.start(parts{})
	l.caughtUp(w)
	l.check(w)
}

// failingBundles cannot give an earlier bundle.
type failingBundles struct {
	*bundle.Manager
	mu  sync.Mutex
	err error
}

func (f *failingBundles) ByDigest(ctx context.Context, digest string) (*bundle.Bundle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	return f.Manager.ByDigest(ctx, digest)
}

func (f *failingBundles) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// An archive that does not answer is waited for; a bundle that is lost needs a person.
func TestBundleOfARecordedBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	l.crashAt("event_rows", 2)
	bundles := &failingBundles{Manager: r.bundles, err: errors.New("connection refused")}
	w := l.start(parts{bundles: bundles})
	eventually(t, "the partition starts over", func() bool { return w.metric("retries_total", "partition") > 0 })
	if err := w.Progress().Ready(); err == nil || !strings.Contains(err.Error(), "starts over") {
		t.Errorf("ready: %v", err)
	}
	bundles.set(fmt.Errorf("%w: not in the archive", bundle.ErrLost))
	wantWords(t, w.halted("bundle"), "were judged by bundle", "not in the archive")
	w.stop()
	w = l.start(parts{})
	l.caughtUp(w)
	l.check(w)
}

// A bundle that was never archived, or not as its digest says, is lost.
func TestFetchOfALostBundle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := bundle.Fetch(t.Context(), r.archive, strings.Repeat("0", 64))
	if !errors.Is(err, bundle.ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
}

// What is wrong with a server is said in words before anything is read.
func TestServersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	t.Run("unmigrated database", func(t *testing.T) {
		s, err := store.New(store.Options{Hosts: []string{r.server.Addr()}, Database: r.server.Database(t), User: embeddedtest.Admin, Password: embeddedtest.Password})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err = s.Check(t.Context()); err == nil {
			t.Fatal("accepted")
		}
		wantWords(t, err.Error(), "migrate")
	})
	t.Run("database of a later build", func(t *testing.T) {
		later := r.server.Database(t)
		if err := schema.Migrate(t.Context(), r.conn, schema.Options{Layout: schema.Layout{Database: later}}); err != nil {
			t.Fatal(err)
		}
		if err := r.conn.Exec(t.Context(), "INSERT INTO "+later+".schema_migrations (version, name, checksum) VALUES (99, '099_later', '')"); err != nil {
			t.Fatal(err)
		}
		s, err := store.New(store.Options{Hosts: []string{r.server.Addr()}, Database: later, User: embeddedtest.Admin, Password: embeddedtest.Password})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err = s.Check(t.Context()); err == nil {
			t.Fatal("accepted")
		}
		wantWords(t, err.Error(), "99")
	})
	t.Run("wrong Kafka credentials", func(t *testing.T) {
		broker := embeddedtest.Broker(t, embedded.BrokerConfig{Credentials: []embedded.Credential{{Mechanism: embedded.Plain, User: "worker", Password: "right"}}})
		c, err := kafka.New(kafka.Config{Brokers: broker.Addrs(), SASL: kafka.SASL{Mechanism: kafka.MechanismPlain, Username: "worker", Password: "wrong"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err = c.Probe(t.Context(), "any"); err == nil {
			t.Fatal("accepted")
		}
		wantWords(t, err.Error(), "refused", broker.Addrs()[0])
	})
}
