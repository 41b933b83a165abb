package pipeline

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// budget bounds the bytes that all partitions of a worker hold in batches. When it is used up, partitions deliver what
// they have and wait: Kafka is the buffer.
type budget struct {
	total int64
	sem   *semaphore.Weighted
}

func newBudget(total int64) *budget {
	return &budget{total: total, sem: semaphore.NewWeighted(total)}
}

// clamp makes a request that is larger than everything wait for everything instead of forever.
func (b *budget) clamp(n int64) int64 { return min(n, b.total) }

func (b *budget) try(n int64) bool { return b.sem.TryAcquire(b.clamp(n)) }

func (b *budget) wait(ctx context.Context, n int64) error { return b.sem.Acquire(ctx, b.clamp(n)) }

func (b *budget) release(n int64) {
	if n > 0 {
		b.sem.Release(n)
	}
}
