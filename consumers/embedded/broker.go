package embedded

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/twmb/franz-go/pkg/kfake"
)

// retentionInterval is how often a broker drops what is over its limits.
const retentionInterval = time.Minute

// Topic is a topic that a broker creates at start unless it is there.
type Topic struct {
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"` // default 1
	Configs    map[string]string `json:"configs"`    // "retention.ms": "3600000"
}

// BrokerConfig describes an embedded broker. It can be written as JSON, which
// is how it reaches a broker in its own process.
type BrokerConfig struct {
	// Dir holds the data; empty keeps them in memory only.
	Dir string `json:"dir"`
	// Ports has one port for each node, 0 for a free one; default one node.
	Ports  []int   `json:"ports"`
	Topics []Topic `json:"topics"`
	// SyncWrites makes every acknowledged record survive a power loss, at the
	// price of an fsync for each batch. Without it records survive kill -9.
	SyncWrites bool `json:"sync_writes"`
	// RetentionBytes bounds each partition; 0 keeps everything. What is over
	// goes within a minute, read or not: a consumer that is further behind sees
	// a gap.
	RetentionBytes int64 `json:"retention_bytes"`
	// Credentials turn on SASL; every account may do everything.
	Credentials []Credential `json:"credentials"`
	TLS         *KeyPair     `json:"tls"` // nil is plain text
	// OwnProcess runs the broker in a child, so that it shares neither heap nor
	// garbage collector with what is measured.
	OwnProcess bool `json:"own_process"`
}

// Broker speaks the Kafka protocol on 127.0.0.1. Record batches lie in files;
// memory holds about 100 bytes for each batch. It has no replication.
type Broker struct {
	cfg BrokerConfig

	mu      sync.Mutex
	lock    *flock.Flock
	cluster *kfake.Cluster // in this process
	proc    *process       // or in its own
	scratch string         // the child's folder where there is no Dir
	addrs   []string
	quit    chan struct{}
}

// NewBroker returns a broker that is not started.
func NewBroker(cfg BrokerConfig) *Broker { return &Broker{cfg: cfg} }

// Start serves; when it returns the topics exist. A data directory of an earlier
// run is continued, with its cluster id, groups and committed offsets. Errors:
// *DirInUseError, *PortInUseError, *DiskFullError.
func (b *Broker) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.addrs != nil {
		return errors.New("broker is started already")
	}
	if err := b.start(ctx); err != nil {
		return fmt.Errorf("start broker: %w", errors.Join(err, b.release()))
	}
	return nil
}

func (b *Broker) start(ctx context.Context) error {
	if err := b.prepare(); err != nil {
		return err
	}
	if b.cfg.OwnProcess {
		return b.spawn(ctx)
	}
	cluster, err := newCluster(b.cfg)
	if err != nil {
		return err
	}
	b.cluster, b.addrs = cluster, cluster.ListenAddrs()
	if b.cfg.RetentionBytes > 0 {
		b.quit = make(chan struct{})
		go applyRetention(cluster, b.quit)
	}
	return nil
}

// prepare checks the configuration, fixes the ports and takes the directory.
func (b *Broker) prepare() error {
	for _, c := range b.cfg.Credentials {
		if err := c.validate(); err != nil {
			return err
		}
	}
	ports := []int{0}
	if len(b.cfg.Ports) > 0 {
		ports = append([]int(nil), b.cfg.Ports...)
	}
	for i, port := range ports {
		free, err := choosePort(port, "broker")
		if err != nil {
			return err
		}
		ports[i] = free
	}
	b.cfg.Ports = ports
	if b.cfg.Dir == "" {
		return nil
	}
	dir, err := filepath.Abs(b.cfg.Dir)
	if err != nil {
		return err
	}
	lock, err := lockDir(dir, "broker")
	if err != nil {
		return err
	}
	b.cfg.Dir, b.lock = dir, lock
	return requireFree(dir, minFree)
}

func newCluster(cfg BrokerConfig) (*kfake.Cluster, error) {
	opts, err := clusterOptions(cfg)
	if err != nil {
		return nil, err
	}
	cluster, err := kfake.NewCluster(opts...)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &PortInUseError{Port: cfg.Ports[0], What: "broker"}
	}
	if err != nil {
		return nil, err
	}
	for _, t := range cfg.Topics {
		if cluster.TopicInfo(t.Name) != nil {
			continue
		}
		if err := cluster.CreateTopic(t.Name, max(1, t.Partitions), cfg.topicConfigs(t)); err != nil {
			cluster.Close()
			return nil, fmt.Errorf("create topic %s: %w", t.Name, err)
		}
	}
	return cluster, nil
}

func (cfg BrokerConfig) topicConfigs(t Topic) map[string]string {
	configs := make(map[string]string, len(t.Configs)+1)
	if cfg.RetentionBytes > 0 {
		configs["retention.bytes"] = strconv.FormatInt(cfg.RetentionBytes, 10)
	}
	for k, v := range t.Configs {
		configs[k] = v
	}
	return configs
}

func clusterOptions(cfg BrokerConfig) ([]kfake.Opt, error) {
	opts := []kfake.Opt{
		kfake.Ports(cfg.Ports...),
		kfake.ClusterID(rand.Text()), // a data directory of an earlier run has its own, which wins
	}
	if cfg.Dir != "" {
		data := filepath.Join(cfg.Dir, "data")
		opts = append(opts, kfake.DataDir(data))
		// Accounts come from the configuration; those stored last time would win.
		if err := os.Remove(filepath.Join(data, "sasl.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if cfg.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	if len(cfg.Credentials) > 0 {
		opts = append(opts, kfake.EnableSASL())
	}
	for _, c := range cfg.Credentials {
		opts = append(opts, kfake.Superuser(c.Mechanism, c.User, c.Password))
	}
	if cfg.TLS != nil {
		server, err := cfg.TLS.serverTLS()
		if err != nil {
			return nil, fmt.Errorf("broker certificate: %w", err)
		}
		opts = append(opts, kfake.TLS(server))
	}
	return opts, nil
}

func applyRetention(c *kfake.Cluster, quit <-chan struct{}) {
	tick := time.NewTicker(retentionInterval)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
			c.ApplyRetention()
		}
	}
}

// Run starts the broker if Start was not called, serves until ctx ends and stops.
// It fails when a broker in its own process dies.
func (b *Broker) Run(ctx context.Context) error {
	if b.Addrs() == nil {
		if err := b.Start(ctx); err != nil {
			return err
		}
	}
	b.mu.Lock()
	proc := b.proc
	b.mu.Unlock()
	var died <-chan struct{}
	if proc != nil {
		died = proc.done
	}
	select {
	case <-ctx.Done():
	case <-died:
		return fmt.Errorf("broker: %w", errors.Join(proc.exited(), b.Stop(ctx)))
	}
	return b.Stop(context.WithoutCancel(ctx))
}

// Stop writes what is in memory, closes all connections and returns.
func (b *Broker) Stop(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	if b.quit != nil {
		close(b.quit)
	}
	if b.cluster != nil {
		b.cluster.Close()
	}
	if b.proc != nil {
		stop, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		err = b.proc.stop(stop)
	}
	return errors.Join(err, b.release())
}

func (b *Broker) release() error {
	var err error
	if b.scratch != "" {
		err = os.RemoveAll(b.scratch)
	}
	if b.lock != nil {
		err = errors.Join(err, b.lock.Unlock())
	}
	b.cluster, b.proc, b.addrs, b.quit, b.lock, b.scratch = nil, nil, nil, nil, nil, ""
	return err
}

// Kill ends a broker in its own process as kill -9 does; Start goes on from
// there after Stop. It does nothing to a broker in this process.
func (b *Broker) Kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc != nil {
		b.proc.kill()
	}
}

// Addrs returns host:port of every node, nil while the broker is stopped.
func (b *Broker) Addrs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addrs
}

// Cluster returns the broker's own interface for faults and control functions,
// nil when it is stopped or in its own process.
func (b *Broker) Cluster() *kfake.Cluster {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cluster
}

// PID returns the process id of a broker in its own process, 0 otherwise.
func (b *Broker) PID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		return 0
	}
	return b.proc.cmd.Process.Pid
}

func readBrokerConfig(name string) (cfg BrokerConfig, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return cfg, err
	}
	if err := json.Unmarshal(b, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", name, err)
	}
	return cfg, nil
}
