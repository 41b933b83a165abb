package pipeline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"borderwatch/consumers/bundle"
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
	Death            death
}

// death is a point at which a worker process kills itself, as kill -9 does. The zero value is none.
type death struct {
	Step  string
	After bool  // it has taken effect
	N     int64 // attempt of the step, from 1
}

func (d death) String() string {
	return fmt.Sprintf("kill %s %s (%d)", map[bool]string{false: "before", true: "after"}[d.After], d.Step, d.N)
}

// around kills the process at the point.
func (d death) around() around {
	var seen atomic.Int64
	return func(ctx context.Context, step string, run func(context.Context) error) error {
		if step != d.Step || seen.Add(1) != d.N {
			return run(ctx)
		}
		if d.After {
			if err := run(ctx); err != nil {
				seen.Add(-1) // it has not taken effect
				return err
			}
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
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
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("pid", os.Getpid())
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
	rows, err := store.New(store.Options{Hosts: []string{c.ClickHouse}, Database: c.Database, User: embeddedtest.Admin, Password: embeddedtest.Password,
		Around: c.Death.around()})
	if err != nil {
		return err
	}
	remote, err := ledger.NewClient(c.Ledger, ledger.ClientOptions{Token: c.Token})
	if err != nil {
		return err
	}
	bundles := bundle.NewManager(bundle.Source{Dir: c.BundleDir}, rows, log)
	if err := bundles.Start(ctx); err != nil {
		return err
	}
	w, err := pipeline.New(pipeline.Config{
		Instance: fmt.Sprint("process ", os.Getpid()), Topics: []string{c.Topic}, DeadLetterTopic: c.Letters, MaxRows: 40, Linger: 20 * time.Millisecond,
		Feeds: []pipeline.Feed{{Name: "native", Adapter: "native", Topic: c.Topic}}, Fetch: kafka.FetchConfig{MaxWait: 20 * time.Millisecond},
	}, pipeline.Parts{Client: client, Group: group, Letters: letters, Ledger: remote, Store: rows, Bundles: bundles,
		Metrics: pipeline.NewMetrics(prometheus.NewRegistry()), Log: log, Around: c.Death.around()})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// serveLedger offers the rig's ledger to other processes until shut, or the test's end.
func (r *rig) serveLedger(t testing.TB) (address, token string, shut func() error) {
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
	shut = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := shut(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String(), token, shut
}

// processes starts worker processes of a lane.
type processes struct {
	*lane
	config childConfig
}

func (l *lane) processes() *processes {
	l.t.Helper()
	address, token, _ := l.rig.serveLedger(l.t)
	return &processes{l, childConfig{
		Brokers: l.rig.brokers, Topic: l.topic, Letters: l.letters, Group: l.group, ClickHouse: l.rig.address, Database: l.rig.database,
		Ledger: address, Token: token, BundleDir: l.rig.bundleDir, SessionMillis: 6000, HeartbeatsMillis: 500,
	}}
}

// process is a running worker process.
type process struct {
	lane   *lane
	cmd    *exec.Cmd
	member string
	ended  chan struct{}
}

// start starts a worker process that dies at a point, and waits until it has joined the group or died.
func (p *processes) start(d death) *process {
	p.t.Helper()
	c := p.config
	c.Death = d
	text, err := json.Marshal(c)
	if err != nil {
		p.t.Fatal(err)
	}
	before := p.members()
	child := &process{lane: p.lane, cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	child.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	child.cmd.Stdout, child.cmd.Stderr = p.log, p.log
	if err := child.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = child.cmd.Wait()
		close(child.ended)
	}()
	p.t.Cleanup(child.kill)
	eventually(p.t, "the worker process joins", func() bool {
		for _, id := range p.members() {
			if !slices.Contains(before, id) {
				child.member = id
				return true
			}
		}
		return child.dead()
	})
	return child
}

func (c *process) dead() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// kill is kill -9. It may be called again.
func (c *process) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// signal stops or continues the process.
func (c *process) signal(s syscall.Signal) {
	c.lane.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.lane.t.Fatal(err)
	}
}

// killed waits until the process has killed itself. It fails the test where it ended otherwise.
func (c *process) killed() {
	c.lane.t.Helper()
	eventually(c.lane.t, "the worker process reaches the point at which it dies", c.dead)
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		c.lane.t.Fatalf("the worker process ended by itself: %v", c.cmd.ProcessState)
	}
}

// members are the ids of the group's members, once they have been assigned something.
func (l *lane) members() (ids []string) {
	l.t.Helper()
	state, ids := l.describe()
	if state != "Stable" {
		return nil // nobody has joined, or a rebalance is going on
	}
	return ids
}

// describe returns the state of the group and the ids of its members, those that wait for a rebalance too.
func (l *lane) describe() (state string, ids []string) {
	l.t.Helper()
	l.ask("members of the group", func(ctx context.Context) error {
		ids = nil
		groups, err := l.admin.DescribeGroups(ctx, l.group)
		if err != nil {
			return err
		}
		state = groups[l.group].State
		for _, m := range groups[l.group].Members {
			ids = append(ids, m.MemberID)
		}
		return nil
	})
	return state, ids
}

// evictAll empties a group whose members are all dead. One may have died while it joined, after a thaw for example: the
// broker in this process never times such a member out.
func (l *lane) evictAll() {
	l.t.Helper()
	eventually(l.t, "the group is empty", func() bool {
		_, ids := l.describe()
		l.evict(ids...)
		return len(ids) == 0
	})
}

// evict ends the sessions of members that are dead or frozen now, as the coordinator does when they time out.
func (l *lane) evict(ids ...string) {
	l.t.Helper()
	if len(ids) == 0 {
		return
	}
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group = l.group
	for _, id := range ids {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = id
		request.Members = append(request.Members, member)
	}
	l.ask("evict members", func(ctx context.Context) error {
		_, err := request.RequestWith(ctx, l.other)
		return err
	})
}
