package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

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

func TestMain(m *testing.M) {
	embedded.MaybeRunChild()
	embeddedtest.Main(m)
}

const (
	patience   = 120 * time.Second
	topic      = "access"
	partitions = 2
)

// rig is what a worker has stored: real pipeline, ledger and ClickHouse, with two bundles, dead letters, a gap, a feed that
// numbers its events and one that does not.
type rig struct {
	t        testing.TB
	server   *embeddedtest.ClickHouse
	conn     driver.Conn
	database string
	ledger   string // folder
	config   string // of the verifier
	bundle   string // folder
	client   *kgo.Client
	brokers  []string
	seq      int
	large    bool   // batches as large as in production
	first    string // copy of the log as it was in the middle of it all
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := emptyRig(t)
	r.history()
	return r
}

// emptyRig is broker and database without anything in them.
func emptyRig(t testing.TB) *rig {
	t.Helper()
	broker := embeddedtest.Broker(t, embedded.BrokerConfig{Topics: []embedded.Topic{{Name: topic, Partitions: partitions}}})
	r := &rig{t: t, server: embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Users: users()}), brokers: broker.Addrs(),
		ledger: embeddedtest.Dir(t), bundle: t.TempDir(), database: schema.Database}
	r.conn = r.server.Open(t, "default")
	r.must(schema.Migrate(t.Context(), r.conn, schema.Options{Layout: schema.Layout{Database: r.database}}))
	for name, files := range map[string]fs.FS{"packs": packs.Files, "example": examples.Files} {
		r.must(os.CopyFS(filepath.Join(r.bundle, name), files))
	}
	var err error
	r.client, err = kgo.NewClient(kgo.SeedBrokers(r.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	r.must(err)
	t.Cleanup(r.client.Close)
	r.config = r.writeConfig(r.database, verifyUser)
	return r
}

// The accounts of the verifier: that of the role, and one from which a row policy hides rows of a database.
const (
	verifyUser   = "bw_partner_verify"
	filteredUser = "filtered"
	filteredDB   = "filtered"
)

func users() []embedded.User {
	list := []embedded.User{{Name: embeddedtest.Admin, Password: embeddedtest.Password, Admin: true},
		{Name: filteredUser, Password: embeddedtest.Password, Grants: []string{"GRANT SELECT ON " + filteredDB + ".*"},
			Filters: []embedded.RowFilter{{Database: filteredDB, Table: "alert_rows", Condition: "severity < 'high'"}}}}
	for _, role := range schema.Roles(schema.Layout{}) {
		if role.Name == verifyUser {
			u := embedded.User{Name: verifyUser, Password: embeddedtest.Password, Settings: role.Settings, Constraints: map[string]embedded.Constraint{},
				Grants: append(role.Grants, "GRANT SELECT ON "+filteredDB+".*")}
			for name, limit := range role.Limits {
				u.Constraints[name] = embedded.Constraint{Min: limit.Min, Max: limit.Max, ReadOnly: limit.Fixed}
			}
			list = append(list, u)
		}
	}
	return list
}

func (r *rig) writeConfig(database, user string) string {
	file := filepath.Join(r.t.TempDir(), "verify.yaml")
	r.must(os.WriteFile(file, fmt.Appendf(nil, `clickhouse: {hosts: ["%s"], database: %s, username: %s, password: %s}
feeds: [{name: native, adapter: native, topic: %s}, {name: legacy, adapter: native, topic: %[5]s, header: {key: feed, value: legacy}}]
`, r.server.Addr(), database, user, embeddedtest.Password, topic), 0o600))
	return file
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// open opens the ledger and a bundle in force.
func (r *rig) open() (log *ledger.Log, archive *store.Store, bundles *bundle.Manager, shut func()) {
	r.t.Helper()
	log, err := ledger.Open(r.t.Context(), ledger.Options{Dir: r.ledger, Origin: "ledger.example", CheckpointInterval: 100 * time.Millisecond})
	r.must(err)
	shut = sync.OnceFunc(func() { r.must(errors.Join(log.Close(context.Background()), archive.Close())) })
	r.t.Cleanup(shut)
	build, err := ledger.ThisBuild("ingest/worker", time.Now())
	r.must(err)
	_, err = log.Append(r.t.Context(), build)
	r.must(err)
	archive, err = store.New(r.storeOptions())
	r.must(err)
	bundles = bundle.NewManager(bundle.Source{Dir: r.bundle}, archive, slog.New(slog.DiscardHandler))
	bundles.OnActivate = func(ctx context.Context, b *bundle.Bundle) error {
		_, err := log.Append(ctx, ledger.Activation{Bundle: b.Digest, Note: "test", Time: time.Now().UTC().Truncate(time.Millisecond)})
		return err
	}
	r.must(bundles.Start(r.t.Context()))
	return log, archive, bundles, shut
}

// history lets a worker store what the kinds of tampering are about.
func (r *rig) history() {
	r.t.Helper()
	log, archive, bundles, shut := r.open()
	r.produce(0, 90)
	r.produce(1, 120)
	r.work(log, archive, bundles)
	r.first = r.copyLog()
	r.touchRoster()
	r.must(bundles.Reload(r.t.Context()))
	r.produce(0, 60)
	r.produce(1, 90)
	r.work(log, archive, bundles)
	r.produceGone(0, 30)
	r.produce(0, 50)
	r.work(log, archive, bundles)
	shut()
}

func (r *rig) maxRows() int {
	if r.large {
		return 0 // the default
	}
	return 40
}

// touchRoster changes a file of the bundle without changing what it means.
func (r *rig) touchRoster() {
	r.must(filepath.WalkDir(r.bundle, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.Contains(filepath.Base(path), "roster") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, append(text, "\n# looked through\n"...), 0o600)
	}))
}

func (r *rig) storeOptions() store.Options {
	return store.Options{Hosts: []string{r.server.Addr()}, Database: r.database, User: embeddedtest.Admin, Password: embeddedtest.Password}
}

var (
	actors    = []string{"u-1042", "u-1061", "u-2040", "u-3011", "u-4711", "u-3001", "svc-feed", "u-0000"}
	addresses = []string{"192.0.2.1", "192.0.2.33", "192.0.2.130", "192.0.2.170", "192.0.2.230", "198.51.100.65", "203.0.113.9", "10.80.1.2"}
)

// produce writes native events; every tenth cannot be decoded, and every fifteenth is of the feed without numbers.
func (r *rig) produce(partition int32, n int) {
	r.t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = r.record(partition, i)
	}
	r.must(r.client.ProduceSync(r.t.Context(), records...).FirstErr())
}

func malformed(i int) bool { return i%10 == 7 }
func legacy(i int) bool    { return i%15 == 4 }

// numbered is how many of the next n records get a number.
func (r *rig) numbered(n int) (numbered int) {
	for i := range n {
		if !malformed(i) && !legacy(i) {
			numbered++
		}
	}
	return numbered
}

func (r *rig) record(partition int32, i int) *kgo.Record {
	record := &kgo.Record{Topic: topic, Partition: partition, Key: []byte(actors[i%len(actors)])}
	number, feed := "", "crm"
	switch {
	case malformed(i):
		record.Value = []byte(`{"schema":"bw/access/v1","event_id":"x"`)
		return record
	case legacy(i):
		record.Headers = []kgo.RecordHeader{{Key: "feed", Value: []byte("legacy")}, {Key: "empty"}}
		feed = "legacy"
	default:
		r.seq++
		number = fmt.Sprintf(`"seq":%d,`, r.seq)
	}
	record.Value = fmt.Appendf(nil, `{"schema":"bw/access/v1","event_id":"e-%d-%d-%d","time":%q,"source":{"feed":%q,%s"ip":%q},"actor":{"id":%q},`+
		`"action":"read","outcome":"success","data":{"dataset":"profiles","system":"warehouse","subject_regions":["%s"],"classes":["restricted"],"categories":["%s"]}}`,
		partition, r.seq, i, time.Now().UTC().Format(time.RFC3339), feed, number, addresses[i%len(addresses)], actors[i/3%len(actors)], [...]string{"EU", "US"}[i%2], [...]string{"health", "financial"}[i/2%2])
	return record
}

// produceGone writes records that Kafka deletes before anybody has read them.
func (r *rig) produceGone(partition int32, n int) {
	r.t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Value: []byte(`{"schema":"bw/access/v1"`)}
	}
	r.must(r.client.ProduceSync(r.t.Context(), records...).FirstErr())
	var until kadm.Offsets
	until.Add(kadm.Offset{Topic: topic, Partition: partition, At: records[n-1].Offset + 1})
	answer, err := kadm.NewClient(r.client).DeleteRecords(r.t.Context(), until)
	r.must(errors.Join(err, answer.Error()))
}

// work runs a worker until everything that is there is stored.
func (r *rig) work(log *ledger.Log, archive *store.Store, bundles *bundle.Manager) {
	r.t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: r.brokers})
	r.must(err)
	defer client.Close()
	group, err := client.NewGroup(kafka.GroupConfig{ID: "bw", Topics: []string{topic}, SessionTimeout: 6 * time.Second, HeartbeatInterval: 500 * time.Millisecond})
	r.must(err)
	w, err := pipeline.New(pipeline.Config{Instance: "worker", Topics: []string{topic}, MaxRows: r.maxRows(), Linger: 20 * time.Millisecond, Feeds: []pipeline.Feed{
		{Name: "native", Adapter: "native", Topic: topic}, {Name: "legacy", Adapter: "native", Topic: topic, HeaderKey: "feed", HeaderValue: "legacy"}},
		Fetch: kafka.FetchConfig{MaxWait: 20 * time.Millisecond}},
		pipeline.Parts{Client: client, Group: group, Ledger: log, Store: archive, Bundles: bundles,
			Metrics: pipeline.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler)})
	r.must(err)
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	ends, err := kadm.NewClient(r.client).ListEndOffsets(r.t.Context(), topic)
	r.must(err)
	deadline := time.Now().Add(patience)
	for behind := true; behind; <-time.After(5 * time.Millisecond) {
		behind = false
		stored := w.Progress().Stored(topic)
		ends.Each(func(o kadm.ListedOffset) { behind = behind || stored[o.Partition] < o.Offset })
		if halts := w.Progress().Halts(); len(halts) > 0 || time.Now().After(deadline) {
			r.t.Fatalf("stored %v of %v, stopped: %v", stored, ends, halts)
		}
	}
	cancel()
	r.must(<-ended)
}

// copyLog copies the public files of the log, once they are signed.
func (r *rig) copyLog() string {
	dir := filepath.Join(r.t.TempDir(), "tlog")
	r.must(os.CopyFS(dir, os.DirFS(filepath.Join(r.ledger, "tlog"))))
	return dir
}

func (r *rig) tlog() string { return filepath.Join(r.ledger, "tlog") }
func (r *rig) key() string  { return filepath.Join(r.ledger, "verifier.pub") }

// verify runs the program.
func (r *rig) verify(t testing.TB, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, nil, &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

// all are the flags of an ordinary run.
func (r *rig) all(more ...string) []string {
	return append([]string{"--config", r.config, "--ledger", r.tlog(), "--key", r.key(), "--wait", "0s", "--settled-after", "0s"}, more...)
}
