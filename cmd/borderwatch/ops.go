package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"borderwatch/cmd/borderwatch/config"
)

const (
	checkTimeout = 2 * time.Second
	stopTimeout  = 5 * time.Second
)

// healthCheck is one thing that must be in order. Check is called from several goroutines.
type healthCheck struct {
	Name  string
	Check func(context.Context) error
}

// degraded is the error of a check that nothing has to stop for: it is shown, and the process stays ready.
type degraded struct{ error }

// opsServer serves /metrics, /livez, /readyz and, where configured, /debug/pprof/.
type opsServer struct {
	listen  string
	handler http.Handler
	log     *slog.Logger
}

// newOps returns a server for cfg.Listen. live says whether the process must be restarted, ready whether it does its
// work; both are asked anew for each request.
func newOps(cfg config.HTTP, metrics prometheus.Gatherer, live, ready []healthCheck, log *slog.Logger) *opsServer {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("GET /livez", healthHandler(live))
	mux.Handle("GET /readyz", healthHandler(ready))
	if cfg.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return &opsServer{cfg.Listen, mux, log}
}

// Run serves until ctx ends. It returns at once where no address is configured.
func (s *opsServer) Run(ctx context.Context) error {
	listener, err := listenOps(ctx, s.listen)
	if err != nil {
		return err
	}
	return s.serve(ctx, listener)
}

// listenOps takes the address of http.listen, nil where there is none.
func listenOps(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	return listener, nil
}

// serve answers until ctx ends and closes the listener. Without one it returns at once.
func (s *opsServer) serve(ctx context.Context, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // longer than a usual profile
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.log.Info("metrics and health", "address", listener.Addr().String())
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("http server: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// healthReport is the body of /livez and /readyz.
type healthReport struct {
	Status string        `json:"status"` // ok, degraded or failing
	Checks []checkReport `json:"checks"`
}

type checkReport struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"`
	Warning string `json:"warning,omitempty"` // what is wrong and does not keep the process from its work
}

// healthHandler answers 503 where a check fails, else 200; the body says what is wrong.
func healthHandler(checks []healthCheck) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		report := runChecks(r.Context(), checks)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if report.Status == statusFailing {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(report) // the client is gone; nothing else can fail
	}
}

// runChecks asks all checks at once; one that does not answer in checkTimeout has failed.
func runChecks(ctx context.Context, checks []healthCheck) healthReport {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	report := healthReport{Status: statusOK, Checks: make([]checkReport, len(checks))}
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { report.Checks[i] = runCheck(ctx, c) })
	}
	wg.Wait()
	for _, c := range report.Checks {
		switch {
		case !c.OK:
			report.Status = statusFailing
		case c.Warning != "" && report.Status == statusOK:
			report.Status = statusDegraded
		}
	}
	return report
}

// The states of a health report.
const (
	statusOK       = "ok"
	statusDegraded = "degraded"
	statusFailing  = "failing"
)

func runCheck(ctx context.Context, c healthCheck) checkReport {
	result := make(chan error, 1)
	go func() { result <- c.Check(ctx) }()
	select {
	case err := <-result:
		var warning degraded
		if errors.As(err, &warning) {
			return checkReport{Name: c.Name, OK: true, Warning: warning.Error()}
		}
		if err != nil {
			return checkReport{Name: c.Name, Error: err.Error()}
		}
		return checkReport{Name: c.Name, OK: true}
	case <-ctx.Done():
		return checkReport{Name: c.Name, Error: "no answer within " + checkTimeout.String()}
	}
}
