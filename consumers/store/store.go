package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	schema "borderwatch/schemas/clickhouse"
)

// Options say where ClickHouse is and how to talk to it.
type Options struct {
	// Hosts are host:port of the native protocol. Several are replicas of each other, tried in order; a plain table has
	// one host, since deduplication ends at the node.
	Hosts    []string
	Database string // default bw
	User     string
	Password string
	TLS      *tls.Config // nil speaks plain TCP
	// Compression is none (default: cheapest for both sides on a fast network) or lz4 (a fifth of the bytes).
	Compression string
	// Replicated says that the tables are replicated: an insert waits for a quorum and may go on at another host.
	Replicated bool

	DialTimeout   time.Duration // of reaching a host, default 5s; it has 15s to answer the login then
	InsertTimeout time.Duration // of one attempt, at the server; default 60s
	QueryTimeout  time.Duration // of one question; default 60s

	// OnRetry hears of every attempt that failed and is made again. It must not block.
	OnRetry func(step string, attempt int, err error)
	// Around, where set, is called for every attempt of every step and must call run, or not: a test makes steps fail
	// before or after they took effect. Its error counts as the attempt's.
	Around func(ctx context.Context, step string, run func(context.Context) error) error
}

func (o *Options) setDefaults() {
	if o.Database == "" {
		o.Database = schema.Database
	}
	if o.Compression == "" {
		o.Compression = compressionNone
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.InsertTimeout == 0 {
		o.InsertTimeout = time.Minute
	}
	if o.QueryTimeout == 0 {
		o.QueryTimeout = time.Minute
	}
}

const (
	compressionNone = "none"
	compressionLZ4  = "lz4"
)

func (o *Options) validate() error {
	switch {
	case len(o.Hosts) == 0:
		return errors.New("clickhouse: no host")
	case len(o.Hosts) > 1 && !o.Replicated:
		return fmt.Errorf("clickhouse: %d hosts need replicated tables: on plain ones a retry at another host would store rows twice", len(o.Hosts))
	case o.Compression != compressionNone && o.Compression != compressionLZ4:
		return fmt.Errorf("clickhouse: compression %q, want %s or %s", o.Compression, compressionNone, compressionLZ4)
	}
	return nil
}

// Store writes to and reads from one ClickHouse. It is safe for concurrent use; a Block is not.
type Store struct {
	opt  Options
	conn driver.Conn
	wire *wire
}

// New checks the options. It opens no connection; Check does.
func New(opt Options) (*Store, error) {
	opt.setDefaults()
	if err := opt.validate(); err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(opt.driver())
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return &Store{opt: opt, conn: conn, wire: newWire(&opt)}, nil
}

// Dial opens a connection for statements, such as those of a migration, with the same options. The caller closes it.
func Dial(opt Options) (driver.Conn, error) {
	opt.setDefaults()
	if err := opt.validate(); err != nil {
		return nil, err
	}
	return clickhouse.Open(opt.driver())
}

// greetingTimeout is how long a server may take to answer a login: a busy one answers late, and the engine that
// "borderwatch up" runs aborts when a client gives up in the middle of the greeting.
const greetingTimeout = 15 * time.Second

// dial reaches a host. It is not cut short by a context, which would end a connection before it says a word.
func (o *Options) dial(host string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: o.DialTimeout}
	if o.TLS == nil {
		return dialer.Dial("tcp", host)
	}
	return tls.DialWithDialer(dialer, "tcp", host, o.TLS)
}

func (o *Options) driver() *clickhouse.Options {
	return &clickhouse.Options{
		Protocol:     clickhouse.Native,
		Addr:         o.Hosts,
		Auth:         clickhouse.Auth{Username: o.User, Password: o.Password},
		TLS:          o.TLS,
		DialContext:  func(_ context.Context, host string) (net.Conn, error) { return o.dial(host) },
		DialTimeout:  greetingTimeout, // bounds the greeting, once there is a DialContext
		ReadTimeout:  o.QueryTimeout + 10*time.Second,
		MaxOpenConns: 8,
		MaxIdleConns: 4,
		ClientInfo:   clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{"borderwatch", fmt.Sprint(SchemaVersion)}}},
	}
}

// Close ends all connections. Inserts that run fail.
func (s *Store) Close() error { return errors.Join(s.wire.close(), s.conn.Close()) }

// Check tells whether the server can be reached, is new enough, and has this build's schema.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	if err := schema.CheckServer(ctx, s.conn); err != nil {
		return fmt.Errorf("clickhouse %s: %w", s.opt.Hosts[0], err)
	}
	err := schema.CheckSchema(ctx, s.conn, schema.Layout{Database: s.opt.Database})
	if code := serverCode(err); code == codeUnknownDatabase || code == codeUnknownTable {
		err = fmt.Errorf("%w (%w)", schema.ErrSchemaOlder, err)
	}
	if err != nil {
		return fmt.Errorf("clickhouse %s: %w", s.opt.Hosts[0], err)
	}
	return nil
}
