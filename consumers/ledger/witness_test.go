package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/consumers/ledger"
	"borderwatch/consumers/witness"
)

// partner is a witness that can be away.
type partner struct {
	ledger.Witness
	away atomic.Bool
}

func startPartner(t *testing.T, logs ...string) *partner {
	t.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, "partner.example/"+rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(witness.Options{Dir: t.TempDir(), Secret: secret, Logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	p := &partner{}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if p.away.Load() {
			http.Error(rw, "away", http.StatusServiceUnavailable)
			return
		}
		w.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { srv.Close(); _ = w.Close() })
	p.Witness = ledger.Witness{URL: srv.URL, Key: w.PublicKey()}
	return p
}

// logKey makes the key of a log before its first start, as a partner gets it.
func logKey(t *testing.T, dir string) string {
	t.Helper()
	public, err := ledger.GenerateKey(filepath.Join(dir, "signing.key"), "ledger.example/test")
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// await polls until f holds: the log publishes by itself.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in 20 s no %s", what)
		}
	}
}

// published is the size of the published checkpoint, -1 where there is none.
func published(t *testing.T, l *ledger.Log, dir string) int64 {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "tlog", "checkpoint")); err != nil {
		return -1
	}
	return parseCheckpoint(t, []byte(checkpointFile(t, dir)), l.VerifierKey()).N
}

// TestWitness starts a log while its witness is away: leaves are taken, nothing is published. Once the quorum is there
// everything is.
func TestWitness(t *testing.T) {
	dir := t.TempDir()
	key := logKey(t, dir)
	a, b, c := startPartner(t, key), startPartner(t, key), startPartner(t, key)
	o := options(dir)
	o.Witnesses, o.Quorum = []ledger.Witness{a.Witness, b.Witness, c.Witness}, 2
	a.away.Store(true)
	b.away.Store(true)
	l, err := ledger.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	index := mustAppend(t, l, batch(0, 0, 9, -1))
	if n := published(t, l, dir); n != -1 {
		t.Errorf("a checkpoint of %d leaves without the quorum", n)
	}
	if _, err := l.Cosigned(t.Context()); !errors.Is(err, ledger.ErrNotCosigned) {
		t.Errorf("cosigned: %v", err)
	}
	a.away.Store(false)
	await(t, "checkpoint with two of three", func() bool { return published(t, l, dir) == 1 })
	if at, err := l.Cosigned(t.Context()); err != nil || time.Since(at) > time.Minute {
		t.Errorf("cosigned at %v, %v", at, err)
	}
	c.away.Store(true)
	mustAppend(t, l, batch(0, 10, 19, index))
	stop, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := l.Close(stop); err == nil {
		t.Error("closed as if the last leaf were published")
	}
	if got := checkpointFile(t, dir); !strings.Contains(got, "\n1\n") {
		t.Errorf("without the quorum this was published:\n%s", got)
	}
	c.away.Store(false)
	if l, err = ledger.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	await(t, "checkpoint after the witness came back", func() bool { return published(t, l, dir) == 2 })
	closeLog(t, l)
}

// TestWitnessRefusesAFork restores the log from a copy and lets it go on otherwise. Nothing of that is published.
func TestWitnessRefusesAFork(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	p := startPartner(t, logKey(t, dir))
	o := options(dir)
	o.Witnesses = []ledger.Witness{p.Witness}
	l, err := ledger.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(0, 0, 9, -1))
	closeLog(t, l)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(copied, "signing.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = ledger.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(0, 10, 19, 0))
	closeLog(t, l)
	o.Dir = copied
	if l, err = ledger.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(0, 10, 29, 0))
	stop, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := l.Close(stop); err == nil {
		t.Error("the fork was closed as if it were published")
	}
	if got := checkpointFile(t, copied); !strings.Contains(got, "\n1\n") {
		t.Errorf("the fork published\n%s", got)
	}
}

func TestWitnessOptions(t *testing.T) {
	key := "partner.example/w+00000000+AAAA"
	good := startPartner(t, logKey(t, t.TempDir())).Witness
	for name, o := range map[string]ledger.Options{
		"a key that is none":      {Witnesses: []ledger.Witness{{URL: "http://127.0.0.1:1", Key: key}}},
		"a quorum of too many":    {Witnesses: []ledger.Witness{good}, Quorum: 2},
		"a quorum of nobody":      {Quorum: 1},
		"a negative quorum":       {Witnesses: []ledger.Witness{good}, Quorum: -1},
		"one that is given twice": {Witnesses: []ledger.Witness{good, {URL: "http://127.0.0.1:1", Key: good.Key}}},
	} {
		o.Dir = t.TempDir()
		if l, err := ledger.Open(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
			closeLog(t, l)
		}
	}
}
