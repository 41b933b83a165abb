package embedded

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/sync/errgroup"
)

// kafkaPoll is the pause between two looks whether a broker serves; each look
// costs a connection that may be refused.
const kafkaPoll = 100 * time.Millisecond

// KafkaConfig describes a real Apache Kafka for tests, in KRaft mode.
type KafkaConfig struct {
	Dir     string // data and logs; required
	Brokers int    // default 1; see Kafka for what each takes
	Topics  []Topic
	// Credentials turn on SASL for clients; every account may do everything.
	Credentials []Credential
	TLS         *KeyPair // nil is plain text
	// Progress receives the progress of the first download; default os.Stderr.
	Progress io.Writer
}

// Kafka is a running cluster of Apache Kafka on 127.0.0.1. Its processes end
// with this one. It serves one goroutine at a time.
type Kafka struct {
	cfg       KafkaConfig
	libs      string
	clusterID string
	nodes     []*node
}

// StartKafka starts a new cluster, which takes about 5 s once its jars are there,
// and returns when every broker serves and the topics exist. KafkaAvailable says
// beforehand whether it can work. Stop ends it.
func StartKafka(ctx context.Context, cfg KafkaConfig) (*Kafka, error) {
	k, err := newKafka(cfg)
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	if k.libs, err = kafkaLibs(ctx, k.cfg.Progress); err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := k.bootstrap(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return nil, fmt.Errorf("start Kafka: %w", errors.Join(err, k.Stop(stop)))
	}
	return k, nil
}

func newKafka(cfg KafkaConfig) (*Kafka, error) {
	if cfg.Dir == "" {
		return nil, errors.New("no directory for its data")
	}
	for _, c := range cfg.Credentials {
		if err := c.validate(); err != nil {
			return nil, err
		}
	}
	cfg.Brokers = max(1, cfg.Brokers)
	if cfg.Progress == nil {
		cfg.Progress = os.Stderr
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	id[0] &= 0x7f // ids that begin with '-' would be options to Kafka's tools
	ports, err := choosePorts(2*cfg.Brokers, "Kafka")
	if err != nil {
		return nil, err
	}
	k := &Kafka{cfg: cfg, clusterID: base64.RawURLEncoding.EncodeToString(id[:])}
	for i := range cfg.Brokers {
		k.nodes = append(k.nodes, &node{
			id: i + 1, dir: filepath.Join(cfg.Dir, fmt.Sprintf("broker%d", i+1)), port: ports[2*i], controller: ports[2*i+1],
		})
	}
	return k, nil
}

// bootstrap formats and starts all nodes and creates the topics.
func (k *Kafka) bootstrap(ctx context.Context) error {
	var g errgroup.Group
	for _, n := range k.nodes {
		g.Go(func() error {
			if err := k.writeProperties(n); err != nil {
				return err
			}
			return k.format(ctx, n)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, n := range k.nodes {
		if err := k.launch(n); err != nil {
			return err
		}
	}
	for _, n := range k.nodes {
		if err := k.awaitReady(ctx, n); err != nil {
			return err
		}
	}
	return k.createTopics(ctx)
}

func (k *Kafka) java(args ...string) []string {
	return append([]string{"java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(k.libs, "*")}, args...)
}

func (k *Kafka) format(ctx context.Context, n *node) error {
	argv := k.java(append([]string{"kafka.tools.StorageTool"}, k.formatArgs(n)...)...)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("format the data directory: %w: %s", err, lastLines(string(out), 3))
	}
	return nil
}

func (k *Kafka) launch(n *node) error {
	argv := k.java("kafka.Kafka", filepath.Join(n.dir, "server.properties"))
	proc, err := startChild(filepath.Join(n.dir, "kafka.log"), kindGuard, argv...)
	if err != nil {
		return err
	}
	n.proc = proc
	return nil
}

// awaitReady polls until the node answers as a member of the cluster. The
// client is new each time: one that saw no broker waits longer and longer.
func (k *Kafka) awaitReady(ctx context.Context, n *node) error {
	tick := time.NewTicker(kafkaPoll)
	defer tick.Stop()
	for {
		err := k.probe(ctx, n)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("broker %d: %w (last: %w), see %s", n.id, context.Cause(ctx), err, n.proc.log)
		case <-n.proc.done:
			return fmt.Errorf("broker %d: %w", n.id, n.proc.exited())
		case <-tick.C:
		}
	}
}

func (k *Kafka) probe(ctx context.Context, n *node) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	client, err := k.client(n.addr())
	if err != nil {
		return err
	}
	defer client.Close()
	meta, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	for _, b := range meta.Brokers {
		if int(b.NodeID) == n.id {
			return nil
		}
	}
	return errors.New("not a member of the cluster yet")
}

func (k *Kafka) client(addrs ...string) (*kgo.Client, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(addrs...), kgo.RetryTimeout(5 * time.Second)}
	if k.cfg.TLS != nil {
		conf, err := k.cfg.TLS.ClientTLS()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	if len(k.cfg.Credentials) > 0 {
		opts = append(opts, saslOption(k.cfg.Credentials[0]))
	}
	return kgo.NewClient(opts...)
}

func saslOption(c Credential) kgo.Opt {
	switch c.Mechanism {
	case ScramSHA256:
		return kgo.SASL(scram.Auth{User: c.User, Pass: c.Password}.AsSha256Mechanism())
	case ScramSHA512:
		return kgo.SASL(scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism())
	}
	return kgo.SASL(plain.Auth{User: c.User, Pass: c.Password}.AsMechanism())
}

func (k *Kafka) createTopics(ctx context.Context) error {
	if len(k.cfg.Topics) == 0 {
		return nil
	}
	client, err := k.client(k.Addrs()...)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for _, t := range k.cfg.Topics {
		configs := make(map[string]*string, len(t.Configs))
		for name, value := range t.Configs {
			configs[name] = &value
		}
		if _, err := admin.CreateTopic(ctx, max(1, t.Partitions), int16(min(3, len(k.nodes))), configs, t.Name); err != nil {
			return fmt.Errorf("create topic %s: %w", t.Name, err)
		}
	}
	for _, n := range k.nodes {
		if err := k.awaitTopics(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// awaitTopics waits until a node, which learns of new topics a moment after the
// controller, knows a leader for every partition.
func (k *Kafka) awaitTopics(ctx context.Context, n *node) error {
	client, err := k.client(n.addr())
	if err != nil {
		return err
	}
	defer client.Close()
	tick := time.NewTicker(kafkaPoll)
	defer tick.Stop()
	for !k.knowsTopics(ctx, client) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("broker %d does not know the new topics: %w", n.id, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

func (k *Kafka) knowsTopics(ctx context.Context, client *kgo.Client) bool {
	request := kmsg.NewPtrMetadataRequest()
	for _, t := range k.cfg.Topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(t.Name)
		request.Topics = append(request.Topics, topic)
	}
	// By the seed alone: a client's other requests go to any broker it knows.
	response, err := client.SeedBrokers()[0].Request(ctx, request)
	if err != nil {
		return false
	}
	for _, t := range response.(*kmsg.MetadataResponse).Topics {
		if t.ErrorCode != 0 {
			return false
		}
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || p.Leader < 0 {
				return false
			}
		}
	}
	return true
}

// Addrs returns host:port of every broker, the stopped ones too.
func (k *Kafka) Addrs() []string {
	addrs := make([]string, len(k.nodes))
	for i, n := range k.nodes {
		addrs[i] = n.addr()
	}
	return addrs
}

// ClusterID returns the id that clients see in metadata.
func (k *Kafka) ClusterID() string { return k.clusterID }

// Log returns the path of what broker i, from 0, printed since its last start.
func (k *Kafka) Log(i int) string { return filepath.Join(k.nodes[i].dir, "kafka.log") }

// StopBroker shuts down broker i, from 0: it hands its partitions over first.
func (k *Kafka) StopBroker(ctx context.Context, i int) error {
	n := k.nodes[i]
	if n.proc == nil {
		return nil
	}
	err := n.proc.stop(ctx)
	n.proc = nil
	return err
}

// KillBroker ends broker i, from 0, as kill -9 does.
func (k *Kafka) KillBroker(i int) {
	n := k.nodes[i]
	if n.proc == nil {
		return
	}
	_, _ = io.WriteString(n.proc.stdin, guardKill+"\n")
	<-n.proc.done
	n.proc = nil
}

// StartBroker starts broker i, from 0, on its old port and data, and returns when
// it serves.
func (k *Kafka) StartBroker(ctx context.Context, i int) error {
	n := k.nodes[i]
	if n.proc != nil {
		return fmt.Errorf("broker %d runs already", n.id)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := k.launch(n); err != nil {
		return err
	}
	return k.awaitReady(ctx, n)
}

// Stop ends all brokers.
func (k *Kafka) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	errs := make([]error, len(k.nodes))
	var g errgroup.Group
	for i := range k.nodes {
		g.Go(func() error { errs[i] = k.StopBroker(ctx, i); return nil })
	}
	_ = g.Wait()
	return errors.Join(errs...)
}
