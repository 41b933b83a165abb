package backtest

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/store"
	"borderwatch/rules/impact"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// windowRows is how many offsets are read by one query: enough that asking costs nothing, few enough that what a window
// comes to fits into memory.
const windowRows = 250_000

// Run compares what two sides find about the same events.
type Run struct {
	Old        *bundle.Bundle // nil: what was found when the events arrived, or nothing for events that are not stored
	New        *bundle.Bundle
	References References
	Span       store.Span
	Watch      *impact.Watch // exceptions whose evidence is counted; may be nil
	Options    impact.Options
	Workers    int // goroutines that read and judge; default 2
	// Progress hears how many of all events are done. It is called from one goroutine and must not block; may be nil.
	Progress func(done, total uint64)
}

// Stored judges the stored events of the span. The report is the same each time, as long as the rows are.
func (r *Run) Stored(ctx context.Context, s *store.Store) (*impact.Total, error) {
	windows, err := s.Windows(ctx, r.Span, windowRows)
	if err != nil {
		return nil, err
	}
	q := newQueue(windows, max(r.Workers, 1), r.total(windows))
	total := impact.NewTotal(r.Options)
	group, ctx := errgroup.WithContext(ctx)
	for range q.workers {
		group.Go(func() error { return r.work(ctx, s, q) })
	}
	group.Go(func() error { return q.add(ctx, total) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return total, nil
}

// total returns what is called with the number of events of each finished window.
func (r *Run) total(windows []store.Window) func(done uint64) {
	var all uint64
	for i := range windows {
		all += windows[i].Events
	}
	return func(done uint64) {
		if r.Progress != nil {
			r.Progress(done, all)
		}
	}
}

// work reads and judges one window after the other.
func (r *Run) work(ctx context.Context, s *store.Store, q *queue) error {
	reader, side := s.NewReader(), r.newSides()
	for {
		w, out, ok := q.take(ctx)
		if !ok {
			return context.Cause(ctx)
		}
		c := q.buffer()
		err := reader.Read(ctx, w, r.Span, r.Old == nil, func(e *store.StoredEvent) error {
			side.compare(c, &e.Event, e.Content, side.stored(e.Alerts))
			return nil
		})
		if err != nil {
			return err
		}
		out <- c
	}
}

// sides judges by both sides. It belongs to one goroutine.
type sides struct {
	run           *Run
	old, new      *Judge
	before, after []impact.Finding
}

func (r *Run) newSides() *sides {
	s := &sides{run: r, new: NewJudge(r.New, r.References)}
	if r.Old != nil {
		s.old = NewJudge(r.Old, r.References)
	}
	return s
}

func (s *sides) stored(alerts []store.StoredAlert) []impact.Finding {
	s.before = s.before[:0]
	for i := range alerts {
		a := &alerts[i]
		s.before = append(s.before, impact.Finding{Rule: a.RuleID, Outcome: a.Outcome, Severity: a.Severity, Shadow: a.Shadow, DataItem: a.DataItem})
	}
	return s.before
}

// compare judges an event. before is what was found where there is no old bundle.
func (s *sides) compare(c *impact.Collected, ev *access.Event, content access.Digest, before []impact.Finding) {
	if s.old != nil {
		v, _ := s.old.Judge(ev, content)
		s.before = impact.AppendFindings(s.before[:0], v)
		before = s.before
	}
	var v *alert.Verdict
	v, ev = s.new.Judge(ev, content)
	s.after = impact.AppendFindings(s.after[:0], v)
	c.Add(ev, content, before, s.after)
	if s.run.Watch != nil {
		c.Look(s.run.Watch, ev, v)
	}
}

// queue hands out windows and takes back what they come to, in their order. A window is only begun when few others are
// under way, so that memory is bounded however unevenly they proceed.
type queue struct {
	workers int
	done    func(events uint64)
	windows []store.Window
	results chan chan *impact.Collected // in the order of windows
	free    chan *impact.Collected

	mu   sync.Mutex
	next int
}

func newQueue(windows []store.Window, workers int, done func(uint64)) *queue {
	return &queue{workers: workers, windows: windows, done: done, results: make(chan chan *impact.Collected, workers),
		free: make(chan *impact.Collected, 2*workers+1)}
}

// take returns the next window and where its result goes, false where there is none left or ctx ended.
func (q *queue) take(ctx context.Context) (store.Window, chan<- *impact.Collected, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == len(q.windows) || ctx.Err() != nil {
		return store.Window{}, nil, false
	}
	out := make(chan *impact.Collected, 1)
	select {
	case q.results <- out:
	case <-ctx.Done():
		return store.Window{}, nil, false
	}
	q.next++
	return q.windows[q.next-1], out, true
}

func (q *queue) buffer() *impact.Collected {
	select {
	case c := <-q.free:
		return c
	default:
		return new(impact.Collected)
	}
}

// add adds the results up in the order of windows.
func (q *queue) add(ctx context.Context, total *impact.Total) error {
	var events uint64
	for range q.windows {
		select {
		case out := <-q.results:
			select {
			case c := <-out:
				total.Add(c)
				events += c.Events
				q.done(events)
				c.Reset()
				select {
				case q.free <- c:
				default:
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Report writes a report of what was added up.
func (r *Run) Report(total *impact.Total, from impact.Events, old impact.Judged) *impact.Report {
	report := &impact.Report{Old: old, New: impact.Judged{By: impact.ByRules, Bundle: r.New.Digest}}
	if r.Old != nil {
		report.Old = impact.Judged{By: impact.ByRules, Bundle: r.Old.Digest}
	}
	from.References = impact.ReferencesStored
	if r.References == Anew {
		from.References = impact.ReferencesBundle
	}
	total.Fill(report, from)
	return report
}
