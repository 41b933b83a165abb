package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
)

// ledgerNeeds is what the ledger process cannot do without.
const ledgerNeeds = config.NeedServe

func newLedger() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "ledger --config FILE",
		Short: "Keep the evidence log that all workers share",
		Long: `ledger keeps an append-only log of what every batch contained, and signs
checkpoints over it. Workers append to it before they store a batch; the partner
reads checkpoints and tiles and can prove that nothing was taken away.

One process writes a log: a second one on the same folder refuses to start. When
it is down, workers wait and Kafka is the buffer.`,
		Example: `  borderwatch ledger --config /etc/borderwatch/ledger.yaml
  borderwatch ledger --config ledger.yaml --print-config`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load(ledgerNeeds)
			if err != nil {
				return err
			}
			if flags.print {
				return printConfig(cmd.OutOrStdout(), loaded)
			}
			return runLedger(cmd.Context(), loaded, cmd.ErrOrStderr())
		},
	}
	flags.register(cmd)
	cmd.AddCommand(newLedgerKeygen(), newLedgerRotateKey())
	return cmd
}

// runLedger serves until ctx ends, which is no error. What is acknowledged is under a checkpoint when it returns.
func runLedger(ctx context.Context, loaded *config.Loaded, stderr io.Writer) (err error) {
	if err := errors.Join(loaded.ReadSecrets(), loaded.Recheck(ledgerNeeds)); err != nil {
		return usageError{err}
	}
	cfg := &loaded.Ledger
	secure, err := serverTLS(cfg.Serve.TLS)
	if err != nil {
		return usageError{err}
	}
	log := newLogger(loaded.Log, stderr)
	routeKlog(log)
	history, err := ledger.Open(ctx, ledgerOptions(cfg))
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopTimeout)
		defer cancel()
		err = errors.Join(err, history.Close(stop))
	}()
	registry := newRegistry()
	server, err := ledger.NewServer(history, ledger.ServerOptions{
		Tokens: cfg.Serve.List(), TLS: secure, Wrap: newLedgerMetrics(registry, history).wrap,
	})
	if err != nil {
		return usageError{err}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Serve.Listen)
	if err != nil {
		return fmt.Errorf("ledger.serve.listen: %w", err)
	}
	announceLedger(log, listener.Addr(), history, secure != nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx, listener) })
	g.Go(func() error { return newOps(loaded.HTTP, registry, nil, ledgerChecks(history), log).Run(ctx) })
	return g.Wait()
}

// ledgerOptions are those of a log that this process keeps.
func ledgerOptions(cfg *config.Ledger) ledger.Options {
	o := ledger.Options{Dir: cfg.Dir, Origin: cfg.Serve.Origin, Quorum: cfg.Serve.Quorum, Heartbeat: cfg.Serve.Heartbeat}
	for _, w := range cfg.Serve.Witnesses {
		o.Witnesses = append(o.Witnesses, ledger.Witness{URL: w.URL, Key: w.Key})
	}
	return o
}

// routeKlog sends what the log's driver has to say to the logger. klog is global to the process.
func routeKlog(log *slog.Logger) { klog.SetSlogLogger(log.With("from", "tessera")) }

func announceLedger(log *slog.Logger, address net.Addr, history *ledger.Log, secure bool) {
	log.Info("ledger", "address", address.String(), "tls", secure, "verifier_key", history.VerifierKey())
	tcp, ok := address.(*net.TCPAddr)
	if ok && !secure && !tcp.IP.IsLoopback() {
		log.Warn("tokens and leaves cross the network in plain text, unless a proxy before this address does TLS")
	}
}

func ledgerChecks(history *ledger.Log) []healthCheck {
	return []healthCheck{{"checkpoint", func(ctx context.Context) error {
		_, err := history.Checkpoint(ctx)
		return err
	}}}
}

// serverTLS reads the certificates of a server, nil for plain HTTP.
func serverTLS(c config.ServerTLS) (*tls.Config, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("ledger.serve.tls.cert_file and key_file: %w", err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if c.ClientCAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("ledger.serve.tls.client_ca_file: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ledger.serve.tls.client_ca_file: %s holds no PEM certificate", c.ClientCAFile)
	}
	t.ClientAuth = tls.VerifyClientCertIfGiven // readers of tiles have none; who appends is checked by the server
	return t, nil
}

// newRegistry has the metrics that every process has.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
