package realdata_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

// patience bounds each step of the whole path.
const patience = 3 * time.Minute

const partitions = 3

// path is the whole path: a broker, a worker, a ledger and a real database.
type path struct {
	t        testing.TB
	topic    string
	producer *kgo.Client
	brokers  []string
	server   *embeddedtest.ClickHouse
	database string
	conn     driver.Conn
	bundles  *bundle.Manager
}

func newPath(t testing.TB) *path {
	t.Helper()
	p := &path{t: t, topic: "real-" + strings.ToLower(rand.Text()[:10])}
	p.brokers = embeddedtest.Broker(t, embedded.BrokerConfig{}).Addrs()
	p.server = embeddedtest.SharedClickHouse(t)
	p.database = p.server.Database(t)
	p.conn = p.server.Open(t, "default")
	p.check(schema.Migrate(t.Context(), p.conn, schema.Options{Layout: schema.Layout{Database: p.database}}))
	p.bundles = bundle.NewManager(bundleSource(t), p.rows(), quiet())
	p.check(p.bundles.Start(t.Context()))
	var err error
	p.producer, err = kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	p.check(err)
	t.Cleanup(p.producer.Close)
	_, err = kadm.NewClient(p.producer).CreateTopics(t.Context(), partitions, 1, nil, p.topic)
	p.check(err)
	return p
}

func (p *path) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (p *path) rows() *store.Store {
	p.t.Helper()
	s, err := store.New(store.Options{Hosts: []string{p.server.Addr()}, Database: p.database, User: embeddedtest.Admin, Password: embeddedtest.Password})
	p.check(err)
	p.t.Cleanup(func() { _ = s.Close() })
	return s
}

// run works until everything that is in the topic is stored.
func (p *path) run(feeds []pipeline.Feed) {
	t := p.t
	t.Helper()
	log, err := ledger.Open(t.Context(), ledger.Options{Dir: embeddedtest.Dir(t), Origin: "ledger.example"})
	p.check(err)
	defer func() { p.check(log.Close(context.Background())) }()
	client, err := kafka.New(kafka.Config{Brokers: p.brokers})
	p.check(err)
	defer client.Close()
	group, err := client.NewGroup(kafka.GroupConfig{ID: p.topic, Topics: []string{p.topic}})
	p.check(err)
	worker, err := pipeline.New(pipeline.Config{Instance: "worker", Topics: []string{p.topic}, Feeds: feeds, MaxRows: 10_000}, pipeline.Parts{
		Client: client, Group: group, Ledger: log, Store: p.rows(), Bundles: p.bundles, Metrics: pipeline.NewMetrics(prometheus.NewRegistry()), Log: quiet(),
	})
	p.check(err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	p.await(worker)
	stop()
	p.check(<-ended)
}

func (p *path) await(worker *pipeline.Worker) {
	p.t.Helper()
	ends, err := kadm.NewClient(p.producer).ListEndOffsets(p.t.Context(), p.topic)
	p.check(err)
	deadline := time.Now().Add(patience)
	for {
		if halts := worker.Progress().Halts(); len(halts) > 0 {
			p.t.Fatalf("partitions stopped: %v", halts)
		}
		stored, done := worker.Progress().Stored(p.topic), true
		ends.Each(func(o kadm.ListedOffset) { done = done && (o.Offset == 0 || stored[o.Partition] >= o.Offset) })
		if done {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %v: everything stored; stored are %v of %v", patience, stored, ends)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// query runs a query over the views, in which bw stands for the database, and calls each for every row.
func (p *path) query(text string, each func(rows driver.Rows) error) {
	p.t.Helper()
	rows, err := p.conn.Query(p.t.Context(), strings.ReplaceAll(text, "bw.", p.database+"."))
	if err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	for rows.Next() {
		p.check(each(rows))
	}
	p.check(rows.Err())
}

// number is the answer of a query with one number.
func (p *path) number(text string) (n uint64) {
	p.t.Helper()
	p.query(text, func(rows driver.Rows) error { return rows.Scan(&n) })
	return n
}
