package embedded_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
)

const topic = "access-events"

var topics = []embedded.Topic{{Name: topic, Partitions: 3}}

// access is how a client reaches a broker.
type access struct {
	addrs []string
	tls   *tls.Config
	sasl  sasl.Mechanism
}

// produce writes n messages whose values are numbers from first.
func (a access) produce(t *testing.T, first, n int) {
	t.Helper()
	w := &kafka.Writer{
		Addr: kafka.TCP(a.addrs...), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond,
		MaxAttempts: 30, Compression: kafka.Zstd, Balancer: &kafka.RoundRobin{},
		Transport: &kafka.Transport{TLS: a.tls, SASL: a.sasl},
	}
	defer w.Close()
	var messages []kafka.Message
	for i := range n {
		messages = append(messages, kafka.Message{
			Value: fmt.Append(nil, first+i), Headers: []kafka.Header{{Key: "h", Value: []byte("v")}},
		})
	}
	if err := w.WriteMessages(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
}

// consume reads n messages as a member of group, commits them and checks that
// they are the numbers from first, each once.
func (a access) consume(t *testing.T, group string, first, n int) {
	t.Helper()
	if doubled := a.consumeDistinct(t, group, first, n); doubled > 0 {
		t.Errorf("%d messages came twice", doubled)
	}
}

// consumeDistinct is consume for a topic whose producer may have repeated
// itself; it returns how many messages came again.
func (a access) consumeDistinct(t *testing.T, group string, first, n int) (doubled int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: a.addrs, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond,
		Dialer: &kafka.Dialer{TLS: a.tls, SASLMechanism: a.sasl, Timeout: 10 * time.Second},
	})
	defer r.Close()
	seen := make(map[string]bool)
	for len(seen) < n {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(seen), n, err)
		}
		if seen[string(m.Value)] {
			doubled++
		}
		seen[string(m.Value)] = true
		if err := r.CommitMessages(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if !seen[fmt.Sprint(first+i)] {
			t.Errorf("message %d is missing", first+i)
		}
	}
	return doubled
}

func (a access) clusterID(t *testing.T) string {
	t.Helper()
	client := &kafka.Client{Addr: kafka.TCP(a.addrs...), Transport: &kafka.Transport{TLS: a.tls, SASL: a.sasl}}
	meta, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return meta.ClusterID
}

func TestBrokerContinues(t *testing.T) {
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("own process %t", own), func(t *testing.T) {
			cfg := embedded.BrokerConfig{Dir: embeddedtest.Dir(t), Topics: topics, SyncWrites: true, OwnProcess: own}
			first := embeddedtest.Broker(t, cfg)
			a := access{addrs: first.Addrs()}
			id := a.clusterID(t)
			a.produce(t, 0, 20)
			a.consume(t, "g", 0, 20)
			a.produce(t, 20, 20)
			if err := first.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}

			a = access{addrs: embeddedtest.Broker(t, cfg).Addrs()}
			if got := a.clusterID(t); got != id {
				t.Errorf("cluster id was %s, is %s", id, got)
			}
			a.consume(t, "g", 20, 20) // from the committed offsets
			a.consume(t, "other", 0, 40)
		})
	}
}

func TestBrokerSurvivesKill(t *testing.T) {
	cfg := embedded.BrokerConfig{Dir: embeddedtest.Dir(t), Topics: topics, SyncWrites: true, OwnProcess: true}
	b := embeddedtest.Broker(t, cfg)
	access{addrs: b.Addrs()}.produce(t, 0, 50)
	b.Kill()
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	access{addrs: b.Addrs()}.consume(t, "g", 0, 50)
}

func TestBrokerLogin(t *testing.T) {
	pair, err := embedded.GenerateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	conf, err := pair.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	b := embeddedtest.Broker(t, embedded.BrokerConfig{Topics: topics, TLS: &pair, Credentials: []embedded.Credential{
		{Mechanism: embedded.Plain, User: "p", Password: "plain1"},
		{Mechanism: embedded.ScramSHA512, User: "s", Password: "scram1"},
	}})
	checkLogins(t, b.Addrs(), conf, "plain1", "scram1")
}

// checkLogins consumes as both accounts and checks that a wrong password fails.
func checkLogins(t *testing.T, addrs []string, conf *tls.Config, plainPassword, scramPassword string) {
	t.Helper()
	mechanism, err := scram.Mechanism(scram.SHA512, "s", scramPassword)
	if err != nil {
		t.Fatal(err)
	}
	a := access{addrs: addrs, tls: conf, sasl: plain.Mechanism{Username: "p", Password: plainPassword}}
	a.produce(t, 0, 10)
	a.consume(t, "plain", 0, 10)
	a.sasl = mechanism
	a.consume(t, "scram", 0, 10)
	d := kafka.Dialer{TLS: conf, SASLMechanism: plain.Mechanism{Username: "p", Password: "wrong"}, Timeout: 5 * time.Second}
	if conn, err := d.DialContext(t.Context(), "tcp", addrs[0]); err == nil {
		conn.Close()
		t.Error("a wrong password is accepted")
	}
}

func TestBrokerRetentionBoundsPartition(t *testing.T) {
	b := embeddedtest.Broker(t, embedded.BrokerConfig{Topics: []embedded.Topic{{Name: topic}}, RetentionBytes: 4 << 10})
	a := access{addrs: b.Addrs()}
	for i := range 200 {
		a.produce(t, i, 1)
	}
	b.Cluster().ApplyRetention()
	info := b.Cluster().PartitionInfo(topic, 0)
	if info.LogStartOffset == 0 || info.HighWatermark != 200 {
		t.Errorf("log is [%d,%d), want a start above 0", info.LogStartOffset, info.HighWatermark)
	}
}

func TestBrokerStartErrors(t *testing.T) {
	t.Run("port in use", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		port := ln.Addr().(*net.TCPAddr).Port
		var inUse *embedded.PortInUseError
		if err := embedded.NewBroker(embedded.BrokerConfig{Ports: []int{port}}).Start(t.Context()); !errors.As(err, &inUse) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("data directory in use", func(t *testing.T) {
		dir := embeddedtest.Dir(t)
		embeddedtest.Broker(t, embedded.BrokerConfig{Dir: dir})
		var inUse *embedded.DirInUseError
		if err := embedded.NewBroker(embedded.BrokerConfig{Dir: dir}).Start(t.Context()); !errors.As(err, &inUse) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unknown mechanism", func(t *testing.T) {
		cfg := embedded.BrokerConfig{Credentials: []embedded.Credential{{Mechanism: "GSSAPI", User: "a", Password: "b"}}}
		if err := embedded.NewBroker(cfg).Start(t.Context()); err == nil {
			t.Error("accepted")
		}
	})
}
