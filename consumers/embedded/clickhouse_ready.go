package embedded

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const (
	readyPoll    = 25 * time.Millisecond
	probeTimeout = 5 * time.Second
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

// ping asks /ping over HTTP.
func (c *ClickHouse) ping(ctx context.Context) error {
	_, err := c.get(ctx, "/ping", "")
	return err
}

// login opens a session on the native port and checks the version.
func (c *ClickHouse) login(ctx context.Context) error {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr:        []string{c.Addr()},
		Auth:        clickhouse.Auth{Username: c.supervisor.Name, Password: c.supervisor.Password},
		DialTimeout: probeTimeout,
		ReadTimeout: probeTimeout,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// flushLogs writes what the query log holds in memory.
func (c *ClickHouse) flushLogs(ctx context.Context) error {
	_, err := c.get(ctx, "/", "SYSTEM FLUSH LOGS")
	return err
}

// get sends one request as the supervisor; a query goes in the body.
func (c *ClickHouse) get(ctx context.Context, path, query string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	u := url.URL{Scheme: "http", Host: c.HTTPAddr(), Path: path}
	method := http.MethodGet
	if query != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(query))
	if err != nil {
		return "", err
	}
	if query != "" {
		req.SetBasicAuth(c.supervisor.Name, c.supervisor.Password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("HTTP %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}
