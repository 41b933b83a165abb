package embeddedtest

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/embedded"
)

// Admin and Password are the account that a shared server has and a fresh one
// gets unless it names users.
const (
	Admin    = "test_admin"
	Password = "test"
)

// ClickHouse is a server for tests with an account that may do everything.
type ClickHouse struct {
	*embedded.ClickHouse
}

// SharedClickHouse returns the server of this test binary, started by the first
// test that asks. Tests keep apart by Database.
func SharedClickHouse(t testing.TB) *ClickHouse {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		startShared()
	}
	failOrSkip(t, shared.err)
	shared.server.await(t)
	return shared.server
}

// await waits for a server that ended itself and is started again, so that one test's misfortune is not the next one's.
func (c *ClickHouse) await(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get("http://" + c.HTTPAddr() + "/ping") // a cut greeting at the native port would end the engine
		if err == nil {
			_ = answer.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the shared ClickHouse is gone and does not come back: %v", err)
		}
	}
}

func startShared() {
	dir, err := makeDir()
	if err != nil {
		shared.err = err
		return
	}
	// Not the test's context: the server serves the tests after it as well.
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	server := newClickHouse(embedded.ClickHouseConfig{Dir: dir})
	if shared.err = server.Start(ctx); shared.err != nil {
		_ = os.RemoveAll(dir)
		return
	}
	shared.server, shared.dir = server, dir
	// A client that dies in the middle of its greeting takes the engine with it; Run starts it again, until Stop.
	go func() { _ = server.Run(context.Background()) }()
}

// FreshClickHouse returns a started server of the test's own, stopped with it.
// Dir, Logger and Users have defaults.
func FreshClickHouse(t testing.TB, cfg embedded.ClickHouseConfig) *ClickHouse {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = Dir(t)
	}
	server := newClickHouse(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	failOrSkip(t, server.Start(ctx))
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

// Supervise starts the server again whenever it dies, until the test ends.
func (c *ClickHouse) Supervise(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ClickHouse: %v", err)
		}
	})
}

func newClickHouse(cfg embedded.ClickHouseConfig) *ClickHouse {
	if len(cfg.Users) == 0 {
		cfg.Users = []embedded.User{{Name: Admin, Password: Password, Admin: true}}
	}
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	return &ClickHouse{embedded.NewClickHouse(cfg)}
}

func failOrSkip(t testing.TB, err error) {
	t.Helper()
	if unavailable(err) {
		Unavailable(t, "ClickHouse", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Database makes a database with a new name, dropped with the test.
func (c *ClickHouse) Database(t testing.TB) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text()[:10])
	conn := c.Open(t, "default")
	if err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := conn.Exec(ctx, "DROP DATABASE "+name+" SYNC"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return name
}

// Open returns a native connection as Admin, closed with the test.
func (c *ClickHouse) Open(t testing.TB, database string) driver.Conn {
	t.Helper()
	return c.OpenAs(t, database, Admin, Password)
}

// OpenAs returns a native connection as a user. A wrong password on the first
// query ends the server, see [embedded.ClickHouse].
func (c *ClickHouse) OpenAs(t testing.TB, database, user, password string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{c.Addr()},
		Auth: clickhouse.Auth{Database: database, Username: user, Password: password},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
