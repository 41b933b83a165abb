package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// wire keeps the connections for inserts. A connection serves one insert at a time and is closed after any error, since
// nobody knows then what the server still says on it.
type wire struct {
	opt *Options

	mu     sync.Mutex
	idle   map[string][]*ch.Client // by host
	closed bool
}

// endPoll is how often a wait for the server looks if the insert was given up: ch-go reads on after such a timeout.
const endPoll = 250 * time.Millisecond

// maxIdle is how many connections per host wait for the next insert.
const maxIdle = 8

func newWire(opt *Options) *wire { return &wire{opt: opt, idle: make(map[string][]*ch.Client)} }

// insert sends one block and returns when the server has acknowledged it. Any error but one of the server's own leaves
// the outcome unknown.
func (w *wire) insert(ctx context.Context, host, query, token string, input proto.Input) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.InsertTimeout+10*time.Second)
	defer cancel()
	client, err := w.client(ctx, host)
	if err != nil {
		return err
	}
	err = client.Do(ctx, ch.Query{Body: query, Input: input, Settings: w.settings(token)})
	if err != nil {
		return errors.Join(err, ignoreClosed(client.Close()))
	}
	w.put(host, client)
	return nil
}

// settings pins whatever decides if an insert is one block, deduplicated, synchronous and atomic: defaults move between
// versions and profiles. Those that older servers do not know are not marked important, and are ignored there.
func (w *wire) settings(token string) []ch.Setting {
	must := func(key, value string) ch.Setting { return ch.Setting{Key: key, Value: value, Important: true} }
	list := []ch.Setting{
		must("insert_deduplication_token", token),
		must("insert_deduplicate", "1"),
		must("async_insert", "0"),
		must("max_insert_block_size", "1048576"),
		must("min_insert_block_size_rows", "1048576"),
		must("max_insert_threads", "1"),
		must("max_partitions_per_insert_block", "1"),
		must("throw_on_max_partitions_per_insert_block", "1"),
		must("optimize_on_insert", "0"),
		must("input_format_defaults_for_omitted_fields", "1"),
		must("max_execution_time", strconv.Itoa(int(w.opt.InsertTimeout/time.Second))),
		{Key: "deduplicate_insert", Value: "enable"},
		{Key: "use_strict_insert_block_limits", Value: "0"},
		{Key: "max_insert_block_size_bytes", Value: "0"},
	}
	if w.opt.Replicated {
		list = append(list, must("insert_quorum", "auto"), must("insert_quorum_parallel", "1"),
			must("insert_quorum_timeout", strconv.Itoa(int(w.opt.InsertTimeout/time.Millisecond))))
	}
	return list
}

func (w *wire) client(ctx context.Context, host string) (*ch.Client, error) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil, ch.ErrClosed
	}
	if list := w.idle[host]; len(list) > 0 {
		c := list[len(list)-1]
		w.idle[host] = list[:len(list)-1]
		w.mu.Unlock()
		return c, nil
	}
	w.mu.Unlock()
	return w.connect(ctx, host)
}

// connect greets a host. A greeting that ctx does not wait for is brought to its end all the same, which takes the
// timeouts of dialing at most, and its connection serves a later insert: the engine that "borderwatch up" runs aborts when
// a client resets a connection in the middle of the greeting.
func (w *wire) connect(ctx context.Context, host string) (*ch.Client, error) {
	type greeted struct {
		client *ch.Client
		err    error
	}
	done := make(chan greeted, 1)
	go func() {
		client, err := w.greet(context.WithoutCancel(ctx), host)
		done <- greeted{client, err}
	}()
	select {
	case g := <-done:
		return g.client, g.err
	case <-ctx.Done():
	}
	go func() {
		if g := <-done; g.err == nil {
			w.put(host, g.client)
		}
	}()
	return nil, context.Cause(ctx)
}

func (w *wire) greet(ctx context.Context, host string) (*ch.Client, error) {
	compression := ch.CompressionDisabled
	if w.opt.Compression == compressionLZ4 {
		compression = ch.CompressionLZ4
	}
	dialed, err := w.opt.dial(host)
	if err != nil {
		return nil, err
	}
	conn := &greeting{Conn: dialed}
	client, err := ch.Connect(ctx, conn, ch.Options{
		Address: host, User: w.opt.User, Password: w.opt.Password, ClientName: "borderwatch",
		Compression: compression, HandshakeTimeout: greetingTimeout, ReadTimeout: endPoll,
	})
	if err != nil {
		return nil, errors.Join(err, ignoreClosed(conn.Close()))
	}
	conn.greeted.Store(true)
	return client, nil
}

// greeting is a connection that takes no read deadline until the server has answered the login. ch-go would give up on
// that after endPoll, which a busy server needs; HandshakeTimeout, which closes the connection, bounds it.
type greeting struct {
	net.Conn
	greeted atomic.Bool
}

// SetReadDeadline sets a deadline once the greeting is over.
func (g *greeting) SetReadDeadline(t time.Time) error {
	if !g.greeted.Load() {
		return nil
	}
	return g.Conn.SetReadDeadline(t)
}

func (w *wire) put(host string, c *ch.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle[host]) >= maxIdle {
		_ = c.Close()
		return
	}
	w.idle[host] = append(w.idle[host], c)
}

func (w *wire) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	var errs []error
	for _, list := range w.idle {
		for _, c := range list {
			errs = append(errs, ignoreClosed(c.Close()))
		}
	}
	clear(w.idle)
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, ch.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
