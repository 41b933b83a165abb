package notice

import (
	"github.com/prometheus/client_golang/prometheus"

	"borderwatch/consumers/store"
)

// Metrics are what operators watch. Names and labels are stable.
type Metrics struct {
	notices  *prometheus.CounterVec
	failures prometheus.Counter
	asked    prometheus.Gauge
}

// kinds are the kinds of notices that the questions find.
var kinds = []string{store.NoticeIdentityReused, store.NoticeMaxMatches, store.NoticeSequenceGap, store.NoticeSequenceRepeat,
	store.NoticeSilentFeed, store.NoticeBackfill}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "borderwatch", Name: "notices_total",
			Help: "Notices found and stored, by kind."}, []string{"kind"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "borderwatch", Name: "notice_failures_total",
			Help: "Rounds of the questions behind notices that had no answer."}),
		asked: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "borderwatch", Name: "notices_asked_timestamp_seconds",
			Help: "When this worker last asked all questions behind notices; 0 where another worker of the group asks."}),
	}
	reg.MustRegister(m.notices, m.failures, m.asked)
	for _, kind := range kinds {
		m.notices.WithLabelValues(kind) // a series that is there from the start shows its first increase
	}
	return m
}
