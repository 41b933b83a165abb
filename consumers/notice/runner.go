package notice

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"borderwatch/consumers/store"
	"borderwatch/rules/engine"
	"borderwatch/schemas/access"
)

// Config says what is asked and how often. Zero values take the defaults.
type Config struct {
	Every    time.Duration // between two rounds of questions, 1 min
	Lookback time.Duration // how far back event ids and numbers are compared, and how far back the first round asks, 24 h
	Feeds    []Feed        // feeds that are expected to deliver
}

// Feed is a feed that goes silent when nothing came for longer than SilentAfter.
type Feed struct {
	Name        string
	Records     store.Records
	SilentAfter time.Duration
}

// Parts are what a Runner works with.
type Parts struct {
	Store *store.Store
	// Limits are those of the exceptions in force.
	Limits func() []engine.Limit
	// Leads tells whether this worker is the one that asks. Two that do find the same notices.
	Leads func() bool
	// StoredUntil is a time such that everything that had reached Kafka before it is stored; zero where none is known.
	StoredUntil func(ctx context.Context) (time.Time, error)
	Metrics     *Metrics
	Log         *slog.Logger
}

// Window is the length of the stretches of batch time that notices are about; they start at multiples of it.
const Window = 5 * time.Minute

// overlap is how far a round asks again what the one before it asked: a batch may be stored later than its batch time.
const overlap = 3 * Window

// Runner asks the questions. It belongs to one goroutine.
type Runner struct {
	cfg   Config
	parts Parts

	from    time.Time       // where the next round begins; zero before the first
	silent  time.Time       // the same for silent feeds
	started time.Time       // when the first round was
	crossed map[string]bool // exceptions and limits of which the notice is stored
}

// New makes a Runner. Run does the work.
func New(cfg Config, parts Parts) *Runner {
	if cfg.Every == 0 {
		cfg.Every = time.Minute
	}
	if cfg.Lookback == 0 {
		cfg.Lookback = 24 * time.Hour
	}
	return &Runner{cfg: cfg, parts: parts, crossed: map[string]bool{}}
}

// Run asks until ctx ends, which is no error. A round that fails is logged, counted and asked again.
func (r *Runner) Run(ctx context.Context) error {
	for rest := r.cfg.Every; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rest):
		}
		began := time.Now()
		if !r.parts.Leads() {
			r.from, r.silent = time.Time{}, time.Time{} // whoever leads again starts from the lookback
		} else if err := r.Ask(ctx, began); err != nil && ctx.Err() == nil {
			r.parts.Metrics.failures.Inc()
			r.parts.Log.Warn("the questions behind notices had no answer; they are asked again", "error", err)
		}
		rest = max(r.cfg.Every, restFactor*time.Since(began))
	}
}

// restFactor keeps the questions from taking more than a tenth of ClickHouse's time where there is much to ask about.
const restFactor = 9

// Ask makes one round of questions about everything that is stored up to now, and stores what it finds.
func (r *Runner) Ask(ctx context.Context, now time.Time) error {
	if r.started.IsZero() {
		r.started = now
	}
	if r.from.IsZero() {
		newest, ok, err := r.parts.Store.NewestBatch(ctx)
		if err != nil || !ok {
			return err
		}
		r.from = floor(earlier(newest, now)).Add(-r.cfg.Lookback)
		r.silent = r.from
	}
	until, err := r.parts.StoredUntil(ctx)
	if err != nil {
		return fmt.Errorf("how far everything is stored: %w", err)
	}
	found, err := r.find(ctx, now, until)
	if err != nil {
		return err
	}
	if err := r.keep(ctx, found); err != nil {
		return err
	}
	for i := range found {
		if found[i].Kind == store.NoticeMaxMatches {
			r.crossed[found[i].Subject] = true
		}
	}
	if start := floor(now).Add(-overlap); start.After(r.from) {
		r.from = start
	}
	if until.After(r.silent) {
		r.silent = until
	}
	r.parts.Metrics.asked.SetToCurrentTime()
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// floor is the beginning of the window of t.
func floor(t time.Time) time.Time { return t.UTC().Truncate(Window) }

// find asks every question.
func (r *Runner) find(ctx context.Context, now, until time.Time) ([]store.Notice, error) {
	var found []store.Notice
	for _, question := range []func(context.Context, time.Time) ([]store.Notice, error){
		r.identities, r.sequences, r.backfills, r.limits,
	} {
		notices, err := question(ctx, now)
		if err != nil {
			return nil, err
		}
		found = append(found, notices...)
	}
	if until.IsZero() {
		return found, nil
	}
	silent, err := r.silences(ctx, until)
	return append(found, silent...), err
}

// keep stores the notices that are not stored yet, counts them and says them.
func (r *Runner) keep(ctx context.Context, found []store.Notice) error {
	if len(found) == 0 {
		return nil
	}
	ids := make([]access.Digest, len(found))
	for i := range found {
		ids[i] = found[i].ID()
	}
	known, err := r.parts.Store.KnownNotices(ctx, ids)
	if err != nil {
		return fmt.Errorf("notices that are known: %w", err)
	}
	for i := range found {
		if known[ids[i]] {
			continue
		}
		if err := r.parts.Store.InsertNotice(ctx, found[i]); err != nil {
			return err
		}
		known[ids[i]] = true
		r.parts.Metrics.notices.WithLabelValues(found[i].Kind).Inc()
		r.parts.Log.Warn("notice", "kind", found[i].Kind, "severity", found[i].Severity.String(), "subject", found[i].Subject, "why", found[i].Text)
	}
	return nil
}
