package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/store"
	"borderwatch/dashboards/auth"
)

// consoleNeeds are the sections that the console cannot do without.
const consoleNeeds = config.NeedClickHouse | config.NeedConsole

func newConsole() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "console --config FILE",
		Short: "Serve the web console and its API",
		Long: `console serves pages for the security team, the independent partner and
operators, and the same functions as a JSON API, described at /api/openapi.json.

It reads ClickHouse with an account of the role bw_api. What people do is kept in
bw.actions and, where ledger.url is given, in the evidence log. People sign in as
local users (console.users) or with an OpenID Connect provider (console.oidc).`,
		Example: `  borderwatch console --config /etc/borderwatch/console.yaml
  borderwatch console password < password.txt`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load(consoleNeeds)
			if err != nil {
				return err
			}
			if flags.print {
				return printConfig(cmd.OutOrStdout(), loaded)
			}
			return runConsole(cmd.Context(), loaded, newLogger(loaded.Log, cmd.ErrOrStderr()))
		},
	}
	flags.register(cmd)
	cmd.AddCommand(newConsolePassword())
	return cmd
}

func newConsolePassword() *cobra.Command {
	return &cobra.Command{
		Use:   "password",
		Short: "Make the hash of a password for the file of local users",
		Long: `password reads a password, from the terminal or the first line of standard input,
and prints its argon2id hash for the users' file of the console.`,
		Example: `  borderwatch console password`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := readPassword(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			hash, err := auth.HashPassword(password)
			if err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), hash)
			return err
		},
	}
}

func readPassword(in io.Reader, prompt io.Writer) (string, error) {
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(prompt, "Password: ")
		text, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(prompt)
		return string(text), err
	}
	line, err := bufio.NewReader(io.LimitReader(in, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// runConsole serves until ctx ends, which is no error.
func runConsole(ctx context.Context, loaded *config.Loaded, log *slog.Logger) error {
	if err := loaded.ReadSecrets(); err != nil {
		return usageError{err}
	}
	cfg := &loaded.Config
	secure, err := serverTLS(cfg.Console.TLS)
	if err != nil {
		return usageError{err}
	}
	options, err := storeOptions(cfg.ClickHouse)
	if err != nil {
		return err
	}
	reader, err := store.New(options)
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := reader.Check(ctx); err != nil {
		return err
	}
	site, err := newConsoleSite(cfg, reader, log)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Console.Listen)
	if err != nil {
		return fmt.Errorf("console.listen: %w", err)
	}
	site.tls = secure
	warnOfPlain(log, listener.Addr(), cfg.Console)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return site.run(ctx, listener) })
	checks := []healthCheck{{"clickhouse", reader.Check}}
	g.Go(func() error { return newOps(cfg.HTTP, newRegistry(), nil, checks, log).Run(ctx) })
	return g.Wait()
}

func warnOfPlain(log *slog.Logger, address net.Addr, c config.Console) {
	tcp, ok := address.(*net.TCPAddr)
	if ok && !tcp.IP.IsLoopback() && c.TLS.CertFile == "" && !strings.HasPrefix(c.URL, "https://") {
		log.Warn("passwords and sessions cross the network in plain text: give console.tls, or console.url with https behind a proxy that does TLS")
	}
}

// run serves until ctx ends. Live lists are ended with it.
func (s *consoleSite) run(ctx context.Context, listener net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler: s.console, TLSConfig: s.tls, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 2 * time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return base },
	}
	s.log.Info("console", "address", listener.Addr().String(), "tls", s.tls != nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.console.Run(ctx) })
	g.Go(func() error {
		serve := server.Serve
		if s.tls != nil {
			serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		}
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("console: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		cancel() // live lists never end by themselves
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer done()
		if err := server.Shutdown(stop); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	})
	return g.Wait()
}
