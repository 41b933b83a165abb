package pipeline

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/store"
	"borderwatch/rules/release"
)

// Environment of the simulation.
const (
	seedsEnv     = "BORDERWATCH_SEEDS"
	seedStartEnv = "BORDERWATCH_SEED_START"
)

const (
	standardSeeds = 100_000
	shortSeeds    = 5_000
)

// TestSimulation runs the loop of one partition through seeded faults at every step: crashes, zombies, lost answers,
// delays, duplicates, retention, topics made again, forgotten tokens. The invariants of delivery hold in every run.
func TestSimulation(t *testing.T) {
	start, n := simNumber(t, seedStartEnv, 1), simNumber(t, seedsEnv, seedsByDefault())
	var next atomic.Uint64
	var sum simSum
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), int(n)) {
		rig := newSimRig(t)
		wg.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				sum.add(t, start+i, rig.simulate(t, start+i, right, n == 1))
			}
		})
	}
	began := time.Now()
	wg.Wait()
	for s, count := range sum.reached {
		if count == 0 && n >= shortSeeds {
			t.Errorf("no run came to: %s", situationNames[s])
		}
		t.Logf("%s: %d", situationNames[s], count)
	}
	t.Logf("%d seeds from %d on, %d steps, %d violations, %v", n, start, sum.steps, sum.violations, time.Since(began).Round(time.Millisecond))
}

// simSum is what all runs come to.
type simSum struct {
	mu                sync.Mutex
	steps, violations int
	reached           [situations]int
}

func (s *simSum) add(t *testing.T, seed uint64, w *world) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps += w.steps
	for i, n := range w.reached {
		s.reached[i] += n
	}
	if len(w.violations) == 0 {
		return
	}
	if s.violations++; s.violations <= 10 {
		t.Errorf("seed %d, again with %s=1 %s=%d: %v", seed, seedsEnv, seedStartEnv, seed, w.violations)
	}
}

func seedsByDefault() uint64 {
	if testing.Short() {
		return shortSeeds
	}
	return standardSeeds
}

func simNumber(t *testing.T, env string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		t.Fatalf("%s=%q, want a number from 1 on", env, text)
	}
	return n
}

// mutation is a mistake that the simulation has to find.
type mutation int

const (
	right mutation = iota
	noCompareAndSwap
	commitBeforeReceipt
	noTokens
	redoByCurrentBundle
	receiptFirst
	unfencedCommits
	forgetsUnfinished
	otherSalts
	blindRedo
	believesCounts
	sameSourceAlways
	acknowledgesNothing
	commitsEverything
)

// TestSimulatedMistakes breaks one promise at a time. A simulation that cannot fail proves nothing.
func TestSimulatedMistakes(t *testing.T) {
	rig := newSimRig(t)
	for _, tt := range []struct {
		name  string
		wrong mutation
		seeds uint64
	}{
		{"leaves are accepted without compare-and-swap", noCompareAndSwap, 2000},
		{"the offset is committed before the receipt", commitBeforeReceipt, 2000},
		{"tokens are not honoured", noTokens, 2000},
		{"a recorded batch is made again by the bundle in force", redoByCurrentBundle, 2000},
		{"the receipt goes before the rows", receiptFirst, 2000},
		{"commits are not fenced", unfencedCommits, 2000},
		{"batches without a receipt are not looked for", forgetsUnfinished, 2000},
		{"each worker has salts of its own", otherSalts, 2000},
		{"a batch is made again without a look at what is there", blindRedo, 2000},
		{"rows of the recorded number are taken for the recorded rows", believesCounts, 2000},
		{"a topic that was made again is taken for the old one", sameSourceAlways, 2000},
		{"an insert is acknowledged and lost", acknowledgesNothing, 2000},
		{"the offset is committed over batches that are in flight", commitsEverything, 2000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := uint64(1); seed <= tt.seeds; seed++ {
				if w := rig.simulate(t, seed, tt.wrong, false); len(w.violations) > 0 {
					t.Logf("found by seed %d: %.200s", seed, w.violations[0])
					return
				}
			}
			t.Errorf("not found by %d seeds", tt.seeds)
		})
	}
}

// TestSimulatedReplay runs seeds twice: they take the very same steps.
func TestSimulatedReplay(t *testing.T) {
	rig := newSimRig(t)
	for seed := uint64(1); seed <= 500; seed++ {
		one, two := rig.simulate(t, seed, right, false), rig.simulate(t, seed, right, false)
		if one.steps != two.steps || one.trace != two.trace {
			t.Fatalf("seed %d took %d steps (%x), then %d (%x)", seed, one.steps, one.trace, two.steps, two.trace)
		}
	}
}

// simRig is what runs share: nothing that one of them leaves shows in the next.
type simRig struct {
	bundles []*bundle.Bundle
	store   *store.Store // lists steps, never connects
	metrics *Metrics
	log     *slog.Logger
	judge   *judge // of the audit
	batch   *batch
	spare   []*batch // blocks that no process uses
	judges  []*judge // likewise

	mu sync.Mutex
}

// takeJudge returns a judge that nobody uses, or else the new one.
func (rig *simRig) takeJudge(fresh *judge) *judge {
	rig.mu.Lock()
	defer rig.mu.Unlock()
	n := len(rig.judges)
	if n == 0 {
		return fresh
	}
	j := rig.judges[n-1]
	rig.judges = rig.judges[:n-1]
	j.inARow, j.sample = 0, 0
	return j
}

func newSimRig(t *testing.T) *simRig {
	t.Helper()
	s, err := store.New(store.Options{Hosts: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	feeds, err := openFeeds(simFeeds, simTopic, Config{}.Limits)
	if err != nil {
		t.Fatal(err)
	}
	rig := &simRig{store: s, metrics: NewMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler), batch: &batch{block: store.NewBlock()}}
	rig.judge = &judge{feeds: feeds, metrics: rig.metrics.partition(simTopic, 0)}
	for _, action := range []string{"read", "export"} {
		rig.bundles = append(rig.bundles, simBundle(t, action))
	}
	return rig
}

// simBundle is a bundle of one rule.
func simBundle(t *testing.T, action string) *bundle.Bundle {
	t.Helper()
	rule := fmt.Sprintf(`format: borderwatch/rule/v1
id: SIM-1
title: Somebody did something
status: active
severity: low
owner: nobody
law: ["Starting value: an action of three"]
why: So that two bundles come to different verdicts.
respond: Nothing.
when:
  action: %[1]s
exceptions: never
tests:
  - name: the action
    event: {time: 2026-11-20T09:00:00Z, actor.id: u-1, action: %[1]s}
    expect: alert
  - name: another action
    event: {time: 2026-11-20T09:00:00Z, actor.id: u-1, action: login}
    expect: none
`, action)
	b, err := bundle.Compile([]bundle.Part{release.NewPart(release.RoleFile, "rule.yaml", []byte(rule))})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// simulate makes the run of a seed.
func (rig *simRig) simulate(t *testing.T, seed uint64, wrong mutation, tell bool) *world {
	random := rand.New(rand.NewPCG(seed, 0))
	w := &world{rig: rig, wrong: wrong, random: random, plan: newPlan(random), bundle: rig.bundles[0], store: newSimStore(),
		broker: simBroker{log: &simLog{id: 1}, committed: kafka.Position{Offset: -1}, letters: map[string]int{}}}
	if tell {
		w.log = t.Logf
	}
	synctest.Test(t, func(*testing.T) { w.run() })
	return w
}
