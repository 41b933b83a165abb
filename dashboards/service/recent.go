package service

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"borderwatch/schemas/casework"
)

// FreshFor is how long an answer about cases is good for everybody who asks the same. When an alert comes, all open lists ask
// at once; whoever tells them waits this long, so that no older answer is given. What people did is asked for anew each time.
const FreshFor = time.Second

// maxRecent bounds how many answers are kept.
const maxRecent = 64

// recentFacts remembers the last answers about cases.
type recentFacts struct {
	flight singleflight.Group
	mu     sync.Mutex
	known  map[casework.CaseFilter]recentAnswer // by filter without its time
}

type recentAnswer struct {
	facts []casework.Facts
	at    time.Time
}

// caseFacts asks the store, or gives the answer that somebody just got. Nobody may change it.
func (r *recentFacts) caseFacts(ctx context.Context, store CaseStore, f casework.CaseFilter, now time.Time) ([]casework.Facts, error) {
	key := f
	key.Since = time.Unix(0, int64(now.Sub(f.Since))) // the same stretch back from whenever it is asked
	if facts, ok := r.find(key, now); ok {
		return facts, nil
	}
	answer, err, _ := r.flight.Do(fmt.Sprintf("%q", []any{key.Since.UnixNano(), key.Severity, key.Rule, key.Actor, key.Country, key.Dataset, key.Kind}), func() (any, error) {
		// One who leaves must not end it for the others.
		facts, err := store.CaseFacts(context.WithoutCancel(ctx), f, now)
		if err == nil {
			r.keep(key, recentAnswer{facts, now})
		}
		return facts, err
	})
	if err != nil {
		return nil, err
	}
	facts, _ := answer.([]casework.Facts)
	return facts, nil
}

func (r *recentFacts) find(key casework.CaseFilter, now time.Time) ([]casework.Facts, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.known[key]
	return a.facts, ok && now.Sub(a.at) < FreshFor && !now.Before(a.at)
}

func (r *recentFacts) keep(key casework.CaseFilter, a recentAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxRecent {
		r.known = map[casework.CaseFilter]recentAnswer{}
	}
	r.known[key] = a
}
