package main

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borderwatch/consumers/ledger"
)

// ledgerMetrics counts what the ledger is asked.
type ledgerMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newLedgerMetrics(registry prometheus.Registerer, history *ledger.Log) *ledgerMetrics {
	m := &ledgerMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "borderwatch_ledger_requests_total", Help: "Requests to the ledger, by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "borderwatch_ledger_request_seconds", Help: "Time that requests to the ledger took, by route.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 13),
		}, []string{"route"}),
	}
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "borderwatch_ledger_checkpoint_leaves", Help: "Leaves under the last checkpoint; -1 where it cannot be read.",
	}, func() float64 { return checkpointSize(history) })
	registry.MustRegister(m.requests, m.seconds, size)
	return m
}

// checkpointSize reads the second line of the checkpoint (C2SP tlog-checkpoint).
func checkpointSize(history *ledger.Log) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	checkpoint, err := history.Checkpoint(ctx)
	if err != nil {
		return -1
	}
	lines := bytes.SplitN(checkpoint, []byte{'\n'}, 3)
	if len(lines) < 3 {
		return -1
	}
	size, err := strconv.ParseUint(string(lines[1]), 10, 64)
	if err != nil {
		return -1
	}
	return float64(size)
}

// wrap counts requests by the route that took them, not by path, so that nobody can make series.
func (m *ledgerMetrics) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, status := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r)
		route := r.Pattern
		if route == "" {
			route = "other"
		}
		m.requests.WithLabelValues(route, strconv.Itoa(status.status)).Inc()
		m.seconds.WithLabelValues(route).Observe(time.Since(start).Seconds())
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
