// Package embeddedtest gives tests real servers: one ClickHouse for each test
// binary, brokers, Apache Kafka and a GeoIP database.
//
// A test binary that uses it has
//
//	func TestMain(m *testing.M) { embeddedtest.Main(m) }
//
// What cannot be had on a machine skips the test with a reason; where
// BORDERWATCH_REQUIRE_REAL=1, as in CI, it fails it.
package embeddedtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
)

// RequireEnv names the environment variable that, set to 1, turns skips into
// failures.
const RequireEnv = "BORDERWATCH_REQUIRE_REAL"

// setupTimeout bounds one start, a first download included.
const setupTimeout = 15 * time.Minute

// shared is the ClickHouse of this test binary. It outlives single tests, which
// is the point; Main ends it.
var shared struct {
	sync.Mutex
	server *ClickHouse
	dir    string
	err    error
}

// Main runs the tests of a package and never returns. It must be all that
// TestMain does, or the last of it.
func Main(m *testing.M) {
	embedded.MaybeRunChild()
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "embeddedtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(shared.server.Stop(ctx), os.RemoveAll(shared.dir))
}

// Dir returns a new folder in the cache directory, removed with the test. Server
// data belongs there rather than into t.TempDir: a ClickHouse part is some
// hundred files, and the temporary directory may be slow to make them.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := makeDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

func makeDir() (string, error) {
	cache, err := embedded.CacheDir()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(cache, "test")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	removeStale(parent)
	return os.MkdirTemp(parent, "t")
}

// removeStale removes what test binaries that were killed left behind.
func removeStale(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(filepath.Join(parent, e.Name()))
		}
	}
}

// Unavailable skips the test, or fails it where real servers are required.
func Unavailable(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s is required (%s=1) and not available: %v", what, RequireEnv, err)
	}
	t.Skipf("SKIPPED, NOT TESTED: %s is not available: %v", what, err)
}

// unavailable reports whether err means that this machine cannot have the
// server, as opposed to a server that does not work.
func unavailable(err error) bool {
	var fetch *embedded.FetchError
	return errors.As(err, &fetch)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Broker returns a started embedded broker, stopped with the test. An empty Dir
// keeps its data in memory.
func Broker(t testing.TB, cfg embedded.BrokerConfig) *embedded.Broker {
	t.Helper()
	b := embedded.NewBroker(cfg)
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Kafka returns a started Apache Kafka, stopped with the test. Dir defaults to a
// folder of its own.
func Kafka(t testing.TB, cfg embedded.KafkaConfig) *embedded.Kafka {
	t.Helper()
	if err := embedded.KafkaAvailable(); err != nil {
		Unavailable(t, "Apache Kafka", err)
	}
	if cfg.Dir == "" {
		cfg.Dir = Dir(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	k, err := embedded.StartKafka(ctx, cfg)
	if unavailable(err) {
		Unavailable(t, "Apache Kafka", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return k
}

// GeoIP returns the path of the demo country database.
func GeoIP(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	path, err := embedded.GeoIPDatabase(ctx, os.Stderr)
	if err != nil {
		Unavailable(t, "the demo GeoIP database", err)
	}
	return path
}
