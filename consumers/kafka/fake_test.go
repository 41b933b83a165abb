package kafka_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borderwatch/consumers/kafka"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// What only an in-process broker can be made to do.

func startFake(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// answerFetches makes the broker answer every fetch with these bytes.
func answerFetches(cluster *kfake.Cluster, raw []byte) {
	cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := req.(*kmsg.FetchRequest).Topics[0]
		res := req.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = asked.Topic
		p := kmsg.NewFetchResponseTopicPartition()
		p.HighWatermark, p.LastStableOffset, p.RecordBatches = 100, 100, raw
		p.Partition = asked.Partitions[0].Partition
		topic.Partitions = append(topic.Partitions, p)
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
}

func TestFetchRefusesAFlippedByte(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	good, bad := kafka.NewTestBatch(0, "a", "b").Encode(), kafka.NewTestBatch(2, "c").Encode()
	bad[len(bad)-2] ^= 1
	f := e.fetcher(kafka.FetchConfig{})

	answerFetches(cluster, append(good, bad...))
	if values, _ := e.readTo(f, topic, 0, 2); strings.Join(values, "") != "ab" {
		t.Fatalf("values %q before the damage", values)
	}
	_, err := f.Fetch(e.ctx, topic, 0, 2)
	var corrupt *kafka.Corrupt
	if !errors.As(err, &corrupt) || corrupt.Offset != 2 || corrupt.Topic != topic || !strings.Contains(err.Error(), "CRC32C") {
		t.Errorf("got %v, want Corrupt at 2", err)
	}
	if got := e.client.Counters().Corrupt.Load(); got != 1 {
		t.Errorf("%d are counted as corrupt", got)
	}
}

// A broker that cuts off the first batch is asked for more; one that always
// does is not asked forever.
func TestFetchOfACutOffBatch(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	batch := kafka.NewTestBatch(0, strings.Repeat("x", 10_000)).Encode()
	answerFetches(cluster, batch[:5000])
	_, err := e.fetcher(kafka.FetchConfig{MaxBytes: 1000, MaxBatch: 100_000}).Fetch(e.ctx, topic, 0, 0)
	var tooLarge *kafka.TooLarge
	if !errors.As(err, &tooLarge) {
		t.Errorf("got %v, want TooLarge", err)
	}
}

func TestFetchFollowsTheLeader(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(3))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	f := e.fetcher(kafka.FetchConfig{})
	for i := range 6 {
		if err := cluster.MoveTopicPartition(topic, 0, int32(i%3)); err != nil {
			t.Fatal(err)
		}
		e.produce(e.other, topic, fmt.Sprint(i))
		if values, _ := e.readTo(f, topic, int64(i), int64(i)+1); len(values) != 1 || values[0] != fmt.Sprint(i) {
			t.Fatalf("leader %d: values %q", i%3, values)
		}
	}
	if e.client.Counters().Retries.Load() == 0 {
		t.Error("no retry is counted, though the leader moved")
	}
}

func TestFetchSurvivesLostConnections(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	e.produce(e.other, topic, "a")
	var failures atomic.Int32
	cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		if failures.Add(1) > 3 {
			return nil, nil, false
		}
		cluster.KeepControl()
		return nil, errors.New("close the connection"), true
	})
	if values, _ := e.readTo(e.fetcher(kafka.FetchConfig{}), topic, 0, 1); len(values) != 1 {
		t.Errorf("values %q", values)
	}
	if got := e.client.Counters().Retries.Load(); got < 3 {
		t.Errorf("%d retries are counted, want at least 3", got)
	}
}

func TestFetchStopsWithItsContext(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	ctx, cancel := context.WithTimeout(e.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := e.fetcher(kafka.FetchConfig{MaxWait: time.Minute}).Fetch(ctx, topic, 0, 0)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestFetchRefusesAnOldBroker(t *testing.T) {
	old := kversion.Stable()
	old.SetMaxKeyVersion(int16(kmsg.Fetch), 3)
	cluster := startFake(t, kfake.NumBrokers(1), kfake.MaxVersions(old), kfake.SeedTopics(1, "t"))
	e := newEnv(t, cluster.ListenAddrs())
	_, err := e.fetcher(kafka.FetchConfig{}).Fetch(e.ctx, "t", 0, 0)
	var unsupported *kafka.Unsupported
	if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "Fetch API v") {
		t.Errorf("got %v, want Unsupported", err)
	}
}

func TestFetchOfCompactedTopic(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	testCompaction(t, newEnv(t, cluster.ListenAddrs()), cluster.Compact)
}

// A new cluster has no offsets topic yet and answers [15] for a while.
func TestGroupWaitsForTheCoordinator(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	var refused atomic.Int32
	cluster.ControlKey(int16(kmsg.FindCoordinator), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if refused.Add(1) > 2 {
			return nil, nil, false
		}
		cluster.KeepControl()
		res := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		res.ErrorCode = int16(kafkago.GroupCoordinatorNotAvailable)
		return res, nil, true
	})
	gen := e.next(e.group(unique("group"), topic))
	if len(gen.Assignments[topic]) != 1 {
		t.Errorf("assignments %v", gen.Assignments)
	}
	if e.client.Counters().Retries.Load() == 0 || e.client.Counters().Rebalances.Load() != 1 {
		t.Error("retries or rebalances are not counted")
	}
}

// A join that the coordinator leaves unanswered must not hold up the shutdown.
func TestGroupCloseIsBounded(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	joining, answer := make(chan struct{}), make(chan struct{})
	cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(joining)
		cluster.SleepControl(func() { <-answer })
		return nil, nil, false
	})
	g, err := e.client.NewGroup(kafka.GroupConfig{ID: unique("group"), Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan error, 1)
	go func() {
		_, err := g.Next(e.ctx)
		next <- err
	}()
	<-joining
	ctx, cancel := context.WithTimeout(e.ctx, 50*time.Millisecond)
	defer cancel()
	if err := g.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close returned %v", err)
	}
	close(answer)
	if err := <-next; !errors.Is(err, kafka.ErrGroupClosed) {
		t.Errorf("Next returned %v", err)
	}
	if _, err := g.Next(e.ctx); !errors.Is(err, kafka.ErrGroupClosed) {
		t.Errorf("Next after Close returned %v", err)
	}
}

func TestGroupReturnsRefusedAccess(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	cluster.ControlKey(int16(kmsg.JoinGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		res := req.ResponseKind().(*kmsg.JoinGroupResponse)
		res.ErrorCode = int16(kafkago.GroupAuthorizationFailed)
		return res, nil, true
	})
	_, err := e.group(unique("group"), topic).Next(e.ctx)
	if !errors.Is(err, kafkago.GroupAuthorizationFailed) {
		t.Errorf("got %v", err)
	}
}

func TestGroupNoticesNewPartitions(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	topic := e.topic(1, nil)
	g := e.group(unique("group"), topic)
	gen := e.owning(g, topic, 1)
	if _, err := e.adm.UpdatePartitions(e.ctx, 3, topic); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gen.Done():
	case <-e.ctx.Done():
		t.Fatal("the generation goes on without the new partitions")
	}
	e.owning(g, topic, 3)
}

func TestProbeExplainsLogins(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "plain", "secret"), kfake.Superuser("SCRAM-SHA-256", "s256", "secret"),
		kfake.Superuser("SCRAM-SHA-512", "s512", "secret"), kfake.SeedTopics(1, "access-events"))
	brokers := cluster.ListenAddrs()
	tests := []struct {
		sasl kafka.SASL
		want string // in the error; empty = works
	}{
		{kafka.SASL{Mechanism: "PLAIN", Username: "plain", Password: "secret"}, ""},
		{kafka.SASL{Mechanism: "SCRAM-SHA-256", Username: "s256", Password: "secret"}, ""},
		{kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: "s512", Password: "secret"}, ""},
		{kafka.SASL{Mechanism: "PLAIN", Username: "plain", Password: "wrong"}, "credentials refused by " + brokers[0]},
		{kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: "s512", Password: "wrong"}, "credentials refused by " + brokers[0]},
		{kafka.SASL{}, "it may expect TLS or a login"},
		{kafka.SASL{Mechanism: "SCRAM-SHA-256", Username: "nobody", Password: "wrong"}, "credentials refused by " + brokers[0]},
	}
	for _, tt := range tests {
		t.Run(tt.sasl.Mechanism+" "+tt.sasl.Username+" "+tt.sasl.Password, func(t *testing.T) {
			client, err := kafka.New(kafka.Config{Brokers: brokers, SASL: tt.sasl, RetryFor: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Probe(t.Context(), "access-events")
			expect(t, err, tt.want)
			if tt.want != "" {
				return
			}
			_, err = client.Probe(t.Context(), "acess-event")
			expect(t, err, `topic "acess-event" does not exist, did you mean "access-events"?`)
		})
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestProbeWithTLS(t *testing.T) {
	ca, server := certificates(t)
	cluster := startFake(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}), kfake.SeedTopics(1, "t"))
	plain := startFake(t, kfake.NumBrokers(1))
	tests := []struct {
		name    string
		brokers []string
		tls     kafka.TLS
		want    string
	}{
		{"trusted", cluster.ListenAddrs(), kafka.TLS{Enabled: true, CAFile: ca}, ""},
		{"named", cluster.ListenAddrs(), kafka.TLS{Enabled: true, CAFile: ca, ServerName: "broker.test"}, ""},
		{"unknown authority", cluster.ListenAddrs(), kafka.TLS{Enabled: true}, "is not trusted"},
		{"other name", cluster.ListenAddrs(), kafka.TLS{Enabled: true, CAFile: ca, ServerName: "other.test"}, "is not trusted"},
		{"client without TLS", cluster.ListenAddrs(), kafka.TLS{}, "it may expect TLS"},
		{"broker without TLS", plain.ListenAddrs(), kafka.TLS{Enabled: true, CAFile: ca}, "no broker could be reached"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, err := kafka.New(kafka.Config{Brokers: tt.brokers, TLS: tt.tls, RetryFor: time.Second, DialTimeout: 2 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Probe(t.Context())
			expect(t, err, tt.want)
			if tt.want == "" {
				_, err = client.Watermarks(t.Context(), "t") // through the transport
				expect(t, err, "")
			}
		})
	}
}

// certificates makes an authority, in a file, and a server certificate for
// the loopback and broker.test.
func certificates(t *testing.T) (caFile string, server tls.Certificate) {
	t.Helper()
	caKey, caCert := certificate(t, nil, nil)
	key, cert := certificate(t, caCert, caKey)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caCert.Raw})
	if err := os.WriteFile(caFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func certificate(t *testing.T, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"broker.test", "localhost"},
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := []string{"localhost:9092"}
	tests := []struct {
		cfg  kafka.Config
		want string
	}{
		{kafka.Config{}, "no brokers"},
		{kafka.Config{Brokers: []string{"localhost"}}, "not host:port"},
		{kafka.Config{Brokers: one, TLS: kafka.TLS{CAFile: broken}}, "TLS is not enabled"},
		{kafka.Config{Brokers: one, TLS: kafka.TLS{Enabled: true, CAFile: broken}}, "no PEM certificate"},
		{kafka.Config{Brokers: one, TLS: kafka.TLS{Enabled: true, CAFile: broken + ".gone"}}, "CA file"},
		{kafka.Config{Brokers: one, TLS: kafka.TLS{Enabled: true, CertFile: broken}}, "go together"},
		{kafka.Config{Brokers: one, TLS: kafka.TLS{Enabled: true, CertFile: broken, KeyFile: broken}}, "client certificate"},
		{kafka.Config{Brokers: one, SASL: kafka.SASL{Mechanism: "GSSAPI", Username: "u"}}, "unknown SASL mechanism"},
		{kafka.Config{Brokers: one, SASL: kafka.SASL{Mechanism: "PLAIN"}}, "without a user name"},
		{kafka.Config{Brokers: one, SASL: kafka.SASL{Username: "u"}}, "no SASL mechanism"},
	}
	for _, tt := range tests {
		_, err := kafka.New(tt.cfg)
		expect(t, err, tt.want)
	}
}

// Several partitions at a time share a fetcher and its buffers.
func TestConcurrentFetchesDoNotShareBytes(t *testing.T) {
	cluster := startFake(t, kfake.NumBrokers(1))
	e := newEnv(t, cluster.ListenAddrs())
	const partitions, n = 4, 50
	topic := e.topic(partitions, nil)
	p, err := e.client.NewProducer(kafka.ProducerConfig{MaxBatch: 2000})
	if err != nil {
		t.Fatal(err)
	}
	for part := range partitions {
		var messages []kafka.Message
		for i := range n {
			messages = append(messages, kafka.Message{Value: bytes.Repeat(fmt.Appendf(nil, "%d/%d;", part, i), 100)})
		}
		if _, err := p.ProduceTo(e.ctx, topic, part, messages); err != nil {
			t.Fatal(err)
		}
	}
	f := e.fetcher(kafka.FetchConfig{MaxBytes: 1000})
	var wg sync.WaitGroup
	for part := range partitions {
		wg.Go(func() {
			for next := int64(0); next < n; {
				c, err := f.Fetch(e.ctx, topic, part, next)
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range c.Records {
					if want := bytes.Repeat(fmt.Appendf(nil, "%d/%d;", part, r.Offset), 100); !bytes.Equal(r.Value, want) {
						t.Errorf("partition %d offset %d holds %.20q", part, r.Offset, r.Value)
					}
				}
				next = c.Next
				c.Release()
			}
		})
	}
	wg.Wait()
}
