package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/cmd/borderwatch/traffic"
	"borderwatch/consumers/kafka"
	"borderwatch/rules/examples"
)

// generateFlags are the flags of generate.
type generateFlags struct {
	config     configFlags
	brokers    string
	topic      string
	cloudTrail string
	cloudShare float64
	planted    float64
	partitions int
	out        string
	manifest   string
	bundle     string
	geoip      string
	start      string
	seed       uint64
	rate       float64
	events     uint64
	unpaced    bool
}

func newGenerate() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Make realistic traffic, seeded, into Kafka or a file",
		Long: `generate makes data-access events of the people, services and data sets of a
bundle: most of them harmless, a small share of every kind that somebody should
look at. The same bundle, location database, seed, rate and --start give the
same records. --manifest says for each planted event what it is.

Into Kafka it keeps to --rate; into a file it writes as fast as it can.`,
		Example: `  borderwatch generate --brokers localhost:9092 --topic access-events --rate 200
  borderwatch generate --events 1000 --start 2026-11-23T08:00:00Z --out events.ndjson --manifest planted.ndjson`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
	return cmd
}

func (f *generateFlags) register(cmd *cobra.Command) {
	f.config.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.brokers, "brokers", "", "`host:port` of the brokers, comma-separated: short for --set kafka.brokers=")
	flags.StringVar(&f.topic, "topic", "access-events", "`topic` of the native events")
	flags.StringVar(&f.cloudTrail, "cloudtrail", "", "also make CloudTrail records, into this `topic`, or file with --out")
	flags.Float64Var(&f.cloudShare, "cloudtrail-share", 0.1, "share of the records that are CloudTrail records")
	flags.Float64Var(&f.planted, "planted-share", traffic.DefaultPlantedShare, "share of the records that somebody should look at")
	flags.IntVar(&f.partitions, "partitions", 0, "create missing topics with this many partitions")
	flags.StringVarP(&f.out, "out", "o", "", "write one record a line to this `file`, - for standard output, and not to Kafka")
	flags.StringVar(&f.manifest, "manifest", "", "write what was planted to this `file`, one JSON object a line")
	flags.StringVar(&f.bundle, "bundle", "", "draw people and data sets from this bundle `directory` (default: the shipped example)")
	flags.StringVar(&f.geoip, "geoip", "", "draw public addresses from this country database (mmdb `file`)")
	flags.StringVar(&f.start, "start", "", "`time` of the first event, RFC 3339 (default: now)")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of everything random")
	flags.Float64Var(&f.rate, "rate", 100, "events a second, by which the events' times advance too")
	flags.Uint64Var(&f.events, "events", 0, "end after this many records (0: at Ctrl-C, only into Kafka)")
	flags.BoolVar(&f.unpaced, "unpaced", false, "write to Kafka as fast as it takes them")
}

func (f *generateFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if f.out != "" && f.events == 0 {
		return usageError{errors.New("--out needs --events, how many records to write")}
	}
	generator, err := f.generator()
	if err != nil {
		return err
	}
	to, err := f.sink(ctx, stdout)
	if err != nil {
		return err
	}
	manifest, err := createManifest(f.manifest)
	if err != nil {
		return errors.Join(err, to.close(ctx))
	}
	run := generation{generator: generator, sink: to, manifest: manifest, events: f.events, rate: f.rate, paced: f.out == "" && !f.unpaced}
	err = run.run(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(err, to.close(stop), manifest.close())
	fmt.Fprintln(stderr, run.summary())
	return err
}

// generator draws from the bundle and, where one is given, the location database.
func (f *generateFlags) generator() (*traffic.Generator, error) {
	start := time.Now()
	if f.start != "" {
		t, err := time.Parse(time.RFC3339, f.start)
		if err != nil {
			return nil, usageError{fmt.Errorf("--start: %q is not a time such as 2026-11-23T08:00:00Z", f.start)}
		}
		start = t
	}
	world, err := f.world()
	if err != nil {
		return nil, err
	}
	o := traffic.Options{Seed: f.seed, Start: start, Rate: f.rate, PlantedShare: f.planted}
	if f.cloudTrail != "" {
		o.CloudTrailShare = f.cloudShare
	}
	g, err := traffic.New(world, o)
	if err != nil {
		return nil, usageError{err}
	}
	return g, nil
}

func (f *generateFlags) world() (*traffic.World, error) {
	dir, err := f.bundleDir()
	if err != nil {
		return nil, err
	}
	world, err := traffic.Collect(dir)
	if err != nil || f.geoip == "" {
		return world, err
	}
	world.Public, err = traffic.PublicAddresses(f.geoip, world.Countries())
	return world, err
}

func (f *generateFlags) bundleDir() (fs.FS, error) {
	if f.bundle == "" {
		return examples.Files, nil
	}
	if _, err := os.Stat(f.bundle); err != nil {
		return nil, fmt.Errorf("--bundle: %w", err)
	}
	return os.DirFS(f.bundle), nil
}

func (f *generateFlags) sink(ctx context.Context, stdout io.Writer) (recordSink, error) {
	if f.out != "" {
		return newFileSink(f.out, f.cloudTrail, stdout)
	}
	if f.brokers != "" {
		f.config.set = append(f.config.set, "kafka.brokers="+f.brokers)
	}
	loaded, err := f.config.load(config.NeedKafka)
	if err != nil {
		return nil, err
	}
	if err := loaded.ReadSecrets(); err != nil {
		return nil, usageError{err}
	}
	client, err := kafka.New(kafkaConfig(loaded.Kafka))
	if err != nil {
		return nil, usageError{err}
	}
	s := &kafkaSink{client: client, topics: map[string]string{traffic.FeedNative: f.topic, traffic.FeedCloudTrail: f.cloudTrail}}
	if err := s.open(ctx, f.partitions); err != nil {
		client.Close()
		return nil, err
	}
	return s, nil
}
