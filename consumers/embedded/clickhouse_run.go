package embedded

import (
	"context"
	"errors"
	"time"
)

const (
	restartMin = 200 * time.Millisecond
	restartMax = 15 * time.Second
	// healthEvery and healthMisses decide when a server that lives but does not
	// answer is taken for hung: 6 misses of up to 10 s each.
	healthEvery  = 5 * time.Second
	healthMisses = 6
)

// Run keeps the server running until ctx ends, then stops it. It starts it if
// Start was not called. A server process that dies or hangs is started again on
// the same ports with growing pauses, which the log says; a full disk or a taken
// port is tried again until it heals. The error is that of the first start, or
// of the stop.
func (c *ClickHouse) Run(ctx context.Context) error {
	if c.current() == nil {
		if err := c.Start(ctx); err != nil {
			return err
		}
	}
	for c.watch(ctx) {
		c.restart(ctx)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return c.Stop(stop)
}

// watch blocks while the server is well. It reports whether it must be started
// again; false means that ctx ended or the server was stopped.
func (c *ClickHouse) watch(ctx context.Context) bool {
	proc := c.current()
	if proc == nil {
		return false
	}
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for misses := 0; ; {
		select {
		case <-ctx.Done():
			return false
		case <-proc.done:
			return c.died(ctx, proc)
		case <-tick.C:
			if c.ping(ctx) == nil {
				misses = 0
				continue
			}
			if misses++; misses == healthMisses && ctx.Err() == nil {
				c.log.Error("ClickHouse does not answer, killing it to start it again", "misses", misses)
				proc.kill()
			}
		}
	}
}

// died logs an unexpected end. It reports false when the end was asked for.
func (c *ClickHouse) died(ctx context.Context, proc *process) bool {
	if c.current() != proc || ctx.Err() != nil {
		return false
	}
	c.log.Warn("ClickHouse died, starting it again", "err", proc.exited())
	return true
}

// restart tries until the server is back, ctx ends or it is stopped.
func (c *ClickHouse) restart(ctx context.Context) {
	begun := time.Now()
	for pause := restartMin; ; pause = min(2*pause, restartMax) {
		err := c.relaunch(ctx)
		if err == nil {
			c.log.Info("ClickHouse is back", "after", time.Since(begun).Round(time.Millisecond), "addr", c.Addr())
			return
		}
		if ctx.Err() != nil || errors.Is(err, errStopped) {
			return
		}
		c.log.Error("ClickHouse does not start", "err", err, "next_try_in", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

var errStopped = errors.New("stopped")

func (c *ClickHouse) relaunch(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock == nil {
		return errStopped
	}
	if c.proc != nil && c.proc.running() {
		return nil // another Run was first
	}
	for _, port := range []struct {
		number int
		what   string
	}{{c.cfg.TCPPort, "ClickHouse native"}, {c.cfg.HTTPPort, "ClickHouse HTTP"}} {
		if _, err := choosePort(port.number, port.what); err != nil {
			return err
		}
	}
	return c.launch(ctx)
}
