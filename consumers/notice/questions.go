package notice

import (
	"context"
	"fmt"
	"strings"
	"time"

	"borderwatch/consumers/store"
	"borderwatch/schemas/alert"
)

// about is a notice of the window that begins at start.
func about(kind, subject string, severity alert.Severity, start time.Time, index uint64) store.Notice {
	return store.Notice{Kind: kind, Subject: subject, Severity: severity, First: -1, Last: -1, LedgerIndex: index, Time: start, Until: start.Add(Window)}
}

// stretch is everything from where the last round ended. The window of to may still fill: its notice has one id however
// often it is asked.
func (r *Runner) stretch(to time.Time) store.Stretch {
	return store.Stretch{From: r.from, To: to, Window: Window, Lookback: r.cfg.Lookback}
}

func (r *Runner) identities(ctx context.Context, now time.Time) ([]store.Notice, error) {
	reuses, err := r.parts.Store.ReusedIdentities(ctx, r.stretch(now))
	if err != nil {
		return nil, fmt.Errorf("reused identities: %w", err)
	}
	out := make([]store.Notice, 0, len(reuses))
	for _, u := range reuses {
		n := about(store.NoticeIdentityReused, "scope "+u.Scope, alert.High, u.Window, u.LedgerIndex)
		n.Text = fmt.Sprintf("%s of scope %s came again with other content, %q among them. All are judged and stored; the source numbers its events wrongly, or somebody changed what it said.",
			counted(u.Identities, "event id"), u.Scope, u.Example)
		out = append(out, n)
	}
	return out, nil
}

// sequences asks about windows that are over for a whole window: the number that seems to be missing may lie in a
// partition that is a little behind.
func (r *Runner) sequences(ctx context.Context, now time.Time) ([]store.Notice, error) {
	end := floor(now).Add(-Window)
	if !end.After(r.from) {
		return nil, nil
	}
	breaks, err := r.parts.Store.SequenceBreaks(ctx, r.stretch(end), Window)
	if err != nil {
		return nil, fmt.Errorf("sequences of feeds: %w", err)
	}
	var out []store.Notice
	for _, b := range breaks {
		n := about("", "feed "+b.Feed+" of topic "+b.Topic, alert.High, b.Window, b.LedgerIndex)
		n.Source, n.Topic = b.Source, b.Topic
		if b.Missing > 0 {
			n.Kind = store.NoticeSequenceGap
			n.Text = fmt.Sprintf("%s missing of feed %s, first %s: accesses may have happened that nobody judged.", counted(b.Missing, "number", "is", "are"), b.Feed, span(b.From, b.To))
			out = append(out, n)
		}
		if b.Repeated > 0 {
			n.Kind, n.Severity = store.NoticeSequenceRepeat, alert.Medium
			n.Text = fmt.Sprintf("%s on more than one event of feed %s, such as %d: the source started over, or somebody adds events.", counted(b.Repeated, "number", "stands", "stand"), b.Feed, b.Repeat)
			out = append(out, n)
		}
	}
	return out, nil
}

// backfills makes one notice of each rule and UTC day, however many late events come.
func (r *Runner) backfills(ctx context.Context, now time.Time) ([]store.Notice, error) {
	stretch := r.stretch(now)
	stretch.From, stretch.Window = stretch.From.UTC().Truncate(day), day
	found, err := r.parts.Store.Backfills(ctx, stretch)
	if err != nil {
		return nil, fmt.Errorf("backfills: %w", err)
	}
	out := make([]store.Notice, 0, len(found))
	for _, b := range found {
		severity, _ := alert.ParseSeverity(b.Severity)
		n := about(store.NoticeBackfill, "rule "+b.RuleID, severity, b.Window, b.LedgerIndex)
		n.Until = n.Time.Add(day)
		n.Text = fmt.Sprintf("Late or early events of %s raised alerts of rule %s, %d when this was found: accesses of %s to %s, reported on %s. Treat them as one backfill.",
			strings.Join(b.Feeds, ", "), b.RuleID, b.Alerts, b.Earliest.UTC().Format(time.DateOnly), b.Latest.UTC().Format(time.DateOnly), b.Window.UTC().Format(time.DateOnly))
		out = append(out, n)
	}
	return out, nil
}

const day = 24 * time.Hour

// limits makes one notice of each exception and limit, for good.
func (r *Runner) limits(ctx context.Context, _ time.Time) ([]store.Notice, error) {
	var out []store.Notice
	for _, l := range r.parts.Limits() {
		subject := fmt.Sprintf("exception %s, at most %d", l.Exception, l.Matches)
		if r.crossed[subject] {
			continue
		}
		c, crossed, err := r.parts.Store.Crossed(ctx, l.Exception, l.Matches, time.UnixMilli(int64(l.From)))
		if err != nil {
			return nil, fmt.Errorf("matches of exception %s: %w", l.Exception, err)
		}
		if !crossed {
			continue
		}
		out = append(out, store.Notice{
			Kind: store.NoticeMaxMatches, Subject: subject, Severity: alert.High,
			First: -1, Last: -1, LedgerIndex: c.LedgerIndex, Time: c.Time,
			Text: fmt.Sprintf("Exception %s suppressed more than the %s it was approved for; event %q was the first beyond. It goes on suppressing: end it or approve it anew.",
				l.Exception, counted(uint64(l.Matches), "alert"), c.EventID),
		})
	}
	return out, nil
}

// silences makes one notice of each stretch, named by the last record before it, as soon as it is too long.
func (r *Runner) silences(ctx context.Context, until time.Time) ([]store.Notice, error) {
	var out []store.Notice
	for _, f := range r.cfg.Feeds {
		stretches, err := r.parts.Store.Silences(ctx, f.Records, f.SilentAfter, r.silent, until)
		if err != nil {
			return nil, fmt.Errorf("silence of feed %s: %w", f.Name, err)
		}
		for _, s := range stretches {
			n := store.Notice{Kind: store.NoticeSilentFeed, Subject: "feed " + f.Name + " of topic " + f.Records.Topic, Severity: alert.High,
				Topic: f.Records.Topic, First: -1, Last: -1, Time: s.Last, Until: s.Last.Add(f.SilentAfter)}
			n.Text = fmt.Sprintf("Feed %s delivered nothing for over %s after %s: accesses may go unseen.", f.Name, f.SilentAfter, s.Last.UTC().Format(time.RFC3339))
			if s.Last.Unix() == 0 {
				if until.Sub(r.started) < f.SilentAfter {
					continue // it may be as new as this worker
				}
				n.Text = fmt.Sprintf("Feed %s never delivered anything; a record is expected every %s.", f.Name, f.SilentAfter)
			}
			out = append(out, n)
		}
	}
	return out, nil
}

// counted is a number with its noun, and the verb that goes with it: one for one, two for more.
func counted(n uint64, noun string, verbs ...string) string {
	verb := ""
	if n != 1 {
		noun += "s"
	}
	if len(verbs) == 2 {
		verb = " " + verbs[min(n, 2)-1]
	}
	return fmt.Sprintf("%d %s%s", n, noun, verb)
}

func span(from, to int64) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}
