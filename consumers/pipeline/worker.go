package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

// Config is what a worker does. Zero values take the defaults.
type Config struct {
	Instance        string // name of this worker in receipts
	Topics          []string
	Feeds           []Feed
	Limits          decode.Limits
	DeadLetterTopic string // "" publishes none; the table has them all the same

	MaxRows   int               // rows a batch is cut at, 262,144, at most 450,000: smaller parts make merges dear
	MaxBytes  int64             // bytes of rows a batch is cut at, 96 MiB
	Linger    time.Duration     // age a batch is cut at, 1 s
	ReadAhead int               // fetches of a partition that wait to be judged, 1
	Epoch     int               // stands for the topic's id where brokers have none (before Kafka 2.8)
	Fetch     kafka.FetchConfig // MaxBytes is lowered where a worker has many partitions
	InFlight  int               // batches of a partition between leaf and receipt, 2, at most 4
	Memory    int64             // bytes all batches may hold between fetch and receipt, 384 MiB

	DeadLettersInARow int           // a partition with more stops, 10,000; negative never
	StopGrace         time.Duration // how long a running insert may go on after its partition was taken away, 20 s
	ExitGrace         time.Duration // how long it may go on after the worker was told to end, 5 s
}

func (c *Config) setDefaults() {
	set(&c.MaxRows, 262_144)
	set(&c.MaxBytes, 96<<20)
	set(&c.Linger, time.Second)
	set(&c.Memory, 384<<20)
	set(&c.DeadLettersInARow, 10_000)
	set(&c.ReadAhead, 1)
	set(&c.InFlight, 2)
	set(&c.Fetch.MaxBytes, 4<<20)
	set(&c.StopGrace, 20*time.Second)
	set(&c.ExitGrace, 5*time.Second)
}

func set[T comparable](value *T, def T) {
	var zero T
	if *value == zero {
		*value = def
	}
}

// Ledger records batches before they are inserted. Append is durable before it returns, refuses a leaf that does not
// follow the partition's last one (*ledger.ConflictError), and may be repeated with the same leaf.
type Ledger interface {
	Append(ctx context.Context, leaf ledger.Leaf) (uint64, error)
	Head(ctx context.Context, key ledger.Key) (ledger.Head, bool, error)
	// Leaves yields the leaves of a partition that cover offset from and later ones, in order.
	Leaves(ctx context.Context, key ledger.Key, from int64) iter.Seq2[ledger.Entry, error]
	// SaltKey returns the secret of a UTC day for the salts of its rows, the same each time, or ledger.ErrSaltKeyGone.
	SaltKey(ctx context.Context, day string) (ledger.SaltKey, error)
}

// Bundles gives the bundle in force and any earlier one.
type Bundles interface {
	// Current returns the bundle that new batches are judged by. It never returns nil: there is no moment without rules.
	Current() *bundle.Bundle
	// ByDigest returns the bundle of that digest, for a batch that has to be made again.
	ByDigest(ctx context.Context, digest string) (*bundle.Bundle, error)
}

// Store keeps what was judged. *store.Store is one.
type Store interface {
	blocks
	proofs
	places
	notices
}

// blocks are inserted table by table: each step once, however often it is run.
type blocks interface {
	// Steps lists the inserts of a sealed block, without tables that have no row. The receipt is last.
	Steps(b *store.Block) ([]store.Step, error)
	// Look counts the rows of a range.
	Look(ctx context.Context, r store.Range) (store.Found, error)
}

// proofs tell what is stored of a block.
type proofs interface {
	// StoredRoots reads the rows of a sealed block back. Its error wraps store.ErrRowsDiffer where they contradict each
	// other.
	StoredRoots(ctx context.Context, b *store.Block) (store.Roots, error)
}

// places tell how far a partition is stored.
type places interface {
	LastReceipt(ctx context.Context, source, topic string, partition int32) (int64, error)
	Receipts(ctx context.Context, source, topic string, partition int32, from int64) ([]store.Receipt, error)
}

// notices are stored once each.
type notices interface {
	InsertActivation(ctx context.Context, a store.Activation) error
	InsertNotice(ctx context.Context, n store.Notice) error
}

// broker is what a worker asks Kafka beside records and positions.
type broker interface {
	Namer
	Watermarks(ctx context.Context, topic string) ([]kafka.Watermark, error)
}

// letterbox takes dead letters.
type letterbox interface {
	Produce(ctx context.Context, topic string, messages []kafka.Message) ([]kafka.Placed, error)
}

// Parts are what a worker works with. Letters may be nil where Config.DeadLetterTopic is empty.
type Parts struct {
	Client  *kafka.Client
	Group   *kafka.Group
	Letters *kafka.Producer
	Ledger  Ledger
	Store   Store
	Bundles Bundles
	Metrics *Metrics
	Log     *slog.Logger
	// Around, where set, is called for every attempt of the steps ledger, dead_letters, activation and commit and must
	// call run, or not: a test makes steps fail before or after they took effect. Its error counts as the attempt's.
	// store.Options.Around does the same for inserts.
	Around func(ctx context.Context, step string, run func(context.Context) error) error
}

// Worker consumes the partitions that its group assigns to it.
type Worker struct {
	cfg     Config
	client  *kafka.Client
	broker  broker
	group   *kafka.Group
	letters letterbox
	ledger  Ledger
	store   Store
	bundles Bundles
	metrics *Metrics
	log     *slog.Logger
	around  func(ctx context.Context, step string, run func(context.Context) error) error

	budget   *budget
	progress *Progress

	mu    sync.Mutex
	spare []*batch // blocks are large and are used again by whichever partition comes next
}

// maxRows leaves room in a block for the alerts of the event that fills it.
const maxRows = store.MaxRows - 50_000

// maxInFlight bounds the rows that a takeover may have to make again.
const maxInFlight = 4

// New checks the configuration. Run does the work.
func New(cfg Config, parts Parts) (*Worker, error) {
	cfg.setDefaults()
	if cfg.MaxRows > maxRows {
		return nil, fmt.Errorf("batches of %d rows: at most %d fit into one insert", cfg.MaxRows, maxRows)
	}
	if cfg.InFlight < 1 || cfg.InFlight > maxInFlight {
		return nil, fmt.Errorf("%d batches in flight: 1 to %d", cfg.InFlight, maxInFlight)
	}
	for _, topic := range cfg.Topics {
		if _, err := openFeeds(cfg.Feeds, topic, cfg.Limits); err != nil {
			return nil, err
		}
	}
	return &Worker{
		cfg: cfg, client: parts.Client, broker: parts.Client, group: parts.Group, letters: parts.Letters,
		ledger: parts.Ledger, store: parts.Store, bundles: parts.Bundles, metrics: parts.Metrics, log: parts.Log, around: parts.Around,
		budget: newBudget(cfg.Memory), progress: newProgress(),
	}, nil
}

// Progress tells how far the worker is.
func (w *Worker) Progress() *Progress { return w.progress }

// Run joins the group and works until ctx ends, which is no error, or the group refuses the worker for good.
func (w *Worker) Run(ctx context.Context) error {
	defer w.leave(ctx)
	for {
		generation, err := w.group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.generation(ctx, generation); err != nil {
			return err
		}
	}
}

// leave gives the partitions back, so that others need not wait for the session to time out.
func (w *Worker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := w.group.Close(ctx); err != nil {
		w.log.Warn("left the group without its answer", "error", err)
	}
}

const leaveTimeout = 5 * time.Second

// generation works on the assigned partitions until the generation or ctx ends or a partition asks for a new one, and
// returns when nothing of it runs any more.
func (w *Worker) generation(ctx context.Context, gen *kafka.Generation) error {
	defer gen.Release()
	exiting := ctx.Done()
	fetcher, err := w.client.NewFetcher(w.fetchConfig(gen))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		defer cancel()
		select {
		case <-gen.Done():
		case <-ctx.Done():
		}
	})
	w.log.Info("partitions assigned", "generation", gen.ID, "partitions", gen.Assignments)
	for topic, partitions := range gen.Assignments {
		source, err := w.awaitSource(ctx, topic)
		if err != nil {
			break // ctx has ended
		}
		for id, position := range partitions {
			commit := func(ctx context.Context, next int64, metadata string) error {
				return gen.Commit(ctx, topic, id, next, metadata)
			}
			p := w.partition(fetcher, ledger.Key{Source: source, Topic: topic, Partition: int32(id)}, position, commit)
			p.exiting = exiting
			running.Go(func() { w.supervise(ctx, p, cancel) })
		}
	}
	w.progress.assigned(gen.Assignments)
	running.Wait()
	w.progress.revoked()
	return nil
}

// fetchMemory is what all fetches that wait or are being read may hold on the wire, shared by the partitions.
const fetchMemory = 96 << 20

// minFetch keeps a fetch large enough to be worth its round trip.
const minFetch = 256 << 10

// fetchConfig makes fetches smaller the more partitions this worker has.
func (w *Worker) fetchConfig(gen *kafka.Generation) kafka.FetchConfig {
	partitions := 0
	for _, assigned := range gen.Assignments {
		partitions += len(assigned)
	}
	cfg := w.cfg.Fetch
	share := fetchMemory / (max(partitions, 1) * (w.cfg.ReadAhead + 2))
	cfg.MaxBytes = min(cfg.MaxBytes, max(share, minFetch))
	return cfg
}

func (w *Worker) partition(fetcher kafka.Source, key ledger.Key, start kafka.Position, commit commitFunc) *partition {
	feeds, err := openFeeds(w.cfg.Feeds, key.Topic, w.cfg.Limits)
	if err != nil {
		panic(err) // New has opened the same feeds
	}
	metrics := w.metrics.partition(key.Topic, key.Partition)
	return &partition{
		worker: w, fetcher: fetcher, key: key, start: start, commit: commit, metrics: metrics, prev: -1,
		judge: &judge{feeds: feeds, metrics: metrics, publish: w.cfg.DeadLetterTopic != ""},
	}
}

// supervise runs a partition's loop, over again after errors that may pass. A partition that a person has to look at
// stops and says so; the others go on. endGeneration makes the worker join its group anew.
func (w *Worker) supervise(ctx context.Context, p *partition, endGeneration func()) {
	for corrupt := 0; ctx.Err() == nil; {
		err := p.run(ctx)
		if ctx.Err() != nil {
			return
		}
		var stop *halt
		if errors.As(err, &stop) && stop.word == "corrupt" {
			corrupt++
		} else {
			corrupt = 0
		}
		if stop != nil && (stop.word != "corrupt" || corrupt >= corruptAttempts) {
			w.stopped(ctx, p, stop.word, err)
			return
		}
		w.metrics.retries.WithLabelValues("partition").Inc()
		w.progress.failed(p.key.Topic, p.key.Partition, err)
		w.log.Warn("partition starts over", "partition", p.key.String(), "error", err)
		if errors.Is(err, errReplaced) || errors.Is(err, kafka.ErrFenced) {
			endGeneration() // what this worker believes about its partitions is out of date
			return
		}
		select {
		case <-time.After(pauseAfter):
		case <-ctx.Done():
		}
	}
}

// pauseAfter is how long a partition loop rests after an error before it starts over.
const pauseAfter = time.Second

// corruptAttempts is how often a batch with a wrong checksum is fetched before the partition stops: the bytes may have
// been hurt on the way.
const corruptAttempts = 3

// stopped marks the partition as halted for as long as it is assigned to this worker.
func (w *Worker) stopped(ctx context.Context, p *partition, word string, err error) {
	gauge := w.metrics.halted.WithLabelValues(p.key.Topic, p.metrics.partition, word)
	gauge.Set(1)
	w.progress.halted(p.key.Topic, p.key.Partition, err)
	w.log.Error("partition stopped and needs a person", "partition", p.key.String(), "reason", word, "error", err)
	<-ctx.Done()
	gauge.Set(0)
}

// blank takes a batch with an empty block from the spares.
func (w *Worker) blank() *batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.spare); n > 0 {
		b := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return b
	}
	return &batch{block: store.NewBlock()}
}

// hold books memory of the budget, which was acquired, on a batch.
func (w *Worker) hold(b *batch, n int64) {
	n = w.budget.clamp(n)
	b.held += n
	w.metrics.memory.Add(float64(n))
}

// maxSpare is how many blocks wait for their next use; more would keep memory that a burst needed once.
const maxSpare = 8

// recycle gives a batch's memory back to the budget and its block to the spares.
func (w *Worker) recycle(b *batch) {
	w.budget.release(b.held)
	w.metrics.memory.Sub(float64(b.held))
	b.held = 0
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.spare) < maxSpare {
		w.spare = append(w.spare, b)
	}
}
