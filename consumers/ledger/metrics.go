package ledger

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// checkTimeout bounds what a scrape waits for the disk.
const checkTimeout = 5 * time.Second

// RegisterMetrics makes the gauges of a log that this process keeps; that of cosignatures where it is to have some.
func RegisterMetrics(registry prometheus.Registerer, l *Log, cosignatures bool) {
	gauge := func(name, help string, value func(context.Context) float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "borderwatch_ledger_" + name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
			defer cancel()
			return value(ctx)
		}))
	}
	gauge("checkpoint_leaves", "Leaves under the last checkpoint; -1 where it cannot be read.", func(ctx context.Context) float64 {
		cp, err := l.openCheckpoint(ctx)
		if err != nil {
			return -1
		}
		return float64(cp.Size)
	})
	gauge("checkpoint_age_seconds", "Time since the last checkpoint was published; +Inf where there is none.", func(context.Context) float64 {
		return age(l.Published())
	})
	if !cosignatures {
		return
	}
	gauge("cosignature_age_seconds", "Time since the quorum of witnesses cosigned the published checkpoint; +Inf where it did not.",
		func(ctx context.Context) float64 { return age(l.Cosigned(ctx)) })
}

func age(at time.Time, err error) float64 {
	if err != nil {
		return math.Inf(1)
	}
	return time.Since(at).Seconds()
}
