package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"borderwatch/consumers/drain"
)

// Step is one idempotent write of a batch. Run repeats it until it is known to have happened, ctx ends, or trying again
// is pointless (*HaltError).
type Step struct {
	Name  string // the table
	Token string // names the write: the same token twice is one write
	Rows  int
	Run   func(ctx context.Context) error
}

// Insert stores a sealed block: alerts, raw records, events, dead letters, then the receipt. A crash between two steps
// leaves rows that no view shows; inserting the same batch again completes it. An error other than *HaltError means that
// ctx ended first, or the process stops (package drain): what was stored is unknown, and the same block may be inserted
// again.
func (s *Store) Insert(ctx context.Context, b *Block) error {
	steps, err := s.Steps(b)
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := step.Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Steps checks a sealed block and lists the steps of its insert, without tables that have no row. The receipt is last.
func (s *Store) Steps(b *Block) ([]Step, error) {
	if err := b.prepare(); err != nil {
		return nil, &HaltError{Err: err}
	}
	var steps []Step
	for _, t := range append(b.tables(), &b.receipt.table) {
		if t.rows() == 0 {
			continue
		}
		steps = append(steps, Step{Name: t.name, Token: b.token(t.name), Rows: t.rows(), Run: func(ctx context.Context) error { return s.insertTable(ctx, b, t) }})
	}
	return steps, nil
}

const (
	retryMin = 100 * time.Millisecond
	retryMax = 10 * time.Second
	// maxUnlisted is how often an answer of the server that is in no list is tried again before the partition stops.
	maxUnlisted = 8
)

// insertTable sends one table until the server acknowledges it. A lost answer is no answer: the same token goes out
// again, and what was stored is not stored twice.
func (s *Store) insertTable(ctx context.Context, b *Block, t *table) error {
	query, token := t.insert(s.opt.Database), b.token(t.name)
	unlisted := 0
	for attempt := 1; ; attempt++ {
		err := s.attempt(ctx, t.name, func(ctx context.Context) error {
			return s.wire.insert(ctx, s.host(b), query, token, t.input)
		})
		if err == nil {
			return nil
		}
		code := serverCode(err)
		if code != 0 && !passing[code] {
			unlisted++
		}
		var drift *driftError
		if halting[code] || errors.As(err, &drift) || unlisted > maxUnlisted {
			return &HaltError{Code: code, Err: fmt.Errorf("%s: %w", token, err)}
		}
		if code == 0 {
			s.nextHost(b)
		}
		if ctx.Err() == nil && s.opt.OnRetry != nil {
			s.opt.OnRetry(t.name, attempt, err)
		}
		if !pause(ctx, attempt) {
			return fmt.Errorf("%s, attempt %d: %w", token, attempt, errors.Join(context.Cause(ctx), err))
		}
	}
}

func (s *Store) attempt(ctx context.Context, step string, run func(context.Context) error) error {
	if s.opt.Around != nil {
		return s.opt.Around(ctx, step, run)
	}
	return run(ctx)
}

// host is where a block goes: it stays at the node where it was tried first, since a plain table deduplicates there only.
func (s *Store) host(b *Block) string {
	if b.host == "" {
		b.host = s.opt.Hosts[0]
	}
	return b.host
}

// nextHost goes on at another replica when one does not answer; replicas deduplicate together.
func (s *Store) nextHost(b *Block) {
	i := slices.Index(s.opt.Hosts, b.host)
	b.host = s.opt.Hosts[(i+1)%len(s.opt.Hosts)]
}

// pause waits between attempts, doubling with jitter so that workers do not come back together. False means that ctx
// ended, or that the process stops (package drain).
func pause(ctx context.Context, attempt int) bool {
	d := min(retryMin<<min(attempt-1, 10), retryMax)
	d = d/2 + rand.N(d/2+1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-drain.Stopping(ctx):
		return false
	case <-ctx.Done():
		return false
	}
}
