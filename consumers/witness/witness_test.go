package witness_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/witness"
)

const origin = "ledger.example/test"

// history is a log in memory: the same leaves up to fork, then others.
type history struct {
	signer note.Signer
	public string
	hashes []tlog.Hash
	size   int64
}

func (h *history) ReadHashes(indexes []int64) (list []tlog.Hash, err error) {
	for _, i := range indexes {
		list = append(list, h.hashes[i])
	}
	return list, nil
}

func newHistory(t testing.TB) *history {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	h := &history{public: public}
	if h.signer, err = note.NewSigner(secret); err != nil {
		t.Fatal(err)
	}
	return h
}

// grow appends leaves and returns the log, so that a fork can be made of a copy.
func (h *history) grow(t testing.TB, n int, word string) *history {
	t.Helper()
	g := &history{signer: h.signer, public: h.public, hashes: append([]tlog.Hash(nil), h.hashes...), size: h.size}
	for range n {
		stored, err := tlog.StoredHashes(g.size, fmt.Appendf(nil, "%s %d", word, g.size), g)
		if err != nil {
			t.Fatal(err)
		}
		g.hashes = append(g.hashes, stored...)
		g.size++
	}
	return g
}

func (h *history) root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, h)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (h *history) checkpoint(t testing.TB, signer note.Signer, name string, size int64) string {
	t.Helper()
	text := fmt.Sprintf("%s\n%d\n%s\n", name, size, h.root(t, size))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// request asks to go from old to size.
func (h *history) request(t testing.TB, old, size int64) string {
	t.Helper()
	var proof string
	if old > 0 && old < size {
		hashes, err := tlog.ProveTree(size, old, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range hashes {
			proof += base64.StdEncoding.EncodeToString(x[:]) + "\n"
		}
	}
	return fmt.Sprintf("old %d\n%s\n%s", old, proof, h.checkpoint(t, h.signer, origin, size))
}

func witnessSecret(t testing.TB) string {
	t.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, "partner.example/witness")
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func start(t testing.TB, o witness.Options) (*witness.Witness, string) {
	t.Helper()
	w, err := witness.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(func() { srv.Close(); _ = w.Close() })
	return w, srv.URL + "/add-checkpoint"
}

func post(t testing.TB, url, body string) (status int, kind, answer string) {
	t.Helper()
	resp, err := http.Post(url, "", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(text)
}

// TestAddCheckpoint walks a log through the answers that C2SP tlog-witness prescribes. The steps build on each other.
func TestAddCheckpoint(t *testing.T) {
	log := newHistory(t)
	a := log.grow(t, 5, "a")
	b := a.grow(t, 7, "b")
	fork := a.grow(t, 7, "fork")
	stranger := newHistory(t)
	dir, secret := t.TempDir(), witnessSecret(t)
	w, url := start(t, witness.Options{Dir: dir, Secret: secret, Logs: []string{log.public}})
	other := stranger.grow(t, 3, "x")
	steps := []struct {
		name, body string
		status     int
		answer     string // how it begins
	}{
		{"no request", "hello", 400, "no empty line"},
		{"a size with a sign", "old +0\n\n" + a.checkpoint(t, a.signer, origin, 5), 400, ""},
		{"another key of that origin", other.request(t, 0, 3), 403, ""},
		{"another origin", "old 0\n\n" + a.checkpoint(t, mustSigner(t, "other.example"), "other.example", 5), 404, ""},
		{"the first one with a wrong size", a.request(t, 3, 5), 409, "0\n"},
		{"the first one", a.request(t, 0, 5), 200, "— partner.example/witness "},
		{"the first one again, as if new", a.request(t, 0, 5), 409, "5\n"},
		{"republished", a.request(t, 5, 5), 200, "— partner.example/witness "},
		{"a proof where there is nothing to prove", strings.Replace(a.request(t, 5, 5), "old 5\n", "old 5\n"+base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 1), 422, ""},
		{"grown without a proof", "old 5\n\n" + b.checkpoint(t, b.signer, origin, 12), 422, ""},
		{"grown with the proof of a fork", strings.Replace(fork.request(t, 5, 12), fork.checkpoint(t, b.signer, origin, 12), b.checkpoint(t, b.signer, origin, 12), 1), 422, ""},
		{"grown", b.request(t, 5, 12), 200, "— partner.example/witness "},
		{"a fork of the same size", fork.request(t, 12, 12), 409, "another root"},
		{"a fork that is longer", fork.grow(t, 3, "fork").request(t, 12, 15), 422, ""},
		{"rolled back", a.request(t, 12, 5), 400, "old size 12"},
		{"rolled back, as if the witness were behind", a.request(t, 5, 5), 409, "12\n"},
	}
	for _, s := range steps {
		status, kind, answer := post(t, url, s.body)
		if status != s.status || !strings.HasPrefix(answer, s.answer) {
			t.Errorf("%s: %d %q, want %d %q", s.name, status, answer, s.status, s.answer)
		}
		if sized := s.status == 409 && s.answer != "another root"; sized != (kind == "text/x.tlog.size") {
			t.Errorf("%s: content type %q", s.name, kind)
		}
	}
	verifyCosignature(t, w, url, b)
}

func mustSigner(t testing.TB, name string) note.Signer {
	t.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verifyCosignature opens the last checkpoint with both signatures, and looks at the time in the witness's.
func verifyCosignature(t *testing.T, w *witness.Witness, url string, h *history) {
	t.Helper()
	_, _, line := post(t, url, h.request(t, h.size, h.size))
	ours, err := cosignature.NewVerifierForCosignatureV1(w.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := note.NewVerifier(h.public)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(h.checkpoint(t, h.signer, origin, h.size)+line), note.VerifierList(ours, theirs))
	if err != nil || len(n.Sigs) != 2 {
		t.Fatalf("%v, %d signatures", err, len(n.Sigs))
	}
	for _, sig := range n.Sigs {
		if sig.Name != ours.Name() {
			continue
		}
		if at, err := cosignature.CoSigV1Timestamp(sig); err != nil || time.Since(at) > time.Minute || time.Until(at) > time.Minute {
			t.Errorf("signed at %v, %v", at, err)
		}
	}
}

// TestRestart keeps the last checkpoint over a restart, and refuses to start from a damaged or foreign one.
func TestRestart(t *testing.T) {
	log := newHistory(t)
	a := log.grow(t, 5, "a")
	o := witness.Options{Dir: t.TempDir(), Secret: witnessSecret(t), Logs: []string{log.public}}
	w, url := start(t, o)
	if status, _, answer := post(t, url, a.request(t, 0, 5)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if _, err := witness.Open(o); !errors.Is(err, witness.ErrLocked) {
		t.Errorf("a second witness: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, url = start(t, o)
	if status, _, answer := post(t, url, log.grow(t, 9, "other").request(t, 0, 9)); status != 409 || answer != "5\n" {
		t.Errorf("a fork after a restart: %d %q", status, answer)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(o.Dir, "*.checkpoint"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string]string{"cut off": string(text[:20]), "empty": "", "smaller": strings.Replace(string(text), "\n5\n", "\n4\n", 1)} {
		if err := os.WriteFile(files[0], []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := witness.Open(o); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFullDisk signs nothing that it cannot keep.
func TestFullDisk(t *testing.T) {
	log := newHistory(t)
	dir := t.TempDir()
	_, url := start(t, witness.Options{Dir: dir, Secret: witnessSecret(t), Logs: []string{log.public}})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if status, _, answer := post(t, url, log.grow(t, 5, "a").request(t, 0, 5)); status != 500 || strings.Contains(answer, "—") {
		t.Errorf("%d %q", status, answer)
	}
}

// TestNewKeyOfALog takes checkpoints of the next key of a log that has two.
func TestNewKeyOfALog(t *testing.T) {
	log, next := newHistory(t), newHistory(t)
	a := log.grow(t, 5, "a")
	_, url := start(t, witness.Options{Dir: t.TempDir(), Secret: witnessSecret(t), Logs: []string{log.public, next.public}})
	if status, _, answer := post(t, url, a.request(t, 0, 5)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	b := a.grow(t, 3, "b")
	b.signer = next.signer
	if status, _, answer := post(t, url, b.request(t, 5, 8)); status != 200 {
		t.Errorf("the new key: %d %s", status, answer)
	}
}

func FuzzAddCheckpoint(f *testing.F) {
	log := newHistory(f)
	a := log.grow(f, 5, "a")
	_, url := start(f, witness.Options{Dir: f.TempDir(), Secret: witnessSecret(f), Logs: []string{log.public}})
	for _, seed := range []string{"", "old 0\n\n", a.request(f, 0, 5), a.request(f, 3, 5), "old 1\nAAAA\n\nx\n1\n\n— a b\n"} {
		f.Add(seed)
	}
	valid := map[string]bool{a.request(f, 0, 5): true}
	f.Fuzz(func(t *testing.T, body string) {
		status, _, answer := post(t, url, body)
		if status >= 500 || status == 200 && !valid[body] && !strings.Contains(body, origin) {
			t.Errorf("%d %q to %q", status, answer, body)
		}
	})
}
