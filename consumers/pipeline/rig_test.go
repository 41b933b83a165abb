package pipeline_test

import (
	"context"
	"crypto/rand"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
	schema "borderwatch/schemas/clickhouse"
)

// patience is how long anything may take before a test gives up on it.
const patience = 120 * time.Second

// rig is everything that outlives a worker: broker, database, ledger and bundle directory. Tests that share one take a
// lane each.
type rig struct {
	brokers []string
	cluster *kfake.Cluster  // nil where the broker is not in this process
	apache  *embedded.Kafka // nil where it is

	server   *embeddedtest.ClickHouse
	address  string // of a proxy before it
	database string
	conn     driver.Conn
	archive  *store.Store

	ledgerDir string
	ledger    *ledger.Log
	bundleDir string
	bundles   *bundle.Manager

	mu      sync.Mutex
	fetched map[string]*bundle.Bundle // from the archive
}

// newRig is a rig with a broker in this process.
func newRig(t testing.TB) *rig {
	t.Helper()
	broker := embeddedtest.Broker(t, embedded.BrokerConfig{})
	r := rigOn(t, broker.Addrs())
	r.cluster = broker.Cluster()
	return r
}

// newRigAlone has a ClickHouse of its own, for a test that changes rows behind the server's back.
func newRigAlone(t testing.TB) *rig {
	t.Helper()
	broker := embeddedtest.Broker(t, embedded.BrokerConfig{})
	r := rigWith(t, broker.Addrs(), embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{}))
	r.cluster = broker.Cluster()
	return r
}

// newApacheRig is a rig with an Apache Kafka of its own.
func newApacheRig(t testing.TB) *rig {
	t.Helper()
	return newApacheRigWith(t, embeddedtest.SharedClickHouse(t))
}

func newApacheRigWith(t testing.TB, server *embeddedtest.ClickHouse) *rig {
	t.Helper()
	broker := embeddedtest.Kafka(t, embedded.KafkaConfig{})
	r := rigWith(t, broker.Addrs(), server)
	r.apache = broker
	return r
}

// kind names the broker.
func (r *rig) kind() string {
	if r.apache != nil {
		return "Apache Kafka"
	}
	return "embedded broker"
}

// rigOn is a rig with brokers that are there.
func rigOn(t testing.TB, brokers []string) *rig {
	t.Helper()
	return rigWith(t, brokers, embeddedtest.SharedClickHouse(t))
}

// rigWith is a rig with brokers and a ClickHouse that are there.
func rigWith(t testing.TB, brokers []string, server *embeddedtest.ClickHouse) *rig {
	t.Helper()
	r := &rig{brokers: brokers, server: server, fetched: map[string]*bundle.Bundle{}}
	r.address = (&proxy{upstream: server.Addr()}).listen(t)
	r.database = r.server.Database(t)
	r.conn = r.server.Open(t, "default")
	if err := schema.Migrate(t.Context(), r.conn, schema.Options{Layout: schema.Layout{Database: r.database}}); err != nil {
		t.Fatal(err)
	}
	r.archive = r.store(t, store.Options{})
	r.openLedger(t)
	r.bundleDir = copyBundle(t)
	r.bundles = r.manager(t)
	return r
}

func (r *rig) openLedger(t testing.TB) {
	t.Helper()
	r.ledgerDir = embeddedtest.Dir(t)
	log, err := ledger.Open(t.Context(), ledger.Options{Dir: r.ledgerDir, Origin: "ledger.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := log.Close(ctx); err != nil {
			t.Errorf("close the ledger: %v", err)
		}
	})
	r.ledger = log
}

// copyBundle makes a bundle directory of the shipped rules and the example organisation.
func copyBundle(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, files := range map[string]fs.FS{"packs": packs.Files, "example": examples.Files} {
		if err := os.CopyFS(filepath.Join(dir, name), files); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// manager is a started manager of the rig's bundle directory.
func (r *rig) manager(t testing.TB) *bundle.Manager {
	t.Helper()
	m := bundle.NewManager(bundle.Source{Dir: r.bundleDir}, r.archive, quiet())
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func (r *rig) store(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.New(r.storeOptions(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (r *rig) storeOptions(o store.Options) store.Options {
	o.Hosts, o.Database = []string{r.address}, r.database
	o.User, o.Password = embeddedtest.Admin, embeddedtest.Password
	return o
}

// parts are what a worker is started with, before the rig fills in what is missing.
type parts struct {
	config  pipeline.Config
	bundles pipeline.Bundles
	ledger  pipeline.Ledger
	around  around
	client  kafka.Config
	group   kafka.GroupConfig
	log     *slog.Logger
}

type around func(ctx context.Context, step string, run func(context.Context) error) error

// worker is a running worker with connections and metrics of its own, as a process has them.
type worker struct {
	*pipeline.Worker
	t        testing.TB
	metrics  *pipeline.Metrics
	registry *prometheus.Registry
	client   *kafka.Client
	cancel   context.CancelFunc
	ended    chan struct{}
	err      error // once ended
}

// start starts a worker on a lane.
func (l *lane) start(p parts) *worker {
	l.t.Helper()
	w, err := l.rig.build(l.t, l, p)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() {
		defer close(w.ended)
		w.err = w.Run(ctx)
	}()
	l.t.Cleanup(w.stop)
	return w
}

func (r *rig) build(t testing.TB, l *lane, p parts) (*worker, error) {
	w := &worker{t: t, registry: prometheus.NewRegistry(), ended: make(chan struct{})}
	metrics := pipeline.NewMetrics(w.registry)
	w.metrics = metrics
	p.client.Brokers = r.brokers
	var err error
	if w.client, err = kafka.New(p.client); err != nil {
		return nil, err
	}
	pipeline.RegisterKafka(w.registry, w.client.Counters())
	p.group.ID, p.group.Topics = l.group, l.topics
	p.group.SessionTimeout = orDefault(p.group.SessionTimeout, 6*time.Second)
	p.group.HeartbeatInterval = orDefault(p.group.HeartbeatInterval, 500*time.Millisecond)
	p.group.Backoff = orDefault(p.group.Backoff, 50*time.Millisecond)
	p.group.WatchInterval = orDefault(p.group.WatchInterval, 200*time.Millisecond)
	group, err := w.client.NewGroup(p.group)
	if err != nil {
		return nil, err
	}
	letters, err := w.client.NewProducer(kafka.ProducerConfig{})
	if err != nil {
		return nil, err
	}
	l.configure(&p)
	rows := r.store(t, store.Options{Around: p.around, OnRetry: func(string, int, error) { metrics.Retried("insert") }})
	metrics.BundleInForce(p.bundles.Current())
	w.Worker, err = pipeline.New(p.config, pipeline.Parts{
		Client: w.client, Group: group, Letters: letters, Ledger: p.ledger, Store: rows,
		Bundles: p.bundles, Metrics: metrics, Log: p.log, Around: p.around,
	})
	return w, err
}

// configure gives a worker the lane's topics and feeds, and batches so small that there are many.
func (l *lane) configure(p *parts) {
	c := &p.config
	c.Topics, c.Feeds = l.topics, l.feeds
	c.Instance = orDefault(c.Instance, "worker")
	c.DeadLetterTopic = orDefault(c.DeadLetterTopic, l.letters)
	c.MaxRows = orDefault(c.MaxRows, 40)
	c.Linger = orDefault(c.Linger, 20*time.Millisecond)
	c.Fetch.MaxWait = orDefault(c.Fetch.MaxWait, 20*time.Millisecond)
	if p.bundles == nil {
		p.bundles = l.rig.bundles
	}
	if p.ledger == nil {
		p.ledger = l.rig.ledger
	}
	if p.log == nil {
		p.log = l.log.logger(c.Instance)
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func quiet() *slog.Logger {
	if os.Getenv("BORDERWATCH_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}

// stop ends the worker and waits for it.
func (w *worker) stop() {
	w.t.Helper()
	w.cancel()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.t.Fatal("the worker does not stop")
	}
	w.client.Close()
	if w.err != nil {
		w.t.Errorf("Run returned %v", w.err)
	}
}

// metric is the sum of a metric's children that have all the given label values.
func (w *worker) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != "borderwatch_"+name {
			continue
		}
		for _, m := range family.Metric {
			var values []string
			for _, l := range m.Label {
				values = append(values, l.GetValue())
			}
			if containsAll(values, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func containsAll(have, want []string) bool {
	for _, w := range want {
		if !strings.Contains("\x00"+strings.Join(have, "\x00")+"\x00", "\x00"+w+"\x00") {
			return false
		}
	}
	return true
}

// eventually polls until done says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func unique(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:10]) }
