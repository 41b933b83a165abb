package main

import (
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
	registry.MustRegister(m.requests, m.seconds)
	ledger.RegisterMetrics(registry, history, history.Witnesses() > 0)
	return m
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
