package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/ledger"
)

// TestIngestSaysWhatIsWrong starts workers on sites with one fault each. The words must name the fault and its place, and
// the exit code must tell a mistake in the configuration from a failure.
func TestIngestSaysWhatIsWrong(t *testing.T) {
	s := newSite(t)
	closed := closedPort(t)
	c := s.fakeCluster(t)(embedded.ScramSHA512)
	l := newLane(t, c)
	locked := t.TempDir()
	log, err := ledger.Open(t.Context(), ledger.Options{Dir: locked})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	file := s.file(t, s.config(c, l), settings{})
	own := "ledger.dir=" + filepath.Join(s.dir, "ledger")
	t.Run("not migrated", func(t *testing.T) {
		refused(t, file, exitFailure, []string{own}, s.clickhouse.Addr(), "borderwatch migrate")
	})
	s.migrate(t)
	url := s.ledgerOf(t)["url"].(string)
	for _, test := range []struct {
		name  string
		code  int
		set   []string
		words []string
	}{
		{"missing topic", exitFailure, []string{own, "kafka.topics=" + l.events + "x"}, []string{`"` + l.events + `x" does not exist`, `did you mean "` + l.events + `"`}},
		{"wrong Kafka password", exitFailure, []string{own, "kafka.sasl.password_file=" + s.path("wrong.secret")}, []string{"credentials refused by " + c.addrs[0]}},
		{"unknown Kafka user", exitFailure, []string{own, "kafka.sasl.username=nobody"}, []string{"credentials refused by " + c.addrs[0], `"nobody"`}},
		{"Kafka without TLS", exitFailure, []string{own, "kafka.tls.enabled=false", "kafka.tls.ca_file="}, []string{c.addrs[0], "expect TLS"}},
		{"certificate not trusted", exitFailure, []string{own, "kafka.tls.ca_file="}, []string{"certificate of " + c.addrs[0] + " is not trusted"}},
		{"Kafka is down", exitFailure, []string{own, "kafka.brokers=" + closed}, []string{"kafka: no broker could be reached", closed, "refused"}},
		{"no CA file", exitFailure, []string{own, "kafka.tls.ca_file=/nowhere/ca.pem"}, []string{"/nowhere/ca.pem", "no such file"}},
		{"ClickHouse is down", exitFailure, []string{own, "clickhouse.hosts=" + closed}, []string{"clickhouse " + closed, "refused"}},
		{"another database", exitFailure, []string{own, "clickhouse.database=elsewhere"}, []string{"clickhouse " + s.clickhouse.Addr(), "elsewhere"}},
		{"ledger in use", exitFailure, []string{"ledger.dir=" + locked}, []string{"ledger is in use by another process", locked}},
		{"ledger is down", exitFailure, []string{"ledger.url=http://" + closed, "ledger.token_file=" + s.path("ledger.secret")}, []string{closed, "refused"}},
		{"wrong ledger token", exitFailure, []string{"ledger.url=" + url, "ledger.token_file=" + s.path("wrong.secret")}, []string{"ledger refused the credentials"}},
		{"no bundle", exitFailure, []string{own, "bundle.dir=/nowhere/bundle"}, []string{"/nowhere/bundle"}},
		{"a typo in a rule", exitFailure, []string{own, "bundle.dir=" + s.misspelt(t)}, []string{"packs/eu/EU-101.yaml:", "severty"}},
		{"address in use", exitFailure, []string{own, "http.listen=" + s.clickhouse.Addr()}, []string{"http.listen", s.clickhouse.Addr(), "in use"}},
		{"unknown key", exitUsage, []string{own, "kafka.brokres=a:1"}, []string{"kafka.brokres", `did you mean "kafka.brokers"`}},
		{"missing secret", exitUsage, []string{own, "clickhouse.password_file=/nowhere/password"}, []string{"clickhouse.password_file", "/nowhere/password"}},
		{"no ledger", exitUsage, nil, []string{"ledger.url: required"}},
		{"a codec that inserts do not have", exitUsage, []string{own, "clickhouse.compression=zstd"}, []string{"clickhouse.compression", "zstd"}},
		{"several hosts without replicas", exitUsage, []string{own, "clickhouse.hosts=a:9000,b:9000"}, []string{"clickhouse.hosts", "clickhouse.cluster"}},
		{"batches that fit no insert", exitUsage, []string{own, "batch.max_rows=500000"}, []string{"batch.max_rows", "450000"}},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, file, test.code, test.set, test.words...) })
	}
	// Nobody has a place then, and the worker says so, but every event is judged and stored.
	t.Run("unreadable location database", func(t *testing.T) {
		p := ingest(t, file, "--until-caught-up", "--set", own, "--set", "bundle.geoip="+s.write(t, "torn.mmdb", "not a database"))
		p.wantExit(exitOK)
		p.out.await(t, `level=WARN msg=bundle warning="[^\n]*torn(\.mmdb): `)
	})
	// Last, since a refused login ends the embedded engine.
	t.Run("wrong ClickHouse password", func(t *testing.T) {
		refused(t, file, exitFailure, []string{own, "clickhouse.password_file=" + s.path("wrong.secret")},
			"clickhouse "+s.clickhouse.Addr(), "Authentication failed", accountIngest)
	})
}

// refused starts a worker that must end by itself and say all the words in one complaint.
func refused(t *testing.T, file string, code int, set []string, words ...string) {
	t.Helper()
	var more []string
	for _, pair := range set {
		more = append(more, "--set", pair)
	}
	p := ingest(t, file, more...)
	p.wantExit(code)
	_, complaint, found := strings.Cut(p.out.String(), "borderwatch: ")
	if !found {
		t.Fatalf("it does not complain:\n%s", p.out)
	}
	for _, word := range words {
		if !strings.Contains(complaint, word) {
			t.Errorf("%q does not say %q", complaint, word)
		}
	}
	if strings.Contains(complaint, "goroutine ") {
		t.Errorf("a stack instead of words: %.500s", complaint)
	}
	t.Log(complaint)
}

// misspelt copies the bundle with a wrong key in a rule.
func (s *site) misspelt(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.bundle)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "packs", "eu", "EU-101.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(text), "severity:", "severty:", 1)
	if wrong == string(text) {
		t.Fatalf("%s has no severity", name)
	}
	if err := os.WriteFile(name, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// closedPort is an address at which nothing listens. The test holds the port, so that no other server gets it.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.(*syscall.SockaddrInet4).Port))
}
