package ledger

import (
	"context"
	"time"
)

// Heartbeat is the leaf of a log that had nothing else to record (heartbeat/v1). A checkpoint of the log alone has no
// time in it, so without one nobody could tell a silent log from one that is held back.
type Heartbeat struct {
	Time time.Time // milliseconds, UTC
}

// Marshal implements Leaf.
func (h Heartbeat) Marshal() []byte { return lines(kindHeartbeat+"\n").time("time", h.Time) }

// Validate implements Leaf.
func (h Heartbeat) Validate() error { return validateTime("time", h.Time) }

func readHeartbeat(r *lineReader) Heartbeat { return Heartbeat{Time: r.time("time")} }

// beat appends a heartbeat whenever the log did not grow for that long. One that fails is not missed: the next interval
// brings another, and the checkpoint's age shows what is wrong.
func (l *Log) beat(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	before := l.size()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if l.size() == before {
			_, _ = l.Append(ctx, Heartbeat{Time: l.now().UTC().Truncate(time.Millisecond)})
		}
		before = l.size()
	}
}

func (l *Log) size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}
