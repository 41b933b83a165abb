package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/notice"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
)

// worker is everything a worker process consists of, wired in the order of the path.
type worker struct {
	cfg      config.Config
	log      *slog.Logger
	registry *prometheus.Registry

	kafka    *kafka.Client
	store    *store.Store
	ledger   pipeline.Ledger
	bundles  *bundle.Manager
	pipeline *pipeline.Worker
	notices  *notice.Runner // nil where none is to ask

	listener net.Listener // of metrics and health, nil where no address is configured
	closers  []func() error
}

// openWorker connects to everything a worker needs and says in words what is missing. Its secrets were read.
func openWorker(ctx context.Context, cfg config.Config, log *slog.Logger) (_ *worker, err error) {
	w := &worker{cfg: cfg, log: log, registry: prometheus.NewRegistry()}
	w.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	limitMemory(int64(cfg.Batch.Memory))
	// First, so that an address in use is said before minutes go into servers that do not answer.
	if w.listener, err = listenOps(ctx, cfg.HTTP.Listen); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, w.closeListener)
	metrics := pipeline.NewMetrics(w.registry)
	if err := w.openKafka(ctx); err != nil {
		return nil, err
	}
	if err := w.openStore(ctx, metrics); err != nil {
		return nil, err
	}
	if err := w.openLedger(ctx); err != nil {
		return nil, err
	}
	if err := w.openBundles(ctx, metrics); err != nil {
		return nil, err
	}
	if err := w.openPipeline(ctx, metrics); err != nil {
		return nil, err
	}
	w.openNotices()
	return w, nil
}

// closeListener is for a worker that never served: a server closes its listener itself.
func (w *worker) closeListener() error {
	if w.listener == nil {
		return nil
	}
	if err := w.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// limitMemory tells the garbage collector what a worker is meant to need: what batches may hold, and as much again for
// buffers between sizes, fetches and the bundle. GOMEMLIMIT wins. It is a soft limit: nothing fails when it is passed.
func limitMemory(batches int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(2 * batches)
	}
}

func (w *worker) openKafka(ctx context.Context) (err error) {
	if w.kafka, err = kafka.New(kafkaConfig(w.cfg.Kafka)); err != nil {
		return err
	}
	w.closers = append(w.closers, func() error { w.kafka.Close(); return nil })
	pipeline.RegisterKafka(w.registry, w.kafka.Counters())
	_, err = w.kafka.Probe(ctx, w.cfg.AllTopics()...)
	return err
}

func (w *worker) openStore(ctx context.Context, metrics *pipeline.Metrics) (err error) {
	options, err := storeOptions(w.cfg.ClickHouse)
	if err != nil {
		return err
	}
	options.OnRetry = func(step string, attempt int, err error) {
		metrics.Retried("insert")
		w.log.Warn("insert is tried again", "step", step, "attempt", attempt, "error", err)
	}
	if w.store, err = store.New(options); err != nil {
		return err
	}
	w.closers = append(w.closers, w.store.Close)
	return w.store.Check(ctx)
}

// openLedger takes the ledger in this process or the one that all workers share, and records which build starts.
func (w *worker) openLedger(ctx context.Context) error {
	if w.cfg.Ledger.URL != "" {
		client, err := ledgerClient(w.cfg.Ledger)
		if err != nil {
			return err
		}
		w.ledger = client
	} else {
		routeKlog(w.log)
		log, err := ledger.Open(ctx, ledgerOptions(&w.cfg.Ledger))
		if err != nil {
			return err
		}
		ledger.RegisterMetrics(w.registry, log, log.Witnesses() > 0)
		w.closers = append(w.closers, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			return log.Close(ctx)
		})
		w.ledger = log
	}
	startup, err := ledger.ThisBuild(w.instance(), time.Now())
	if err != nil {
		return err
	}
	if _, err := w.ledger.Append(ctx, startup); err != nil {
		return fmt.Errorf("record the start of this build: %w", err)
	}
	return nil
}

func (w *worker) openPipeline(ctx context.Context, metrics *pipeline.Metrics) error {
	cfg := &w.cfg
	group, err := w.kafka.NewGroup(kafka.GroupConfig{
		ID: cfg.Kafka.Group, Topics: cfg.AllTopics(),
		SessionTimeout: cfg.Kafka.SessionTimeout, RebalanceTimeout: cfg.Kafka.RebalanceTimeout,
	})
	if err != nil {
		return err
	}
	letters, err := w.deadLetterProducer(ctx)
	if err != nil {
		return err
	}
	w.pipeline, err = pipeline.New(pipelineConfig(cfg, w.instance()), pipeline.Parts{
		Client: w.kafka, Group: group, Letters: letters, Ledger: w.ledger, Store: w.store,
		Bundles: w.bundles, Metrics: metrics, Log: w.log,
	})
	return err
}

// deadLetterProducer makes the dead-letter topic where it may; where it may not, the topic must be there.
func (w *worker) deadLetterProducer(ctx context.Context) (*kafka.Producer, error) {
	topic := w.cfg.Kafka.DeadLetterTopic
	if topic == "" {
		return nil, nil
	}
	if _, err := w.kafka.Partitions(ctx, topic); err != nil {
		if err := w.kafka.EnsureTopic(ctx, topic, 1, nil); err != nil {
			return nil, fmt.Errorf("dead-letter topic %s is not there and could not be made (make it, or leave kafka.dead_letter_topic empty): %w", topic, err)
		}
	}
	return w.kafka.NewProducer(kafka.ProducerConfig{})
}

func pipelineConfig(cfg *config.Config, instance string) pipeline.Config {
	p := pipeline.Config{
		Instance: instance, Topics: cfg.AllTopics(), DeadLetterTopic: cfg.Kafka.DeadLetterTopic,
		Limits:  decode.Limits{MaxBytes: int(cfg.Limits.MessageBytes), MaxDepth: cfg.Limits.Depth},
		MaxRows: cfg.Batch.MaxRows, MaxBytes: int64(cfg.Batch.MaxBytes), Linger: cfg.Batch.Linger,
		Memory: int64(cfg.Batch.Memory), ReadAhead: cfg.Kafka.Fetch.ReadAhead, InFlight: cfg.Batch.InFlight,
		Fetch: kafka.FetchConfig{
			MaxBytes: int(cfg.Kafka.Fetch.MaxBytes), MaxBatch: int(cfg.Kafka.Fetch.MaxBatch),
			MaxWait: min(cfg.Kafka.Fetch.MaxWait, cfg.Batch.Linger), // so that a quiet partition notices that its batch is old enough
		},
		DeadLettersInARow: cfg.Limits.DeadLettersInRow,
		StopGrace:         cfg.Kafka.RebalanceTimeout - rebalanceReserve,
		Epoch:             cfg.Kafka.Epoch,
	}
	for _, f := range cfg.Sources() {
		p.Feeds = append(p.Feeds, pipeline.Feed{Name: f.Name, Adapter: f.Adapter, Scope: f.IdentityScope, Topic: f.Topic,
			HeaderKey: f.Header.Key, HeaderValue: f.Header.Value})
	}
	return p
}

// rebalanceReserve is what remains of the rebalance timeout for joining again after the last insert.
const rebalanceReserve = 10 * time.Second

// instance names this worker in receipts and in the ledger.
func (w *worker) instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return w.cfg.Kafka.ClientID + "@" + host
}

// run works until ctx ends, which is no error, or with untilCaughtUp until everything of its start is stored; then the
// end of ctx before that is an error.
func (w *worker) run(ctx context.Context, untilCaughtUp bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	progress := w.pipeline.Progress()
	ready := []healthCheck{
		{"kafka", func(context.Context) error { return progress.Ready() }},
		{"clickhouse", w.store.Check},
		{"ledger", w.checkLedger},
		{"bundle", func(context.Context) error { return w.checkBundle() }},
	}
	g.Go(func() error { return newOps(w.cfg.HTTP, w.registry, nil, ready, w.log).serve(ctx, w.listener) })
	if w.cfg.Bundle.Reload > 0 {
		g.Go(func() error { return w.bundles.Run(ctx, w.cfg.Bundle.Reload) })
	}
	if w.notices != nil {
		g.Go(func() error { return w.notices.Run(ctx) })
	}
	g.Go(func() error {
		if err := w.pipeline.Run(ctx); err != nil {
			return err // which ends the others; cancel before it would let them say that they were ended
		}
		cancel()
		return nil
	})
	if untilCaughtUp {
		targets, err := w.targets(ctx)
		if err != nil {
			cancel()
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			defer cancel()
			// Its end by a signal is an error: a script must not take it for everything being stored.
			return w.pipeline.CaughtUp(ctx, targets)
		})
	}
	return g.Wait()
}

// targets are the high watermarks of now.
func (w *worker) targets(ctx context.Context) (map[string][]kafka.Watermark, error) {
	targets := map[string][]kafka.Watermark{}
	for _, topic := range w.cfg.AllTopics() {
		marks, err := w.kafka.Watermarks(ctx, topic)
		if err != nil {
			return nil, err
		}
		targets[topic] = marks
	}
	return targets, nil
}

// close releases everything in the reverse order of its opening.
func (w *worker) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		if err := w.closers[i](); err != nil {
			w.log.Warn("closing", "error", err)
		}
	}
	w.closers = nil
}

// storeOptions turns the configuration into the store's.
func storeOptions(c config.ClickHouse) (store.Options, error) {
	o := store.Options{
		Hosts: c.Hosts, Database: c.Database, User: c.Username, Password: c.Password.Reveal(),
		Compression: c.Compression, Replicated: c.Cluster != "", InsertTimeout: c.InsertTimeout,
	}
	var err error
	o.TLS, err = tlsConfig(c.TLS)
	return o, err
}

func ledgerClient(c config.Ledger) (*ledger.Client, error) {
	options := ledger.ClientOptions{Token: c.Token.Reveal()}
	secure, err := tlsConfig(c.TLS)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = secure
		options.HTTP = &http.Client{Transport: transport, Timeout: ledgerTimeout}
	}
	return ledger.NewClient(c.URL, options)
}

const ledgerTimeout = 15 * time.Second

// tlsConfig reads the certificate files of a connection, nil for plain text.
func tlsConfig(c config.TLS) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	t := &tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no PEM certificate", filepath.Base(c.CAFile))
		}
	}
	if cmp.Or(c.CertFile, c.KeyFile) != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file and tls.key_file: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
