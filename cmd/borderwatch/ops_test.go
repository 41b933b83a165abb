package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"borderwatch/cmd/borderwatch/config"
)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func newTestOps(cfg config.HTTP, live, ready []healthCheck) *opsServer {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "bw_test_total", Help: "A test."})
	registry.MustRegister(counter)
	counter.Add(3)
	return newOps(cfg, registry, live, ready, slog.New(slog.DiscardHandler))
}

func check(name string, err error) healthCheck {
	return healthCheck{name, func(context.Context) error { return err }}
}

func TestHealthSaysWhatIsWrong(t *testing.T) {
	ready := []healthCheck{check("kafka", nil), check("clickhouse", errors.New("connection refused"))}
	h := newTestOps(config.HTTP{}, []healthCheck{check("loop", nil)}, ready).handler

	if code, body := get(t, h, "/livez"); code != 200 || !strings.Contains(body, `"status":"ok"`) {
		t.Errorf("livez: %d %s", code, body)
	}
	code, body := get(t, h, "/readyz")
	var report healthReport
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatal(err)
	}
	want := []checkReport{{Name: "kafka", OK: true}, {Name: "clickhouse", Error: "connection refused"}}
	if code != 503 || report.Status != "failing" || len(report.Checks) != 2 || report.Checks[0] != want[0] || report.Checks[1] != want[1] {
		t.Errorf("readyz: %d %+v", code, report)
	}
}

func TestWhatNothingHasToStopForIsShown(t *testing.T) {
	ready := []healthCheck{check("kafka", nil), check("bundle", degraded{errors.New("refused: rule.yaml:2:1")})}
	code, body := get(t, newTestOps(config.HTTP{}, nil, ready).handler, "/readyz")
	if code != 200 || !strings.Contains(body, `"status":"degraded"`) || !strings.Contains(body, `{"name":"bundle","ok":true,"warning":"refused: rule.yaml:2:1"}`) {
		t.Errorf("readyz: %d %s", code, body)
	}
	ready = append(ready, check("ledger", errors.New("connection refused")))
	if code, body := get(t, newTestOps(config.HTTP{}, nil, ready).handler, "/readyz"); code != 503 || !strings.Contains(body, `"status":"failing"`) {
		t.Errorf("readyz: %d %s", code, body)
	}
}

// TestCheckThatDoesNotAnswerFails ends the request's own context instead of waiting for the timeout.
func TestCheckThatDoesNotAnswerFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stuck := make(chan struct{})
	defer close(stuck)
	report := runChecks(ctx, []healthCheck{{"stuck", func(context.Context) error { <-stuck; return nil }}})
	if report.Status != "failing" || report.Checks[0].OK {
		t.Errorf("got %+v", report)
	}
}

func TestMetricsAndProfiles(t *testing.T) {
	with := newTestOps(config.HTTP{Profiling: true}, nil, nil).handler
	without := newTestOps(config.HTTP{}, nil, nil).handler
	if code, body := get(t, with, "/metrics"); code != 200 || !strings.Contains(body, "bw_test_total 3") {
		t.Errorf("metrics: %d %s", code, body)
	}
	if code, _ := get(t, with, "/debug/pprof/"); code != 200 {
		t.Errorf("pprof: %d", code)
	}
	if code, _ := get(t, without, "/debug/pprof/"); code != 404 {
		t.Errorf("pprof that is off: %d", code)
	}
	if code, _ := get(t, with, "/"); code != 404 {
		t.Errorf("/: %d", code)
	}
}

func TestOpsServesUntilTheEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ops := newTestOps(config.HTTP{}, nil, nil)
	go func() { done <- ops.serve(ctx, listener) }()
	response, err := http.Get("http://" + address + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	response.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestOpsSaysThatTheAddressIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = newTestOps(config.HTTP{Listen: listener.Addr().String()}, nil, nil).Run(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "http.listen: ") {
		t.Errorf("got %v", err)
	}
	if err := newTestOps(config.HTTP{}, nil, nil).Run(t.Context()); err != nil {
		t.Errorf("no address: %v", err)
	}
}
