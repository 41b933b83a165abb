package console

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"borderwatch/dashboards/service"
)

// How often is looked for changes, and how often an idle connection is told that it lives.
const (
	pulseEvery = 2 * time.Second
	beatEvery  = 20 * time.Second
	maxViewers = 2000
)

// hub tells everybody who looks at a list that something changed. It asks the store once for all, and not at all while
// nobody looks.
type hub struct {
	pulse Pulse
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	viewers map[chan struct{}]bool
}

func newHub(p Pulse, log *slog.Logger, now func() time.Time) *hub {
	return &hub{pulse: p, log: log, now: now, viewers: map[chan struct{}]bool{}}
}

func (h *hub) join() (chan struct{}, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= maxViewers {
		return nil, false
	}
	viewer := make(chan struct{}, 1)
	h.viewers[viewer] = true
	return viewer, true
}

func (h *hub) leave(viewer chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, viewer)
}

func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.viewers) > 0
}

// tell wakes every viewer. One that has not yet looked after the last time is not told twice.
func (h *hub) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for viewer := range h.viewers {
		select {
		case viewer <- struct{}{}:
		default:
		}
	}
}

func (h *hub) run(ctx context.Context) error {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	last := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !h.watched() {
			continue
		}
		beat, err := h.pulse.Pulse(ctx, h.now())
		if err != nil {
			if ctx.Err() == nil {
				h.log.Warn("lists are not live just now", "error", err)
			}
			continue
		}
		if beat == last {
			continue
		}
		last = beat
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(service.FreshFor): // or lists would be those of before the change
		}
		h.tell()
	}
}

// serveLive is a stream of server-sent events: change whenever a list may have changed. It ends with the session.
func (c *Console) serveLive(w http.ResponseWriter, r *http.Request) {
	if _, ok := c.auth.Identify(r); !ok {
		http.Error(w, errSignIn.Error(), http.StatusUnauthorized)
		return
	}
	viewer, ok := c.live.join()
	if !ok {
		http.Error(w, "too many open lists", http.StatusServiceUnavailable)
		return
	}
	defer c.live.leave(viewer)
	out := http.NewResponseController(w)
	if err := out.SetWriteDeadline(time.Time{}); err != nil {
		c.opt.Log.Warn("live lists", "error", err)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	text := ": hello\n\n"
	for {
		if _, err := fmt.Fprint(w, text); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			text = ": beat\n\n"
		case <-viewer:
			text = "event: change\ndata: now\n\n"
		}
		if _, ok := c.auth.Identify(r); !ok {
			return
		}
	}
}
