package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
)

// world is one run of the simulation: a broker, a ledger and a store that keep their contracts and nothing more, worker
// processes that run the real loop of one partition, and a scheduler that decides by its seed which call of theirs takes
// effect next, how it goes wrong, and what else happens. It lives in a synctest bubble: between two steps every goroutine
// waits, so the seed decides everything.
type world struct {
	rig    *simRig
	wrong  mutation
	random *rand.Rand
	plan   plan

	broker simBroker
	ledger simLedger
	store  simStore
	bundle *bundle.Bundle // in force

	processes []*process
	owner     *process // as the coordinator sees it, nil for none
	late      []effect // took off, nobody waits for them, not there yet

	mu      sync.Mutex
	pending []*call // in the order of their names

	reached    [situations]int
	steps      int
	trace      uint64 // FNV-1a over all steps
	log        func(format string, args ...any)
	violations []string
	excused    bool // a halt that a person has to look at is right
}

// situation is something that a simulation which never meets it proves nothing about.
type situation int

const (
	madeAgain     situation = iota // a recorded batch was made again
	filledHole                     // one behind which there was a receipt
	declaredLost                   // one that Kafka had deleted
	declaredGap                    // offsets that nobody had read
	refusedLeaf                    // by compare-and-swap
	refusedCommit                  // by generation
	doubledInsert                  // dropped for its token
	stoppedForGood
	situations
)

var situationNames = [situations]string{"made again", "filled holes", "lost batches", "gaps", "refused leaves", "fenced commits", "dropped doubles", "stopped"}

// plan is what a seed makes of the faults of its run.
type plan struct {
	length           int // steps with faults; after them everything heals
	records          int
	inFlight         int
	maxRows          int
	linger           time.Duration // and the longest poll
	failed, lost     int           // of 1000 calls
	delayed, doubled int
	refused          int // of 1000 inserts: a person has to look
	disaster         int // of 1000 steps: crashes, zombies, retention, …
}

func newPlan(r *rand.Rand) plan {
	rate := func() int { return []int{0, 10, 40, 120}[r.IntN(4)] }
	return plan{
		length: 40 + r.IntN(80), records: 6 + r.IntN(10), inFlight: 1 + r.IntN(maxInFlight), maxRows: 1 + r.IntN(3), linger: time.Duration(1+r.IntN(2)*1000) * time.Millisecond,
		failed: rate(), lost: rate(), delayed: rate(), doubled: rate(), refused: rate() / 8, disaster: 20 + r.IntN(80),
	}
}

// call is something that a process asks of the world. It waits until the scheduler lets it happen.
type call struct {
	process *process
	name    string
	kind    callKind
	run     func() error // the effect; the scheduler calls it
	ready   func() bool  // nil for always
	done    chan error
}

// callKind says what may go wrong with a call.
type callKind int

const (
	reading   callKind = iota // no effect: it may fail
	writing                   // it may also fail after its effect, take effect late, or twice
	inserting                 // it may also be refused for good
)

// effect is a write that is under way without anybody who waits for it.
type effect struct {
	name string
	run  func() error
}

var (
	errInjectedFault = errors.New("injected fault")
	errKilled        = errors.New("killed")
	errRefused       = errors.New("refused for good") // by the store
)

// process is one worker process.
type process struct {
	id         int
	generation int
	worker     *Worker
	cancel     context.CancelFunc
	frozen     bool
	stopping   bool
	dead       bool   // under world.mu
	ended      bool   // its loop has returned
	refused    bool   // the store refused an insert of it for good
	judge      *judge // once it has ended
}

// do is how every fake does something: it waits for the scheduler.
func (w *world) do(p *process, kind callKind, name string, run func() error) error {
	return w.doWhen(p, kind, name, nil, run)
}

func (w *world) doWhen(p *process, kind callKind, name string, ready func() bool, run func() error) error {
	c := &call{process: p, name: name, kind: kind, run: run, ready: ready, done: make(chan error, 1)}
	w.mu.Lock()
	if p.dead {
		w.mu.Unlock()
		return errKilled
	}
	at, _ := slices.BinarySearchFunc(w.pending, c, func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.process.id, b.process.id), strings.Compare(a.name, b.name))
	})
	w.pending = slices.Insert(w.pending, at, c)
	w.mu.Unlock()
	return <-c.done
}

// step records what the scheduler does.
func (w *world) step(format string, args ...any) {
	w.steps++
	text := fmt.Sprintf(format, args...)
	if w.trace == 0 {
		w.trace = 14695981039346656037
	}
	for i := range len(text) {
		w.trace = (w.trace ^ uint64(text[i])) * 1099511628211
	}
	if w.log != nil {
		w.log("%4d %s", w.steps, text)
	}
}

func (w *world) violate(format string, args ...any) {
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

func (w *world) chance(of1000 int) bool { return w.random.IntN(1000) < of1000 }

// run makes the whole run: faults, then healing, then the last look at everything.
func (w *world) run() {
	w.produce()
	for w.steps < w.plan.length && len(w.violations) == 0 {
		synctest.Wait()
		w.reap()
		switch {
		case w.chance(w.plan.disaster):
			w.disaster()
		case w.owner == nil:
			w.start()
		case len(w.late) > 0 && w.chance(100):
			w.arrive(w.random.IntN(len(w.late)))
		case !w.advance(true):
			w.sleep()
		}
	}
	w.heal()
	w.stopAll()
	if len(w.violations) == 0 {
		w.audit()
	}
}

// heal lets everything go well until all records are stored and committed. What was late has arrived before the last
// record is produced.
func (w *world) heal() {
	const patience = 1000 // steps
	w.thaw()
	for len(w.late) > 0 {
		w.arrive(0)
	}
	w.plan.records = len(w.broker.log.entries) + 1
	w.produce()
	for limit := w.steps + patience; len(w.violations) == 0; {
		synctest.Wait()
		w.reap()
		switch {
		case w.steps > limit:
			w.violate("not all was stored and committed %d steps after the last fault: committed %d of %s, the log ends at %d", patience, w.broker.committed.Offset, w.broker.committedBy, w.broker.log.end())
		case w.owner == nil || w.owner.stopping:
			w.start()
		case w.owner.frozen:
			w.owner.frozen = false
		case w.halted() != nil:
			w.reached[stoppedForGood]++
			if !w.excused {
				w.violate("a partition stopped without a reason: %v", w.halted())
			}
			return
		case w.finished():
			return
		case !w.advance(false):
			w.sleep()
		}
	}
}

// halted is why the owner's partition has stopped, nil where it has not.
func (w *world) halted() error {
	for _, err := range w.owner.worker.progress.Halts() {
		return err
	}
	return nil
}

// finished says that everything is stored and committed.
func (w *world) finished() bool {
	return w.broker.committed.Offset >= w.broker.log.end() && w.broker.committedBy == w.broker.log.source() && w.owner.generation == w.broker.generation
}

// sleep lets time pass, to whatever timer comes next.
func (w *world) sleep() {
	d := time.Duration(1+w.random.IntN(3000)) * time.Millisecond
	w.step("sleep %v", d)
	time.Sleep(d)
}

// advance lets one of the waiting calls happen. False means that none can.
func (w *world) advance(faults bool) bool {
	c := w.choose()
	if c == nil {
		return false
	}
	outcome := "ok"
	var err error
	switch {
	case faults && c.kind == inserting && w.chance(w.plan.refused):
		c.process.refused = true
		outcome, err = "refused", errRefused
	case faults && w.chance(w.plan.failed):
		outcome, err = "failed", errInjectedFault
	case faults && c.kind != reading && w.chance(w.plan.lost):
		outcome, err = "lost answer", cmp.Or(c.run(), errInjectedFault)
	case faults && c.kind != reading && w.chance(w.plan.delayed):
		w.late = append(w.late, effect{c.name, c.run})
		outcome, err = "late", errInjectedFault
	case faults && c.kind != reading && w.chance(w.plan.doubled):
		err = c.run()
		w.late = append(w.late, effect{c.name, c.run})
		outcome = "doubled"
	default:
		err = c.run()
	}
	w.step("process %d %s: %s %v", c.process.id, c.name, outcome, err != nil)
	c.done <- err
	return true
}

// choose takes one of the calls that can happen now.
func (w *world) choose() *call {
	var able []int
	for i, c := range w.pending {
		if !c.process.frozen && (c.ready == nil || c.ready()) {
			able = append(able, i)
		}
	}
	if len(able) == 0 {
		return nil
	}
	i := able[w.random.IntN(len(able))]
	c := w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	return c
}

// arrive makes a late effect happen. What it would have answered nobody hears.
func (w *world) arrive(i int) {
	e := w.late[i]
	w.late = slices.Delete(w.late, i, i+1)
	err := e.run()
	w.step("late %s %v", e.name, err != nil)
}

// reap notices processes whose loop has returned: a process that was told to join the group anew, or was stopped. One
// whose inserts were refused is restarted once its partition has stopped, as a person would.
func (w *world) reap() {
	w.processes = slices.DeleteFunc(w.processes, func(p *process) bool {
		if p.ended {
			w.checkEnded(p)
		}
		return p.ended
	})
	if w.owner != nil && w.owner.ended {
		w.owner = nil
	}
	if w.owner != nil && w.owner.refused && w.halted() != nil {
		w.kill(w.owner)
	}
}

// stopAll ends what still runs, so that the bubble can end, and looks for memory that was not given back.
func (w *world) stopAll() {
	for _, p := range w.processes {
		p.frozen = false
		w.kill(p)
	}
	w.late = nil
	synctest.Wait()
	for _, p := range w.processes {
		if !p.ended {
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		w.checkEnded(p)
	}
}

// start joins a new process to the group.
func (w *world) start() {
	w.broker.generation++
	p := &process{id: w.broker.generation, generation: w.broker.generation}
	w.step("process %d starts", p.id)
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.worker = w.worker(p)
	w.processes, w.owner = append(w.processes, p), p
	start := w.broker.committed
	go func() {
		defer cancel()
		source, err := p.worker.awaitSource(ctx, simTopic)
		if err == nil {
			part := p.worker.partition(&simFetcher{w, p}, simKey(source), start, func(ctx context.Context, next int64, metadata string) error {
				return w.do(p, writing, fmt.Sprintf("commit %d", next), func() error { return w.broker.commit(w, p, next, metadata) })
			})
			part.judge = w.rig.takeJudge(part.judge)
			p.worker.supervise(ctx, part, cancel)
			p.judge = part.judge
		}
		p.ended = true
	}()
}

func (w *world) worker(p *process) *Worker {
	worker, err := New(Config{
		Instance: fmt.Sprintf("process-%d", p.id), Topics: []string{simTopic}, Feeds: simFeeds, DeadLetterTopic: "letters",
		MaxRows: w.plan.maxRows, Linger: w.plan.linger, InFlight: w.plan.inFlight, DeadLettersInARow: -1,
	}, Parts{
		Ledger: &simLedgerClient{w, p}, Store: &simStoreClient{w, p}, Bundles: &simBundles{w, p},
		Metrics: w.rig.metrics, Log: w.rig.log,
	})
	if err != nil {
		panic(err)
	}
	n := min(4, len(w.rig.spare))
	worker.spare, w.rig.spare = slices.Clone(w.rig.spare[:n]), w.rig.spare[n:]
	worker.broker, worker.letters = &simBrokerClient{w, p}, &simLetters{w, p}
	return worker
}

var simFeeds = []Feed{{Name: "native", Adapter: "native", Topic: simTopic}}

var _ kafka.Source = (*simFetcher)(nil)
