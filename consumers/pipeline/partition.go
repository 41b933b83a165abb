package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"borderwatch/consumers/drain"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
)

// partition is the loop of one assigned partition: resume, read ahead, judge, deliver.
type partition struct {
	worker  *Worker
	fetcher kafka.Source
	key     ledger.Key
	commit  commitFunc
	start   kafka.Position  // what was committed in Kafka, for a partition the ledger does not know
	exiting <-chan struct{} // closed when the whole worker is told to end
	judge   *judge
	metrics *partitionMetrics
	next    atomic.Int64 // first offset that is not stored

	// Owned by takeover, then by the judging goroutine.
	salts   *store.Salts
	saltDay string
	heard   time.Time // when something arrived, or the topic was seen to be the same

	// Owned by takeover, then by the deliver goroutine.
	prev    int64  // ledger index of the last leaf, -1 for none
	inForce string // bundle of the last leaf whose activation is noted, "" where not known

	window *window
}

// commitFunc makes next the group's position in the partition, fenced by generation.
type commitFunc func(ctx context.Context, next int64, metadata string) error

// errHalted marks a partition that stopped for a reason a person has to look at. Skipping is never an option.
var errHalted = errors.New("partition halted")

// halt wraps the reason for which a partition stops, with a short stable word for the metric.
type halt struct {
	word string
	err  error
}

func (h *halt) Error() string   { return h.err.Error() }
func (h *halt) Unwrap() []error { return []error{errHalted, h.err} }

// run works until ctx ends or the partition cannot go on. After ctx ends it lets the delivery that is running finish,
// for as long as nothing of it fails and within the graces of Config.
func (p *partition) run(ctx context.Context) error {
	deliver, cancel := p.graceful(ctx)
	defer cancel()
	next, err := p.takeover(ctx, deliver)
	if err != nil {
		return p.explain(err)
	}
	p.stored(next, 0)
	if p.prev >= 0 && (p.start.Offset != next || committedSource(p.start.Metadata) != p.key.Source) {
		// The last owner did not come to it, and there may be nothing to deliver for long.
		if err := p.commitTo(deliver, next, uint64(p.prev)); err != nil {
			return p.explain(err)
		}
		p.start = kafka.Position{Offset: next, Metadata: commitMetadata(uint64(p.prev), p.key.Source)}
	}
	return p.explain(p.stream(ctx, deliver, next))
}

// stream reads, judges and delivers from next on, each in a goroutine of its own and the inserts beside each other.
func (p *partition) stream(ctx, deliver context.Context, next int64) error {
	p.judge.inARow = 0 // what was judged and not delivered is judged again
	p.window = newWindow(p.worker.cfg.InFlight)
	stopping, fail := context.WithCancel(ctx)
	defer fail()
	deliver = drain.With(deliver, stopping.Done())

	reader := kafka.NewReader(p.fetcher, p.key.Topic, int(p.key.Partition), next, p.worker.cfg.ReadAhead)
	sealed := make(chan *batch)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_ = reader.Run(ctx) // Next returns its error, after the chunks before it
		return nil
	})
	g.Go(func() error {
		defer close(sealed)
		return endOf(ctx, p.judgeLoop(ctx, reader, next, sealed))
	})
	g.Go(func() error { return p.deliverLoop(deliver, stopping, fail, sealed, g.Go) })
	return g.Wait()
}

// stored notes that everything before next is stored.
func (p *partition) stored(next int64, newest access.Millis) {
	p.next.Store(next)
	p.metrics.stored(next, newest)
	p.worker.progress.reached(p.key.Topic, p.key.Partition, next)
}

// graceful returns a context that ends StopGrace after ctx does, or ExitGrace where the whole worker ends: whoever stops a
// process kills it soon. What fails under it after ctx has ended is not tried again. Nothing is lost by giving up: the leaf
// is in the ledger, and the partition's next owner delivers it.
func (p *partition) graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(drain.With(context.WithoutCancel(ctx), ctx.Done()))
	stop := context.AfterFunc(ctx, func() {
		grace := p.worker.cfg.StopGrace
		select {
		case <-p.exiting:
			grace = min(grace, p.worker.cfg.ExitGrace)
		default:
		}
		time.AfterFunc(grace, cancel)
	})
	return late, func() { stop(); cancel() }
}

// endOf drops the error that only says that ctx has ended.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// judgeLoop fills batches and hands them over when they are full or old enough. What was read before a place that
// cannot be read is delivered all the same. The batch it holds when ctx ends is dropped: nothing of it is recorded yet,
// so whoever reads on starts at its first offset.
func (p *partition) judgeLoop(ctx context.Context, reader *kafka.Reader, next int64, sealed chan<- *batch) error {
	b := p.open(next)
	defer func() { p.worker.recycle(b) }()
	for {
		chunk, err := reader.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !b.empty() {
				b, _ = p.hand(ctx, b, sealed) // fails with ctx only
			}
			return err
		}
		p.metrics.lagging(chunk.HighWatermark - p.next.Load())
		if err := p.quiet(ctx, chunk); err != nil {
			chunk.Release()
			return err
		}
		b, err = p.take(ctx, b, chunk, sealed)
		chunk.Release()
		if err != nil {
			return err
		}
		if p.old(b) {
			if b, err = p.hand(ctx, b, sealed); err != nil {
				return err
			}
		}
	}
}

// checkQuiet is how often a partition in which nothing arrives asks whether its topic is still the same.
const checkQuiet = 30 * time.Second

// quiet notices a topic that was made again and is just as long as the one before: nothing arrives, and nobody would
// ever read it.
func (p *partition) quiet(ctx context.Context, chunk *kafka.Chunk) error {
	if chunk.Next > chunk.First {
		p.heard = time.Now()
		return nil
	}
	if time.Since(p.heard) < checkQuiet {
		return nil
	}
	p.heard = time.Now()
	return p.sameSource(ctx)
}

// take judges a chunk into the batch, and into the next ones where that is full: a chunk may hold more than a batch.
func (p *partition) take(ctx context.Context, b *batch, chunk *kafka.Chunk, sealed chan<- *batch) (*batch, error) {
	for part := newPart(chunk); !part.done(); {
		if b.empty() {
			if err := p.begin(ctx, b, part.next); err != nil {
				return b, err
			}
		}
		before := b.size()
		full := p.judge.part(b, &part, &p.worker.cfg)
		if err := p.letters(b); err != nil {
			return b, err
		}
		var err error
		if b, err = p.account(ctx, b, b.size()-before, sealed); err != nil {
			return b, err
		}
		if !full || b.empty() {
			continue
		}
		if b, err = p.hand(ctx, b, sealed); err != nil {
			return b, err
		}
	}
	return b, nil
}

// account books what a batch has grown by. Where the budget is used up it hands over what there is before it waits, so
// that waiting for memory never keeps memory from being freed. What was judged before the wait is not booked, so the
// budget is passed by one chunk a partition at most, and an idle partition holds none of it.
func (p *partition) account(ctx context.Context, b *batch, grown int64, sealed chan<- *batch) (*batch, error) {
	budget := p.worker.budget
	if budget.try(grown) {
		p.worker.hold(b, grown)
		return b, nil
	}
	b, err := p.hand(ctx, b, sealed)
	if err != nil {
		return b, err
	}
	if err := budget.wait(ctx, grown); err != nil {
		return b, err
	}
	budget.release(budget.clamp(grown))
	return b, nil
}

// letters stops a partition in which nothing but dead letters arrives: a broken feed is a page, not a drain.
func (p *partition) letters(b *batch) error {
	if limit := p.worker.cfg.DeadLettersInARow; limit > 0 && p.judge.inARow > limit {
		return &halt{"dead_letters", fmt.Errorf("%d records in a row of %s could not be decoded, the last at offset %d: the feed is broken or its adapter is the wrong one",
			p.judge.inARow, p.key, b.next-1)}
	}
	return nil
}

// open takes a block from the pool for the batch that will start at next.
func (p *partition) open(next int64) *batch {
	b := p.worker.blank()
	b.open(p.key, next, p.worker.bundles.Current(), batchTime(), nil)
	return b
}

// begin pins bundle and time of an empty batch when its first records arrive. Its error is the end of ctx, or that the
// ledger has no salts for today.
func (p *partition) begin(ctx context.Context, b *batch, first int64) error {
	held, now := b.held, batchTime()
	salts, err := p.saltsOf(ctx, now)
	if err != nil {
		return err
	}
	b.open(p.key, first, p.worker.bundles.Current(), now, salts)
	b.held = held
	return nil
}

// saltsOf returns the salts of the partition's rows in a batch of that time.
func (p *partition) saltsOf(ctx context.Context, t time.Time) (*store.Salts, error) {
	day := t.UTC().Format(time.DateOnly)
	if p.salts != nil && p.saltDay == day {
		return p.salts, nil
	}
	var key ledger.SaltKey
	err := p.worker.retry(ctx, "salt_key", func(ctx context.Context) (err error) {
		key, err = p.worker.ledger.SaltKey(ctx, day)
		return err
	}, func(err error) bool { return !errors.Is(err, ledger.ErrSaltKeyGone) })
	if err != nil {
		return nil, fmt.Errorf("salts of %s: %w", day, err)
	}
	p.salts, p.saltDay = store.NewSalts(key, p.key.Source, p.key.Topic, p.key.Partition), day
	return p.salts, nil
}

// batchTime is the one look at the clock: the time is recorded with the batch, and a replay uses the recorded one.
func batchTime() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func (p *partition) old(b *batch) bool {
	return !b.empty() && time.Since(b.opened) >= p.worker.cfg.Linger
}

// hand gives a batch to the deliver goroutine and opens the one behind it. Once ctx has ended it hands over nothing.
func (p *partition) hand(ctx context.Context, b *batch, sealed chan<- *batch) (*batch, error) {
	if err := ctx.Err(); err != nil {
		return b, err
	}
	p.metrics.flush()
	select {
	case sealed <- b:
		return p.open(b.next), nil
	case <-ctx.Done():
		return b, ctx.Err()
	}
}

// explain gives an error of the stages its place and, where the partition has to stop, its word.
func (p *partition) explain(err error) error {
	if err == nil {
		return nil
	}
	for _, class := range haltClasses {
		if word, ok := class(err); ok {
			err = &halt{word, err}
			break
		}
	}
	return fmt.Errorf("%s: %w", p.key, err)
}

// haltClasses recognise errors that no retry cures. An offset that the log does not hold is not among them: taking over
// finds out whether it is a gap or another log.
var haltClasses = []func(error) (string, bool){
	func(err error) (string, bool) { var e *kafka.Corrupt; return "corrupt", errors.As(err, &e) },
	func(err error) (string, bool) { var e *kafka.TooLarge; return "too_large", errors.As(err, &e) },
	func(err error) (string, bool) { var e *kafka.Unsupported; return "unsupported", errors.As(err, &e) },
	func(err error) (string, bool) { return "ledger", errors.Is(err, ledger.ErrInvalidLeaf) },
	func(err error) (string, bool) { return "salt_key", errors.Is(err, ledger.ErrSaltKeyGone) },
	func(err error) (string, bool) { var e *store.HaltError; return "store", errors.As(err, &e) },
}
