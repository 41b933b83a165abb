package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
)

// verification is one run over one database and one log.
type verification struct {
	options  *options
	log      *evidenceLog
	kept     *State
	report   *Report
	now      func() time.Time
	progress *progressBar
	judging  bool // the rules are run again
	evidence bool // findings carry theirs

	opt    store.Options
	conn   driver.Conn
	store  *store.Store
	db     string
	feeds  []pipeline.Feed
	limits decode.Limits
	builds map[string]bool // accepted, nil where all are

	chains      map[ledger.Key]*chain
	announced   map[string]bool // bundles that have an activation leaf
	newest      int64           // batch time of the newest batch, milliseconds
	unreceipted map[uint64]ledger.Entry
	early       []early
	sequences   *sequences

	mu      sync.Mutex
	bundles map[string]*bundle.Bundle // nil for one that cannot be had
	broken  map[string]error
}

// early is what the database has and the checkpoint does not reach yet.
type early struct {
	span ledger.Span
	what string
	size int64 // of the log that would reach it, 0 where only its offsets tell
}

func newVerification(o *options, cfg config.Config, report *Report) (*verification, error) {
	trust, err := openTrust(o.key, o.witness, o.quorum, o.maxCosignatureAge)
	if err != nil {
		return nil, err
	}
	files, err := openFiles(o.ledger)
	if err != nil {
		return nil, err
	}
	v := &verification{options: o, report: report, now: time.Now, progress: &progressBar{}, evidence: o.evidence != "",
		db: cfg.ClickHouse.Database, chains: map[ledger.Key]*chain{}, announced: map[string]bool{}, unreceipted: map[uint64]ledger.Entry{},
		bundles: map[string]*bundle.Bundle{}, broken: map[string]error{},
		limits: decode.Limits{MaxBytes: int(cfg.Limits.MessageBytes), MaxDepth: cfg.Limits.Depth}}
	v.log = &evidenceLog{files: files, trust: trust, report: report}
	for _, f := range cfg.Sources() {
		v.feeds = append(v.feeds, pipeline.Feed{Name: f.Name, Adapter: f.Adapter, Scope: f.IdentityScope, Topic: f.Topic,
			HeaderKey: f.Header.Key, HeaderValue: f.Header.Value})
	}
	if v.kept, err = readState(o.state); err != nil {
		return nil, err
	}
	if v.builds, err = readBuilds(o.builds); err != nil {
		return nil, err
	}
	if o.whole || o.command == "alert" || o.command == "export" {
		v.kept.Done = Progress{}
	}
	v.opt, err = storeOptions(cfg.ClickHouse)
	return v, err
}

func storeOptions(c config.ClickHouse) (store.Options, error) {
	o := store.Options{Hosts: c.Hosts, Database: c.Database, User: c.Username, Password: c.Password.Reveal(), Replicated: c.Cluster != "", QueryTimeout: 10 * time.Minute}
	if !c.TLS.Enabled {
		return o, nil
	}
	o.TLS = &tls.Config{ServerName: c.TLS.ServerName, MinVersion: tls.VersionTLS12}
	if c.TLS.CAFile == "" {
		return o, nil
	}
	pem, err := os.ReadFile(c.TLS.CAFile)
	if err != nil {
		return o, err
	}
	o.TLS.RootCAs = x509.NewCertPool()
	if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return o, fmt.Errorf("%s has no certificate", c.TLS.CAFile)
	}
	return o, nil
}

// openLog checks the log. Where it is not good nothing else counts.
func (v *verification) openLog(ctx context.Context) (good bool, err error) {
	good, err = v.log.open(ctx, v.kept)
	if v.log.head != nil {
		v.report.Checkpoint, v.report.LogSize = string(v.log.head.text), v.log.head.size
	}
	if err != nil || !good {
		return false, err
	}
	v.log.trust.witnessed(v.log.head, v.now(), v.report)
	if v.kept.Size == 0 && v.options.state != "" {
		v.report.limit("This is the first checkpoint that you keep: that the log was not replaced before it cannot be shown.")
	}
	if v.options.state == "" {
		v.report.limit("No state is kept (--state): a log that is rolled back or written anew between runs goes unseen.")
	}
	v.resume(&v.kept.Done)
	v.follow(v.log.leaves)
	v.report.From, v.report.Partitions = v.log.from, len(v.chains)
	return true, nil
}

// resume takes up where an earlier run has ended.
func (v *verification) resume(p *Progress) {
	for i := range p.Chains {
		c := p.Chains[i].chain()
		v.chains[c.key] = c
	}
	for _, b := range p.Bundles {
		v.announced[b] = true
	}
	v.report.Builds = slices.Clone(p.Builds)
	v.sequences = newSequences(p.Feeds)
	if p.Size > 0 {
		v.report.limit("Leaves 0 to %d and their rows were checked by an earlier run; --whole checks them again.", p.Size-1)
	}
}

func (v *verification) connect(ctx context.Context) (err error) {
	if v.conn, err = store.Dial(v.opt); err != nil {
		return err
	}
	if v.store, err = store.New(v.opt); err != nil {
		return errors.Join(err, v.conn.Close())
	}
	return v.conn.Ping(ctx)
}

func (v *verification) close() error {
	if v.conn == nil {
		return nil
	}
	return errors.Join(v.conn.Close(), v.store.Close())
}

func (v *verification) dial(ctx context.Context) (*ch.Client, error) {
	return ch.Dial(ctx, ch.Options{Address: v.opt.Hosts[0], User: v.opt.User, Password: v.opt.Password, TLS: v.opt.TLS, ClientName: "borderwatch-verify",
		Compression: ch.CompressionLZ4})
}

// database checks everything that is stored: all of it, or the rows alone, or what judging comes to.
func (v *verification) database(ctx context.Context) error {
	if err := v.connect(ctx); err != nil {
		return err
	}
	steps := []func(context.Context) error{
		v.schema,
		func(ctx context.Context) error { return v.receipts(ctx, v.log.from) },
		func(ctx context.Context) error { return v.activations(ctx, v.log.from) },
		func(ctx context.Context) error { return v.notices(ctx, v.log.from) },
		v.census, v.rows, v.views,
	}
	if v.options.command == "alerts" {
		steps = []func(context.Context) error{steps[1], v.rows}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	v.sequences.tell(v.report, v.newest, v.options, v.now())
	return nil
}

// rows checks all batches of this run, several stretches at once.
func (v *verification) rows(ctx context.Context) error {
	work := make(chan *stretch)
	g, ctx := errgroup.WithContext(ctx)
	for range max(v.options.workers, 1) {
		g.Go(func() error {
			c, err := v.newChecker(ctx)
			if err != nil {
				return err
			}
			defer c.client.Close()
			for s := range work {
				if err := c.check(ctx, s); err != nil {
					return err
				}
				v.advance(s)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(work)
		for _, s := range v.stretches() {
			select {
			case work <- s:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

func (v *verification) advance(s *stretch) {
	v.report.mu.Lock()
	defer v.report.mu.Unlock()
	span := s.span()
	v.progress.add(span.Last - span.First + 1)
}

// stretches cuts the batches that are stored into pieces of about the same size.
func (v *verification) stretches() (out []*stretch) {
	for _, c := range v.sortedChains() {
		var s *stretch
		var size int64
		for _, e := range c.leaves {
			leaf, ok := e.Leaf.(ledger.Batch)
			if !ok || !v.receipted(e.Index) {
				s = nil
				continue
			}
			if s == nil || size+leaf.Events+leaf.Quarantined > stretchRows {
				s, size = &stretch{}, 0
				out = append(out, s)
			}
			s.leaves = append(s.leaves, e)
			size += leaf.Events + leaf.Quarantined
			v.progress.total += leaf.Last - leaf.First + 1
		}
	}
	return out
}

func (v *verification) receipted(index uint64) bool {
	_, missing := v.unreceipted[index]
	return !missing
}

func (v *verification) leafAt(index uint64) (ledger.Entry, bool) {
	at, ok := slices.BinarySearchFunc(v.log.leaves, index, func(e ledger.Entry, i uint64) int { return int(int64(e.Index) - int64(i)) })
	if !ok {
		return ledger.Entry{}, false
	}
	return v.log.leaves[at], true
}

// bundle fetches a bundle from the database, once, and checks it against its digest.
func (v *verification) bundle(ctx context.Context, digest string) (*bundle.Bundle, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if b, ok := v.bundles[digest]; ok {
		return b, v.broken[digest]
	}
	b, err := bundle.Fetch(ctx, v.store, digest)
	v.bundles[digest], v.broken[digest] = b, err
	return b, err
}

// fetched is the bundle of a digest that bundle was asked for, nil where it cannot be had.
func (v *verification) fetched(digest string) *bundle.Bundle {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.bundles[digest]
}

// keep stores the partner's state: a checkpoint that continues the one before always, the progress where nothing was found or
// the partner has said that he knows.
func (v *verification) keep() error {
	v.kept.keep(v.log.head)
	if len(v.report.Findings) == 0 || v.options.accept {
		p := &v.kept.Done
		if err := p.advance(&v.log.tree); err != nil {
			return err
		}
		p.Chains = p.Chains[:0]
		for _, c := range v.sortedChains() {
			p.Chains = append(p.Chains, c.state())
		}
		p.Bundles, p.Builds, p.Feeds = sortedKeys(v.announced), v.report.Builds, v.sequences.state()
	}
	return v.kept.save(v.options.state)
}
