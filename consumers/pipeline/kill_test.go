package pipeline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
)

// childEnv makes the test binary a worker process; its value is the childConfig.
const childEnv = "BORDERWATCH_PIPELINE_CHILD"

// childConfig is what a worker process needs to know.
type childConfig struct {
	Brokers          []string
	Topic, Letters   string
	Group            string
	ClickHouse       string
	Database         string
	Ledger, Token    string
	BundleDir        string
	SessionMillis    int
	HeartbeatsMillis int
}

// runChild is a worker process: it works until it is killed.
func runChild(text string) int {
	var c childConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := c.work(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "worker process:", err)
		return 1
	}
	return 0
}

func (c *childConfig) work(ctx context.Context) error {
	client, err := kafka.New(kafka.Config{Brokers: c.Brokers})
	if err != nil {
		return err
	}
	group, err := client.NewGroup(kafka.GroupConfig{ID: c.Group, Topics: []string{c.Topic}, Backoff: 50 * time.Millisecond,
		SessionTimeout: time.Duration(c.SessionMillis) * time.Millisecond, HeartbeatInterval: time.Duration(c.HeartbeatsMillis) * time.Millisecond})
	if err != nil {
		return err
	}
	letters, err := client.NewProducer(kafka.ProducerConfig{})
	if err != nil {
		return err
	}
	rows, err := store.New(store.Options{Hosts: []string{c.ClickHouse}, Database: c.Database, User: embeddedtest.Admin, Password: embeddedtest.Password})
	if err != nil {
		return err
	}
	remote, err := ledger.NewClient(c.Ledger, ledger.ClientOptions{Token: c.Token})
	if err != nil {
		return err
	}
	bundles := bundle.NewManager(bundle.Source{Dir: c.BundleDir}, rows, quiet())
	if err := bundles.Start(ctx); err != nil {
		return err
	}
	w, err := pipeline.New(pipeline.Config{
		Instance: "child", Topics: []string{c.Topic}, DeadLetterTopic: c.Letters, MaxRows: 40, Linger: 20 * time.Millisecond,
		Feeds: []pipeline.Feed{{Name: "native", Adapter: "native", Topic: c.Topic}}, Fetch: kafka.FetchConfig{MaxWait: 20 * time.Millisecond},
	}, pipeline.Parts{Client: client, Group: group, Letters: letters, Ledger: remote, Store: rows, Bundles: bundles,
		Metrics: pipeline.NewMetrics(prometheus.NewRegistry()), Log: quiet()})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// serveLedger offers the rig's ledger to other processes.
func (r *rig) serveLedger(t *testing.T) (address, token string) {
	t.Helper()
	token = unique("token")
	server, err := ledger.NewServer(r.ledger, ledger.ServerOptions{Tokens: []string{token}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String(), token
}

// killed runs worker processes on a lane, one after the other, and kills each at a random point while records arrive.
func (l *lane) killed(t *testing.T, kills int) {
	t.Helper()
	random := random(t)
	address, token := l.rig.serveLedger(t)
	config, err := json.Marshal(childConfig{
		Brokers: l.rig.brokers, Topic: l.topic, Letters: l.letters, Group: l.group, ClickHouse: l.rig.address, Database: l.rig.database,
		Ledger: address, Token: token, BundleDir: l.rig.bundleDir, SessionMillis: 6000, HeartbeatsMillis: 500,
	})
	if err != nil {
		t.Fatal(err)
	}
	unfinished := 0
	for range kills {
		kill := l.child(string(config))
		for range 1 + random.IntN(6) {
			l.produce(traffic(60, len(l.ends()))...)
		}
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond) // the random point itself
		kill()
		l.evict()
		if l.unfinished() {
			unfinished++
		}
	}
	t.Logf("%d of %d workers died with a leaf in the ledger and no receipt", unfinished, kills)
}

// child starts a worker process, waits until it has been assigned something, and returns what kills it.
func (l *lane) child(config string) (kill func()) {
	l.t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+config)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		l.t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	l.t.Cleanup(kill)
	eventually(l.t, "the worker process joins", func() bool { return len(l.members()) > 0 })
	return kill
}

// members are the ids of the group's members that have been assigned something.
func (l *lane) members() (ids []string) {
	l.t.Helper()
	groups, err := l.admin.DescribeGroups(l.t.Context(), l.group)
	if err != nil || groups[l.group].State != "Stable" {
		return nil // nobody has joined, or the coordinator is still starting
	}
	for _, m := range groups[l.group].Members {
		ids = append(ids, m.MemberID)
	}
	return ids
}

// evict ends the sessions of dead members now, as the coordinator does when they time out.
func (l *lane) evict() {
	l.t.Helper()
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group = l.group
	for _, id := range l.members() {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = id
		request.Members = append(request.Members, member)
	}
	if len(request.Members) == 0 {
		return
	}
	if _, err := request.RequestWith(l.t.Context(), l.other); err != nil {
		l.t.Fatal(err)
	}
}

// unfinished reports whether a partition has more leaves than receipts.
func (l *lane) unfinished() bool {
	l.t.Helper()
	leaves := 0
	for entry, err := range l.leaves() {
		if err != nil {
			l.t.Fatal(err)
		}
		if _, ok := entry.Leaf.(ledger.Batch); ok {
			leaves++
		}
	}
	return uint64(leaves) > l.scalar("SELECT count() FROM %[1]s.batches WHERE topic = $1", l.topic)
}

// leaves are those of all partitions of the lane's topic.
func (l *lane) leaves() iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		client, err := kafka.New(kafka.Config{Brokers: l.rig.brokers})
		if err != nil {
			yield(ledger.Entry{}, err)
			return
		}
		defer client.Close()
		source := l.source(&worker{client: client}, l.topic)
		for partition := range l.ends() {
			for entry, err := range l.rig.ledger.Leaves(l.t.Context(), ledger.Key{Source: source, Topic: l.topic, Partition: partition}, 0) {
				if !yield(entry, err) {
					return
				}
			}
		}
	}
}

// TestKill kills worker processes at random points and counts afterwards.
func TestKill(t *testing.T) {
	t.Parallel()
	if os.Getenv(runsEnv) == "" {
		t.Skipf("NOT RUN: it is not steady yet on a busy machine; %s=N runs it", runsEnv)
	}
	r := newRig(t)
	l := r.lane(t, 2, nil)
	l.killed(t, runs(t, 8))
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	t.Logf("%d records, %v takeovers by the last worker", len(l.manifest), w.metric("takeover_batches_total"))
}

// TestApacheKafka delivers from the real broker, kills and restarts that, and adds transactions, of which some are aborted.
func TestApacheKafka(t *testing.T) {
	t.Parallel()
	if os.Getenv(runsEnv) == "" {
		t.Skipf("NOT RUN: it is not steady yet on a busy machine; %s=N runs it", runsEnv)
	}
	broker := embeddedtest.Kafka(t, embedded.KafkaConfig{})
	r := rigOn(t, broker.Addrs())
	l := r.lane(t, 2, nil)
	l.produce(traffic(400, 2)...)
	l.transactions(40)
	w := l.start(parts{})
	l.caughtUp(w)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	broker.KillBroker(0)
	if err := broker.StartBroker(ctx, 0); err != nil {
		t.Fatal(err)
	}
	l.produce(traffic(100, 2)...)
	l.caughtUp(w)
	l.check(w)
	if w.metric("kafka_control_offsets_total") == 0 || w.metric("kafka_aborted_offsets_total") == 0 {
		t.Error("no control records or aborted records were met")
	}
}

// transactions produces in transactions of ten and aborts every third, whose records must not show.
func (l *lane) transactions(n int) {
	l.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(l.rig.brokers...), kgo.TransactionalID(unique("tx")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	for tx := range n / 10 {
		if err := client.BeginTransaction(); err != nil {
			l.t.Fatal(err)
		}
		messages, records := traffic(10, 2), make([]*kgo.Record, 10)
		for i, m := range messages {
			records[i] = &kgo.Record{Topic: l.topic, Partition: m.partition, Key: m.key, Value: m.value, Headers: m.headers}
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			l.t.Fatal(err)
		}
		commit := kgo.TransactionEndTry(tx%3 != 1)
		if err := client.EndTransaction(ctx, commit); err != nil {
			l.t.Fatal(err)
		}
		for i := range messages {
			if commit == kgo.TryCommit {
				l.enter(messages[i], records[i])
			}
		}
	}
}
