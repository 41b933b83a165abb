package embedded

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// brokerReady is the file in which a broker's child says that it serves.
const brokerReady = "broker.ready"

// spawn starts the broker in its own process and waits until it serves.
func (b *Broker) spawn(ctx context.Context) error {
	dir := b.cfg.Dir
	if dir == "" { // data in memory, but the child needs a place for its files
		cache, err := CacheDir()
		if err != nil {
			return err
		}
		dir = filepath.Join(cache, "up", fmt.Sprintf("broker-%d", b.cfg.Ports[0]))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		b.scratch = dir
	}
	ready := filepath.Join(dir, brokerReady)
	if err := os.RemoveAll(ready); err != nil {
		return err
	}
	spec := filepath.Join(dir, "broker.json")
	if err := writeSpec(spec, b.cfg); err != nil {
		return err
	}
	proc, err := startChild(filepath.Join(dir, "broker.log"), kindBroker, spec)
	if err != nil {
		return err
	}
	if err := awaitFile(ctx, ready, proc); err != nil {
		proc.kill()
		return err
	}
	b.proc = proc
	for _, port := range b.cfg.Ports {
		b.addrs = append(b.addrs, hostPort(port))
	}
	return nil
}

func awaitFile(ctx context.Context, name string, proc *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s, see %s", startTimeout, proc.log))
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		if _, err := os.Stat(name); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-proc.done:
			return proc.exited()
		case <-tick.C:
		}
	}
}

// runBroker is the child: it serves until standard input ends.
func runBroker(specFile string) error {
	cfg, err := readBrokerConfig(specFile)
	if err != nil {
		return err
	}
	cluster, err := newCluster(cfg)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if cfg.RetentionBytes > 0 {
		quit := make(chan struct{})
		defer close(quit)
		go applyRetention(cluster, quit)
	}
	ready := filepath.Join(filepath.Dir(specFile), brokerReady)
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
