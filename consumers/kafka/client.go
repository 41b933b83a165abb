// Package kafka reads record batches from Apache Kafka as bytes and offsets,
// holds a member's place in a consumer group, and writes dead letters.
//
// What it promises to the evidence built on it: every batch's CRC32C is
// checked; every offset between the one asked for and the one to ask for next
// is accounted for as a record, a control record, a record of an aborted
// transaction, or a gap left by compaction; an offset that the log does not
// hold is an error and never a silent jump; a batch that would decompress to
// more than its budget is refused before it is allocated.
//
// It knows nothing about the events inside the records.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"borderwatch/consumers/drain"
)

// Config says how to reach a cluster. Brokers is required; the rest has
// defaults.
type Config struct {
	Brokers  []string // host:port of any brokers of the cluster
	ClientID string   // default "borderwatch"
	TLS      TLS
	SASL     SASL

	DialTimeout    time.Duration // default 10 s, includes TLS and login
	RequestTimeout time.Duration // default 30 s, beyond a fetch's long-poll wait
	RetryFor       time.Duration // default 30 s: how long one call hides passing broker errors
	MetadataTTL    time.Duration // default 3 s: a new leader is found within it

	// OnRetry is told of every error that is retried, with the operation it
	// struck ("fetch", "commit", "join", "produce"). It may be nil, and is
	// called from several goroutines.
	OnRetry func(op string, err error)
}

// TLS secures the connection. The zero value is plain text.
type TLS struct {
	Enabled    bool
	CAFile     string // PEM; default: the system's roots
	CertFile   string // PEM client certificate, with KeyFile
	KeyFile    string // PEM
	ServerName string // default: the broker's host name
}

// SASL mechanisms that a Config may name.
const (
	MechanismPlain       = "PLAIN"
	MechanismScramSHA256 = "SCRAM-SHA-256"
	MechanismScramSHA512 = "SCRAM-SHA-512"
)

// SASL logs the client in. An empty Mechanism means no login.
type SASL struct {
	Mechanism string
	Username  string
	Password  string
}

// Client holds what all connections to one cluster share. It is safe for
// concurrent use.
type Client struct {
	cfg       Config
	counters  Counters
	mechanism string
	dialer    *kafkago.Dialer
	transport *kafkago.Transport
	api       *kafkago.Client
}

// New checks cfg and reads its certificate files. It does not connect; Probe
// does.
func New(cfg Config) (*Client, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.TLS.load()
	if err != nil {
		return nil, err
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, mechanism: cfg.SASL.Mechanism}
	c.dialer = &kafkago.Dialer{
		ClientID: cfg.ClientID, Timeout: cfg.DialTimeout, DualStack: true, KeepAlive: 30 * time.Second,
		TLS: tlsConfig, SASLMechanism: mechanism,
	}
	dial := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 30 * time.Second}
	c.transport = &kafkago.Transport{
		Dial: dial.DialContext, DialTimeout: cfg.DialTimeout, ClientID: cfg.ClientID,
		MetadataTTL: cfg.MetadataTTL, TLS: tlsConfig, SASL: mechanism,
	}
	c.api = &kafkago.Client{Addr: kafkago.TCP(cfg.Brokers...), Timeout: cfg.RequestTimeout, Transport: c.transport}
	return c, nil
}

// Close closes idle connections. Calls in flight finish.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Counters returns the client's live counters.
func (c *Client) Counters() *Counters { return &c.counters }

func (cfg *Config) setDefaults() {
	if cfg.ClientID == "" {
		cfg.ClientID = "borderwatch"
	}
	orElse(&cfg.DialTimeout, 10*time.Second)
	orElse(&cfg.RequestTimeout, 30*time.Second)
	orElse(&cfg.RetryFor, 30*time.Second)
	orElse(&cfg.MetadataTTL, 3*time.Second)
}

func (cfg *Config) check() error {
	if len(cfg.Brokers) == 0 {
		return errors.New("kafka: no brokers given")
	}
	for _, b := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("kafka: broker %q is not host:port: %w", b, err)
		}
	}
	return nil
}

// orElse sets *v to a default where it is not positive.
func orElse[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

func (t TLS) load() (*tls.Config, error) {
	if !t.Enabled {
		if t.CAFile != "" || t.CertFile != "" || t.KeyFile != "" || t.ServerName != "" {
			return nil, errors.New("kafka: TLS files or a server name are given, but TLS is not enabled")
		}
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: CA file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka: CA file %s holds no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("kafka: a client certificate and its key go together, one of them is missing")
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("kafka: client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism != "" && s.Username == "" {
		return nil, fmt.Errorf("kafka: %s login without a user name", s.Mechanism)
	}
	switch s.Mechanism {
	case "":
		if s.Username != "" || s.Password != "" {
			return nil, errors.New("kafka: credentials are given, but no SASL mechanism")
		}
		return nil, nil
	case MechanismPlain:
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case MechanismScramSHA256:
		return scram.Mechanism(scram.SHA256, s.Username, s.Password)
	case MechanismScramSHA512:
		return scram.Mechanism(scram.SHA512, s.Username, s.Password)
	}
	return nil, fmt.Errorf("kafka: unknown SASL mechanism %q, use %s, %s or %s",
		s.Mechanism, MechanismPlain, MechanismScramSHA256, MechanismScramSHA512)
}

// Backoff between two tries of a request.
const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 2 * time.Second
)

// retry runs do until it succeeds, fails for good, the process stops (package drain), or RetryFor has passed.
func (c *Client) retry(ctx context.Context, op string, do func(context.Context) error) error {
	deadline := time.Now().Add(c.cfg.RetryFor)
	for wait := firstBackoff; ; wait = min(2*wait, maxBackoff) {
		err := do(ctx)
		if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if err == nil || !retriable(ctx, err) || time.Now().Add(wait).After(deadline) {
			return err
		}
		c.retried(op, err)
		if stopped := sleep(ctx, wait); stopped != nil {
			return fmt.Errorf("%w: %w", stopped, err)
		}
	}
}

func (c *Client) retried(op string, err error) {
	c.counters.Retries.Add(1)
	if c.cfg.OnRetry != nil {
		c.cfg.OnRetry(op, err)
	}
}

// errStopping says why a request that failed was not made again.
var errStopping = errors.New("the process stops")

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-drain.Stopping(ctx):
		return errStopping
	case <-t.C:
		return nil
	}
}
