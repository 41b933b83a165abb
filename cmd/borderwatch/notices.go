package main

import (
	"context"
	"time"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/notice"
	"borderwatch/consumers/store"
	"borderwatch/rules/engine"
)

// openNotices makes the questions about stored rows. The worker that has partition 0 of the first topic asks them.
func (w *worker) openNotices() {
	cfg := &w.cfg
	if cfg.Notices.Every == 0 {
		return
	}
	first, progress := cfg.AllTopics()[0], w.pipeline.Progress()
	until := storedUntil{stored: w.pipeline.HasStored, marks: w.targets}
	w.notices = notice.New(notice.Config{Every: cfg.Notices.Every, Lookback: cfg.Notices.Lookback, Feeds: watchedFeeds(cfg.Sources())}, notice.Parts{
		Store: w.store, Metrics: notice.NewMetrics(w.registry), Log: w.log,
		Limits:      func() []engine.Limit { return w.bundles.Current().Engine.Limits() },
		Leads:       func() bool { return progress.Holds(first, 0) },
		StoredUntil: until.now,
	})
}

// watchedFeeds are the feeds that are expected to deliver, with what tells their records from others of the topic.
func watchedFeeds(feeds []config.Feed) []notice.Feed {
	var out []notice.Feed
	for _, f := range feeds {
		if f.SilentAfter == 0 {
			continue
		}
		r := store.Records{Topic: f.Topic, Header: f.Header.Key, Value: f.Header.Value}
		for _, o := range feeds {
			if f.Header.Key == "" && o.Topic == f.Topic && o.Header.Key != "" {
				r.Others = append(r.Others, [2]string{o.Header.Key, o.Header.Value})
			}
		}
		out = append(out, notice.Feed{Name: f.Name, Records: r, SilentAfter: f.SilentAfter})
	}
	return out
}

// storedUntil finds a time before which everything is stored: it takes the high watermarks of one call and looks at the
// next whether they are reached, since while records come they never are at once.
type storedUntil struct {
	stored func(context.Context, map[string][]kafka.Watermark) (bool, error)
	marks  func(context.Context) (map[string][]kafka.Watermark, error)

	waiting map[string][]kafka.Watermark // nil before the first call
	taken   time.Time
	until   time.Time
}

func (s *storedUntil) now(ctx context.Context) (time.Time, error) {
	if s.waiting != nil {
		// An error is a partition that stopped, which is told elsewhere: nobody knows what lies in it.
		if reached, err := s.stored(ctx, s.waiting); err != nil || !reached {
			return s.until, nil
		}
		s.until = s.taken
	}
	taken := time.Now()
	marks, err := s.marks(ctx)
	if err != nil {
		return time.Time{}, err
	}
	s.waiting, s.taken = marks, taken
	return s.until, nil
}
