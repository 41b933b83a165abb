package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.yaml.in/yaml/v3"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/ledger"
	examplefiles "borderwatch/rules/examples"
	"borderwatch/rules/packs"
	schema "borderwatch/schemas/clickhouse"
)

// site is what a worker process finds on its machine: ClickHouse with one account for each role, the shipped bundle,
// and files with secrets.
type site struct {
	dir        string
	bundle     string
	clickhouse *embeddedtest.ClickHouse
	admin      driver.Conn
}

// The secrets of a site. No output of a process may contain one.
const (
	ingestSecret  = "ingest_secret_6f1d"
	migrateSecret = "migrate_secret_0b77"
	kafkaSecret   = "kafka_secret_c2e9"
	ledgerSecret  = "ledger_secret_of_16_bytes_41aa"
	wrongSecret   = "wrong_secret_of_16_bytes_93d0"
)

// newSite starts a ClickHouse whose only rights are those of the roles, and an administrator to look at the result.
func newSite(t *testing.T) *site {
	t.Helper()
	accounts := (&home{state: homeState{Passwords: map[string]string{accountIngest: ingestSecret, accountMigrate: migrateSecret,
		accountAPI: "unused_1", accountPartner: "unused_2", accountVerify: "unused_3", accountErase: "unused_4"}}}).accounts()
	accounts = append(accounts, embedded.User{Name: embeddedtest.Admin, Password: embeddedtest.Password, Admin: true})
	data := embeddedtest.Dir(t)
	s := &site{dir: t.TempDir(), clickhouse: embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Dir: data, Users: accounts})}
	t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(data, "clickhouse.log")); t.Failed() && err == nil {
			t.Logf("ClickHouse says\n%s", text[max(0, len(text)-8000):])
		}
	})
	s.supervise(t)
	s.admin = s.clickhouse.Open(t, "default")
	for name, secret := range map[string]string{"ingest": ingestSecret, "migrate": migrateSecret, "kafka": kafkaSecret,
		"ledger": ledgerSecret, "wrong": wrongSecret} {
		s.write(t, name+".secret", secret+"\n")
	}
	s.bundle = filepath.Join(s.dir, "bundle")
	for name, files := range map[string]fs.FS{"packs": packs.Files, "company": examplefiles.Files} {
		if err := os.CopyFS(filepath.Join(s.bundle, name), files); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// supervise starts the server again when it dies: the embedded engine does so when a process ends in the middle of a
// login. Workers must bear that.
func (s *site) supervise(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.clickhouse.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// write makes a file of the site and returns its path.
func (s *site) write(t *testing.T, name, text string) string {
	t.Helper()
	path := s.path(name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// migrate makes the schema with the account that may do that and nothing else.
func (s *site) migrate(t *testing.T) {
	t.Helper()
	p := start(t, "migrate", "--set", "clickhouse.hosts="+s.clickhouse.Addr(), "--set", "clickhouse.username="+accountMigrate,
		"--set", "clickhouse.password_file="+s.path("migrate.secret"))
	p.wantExit(exitOK)
	if want := fmt.Sprintf("schema version %d", schema.Version); !strings.Contains(p.out.String(), want) {
		t.Errorf("migrate does not say %q:\n%s", want, p.out)
	}
}

// settings is a configuration file before it is written.
type settings map[string]any

// config is a worker's configuration for topics of a cluster, short of its ledger.
func (s *site) config(c *cluster, l *lane) settings {
	return settings{
		"kafka": settings{
			"brokers": c.addrs, "topics": []string{l.events}, "group": l.name, "dead_letter_topic": l.letters,
			"tls":             settings{"enabled": true, "ca_file": c.caFile},
			"sasl":            settings{"mechanism": c.credential.Mechanism, "username": c.credential.User, "password_file": s.path("kafka.secret")},
			"fetch":           settings{"max_wait": "50ms"},
			"session_timeout": "10s", "rebalance_timeout": "20s",
		},
		"feeds": []settings{
			{"name": "trail-main", "adapter": "cloudtrail", "identity_scope": "cloudtrail", "topic": l.trails, "header": settings{"key": "trail", "value": "main"}},
			{"name": "trail-audit", "adapter": "cloudtrail", "identity_scope": "cloudtrail", "topic": l.trails, "header": settings{"key": "trail", "value": "audit"}},
		},
		"clickhouse": settings{"hosts": []string{s.clickhouse.Addr()}, "username": accountIngest,
			"password_file": s.path("ingest.secret"), "insert_timeout": "10s"},
		"bundle": settings{"dir": s.bundle, "unsigned": true},
		"batch":  settings{"linger": "50ms", "max_rows": 200},
		"http":   settings{"listen": ""},
	}
}

// file writes a configuration with a ledger and returns its path.
func (s *site) file(t *testing.T, config, ledger settings) string {
	t.Helper()
	config["ledger"] = ledger
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	name, err := os.CreateTemp(s.dir, "ingest-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := name.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := name.Close(); err != nil {
		t.Fatal(err)
	}
	return name.Name()
}

// ownLedger keeps the evidence in the worker itself.
func ownLedger(t *testing.T) settings { return settings{"dir": embeddedtest.Dir(t)} }

// sharedLedger serves a ledger as borderwatch ledger does, and returns how workers reach it.
func (s *site) sharedLedger(t *testing.T) (worker settings, g *gate) {
	t.Helper()
	log, err := ledger.Open(t.Context(), ledger.Options{Dir: embeddedtest.Dir(t), Origin: "ledger.example"})
	if err != nil {
		t.Fatal(err)
	}
	g = new(gate)
	server, err := ledger.NewServer(log, ledger.ServerOptions{Tokens: []string{ledgerSecret}, Wrap: g.wrap})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		stop, end := context.WithTimeout(context.Background(), 20*time.Second)
		defer end()
		if err := errors.Join(<-served, log.Close(stop)); err != nil {
			t.Error(err)
		}
	})
	return settings{"url": "http://" + listener.Addr().String(), "token_file": s.path("ledger.secret")}, g
}

// gate holds up the batches on their way into a ledger, while it is closed. Workers can start all the same.
type gate struct{ closed atomic.Bool }

func (g *gate) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the worker is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		leaf, err := ledger.ParseLeaf(body)
		_, isBatch := leaf.(ledger.Batch)
		for err == nil && isBatch && g.closed.Load() {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		h.ServeHTTP(w, r)
	})
}

// process is a borderwatch command in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *output // both streams
	wait func() error
}

// start runs borderwatch, which testscript.Main has put into PATH. It is killed with the test unless it has ended.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command("borderwatch", args...), out: new(output)}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return strings.HasPrefix(name, config.EnvPrefix) && !slices.Contains(otherVariables, name) // those of tests are no keys
	})
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.wait = sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, as a rule
		_ = p.wait()
		for _, secret := range []string{ingestSecret, migrateSecret, kafkaSecret, ledgerSecret, wrongSecret} {
			if strings.Contains(p.out.String(), secret) {
				t.Errorf("%v shows the secret %s:\n%s", args, secret, p.out)
			}
		}
		if t.Failed() {
			t.Logf("%v\n%.8000s", args, p.out)
		}
	})
	return p
}

func ingest(t *testing.T, file string, more ...string) *process {
	t.Helper()
	return start(t, append([]string{"ingest", "--config", file}, more...)...)
}

// processPatience is how long a process may take to end.
const processPatience = 60 * time.Second

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.wait() }()
	select {
	case <-ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(processPatience):
		p.t.Fatalf("%v does not end:\n%s", p.cmd.Args, p.out)
		return -1
	}
}

func (p *process) wantExit(code int) {
	p.t.Helper()
	if got := p.exit(); got != code {
		p.t.Fatalf("%v: exit code %d, want %d:\n%s", p.cmd.Args, got, code, p.out)
	}
}

// terminate sends SIGTERM and returns how long the process went on.
func (p *process) terminate(code int) time.Duration {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.wantExit(code)
	return time.Since(began)
}

// until polls until done says so.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(processPatience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", processPatience, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
