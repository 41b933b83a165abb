package embedded

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const (
	readyPoll    = 25 * time.Millisecond
	probeTimeout = 5 * time.Second
	loginTimeout = 30 * time.Second // the engine aborts when a greeting is cut
)

// awaitReady polls until the server answers on HTTP and accepts a login on the
// native port. It never opens the native port before HTTP answers: the engine
// aborts on a connection that says nothing it understands.
func (c *ClickHouse) awaitReady(ctx context.Context, proc *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s, see %s", startTimeout, proc.log))
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for c.ping(ctx) != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-proc.done:
			return proc.exited()
		case <-tick.C:
		}
	}
	if err := c.login(ctx); err != nil {
		return fmt.Errorf("login on the native port: %w", err)
	}
	return nil
}

// login opens a session on the native port and checks the version.
func (c *ClickHouse) login(ctx context.Context) error {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr:        []string{c.Addr()},
		Auth:        clickhouse.Auth{Username: c.supervisor.Name, Password: c.supervisor.Password},
		DialTimeout: loginTimeout,
		ReadTimeout: loginTimeout,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// ping asks /ping over HTTP. It keeps no connection open, which a server that
// shuts down would wait for.
func (c *ClickHouse) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.HTTPAddr()+"/ping", nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %s", resp.Status)
	}
	return nil
}
