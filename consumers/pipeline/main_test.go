package pipeline_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
)

// The test binary is three programs: the tests, the servers that they start, and the worker processes that they kill.
func TestMain(m *testing.M) {
	embedded.MaybeRunChild()
	if config := os.Getenv(childEnv); config != "" {
		os.Exit(runChild(config))
	}
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "6") // the default is for tests that compute; these wait for servers
	}
	embeddedtest.Main(m)
}

// Environment of the tests. More runs and another seed make other random points.
const (
	runsEnv = "BORDERWATCH_RUNS"
	seedEnv = "BORDERWATCH_SEED"
)

// runs is how often a random test repeats itself.
func runs(t testing.TB, standard int) int {
	t.Helper()
	text := os.Getenv(runsEnv)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q, want a number from 1 on", runsEnv, text)
	}
	return n
}

// onDemand skips a test that ends worker processes unless it is asked for: the embedded engine, which all tests of a
// package share, was twice seen to end itself while they ran on a busy machine, and every test after them failed.
func onDemand(t testing.TB) {
	t.Helper()
	if os.Getenv(runsEnv) == "" {
		t.Skipf("NOT RUN: it can end the embedded engine that other tests share; %s=N runs it", runsEnv)
	}
}

// random is seeded anew each time; the seed is printed and can be given.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(firstSeed(t), 0))
}

func firstSeed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedEnv); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s=%q: %v", seedEnv, text, err)
		}
	}
	t.Logf("seed %d, again with %s=%d", seed, seedEnv, seed)
	return seed
}
