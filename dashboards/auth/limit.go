package auth

import (
	"sync"
	"time"
)

// limiter bounds attempts per key within a stretch of time. It forgets keys whose stretch is over.
type limiter struct {
	most  int
	per   time.Duration
	mu    sync.Mutex
	tried map[string]*attempts
}

type attempts struct {
	n     int
	since time.Time
}

// maxKeys bounds memory: beyond it, everybody waits until keys are forgotten.
const maxKeys = 50_000

func newLimiter(most int, per time.Duration) *limiter {
	return &limiter{most: most, per: per, tried: map[string]*attempts{}}
}

// take counts an attempt and tells whether it is within the bound.
func (l *limiter) take(key string, now time.Time) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.tried[key]
	if a == nil || now.Sub(a.since) >= l.per {
		l.forget(now)
		if len(l.tried) >= maxKeys {
			return false
		}
		a = &attempts{since: now}
		l.tried[key] = a
	}
	a.n++
	return a.n <= l.most
}

// give takes back an attempt that succeeded. Those before it still count.
func (l *limiter) give(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.tried[key]; a != nil {
		a.n--
	}
}

func (l *limiter) forget(now time.Time) {
	if len(l.tried) < maxKeys/2 {
		return
	}
	for key, a := range l.tried {
		if now.Sub(a.since) >= l.per {
			delete(l.tried, key)
		}
	}
}
