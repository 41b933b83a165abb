package embedded_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
)

func TestClickHouseInsertSelect(t *testing.T) {
	server := embeddedtest.SharedClickHouse(t)
	db := server.Database(t)
	conn := server.Open(t, db)
	ctx := t.Context()
	if err := conn.Exec(ctx, "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Fatal(err)
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	const rows = 100_000
	for i := range uint64(rows) {
		if err := batch.Append(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	var count, sum uint64
	if err := conn.QueryRow(ctx, "SELECT count(), sum(n) FROM t").Scan(&count, &sum); err != nil {
		t.Fatal(err)
	}
	if count != rows || sum != rows*(rows-1)/2 {
		t.Errorf("count %d, sum %d", count, sum)
	}
	var version string
	if err := conn.QueryRow(ctx, "SELECT version()").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if want := embedded.ClickHouseVersion[:4]; !strings.HasPrefix(version, want) {
		t.Errorf("server is %s, want %s", version, want)
	}
}

func TestClickHouseGrantsAndFilters(t *testing.T) {
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Users: []embedded.User{
		{Name: embeddedtest.Admin, Password: embeddedtest.Password, Admin: true},
		{
			Name: "partner", Password: `p<&"'w`, Grants: []string{"GRANT SELECT ON bw.seen", "GRANT SELECT(a) ON bw.columns"},
			Settings:    map[string]string{"readonly": "2", "max_result_rows": "100"},
			Constraints: map[string]embedded.Constraint{"max_result_rows": {ReadOnly: true}, "max_threads": {Max: "2"}},
			Filters:     []embedded.RowFilter{{Database: "bw", Table: "seen", Condition: "a < 3"}},
		},
	}})
	admin := server.Open(t, "default")
	for _, q := range []string{
		"CREATE DATABASE bw",
		"CREATE TABLE bw.seen (a Int32) ENGINE = MergeTree ORDER BY a",
		"CREATE TABLE bw.hidden (a Int32) ENGINE = MergeTree ORDER BY a",
		"CREATE TABLE bw.columns (a Int32, b Int32) ENGINE = MergeTree ORDER BY a",
		"INSERT INTO bw.seen SELECT number FROM numbers(10)",
	} {
		if err := admin.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	conn := server.OpenAs(t, "bw", "partner", `p<&"'w`)
	var n uint64
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM bw.seen").Scan(&n); err != nil || n != 3 {
		t.Errorf("partner sees %d rows (err %v), want the 3 of its filter", n, err)
	}
	refused := []struct {
		query string
		code  int32
	}{
		{"SELECT count() FROM bw.hidden", 497},
		{"SELECT b FROM bw.columns", 497},
		{"INSERT INTO bw.seen SELECT 1", 497},
		{"SELECT * FROM file('/etc/passwd', 'LineAsString')", 497},
		{"SELECT 1 SETTINGS max_result_rows = 1000", 452},
		{"SELECT 1 SETTINGS max_threads = 3", 452},
	}
	for _, r := range refused {
		err := conn.Exec(t.Context(), r.query)
		var ex *clickhouse.Exception
		if !errors.As(err, &ex) || ex.Code != r.code {
			t.Errorf("%s: got %v, want code %d", r.query, err, r.code)
		}
	}
}

// TestClickHouseDefaultAccountIsWorthless: everybody on the machine can log in
// as default without a password.
func TestClickHouseDefaultAccountIsWorthless(t *testing.T) {
	server := embeddedtest.SharedClickHouse(t)
	db := server.Database(t)
	if err := server.Open(t, db).Exec(t.Context(), "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"SELECT * FROM " + db + ".t",
		"SELECT * FROM system.query_log",
		"SELECT * FROM system.processes",
		"SELECT * FROM file('/etc/passwd', 'LineAsString')",
		"SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
		"CREATE TEMPORARY TABLE x (a Int32)",
		"CREATE DATABASE x",
		"SYSTEM SHUTDOWN",
		"SYSTEM STOP LISTEN TCP",
		"SYSTEM STOP LISTEN HTTP",
		"SYSTEM STOP LISTEN QUERIES ALL",
		"SYSTEM START LISTEN HTTP",
		"SYSTEM FLUSH LOGS",
		"KILL QUERY WHERE 1",
	} {
		if status, body := query(t, server, "", "", q); status == http.StatusOK || !strings.Contains(body, "ACCESS_DENIED") && !strings.Contains(body, "QUOTA_EXCEEDED") && !strings.Contains(body, "UNKNOWN_TABLE") {
			t.Errorf("default may %s: %s", q, body)
		}
		if err := server.OpenAs(t, "", "default", "").Exec(t.Context(), q); err == nil {
			t.Errorf("default may %s on the native port", q)
		}
	}
	if err := server.Open(t, db).Ping(t.Context()); err != nil {
		t.Errorf("the native port afterwards: %v", err)
	}
	if status, body := query(t, server, embeddedtest.Admin, embeddedtest.Password, "SELECT 1"); status != http.StatusOK {
		t.Errorf("HTTP afterwards: %s", body)
	}
}

func query(t *testing.T, server *embeddedtest.ClickHouse, user, password, q string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.HTTPAddr()+"/", strings.NewReader(q))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestClickHouseContinuesAndLogsQueries(t *testing.T) {
	dir := embeddedtest.Dir(t)
	for run := range 2 {
		server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Dir: dir})
		conn := server.Open(t, "default")
		if run == 0 {
			createKept(t, server)
		}
		var n uint64
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM kept.t").Scan(&n); err != nil || n != 1000 {
			t.Fatalf("run %d: %d rows, err %v", run, n, err)
		}
		if err := conn.Exec(t.Context(), "SYSTEM FLUSH LOGS"); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM system.query_log WHERE query LIKE '%kept.t'").Scan(&n); err != nil || n == 0 {
			t.Fatalf("run %d: query log has %d entries, err %v", run, n, err)
		}
		_ = conn.Close()
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func createKept(t *testing.T, server *embeddedtest.ClickHouse) {
	t.Helper()
	conn := server.Open(t, "default")
	defer conn.Close()
	for _, q := range []string{
		"CREATE DATABASE kept",
		"CREATE TABLE kept.t (a UInt64) ENGINE = MergeTree ORDER BY a",
		"INSERT INTO kept.t SELECT number FROM numbers(1000)",
	} {
		if err := conn.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// syncBuffer is a log target for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func TestClickHouseRunRestartsKilledChild(t *testing.T) {
	var log syncBuffer
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	createKept(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()

	before, addr := server.PID(), server.Addr()
	server.Kill()
	awaitRestart(t, server, before)
	for what, do := range map[string]func(*testing.T, *embeddedtest.ClickHouse){"failed login": failLogin, "reset in the greeting": resetGreeting} {
		before = server.PID()
		do(t, server)
		if gone := exited(server, 10*time.Second); !gone {
			t.Logf("a %s on the native port no longer ends the engine: say so in the documentation of ClickHouse", what)
		} else {
			awaitRestart(t, server, before)
		}
	}
	if server.Addr() != addr {
		t.Errorf("address moved from %s to %s", addr, server.Addr())
	}
	var n uint64
	if err := server.Open(t, "kept").QueryRow(t.Context(), "SELECT count() FROM t").Scan(&n); err != nil || n != 1000 {
		t.Errorf("%d rows after kill -9 (err %v), want 1000", n, err)
	}
	if !strings.Contains(log.String(), "ClickHouse died") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if server.PID() != 0 {
		t.Error("still runs after Run ended")
	}
}

func failLogin(t *testing.T, server *embeddedtest.ClickHouse) {
	if err := server.OpenAs(t, "default", embeddedtest.Admin, "wrong").Ping(t.Context()); err == nil {
		t.Error("a wrong password is accepted")
	}
}

// resetGreeting says hello as a client does, and resets the connection before it reads the answer, as the system does for
// a client that is killed then.
func resetGreeting(t *testing.T, server *embeddedtest.ClickHouse) {
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	hello := []byte{0} // its kind
	text := func(s string) { hello = append(binary.AppendUvarint(hello, uint64(len(s))), s...) }
	text("test")
	for _, version := range []uint64{1, 0, 54460} { // of the client, and its protocol
		hello = binary.AppendUvarint(hello, version)
	}
	text("default")
	text(embeddedtest.Admin)
	text(embeddedtest.Password)
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// exited reports whether the present server process ends within d.
func exited(server *embeddedtest.ClickHouse, d time.Duration) bool {
	done := server.Done()
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}

// awaitRestart waits for another server process that answers.
func awaitRestart(t *testing.T, server *embeddedtest.ClickHouse, before int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		if pid := server.PID(); pid != before && pid != 0 {
			if resp, err := http.Get("http://" + server.HTTPAddr() + "/ping"); err == nil {
				resp.Body.Close()
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no new server process within 30 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestClickHouseStartErrors(t *testing.T) {
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{})
	t.Run("data directory in use", func(t *testing.T) {
		err := embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: server.Dir()}).Start(t.Context())
		var inUse *embedded.DirInUseError
		if !errors.As(err, &inUse) || !strings.Contains(err.Error(), "another borderwatch uses "+server.Dir()) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("port in use", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		port := ln.Addr().(*net.TCPAddr).Port
		err = embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: embeddedtest.Dir(t), HTTPPort: port}).Start(t.Context())
		var inUse *embedded.PortInUseError
		if !errors.As(err, &inUse) || inUse.Port != port {
			t.Errorf("got %v", err)
		}
	})
	t.Run("library is none", func(t *testing.T) {
		lib := embeddedtest.Dir(t) + "/libchdb.so"
		if err := os.WriteFile(lib, []byte("not a library"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: embeddedtest.Dir(t), Library: lib}).Start(t.Context())
		var exit *embedded.ChildExitError
		if !errors.As(err, &exit) || !strings.Contains(err.Error(), lib) {
			t.Errorf("got %v", err)
		}
	})
	users := []struct {
		name string
		user embedded.User
	}{
		{"no password", embedded.User{Name: "a", Admin: true}},
		{"bad name", embedded.User{Name: "a b", Password: "x", Admin: true}},
		{"reserved name", embedded.User{Name: "default", Password: "x", Admin: true}},
		{"neither rights nor grants", embedded.User{Name: "a", Password: "x"}},
		{"setting with a bracket", embedded.User{Name: "a", Password: "x", Admin: true, Settings: map[string]string{"<a>": "1"}}},
	}
	for _, u := range users {
		t.Run(u.name, func(t *testing.T) {
			err := embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: embeddedtest.Dir(t), Users: []embedded.User{u.user}}).Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), u.user.Name) {
				t.Errorf("got %v", err)
			}
		})
	}
}
