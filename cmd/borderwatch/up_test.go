package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/dashboards/service"
)

// lines collects what a command writes and tells when a line arrives.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// upUntil runs up until it has shown n alerts and returns them. running, where given, is called before it is stopped, with
// what up said to a person.
func upUntil(t *testing.T, f upFlags, n int, running func(said string)) []shownAlert {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, said lines
	done := make(chan error, 1)
	go func() { done <- runUp(ctx, &f, &out, &said) }()
	for ctx.Err() == nil && len(out.all()) <= n {
		select {
		case err := <-done:
			t.Fatalf("up ended by itself: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if running != nil {
		running(strings.Join(said.all(), "\n"))
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("up does not stop cleanly: %v", err)
	}
	checkAnnounced(t, out.all()[0])
	var alerts []shownAlert
	for _, line := range out.all()[1:] {
		var a shownAlert
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		alerts = append(alerts, a)
	}
	if len(alerts) < n {
		t.Fatalf("%d alerts, want %d", len(alerts), n)
	}
	return alerts
}

// checkAnnounced looks at the first object of up --json: scripts open the console by it.
func checkAnnounced(t *testing.T, line string) {
	t.Helper()
	var first announced
	if err := json.Unmarshal([]byte(line), &first); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for _, user := range []string{"security", "compliance", "partner"} {
		if !strings.HasPrefix(first.Links[user], first.Console+"/signin/link/") || !strings.HasPrefix(first.Console, "http://127.0.0.1:") {
			t.Errorf("no link for %s in %s", user, line)
		}
	}
}

// TestUp runs the first command as a new user does, stops it, and runs it again.
func TestUp(t *testing.T) {
	needUp(t)
	f := upFlags{dir: embeddedtest.Dir(t), json: true, rate: 200, seed: 7}
	first := upUntil(t, f, 5, func(said string) {
		for _, words := range []string{"a DEVELOPMENT key made here signs every change at once", "DEVELOPMENT: one key signs for everybody"} {
			if !strings.Contains(said, words) {
				t.Errorf("up does not say %q:\n%s", words, said)
			}
		}
		askAsPartner(t, said)
		workInConsole(t, said)
		awaitCursor(t, f.dir)
	})
	for _, a := range first {
		if a.AlertID == "" || a.Time.IsZero() || a.RuleID == "" || a.Severity == "" || a.ActorID == "" || a.Country == "" || a.Why == "" {
			t.Errorf("an alert lacks a field that scripts rely on: %+v", a)
		}
	}
	seen := map[string]bool{}
	for _, a := range first {
		seen[a.AlertID] = true
	}
	for _, a := range upUntil(t, f, 5, nil) {
		if seen[a.AlertID] {
			t.Errorf("the second up shows alert %s of the first again", a.AlertID)
		}
		if a.Bundle != first[0].Bundle {
			t.Errorf("nothing was changed, and the second up judges by bundle %s instead of %s", a.Bundle, first[0].Bundle)
		}
	}
	if _, err := os.Stat(filepath.Join(f.dir, "bundle", "packs", "eu", "EU-101.yaml")); err != nil {
		t.Error("the rules are not laid out for editing:", err)
	}
}

// awaitCursor waits until what was shown is on disk while up runs: after kill -9 the next up goes on from there.
func awaitCursor(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		h := home{dir: dir}
		if err := h.load(); err != nil {
			t.Fatal(err)
		}
		if cursor, err := h.state.Cursor.MarshalJSON(); err != nil || strings.Contains(string(cursor), upTopic) {
			return
		}
		if time.Now().After(deadline) {
			t.Error("which alerts were shown is not remembered while up runs")
			return
		}
	}
}

// TestUpFor counts the time from when everything runs, however long the start took.
func TestUpFor(t *testing.T) {
	needUp(t)
	dir := embeddedtest.Dir(t)
	var said lines
	if err := runUp(t.Context(), &upFlags{dir: dir, rate: 20, duration: time.Millisecond}, io.Discard, &said); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(said.all(), "\n"); !strings.Contains(text, "borderwatch is running on this machine") || !strings.Contains(text, "Stopped.") {
		t.Errorf("ended before everything ran: %s", text)
	}
	corrupt := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(corrupt, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	var first lines
	err := runUp(t.Context(), &upFlags{dir: dir, rate: 20, geoip: corrupt}, io.Discard, &first)
	if err == nil || !strings.Contains(err.Error(), corrupt) || strings.Contains(strings.Join(first.all(), "\n"), "is running") {
		t.Errorf("a damaged location database: %v", err)
	}
}

// askAsPartner pastes the questions that up offers.
func askAsPartner(t *testing.T, said string) {
	t.Helper()
	pasted := regexp.MustCompile(`curl -s '(http://[^']+)' --data-binary "([^"]+)"`).FindAllStringSubmatch(said, -1)
	if len(pasted) != len(upQuestions) {
		t.Fatalf("%d questions in:\n%s", len(pasted), said)
	}
	for _, q := range pasted {
		resp, err := http.Post(q[1], "text/plain", strings.NewReader(q[2]))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || len(answer) == 0 {
			t.Errorf("%s: %s\n%s", q[2], resp.Status, answer)
		}
	}
}

// workInConsole signs in by the printed link, reads an alert and takes its case, which must be in the evidence log.
func workInConsole(t *testing.T, said string) {
	t.Helper()
	link := regexp.MustCompile(`(http://[^/]+)/signin/link/\w+`).FindStringSubmatch(said)
	if link == nil {
		t.Fatalf("no link in:\n%s", said)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	get := func(path string, into any) {
		t.Helper()
		resp, err := client.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, resp.Status)
		}
		if into == nil {
			return
		}
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	get(link[0], nil)
	var list service.AlertList
	get(link[1]+"/api/v1/alerts?outcome=alert", &list)
	if len(list.Alerts) == 0 {
		t.Fatal("the console has no alert")
	}
	var page service.AlertPage
	get(link[1]+"/api/v1/alerts/"+list.Alerts[0].ID, &page)
	if page.Explanation == nil || !page.Explanation.Same || page.Explanation.Text == "" || page.Proof == nil || page.Proof.Origin == "" {
		t.Errorf("the alert does not explain itself: %q, %+v, %+v", page.NotShown, page.Explanation, page.Proof)
	}
	at := link[1] + "/api/v1/cases/" + page.CaseID
	resp, err := client.Post(at+"/take", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	var taken service.Case
	get(at, &taken)
	if taken.State != service.Taken || len(taken.Steps) != 1 || taken.Steps[0].Leaf < 0 {
		t.Errorf("after taking: %s, %+v", taken.State, taken.Steps)
	}
}

// TestUpSaysWhatIsInTheWay looks at the words for the usual obstacles.
func TestUpSaysWhatIsInTheWay(t *testing.T) {
	needUp(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	dir := embeddedtest.Dir(t)
	err = runUp(t.Context(), &upFlags{dir: dir, port: port}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) || !strings.Contains(err.Error(), "--port") {
		t.Errorf("a port in use: %v", err)
	}
	h, err := openHome(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	err = runUp(t.Context(), &upFlags{dir: dir}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "another borderwatch up uses") {
		t.Errorf("a folder in use: %v", err)
	}
}

// TestUpSaysWhatToBring: where npm is missing, what the advice names is what this up takes.
func TestUpSaysWhatToBring(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(embedded.CacheEnv, t.TempDir())
	t.Setenv(embedded.LibraryEnv, "")
	err := runUp(t.Context(), &upFlags{dir: t.TempDir()}, io.Discard, io.Discard)
	if !errors.Is(err, embedded.ErrNpmMissing) || newUp().Flags().Lookup("geoip") == nil || newBench().Flags().Lookup("geoip") == nil ||
		!strings.Contains(err.Error(), "--geoip") {
		t.Errorf("no location database: %v", err)
	}
	err = runUp(t.Context(), &upFlags{dir: t.TempDir(), geoip: "countries.mmdb"}, io.Discard, io.Discard)
	if !errors.Is(err, embedded.ErrNpmMissing) || !strings.Contains(err.Error(), embedded.LibraryEnv) || strings.Contains(err.Error(), "--geoip") {
		t.Errorf("no engine: %v", err)
	}
	t.Setenv(embedded.LibraryEnv, filepath.Join(t.TempDir(), "libchdb.so"))
	err = runUp(t.Context(), &upFlags{dir: t.TempDir(), geoip: "countries.mmdb"}, io.Discard, io.Discard)
	if !errors.Is(err, os.ErrNotExist) || errors.Is(err, embedded.ErrNpmMissing) {
		t.Errorf("a library that is not there: %v", err)
	}
}

// TestUpFresh keeps what a person may have edited and drops what was stored.
func TestUpFresh(t *testing.T) {
	dir := t.TempDir()
	h, err := openHome(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := h.bundle()
	if err != nil {
		t.Fatal(err)
	}
	rule := filepath.Join(bundle, "packs", "eu", "EU-101.yaml")
	for name, text := range map[string]string{rule: "edited", filepath.Join(dir, "ledger"): "stored"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	password := h.state.Passwords[accountPartner]
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	h, err = openHome(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if text, err := os.ReadFile(rule); err != nil || string(text) != "edited" {
		t.Errorf("the edited rule is gone: %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ledger")); err == nil {
		t.Error("what was stored is still there")
	}
	if h.state.Passwords[accountPartner] == password {
		t.Error("the passwords of the server that was thrown away are kept")
	}
}

func needUp(t *testing.T) {
	t.Helper()
	if _, err := embedded.ClickHouseLibrary(t.Context(), os.Stderr); err != nil {
		embeddedtest.Unavailable(t, "ClickHouse", err)
	}
	if _, err := embedded.GeoIPDatabase(t.Context(), os.Stderr); err != nil {
		embeddedtest.Unavailable(t, "the location database", err)
	}
}

// TestUpWitness looks for the witness's signature on the checkpoint that up publishes, and on its last one.
func TestUpWitness(t *testing.T) {
	needUp(t)
	f := upFlags{dir: embeddedtest.Dir(t), json: true, rate: 100, seed: 5, witness: true}
	upUntil(t, f, 1, nil)
	checkpoint, err := os.ReadFile(filepath.Join(f.dir, "ledger", "tlog", "checkpoint"))
	if err != nil || !strings.Contains(string(checkpoint), "\n— partner.example/witness ") {
		t.Errorf("not cosigned: %v\n%s", err, checkpoint)
	}
}
