package pipeline

import (
	"context"
	"time"

	"borderwatch/consumers/kafka"
)

const (
	lookAtOwn    = 50 * time.Millisecond
	lookAtOthers = time.Second // a request to the broker
)

// CaughtUp waits until everything up to the given high watermarks, by topic, is stored: by this worker, or by another of
// its group, which its commits tell. It returns an error when a partition of this worker stops first.
func (w *Worker) CaughtUp(ctx context.Context, targets map[string][]kafka.Watermark) error {
	own, others := time.NewTicker(lookAtOwn), time.NewTicker(lookAtOthers)
	defer own.Stop()
	defer others.Stop()
	for {
		missing, err := w.progress.missing(targets)
		if err != nil || len(missing) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-own.C:
			continue
		case <-others.C:
		}
		if missing, err = w.uncommitted(ctx, missing); err != nil {
			w.log.Warn("what other workers have stored is not known", "error", err)
		} else if len(missing) == 0 {
			return nil
		}
	}
}

// HasStored tells whether everything up to the given high watermarks, by topic, is stored by workers of the group now. Its
// error is a partition of this worker that stopped, or no answer of the broker.
func (w *Worker) HasStored(ctx context.Context, marks map[string][]kafka.Watermark) (bool, error) {
	missing, err := w.progress.missing(marks)
	if err != nil || len(missing) == 0 {
		return err == nil, err
	}
	missing, err = w.uncommitted(ctx, missing)
	return err == nil && len(missing) == 0, err
}

// uncommitted returns the high watermarks that the group has not committed. A commit follows the receipt, so what is
// committed is stored. A partition that holds nothing counts as committed: there may never be a commit in it.
func (w *Worker) uncommitted(ctx context.Context, marks map[string][]kafka.Watermark) (map[string][]kafka.Watermark, error) {
	ask := map[string][]int{}
	for topic, list := range marks {
		for _, m := range list {
			ask[topic] = append(ask[topic], m.Partition)
		}
	}
	committed, err := w.group.Committed(ctx, ask)
	if err != nil {
		return nil, err
	}
	out := map[string][]kafka.Watermark{}
	for topic, list := range marks {
		source, err := w.source(ctx, topic)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			at := committed[topic][m.Partition]
			of := committedSource(at.Metadata) // that of a topic that had the name before does not count
			if m.LogStart < m.HighWatermark && (of != source || at.Offset < m.HighWatermark) {
				out[topic] = append(out[topic], m)
			}
		}
	}
	return out, nil
}
