package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/cmd/borderwatch/traffic"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

// The topics of up and their partitions.
const (
	upTopic           = "access-events"
	upCloudTrailTopic = "cloudtrail"
	upPartitions      = 2
)

// upRetention bounds each partition of the broker on disk: what is older was stored long ago.
const upRetention = 256 << 20

// local is what up runs on this machine.
type local struct {
	flags      *upFlags
	home       *home
	log        *slog.Logger
	stdout     io.Writer
	stderr     io.Writer
	geoip      string
	bundle     string
	clickhouse *embedded.ClickHouse
	broker     *embedded.Broker
}

// runUp starts the servers in the order in which they need each other, then the worker, the traffic and the list of
// alerts, and stops them in the reverse order.
func runUp(ctx context.Context, f *upFlags, stdout, stderr io.Writer) error {
	u := &local{flags: f, stdout: stdout, stderr: stderr}
	u.log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	err := u.start(ctx)
	if err == nil {
		err = u.work(ctx)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopTimeout)
	defer cancel()
	if stopErr := u.stop(stop); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		u.say("Stopped. The next up goes on from here.")
		return nil
	}
	return err
}

func (u *local) say(format string, args ...any) { fmt.Fprintf(u.stderr, format+"\n", args...) }

// start prepares the folder and starts ClickHouse and the broker.
func (u *local) start(ctx context.Context) (err error) {
	if u.home, err = openHome(u.flags.dir, u.flags.fresh); err != nil {
		return err
	}
	if err := u.pieces(ctx); err != nil {
		return err
	}
	if err := u.startClickHouse(ctx); err != nil {
		return err
	}
	if err := u.startBroker(ctx); err != nil {
		return err
	}
	return u.migrate(ctx)
}

// pieces fetches the location database and lays out the bundle folder.
func (u *local) pieces(ctx context.Context) (err error) {
	if u.geoip = u.flags.geoip; u.geoip == "" {
		if u.geoip, err = embedded.GeoIPDatabase(ctx, u.stderr); err != nil {
			return err
		}
	}
	if u.bundle = u.flags.bundle; u.bundle == "" {
		u.bundle, err = u.home.bundle()
	}
	return err
}

func (u *local) startClickHouse(ctx context.Context) error {
	err := u.own(ctx, func() error {
		u.clickhouse = embedded.NewClickHouse(embedded.ClickHouseConfig{
			Dir: filepath.Join(u.home.dir, "clickhouse"), TCPPort: u.port("clickhouse", 0), HTTPPort: u.port("clickhouse-http", 1),
			Users: u.home.accounts(), Progress: u.stderr, Logger: u.log,
		})
		return u.clickhouse.Start(ctx)
	})
	if err != nil {
		return err
	}
	u.keep("clickhouse", u.clickhouse.Addr())
	u.keep("clickhouse-http", u.clickhouse.HTTPAddr())
	return nil
}

func (u *local) startBroker(ctx context.Context) error {
	err := u.own(ctx, func() error {
		u.broker = embedded.NewBroker(embedded.BrokerConfig{
			Dir: filepath.Join(u.home.dir, "broker"), Ports: []int{u.port("kafka", 2)}, RetentionBytes: upRetention,
			Topics: []embedded.Topic{{Name: upTopic, Partitions: upPartitions}, {Name: upCloudTrailTopic, Partitions: 1}},
		})
		return u.broker.Start(ctx)
	})
	if err != nil {
		return err
	}
	u.keep("kafka", u.broker.Addrs()[0])
	return nil
}

// metricsAddress is where metrics and health are served. A free port is taken now and kept for the next up.
func (u *local) metricsAddress() (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(u.port("metrics", 3))))
	if err != nil {
		return "", fmt.Errorf("metrics: %w; --port chooses others", err)
	}
	u.keep("metrics", l.Addr().String())
	return l.Addr().String(), l.Close()
}

// ownPatience is how long the servers of an up that ended abruptly may take to notice it.
const ownPatience = 20 * time.Second

// own starts a server on the ports of the last up. Where one is in use it is most likely by a server of that up, which has
// not noticed yet that it ended; ports that a person chose are not waited for.
func (u *local) own(ctx context.Context, start func() error) error {
	deadline := time.Now().Add(ownPatience)
	for {
		err := start()
		var taken *embedded.PortInUseError
		if !errors.As(err, &taken) {
			return u.placed(err)
		}
		if u.flags.port > 0 || time.Now().After(deadline) {
			return fmt.Errorf("%w (--port chooses five in a row)", err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pace):
		}
	}
}

// placed adds to the error of a full disk what moves the data of this up.
func (u *local) placed(err error) error {
	var full *embedded.DiskFullError
	if u.flags.dir == "" || !errors.As(err, &full) {
		return err
	}
	return fmt.Errorf("%w (--dir)", err)
}

// port is the port of a server: one in a row from --port, that of the last up, or a free one.
func (u *local) port(name string, offset int) int {
	if u.flags.port > 0 {
		return u.flags.port + offset
	}
	return u.home.state.Ports[name]
}

// keep remembers a port for the next up, so that saved addresses stay right.
func (u *local) keep(name, address string) {
	if addr, err := net.ResolveTCPAddr("tcp", address); err == nil {
		u.home.state.Ports[name] = addr.Port
	}
}

func (u *local) migrate(ctx context.Context) error {
	conn, err := store.Dial(u.storeOptions(accountMigrate))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := schema.Migrate(ctx, conn, schema.Options{}); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return u.home.save()
}

func (u *local) storeOptions(account string) store.Options {
	return store.Options{Hosts: []string{u.clickhouse.Addr()}, User: account, Password: u.home.state.Passwords[account]}
}

// work keeps the servers running for everything that uses them, which they outlive.
func (u *local) work(ctx context.Context) error {
	serving, stopServers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServers()
	var servers errgroup.Group
	servers.Go(func() error { return u.clickhouse.Run(serving) })
	servers.Go(func() error { return u.broker.Run(serving) })
	err := u.judge(ctx)
	stopServers()
	return errors.Join(err, servers.Wait())
}

// judge runs the worker, the console, the traffic and the list of alerts until ctx ends or the time of --for is over.
func (u *local) judge(ctx context.Context) error {
	cfg, err := u.config()
	if err != nil {
		return err
	}
	if u.flags.witness {
		stop, err := u.startWitness(context.WithoutCancel(ctx), &cfg)
		if err != nil {
			return err
		}
		defer stop()
	}
	w, err := u.openWorker(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	reader, err := store.New(u.storeOptions(accountAPI))
	if err != nil {
		return err
	}
	defer reader.Close()
	sample, err := u.newTraffic()
	if err != nil {
		return err
	}
	console, err := u.openConsole(ctx, w, reader)
	if err != nil {
		return err
	}
	if err := u.announce(console); err != nil {
		return err
	}
	u.welcome(w, console)
	told := w.bundles.OnChange
	w.bundles.OnChange = func(b *bundle.Bundle) {
		told(b)
		u.say("%s  the changed rules and files are in force (bundle %.12s)", time.Now().UTC().Format(time.TimeOnly), b.Digest)
	}
	ctx, cancel := u.limit(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.run(ctx, false) })
	g.Go(func() error { return console.site.run(ctx, console.listener) })
	g.Go(func() error { return u.follow(ctx, reader) })
	if sample != nil {
		g.Go(func() error { return u.traffic(ctx, sample) })
	}
	return g.Wait()
}

// openAttempts is how often a worker is opened where ClickHouse ends meanwhile.
const openAttempts = 3

// openWorker opens the worker, anew where ClickHouse ended meanwhile: it is being started again.
func (u *local) openWorker(ctx context.Context, cfg config.Config) (*worker, error) {
	for attempt := 1; ; attempt++ {
		ended := u.clickhouse.Done()
		w, err := openWorker(ctx, cfg, u.log)
		if err == nil || attempt == openAttempts || ctx.Err() != nil {
			return w, err
		}
		select {
		case <-ended:
			u.log.Warn("ClickHouse ended before the worker was ready, which is opened again", "error", err)
		case <-time.After(time.Second): // a broken connection is noticed a little before the end of the process
			return nil, err
		}
		if err := u.awaitClickHouse(ctx); err != nil {
			return nil, err
		}
	}
}

// awaitClickHouse waits until a process of ClickHouse runs again.
func (u *local) awaitClickHouse(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ownPatience)
	defer cancel()
	for {
		select {
		case <-u.clickhouse.Done():
		default:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ClickHouse does not come back: %w", ctx.Err())
		case <-time.After(pace):
		}
	}
}

// limit ends what begins now after the time of --for, to which what went before, such as a first download, does not count.
func (u *local) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if u.flags.duration == 0 {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(u.flags.duration, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// config is that of a worker on this machine.
func (u *local) config() (c config.Config, err error) {
	c = config.Default()
	c.Kafka.Brokers, c.Kafka.Topics = u.broker.Addrs(), []string{upTopic}
	c.Feeds = []config.Feed{{Name: "cloudtrail", Adapter: "cloudtrail", Topic: upCloudTrailTopic}}
	c.ClickHouse.Hosts = []string{u.clickhouse.Addr()}
	c.ClickHouse.Username, c.ClickHouse.Password = accountIngest, config.Secret(u.home.state.Passwords[accountIngest])
	c.Bundle = config.Bundle{Dir: u.bundle, GeoIP: u.geoip, Reload: 2 * time.Second}
	if c.Bundle.Policy, c.Bundle.DevelopmentKey, err = u.home.developmentKey(); err != nil {
		return c, err
	}
	c.Ledger.Dir = filepath.Join(u.home.dir, "ledger")
	c.HTTP.Listen, err = u.metricsAddress()
	return c, err
}

// newTraffic prepares the sample traffic of the bundle's company, nil where none is wanted.
func (u *local) newTraffic() (*traffic.Generator, error) {
	if u.flags.quiet {
		return nil, nil
	}
	world, err := traffic.Collect(os.DirFS(u.bundle))
	if err != nil {
		return nil, err
	}
	if world.Public, err = traffic.PublicAddresses(u.geoip, world.Countries()); err != nil {
		return nil, fmt.Errorf("no sample traffic without addresses (--no-traffic does without): %s: %w", u.geoip, err)
	}
	return traffic.New(world, traffic.Options{
		Seed: u.flags.seed, Start: time.Now(), Rate: u.flags.rate, CloudTrailShare: 0.1, PlantedShare: traffic.DefaultPlantedShare,
	})
}

// traffic writes the sample traffic to the broker.
func (u *local) traffic(ctx context.Context, generator *traffic.Generator) error {
	client, err := kafka.New(kafka.Config{Brokers: u.broker.Addrs()})
	if err != nil {
		return err
	}
	sink := &kafkaSink{client: client, topics: map[string]string{traffic.FeedNative: upTopic, traffic.FeedCloudTrail: upCloudTrailTopic}}
	if err := sink.open(ctx, 0); err != nil {
		return ignoreEnd(ctx, err)
	}
	run := generation{generator: generator, sink: sink, rate: u.flags.rate, paced: true}
	err = run.run(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, ignoreEnd(ctx, sink.close(stop)))
}

// stop ends the servers that still run and keeps the state for the next up.
func (u *local) stop(ctx context.Context) error {
	var errs []error
	if u.broker != nil {
		errs = append(errs, u.broker.Stop(ctx))
	}
	if u.clickhouse != nil {
		errs = append(errs, u.clickhouse.Stop(ctx))
	}
	if u.home != nil {
		errs = append(errs, u.home.close())
	}
	return errors.Join(errs...)
}
