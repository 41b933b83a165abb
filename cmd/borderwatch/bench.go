package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"borderwatch/cmd/borderwatch/traffic"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/store"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	events      int64
	partitions  int
	compression string
	planted     float64
	seed        uint64
	json        bool
	profile     string
	geoip       string
}

// maxBenchPartitions is more than one machine can use.
const maxBenchPartitions = 1000

// check refuses values with which there is nothing to measure.
func (f *benchFlags) check() error {
	switch {
	case f.events < 1:
		return fmt.Errorf("--events %d: at least 1", f.events)
	case f.partitions < 1 || f.partitions > maxBenchPartitions:
		return fmt.Errorf("--partitions %d: 1 to %d", f.partitions, maxBenchPartitions)
	case !(f.planted >= 0 && f.planted <= 1):
		return fmt.Errorf("--planted %v: a share from 0 to 1", f.planted)
	}
	return nil
}

func newBench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the whole path on this machine: broker, pipeline, ledger, ClickHouse",
		Long: `bench loads a topic with distinct native events of about 850 bytes (the result has
their mean size; the speed target was set for 750). Then it lets one worker
judge and store all of them and measures that: all shipped rules, a location
database, the evidence log, a broker and a ClickHouse in processes of their own
on the same machine. Loading is not measured.

Processor time is the figure to trust on a shared machine; quote medians of
several runs.`,
		Example: "  borderwatch bench --events 5000000 --json | tail -n 1",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return usageError{err}
			}
			return runBench(cmd.Context(), &f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&f.events, "events", 5_000_000, "how many `events` to judge")
	flags.IntVar(&f.partitions, "partitions", 2, "`partitions` of the topic")
	flags.StringVar(&f.compression, "compression", "lz4", "`codec` of the topic: none, lz4, zstd, snappy or gzip")
	flags.Float64Var(&f.planted, "planted", 0.01, "`share` of events that somebody should look at")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the events")
	flags.BoolVar(&f.json, "json", false, "write the result as one JSON object, the last line of standard output")
	flags.StringVar(&f.geoip, "geoip", "", "country database in MaxMind DB format (default: a free one, fetched once)")
	flags.StringVar(&f.profile, "profile", "", "keep the CPU profile in this `file`")
	return cmd
}

// benchResult is what bench measured. The names are relied on by scripts.
type benchResult struct {
	Events          int64              `json:"events"`
	EventsPerSecond float64            `json:"events_per_second"`
	CPUNsPerEvent   float64            `json:"cpu_ns_per_event"` // of the worker's own process
	ResidentBytes   int64              `json:"resident_bytes"`   // the worker's most
	Stages          map[string]float64 `json:"stages"`           // CPU ns per event, of the worker's own process
	ClickHouseNs    float64            `json:"clickhouse_ns_per_event"`
	BrokerNs        float64            `json:"broker_ns_per_event"`
	Seconds         float64            `json:"seconds"`
	Alerts          uint64             `json:"alerts"`
	Rules           int                `json:"rules"`
	BytesPerEvent   float64            `json:"bytes_per_event"`
	Processors      int                `json:"processors"`
}

// bench is one measurement and what it runs against.
type bench struct {
	*local
	bytes int64
}

func runBench(ctx context.Context, f *benchFlags, stdout, stderr io.Writer) error {
	cache, err := embedded.CacheDir()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{local: &local{flags: &upFlags{dir: dir, seed: f.seed, geoip: f.geoip}, stdout: stdout, stderr: stderr,
		log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopTimeout)
		defer cancel()
		if err := b.stop(stop); err != nil {
			b.log.Warn("stopping", "error", err)
		}
	}()
	if err := b.prepare(ctx, f); err != nil {
		return err
	}
	result, err := b.measure(ctx, f)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(stdout).Encode(result)
	}
	return result.print(stdout)
}

// prepare starts the servers and loads the topic.
func (b *bench) prepare(ctx context.Context, f *benchFlags) (err error) {
	if b.home, err = openHome(b.flags.dir, false); err != nil {
		return err
	}
	if err := b.pieces(ctx); err != nil {
		return err
	}
	if err := b.startClickHouse(ctx); err != nil {
		return err
	}
	b.broker = embedded.NewBroker(embedded.BrokerConfig{
		Dir: filepath.Join(b.home.dir, "broker"), OwnProcess: true,
		Topics: []embedded.Topic{{Name: upTopic, Partitions: int32(f.partitions)}},
	})
	if err := b.broker.Start(ctx); err != nil {
		return err
	}
	if err := b.migrate(ctx); err != nil {
		return err
	}
	b.say("loading %d events…", f.events)
	return b.load(ctx, f)
}

// benchTemplates is how many events are drawn; each copy has an id and a time of its own.
const benchTemplates = 20_000

// loadBurst is how many events are produced at once.
const loadBurst = 10_000

// load writes every partition its share of the events.
func (b *bench) load(ctx context.Context, f *benchFlags) error {
	world, err := traffic.Collect(os.DirFS(b.bundle))
	if err != nil {
		return err
	}
	if world.Public, err = traffic.PublicAddresses(b.geoip, world.Countries()); err != nil {
		return err
	}
	client, err := kafka.New(kafka.Config{Brokers: b.broker.Addrs()})
	if err != nil {
		return err
	}
	defer client.Close()
	producer, err := client.NewProducer(kafka.ProducerConfig{Compression: f.compression})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	sizes := make([]int64, f.partitions)
	for p := range f.partitions {
		first, last := f.events*int64(p)/int64(f.partitions), f.events*int64(p+1)/int64(f.partitions)
		stamper, err := traffic.NewStamper(world, traffic.Options{
			Seed: f.seed, Start: time.Now().Add(-time.Hour), Rate: 100_000, First: uint64(first), PlantedShare: f.planted,
		}, benchTemplates)
		if err != nil {
			return err
		}
		g.Go(func() (err error) {
			sizes[p], err = loadPartition(ctx, producer, stamper, p, last-first)
			return err
		})
	}
	err = g.Wait()
	for _, n := range sizes {
		b.bytes += n
	}
	return err
}

func loadPartition(ctx context.Context, producer *kafka.Producer, stamper *traffic.Stamper, partition int, events int64) (size int64, err error) {
	messages := make([]kafka.Message, 0, loadBurst)
	values := make([][]byte, loadBurst)
	for events > 0 {
		messages = messages[:0]
		for i := range min(events, loadBurst) {
			var at time.Time
			values[i], at = stamper.Append(values[i][:0])
			size += int64(len(values[i]))
			messages = append(messages, kafka.Message{Value: values[i], Time: at})
		}
		if _, err := producer.ProduceTo(ctx, upTopic, partition, messages); err != nil {
			return size, err
		}
		events -= int64(len(messages))
	}
	return size, nil
}

// measure lets a worker store everything that was loaded.
func (b *bench) measure(ctx context.Context, f *benchFlags) (*benchResult, error) {
	cfg, err := b.config()
	if err != nil {
		return nil, err
	}
	cfg.Feeds, cfg.HTTP.Listen, cfg.Bundle.Reload = nil, "", 0
	w, err := openWorker(ctx, cfg, b.log)
	if err != nil {
		return nil, err
	}
	defer w.close()
	runtime.GC()
	b.say("measuring…")
	meter, err := startMeter(map[string]int{"clickhouse": b.clickhouse.PID(), "broker": b.broker.PID()})
	if err != nil {
		return nil, err
	}
	if err := w.run(ctx, true); err != nil {
		meter.stop()
		return nil, err
	}
	m, err := meter.finish(f.profile)
	if err != nil {
		return nil, err
	}
	return b.result(ctx, w, m, f.events)
}

// result checks that everything is there and divides by the events.
func (b *bench) result(ctx context.Context, w *worker, m *measurement, events int64) (*benchResult, error) {
	stored, alerts, err := b.stored(ctx)
	if err != nil {
		return nil, err
	}
	if stored != uint64(events) {
		return nil, fmt.Errorf("%d events were loaded and %d are stored", events, stored)
	}
	n := float64(events)
	r := &benchResult{
		Events: events, EventsPerSecond: n / m.wall.Seconds(), CPUNsPerEvent: float64(m.own) / n, ResidentBytes: m.resident,
		Stages: map[string]float64{}, ClickHouseNs: float64(m.others["clickhouse"]) / n, BrokerNs: float64(m.others["broker"]) / n,
		Seconds: m.wall.Seconds(), Alerts: alerts, Rules: len(w.bundles.Current().Engine.Rules()),
		BytesPerEvent: float64(b.bytes) / n, Processors: runtime.NumCPU(),
	}
	for stage, d := range m.stages {
		r.Stages[stage] = float64(d) / n
	}
	return r, nil
}

func (b *bench) stored(ctx context.Context) (events, alerts uint64, err error) {
	conn, err := store.Dial(b.storeOptions(accountAPI))
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	row := conn.QueryRow(ctx, "SELECT (SELECT count() FROM bw.events), (SELECT sum(alerts) FROM bw.batches)")
	err = row.Scan(&events, &alerts)
	return events, alerts, err
}

func (r *benchResult) print(w io.Writer) error {
	fmt.Fprintf(w, "%d events of %.0f bytes, %d rules, %d alerts, %d processors\n\n", r.Events, r.BytesPerEvent, r.Rules, r.Alerts, r.Processors)
	fmt.Fprintf(w, "%12.0f  events a second\n%12.0f  CPU ns per event, worker\n%12.0f  CPU ns per event, ClickHouse\n%12.0f  CPU ns per event, broker\n%12.0f  MB resident, worker\n\n",
		r.EventsPerSecond, r.CPUNsPerEvent, r.ClickHouseNs, r.BrokerNs, float64(r.ResidentBytes)/1e6)
	fmt.Fprintln(w, "worker, CPU ns per event by stage:")
	stages := make([]string, 0, len(r.Stages))
	for stage := range r.Stages {
		stages = append(stages, stage)
	}
	slices.SortFunc(stages, func(a, b string) int { return int(r.Stages[b] - r.Stages[a]) })
	for _, stage := range stages {
		if _, err := fmt.Fprintf(w, "%12.0f  %s\n", r.Stages[stage], stage); err != nil {
			return err
		}
	}
	return nil
}
