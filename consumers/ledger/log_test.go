package ledger_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"

	"borderwatch/consumers/ledger"
)

// open opens a ledger with quick checkpoints and closes it with the test.
func open(t testing.TB, dir string) *ledger.Log {
	t.Helper()
	l, err := ledger.Open(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLog(t, l) })
	return l
}

func options(dir string) ledger.Options {
	return ledger.Options{
		Dir: dir, Origin: "ledger.example/test",
		BatchAge: time.Millisecond, CheckpointInterval: 100 * time.Millisecond,
	}
}

func closeLog(t testing.TB, l *ledger.Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// writer is what a worker needs of a ledger; Log and Client have it.
type writer interface {
	Append(context.Context, ledger.Leaf) (uint64, error)
	Head(context.Context, ledger.Key) (ledger.Head, bool, error)
}

func mustAppend(t testing.TB, w writer, leaf ledger.Leaf) int64 {
	t.Helper()
	index, err := w.Append(t.Context(), leaf)
	if err != nil {
		t.Fatal(err)
	}
	return int64(index)
}

func wantHead(t testing.TB, w writer, k ledger.Key, want ledger.Head) {
	t.Helper()
	got, ok, err := w.Head(t.Context(), k)
	if err != nil || !ok || got != want {
		t.Errorf("head of %s is %+v, %v, %v, want %+v", k, got, ok, err, want)
	}
}

func TestConcurrentAppends(t *testing.T) {
	const workers, leaves = 64, 20
	dir := t.TempDir()
	l := open(t, dir)
	indices := make([][]int64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			prev := int64(-1)
			for i := range int64(leaves) {
				index, err := l.Append(t.Context(), batch(int32(w), 10*i, 10*i+9, prev))
				if err != nil {
					t.Error(err)
					return
				}
				prev = int64(index)
				indices[w] = append(indices[w], prev)
			}
		})
	}
	wg.Wait()
	seen := map[int64]bool{}
	for w, list := range indices {
		for i, index := range list {
			if seen[index] {
				t.Errorf("index %d was given out twice", index)
			}
			seen[index] = true
			if i > 0 && index <= list[i-1] {
				t.Errorf("partition %d: index %d after %d", w, index, list[i-1])
			}
		}
	}
	if len(seen) != workers*leaves {
		t.Errorf("%d distinct indices, want %d", len(seen), workers*leaves)
	}
	closeLog(t, l)
	verifyFiles(t, dir, workers*leaves)

	again := open(t, dir)
	for w := range int32(workers) {
		last := indices[w][leaves-1]
		wantHead(t, again, batch(w, 0, 0, -1).Span().Key, ledger.Head{Index: uint64(last), First: 190, Last: 199})
	}
}

// TestRaceForOneOffset is the zombie and its successor: of two different leaves
// for the same offsets exactly one wins.
func TestRaceForOneOffset(t *testing.T) {
	l := open(t, t.TempDir())
	const racers = 16
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			_, errs[i] = l.Append(t.Context(), batch(0, 100, 100+int64(i), -1))
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if conflict := new(ledger.ConflictError); err == nil {
			won++
		} else if !errors.As(err, &conflict) {
			t.Errorf("error %v, want a conflict", err)
		}
	}
	if won != 1 {
		t.Errorf("%d racers won, want 1", won)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := ledger.Open(t.Context(), options(dir))
	if !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
}

func TestClosed(t *testing.T) {
	l := open(t, t.TempDir())
	mustAppend(t, l, batch(0, 0, 9, -1))
	closeLog(t, l)
	if _, err := l.Append(t.Context(), batch(0, 10, 19, 0)); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("append: error %v, want ErrClosed", err)
	}
	if _, _, err := l.Head(t.Context(), batch(0, 0, 0, -1).Span().Key); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("head: error %v, want ErrClosed", err)
	}
}

func TestKeyIsKept(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	key := l.VerifierKey()
	closeLog(t, l)
	secret := filepath.Join(dir, "signing.key")
	info, err := os.Stat(secret)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("signing key: mode %v, %v, want 0600", info.Mode(), err)
	}
	public, err := os.ReadFile(filepath.Join(dir, "verifier.pub"))
	if err != nil || string(public) != key+"\n" {
		t.Errorf("verifier.pub has %q, %v, want %q", public, err, key)
	}
	again := open(t, dir)
	if again.VerifierKey() != key {
		t.Error("a restart changed the key")
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		damage func(dir string) error
		want   string
	}{
		{"lost key", func(dir string) error { return os.Remove(filepath.Join(dir, "signing.key")) }, "missing"},
		{"open key", func(dir string) error { return os.Chmod(filepath.Join(dir, "signing.key"), 0o644) }, "0600"},
		{"lost state", func(dir string) error {
			return os.Remove(filepath.Join(dir, "tlog", ".state", "treeState"))
		}, "treeState"},
		{"altered leaf", func(dir string) error { return replaceIn(entriesFile(dir, 2), "events=10 ", "events=9 ") }, ""},
		{"altered digest", func(dir string) error { return replaceIn(entriesFile(dir, 2), "events sha256:02", "events sha256:03") },
			"altered"},
		{"rolled back state", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "tlog", ".state", "treeState"), []byte(`{"size":0,"root":""}`), 0o644)
		}, "rolled back"},
		{"foreign checkpoint", func(dir string) error {
			return replaceIn(filepath.Join(dir, "tlog", "checkpoint"), "\n2\n", "\n1\n")
		}, "signed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir)
			mustAppend(t, l, batch(0, 10, 19, mustAppend(t, l, batch(0, 0, 9, -1))))
			closeLog(t, l)
			if err := tt.damage(dir); err != nil {
				t.Fatal(err)
			}
			before := checkpointFile(t, dir)
			l, err := ledger.Open(t.Context(), options(dir))
			if err == nil {
				closeLog(t, l)
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
			if after := checkpointFile(t, dir); after != before {
				t.Errorf("a checkpoint was signed:\n%s", after)
			}
		})
	}
}

func TestOpenWithOtherOrigin(t *testing.T) {
	dir := t.TempDir()
	closeLog(t, open(t, dir))
	o := options(dir)
	o.Origin = "ledger.example/other"
	if _, err := ledger.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "origin") {
		t.Errorf("error %v, want one about the origin", err)
	}
}

// failing makes an add whose future says failed although the entry was written.
func failing(add tessera.AddFn) tessera.AddFn {
	return func(ctx context.Context, e *tessera.Entry) tessera.IndexFuture {
		future := add(ctx, e)
		return func() (tessera.Index, error) {
			_, err := future()
			return tessera.Index{}, errors.Join(err, errors.New("injected"))
		}
	}
}

func TestFailedAppendThatTookEffect(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	first := mustAppend(t, l, batch(0, 0, 9, -1))
	var real tessera.AddFn
	l.WrapAdd(func(add tessera.AddFn) tessera.AddFn { real = add; return failing(add) })
	lost, note := batch(0, 10, 19, first), activation()
	for _, leaf := range []ledger.Leaf{lost, note} {
		if _, err := l.Append(t.Context(), leaf); !errors.Is(err, ledger.ErrUnavailable) {
			t.Fatalf("error %v, want ErrUnavailable", err)
		}
	}
	l.WrapAdd(func(tessera.AddFn) tessera.AddFn { return real })

	conflict := new(ledger.ConflictError)
	if _, err := l.Append(t.Context(), batch(0, 10, 29, first)); !errors.As(err, &conflict) {
		t.Errorf("other leaf at the same offset: error %v, want a conflict", err)
	}
	if got := mustAppend(t, l, lost); got != 1 {
		t.Errorf("repeated append has index %d, want 1", got)
	}
	if got := mustAppend(t, l, note); got != 2 {
		t.Errorf("repeated notice has index %d, want 2", got)
	}
	wantHead(t, l, lost.Span().Key, ledger.Head{Index: 1, First: 10, Last: 19})
	if got := mustAppend(t, l, batch(0, 20, 29, 1)); got != 3 {
		t.Errorf("next append has index %d, want 3", got)
	}
	closeLog(t, l)
	verifyFiles(t, dir, 4)
}

func TestFailedFirstAppend(t *testing.T) {
	l := open(t, t.TempDir())
	var real tessera.AddFn
	l.WrapAdd(func(add tessera.AddFn) tessera.AddFn { real = add; return failing(add) })
	leaf := batch(0, 500, 509, -1)
	if _, err := l.Append(t.Context(), leaf); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("error %v, want ErrUnavailable", err)
	}
	l.WrapAdd(func(tessera.AddFn) tessera.AddFn { return real })
	wantHead(t, l, leaf.Span().Key, ledger.Head{Index: 0, First: 500, Last: 509})
}

// TestAbandonedAppend ends the caller's context while the write hangs: nobody
// may overtake it, and its outcome counts.
func TestAbandonedAppend(t *testing.T) {
	l := open(t, t.TempDir())
	started, goOn := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	l.WrapAdd(func(add tessera.AddFn) tessera.AddFn {
		return func(ctx context.Context, e *tessera.Entry) tessera.IndexFuture {
			if calls.Add(1) == 1 {
				close(started)
				<-goOn
			}
			return add(ctx, e)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	leaf := batch(0, 0, 9, -1)
	first := make(chan error, 1)
	go func() { _, err := l.Append(ctx, leaf); first <- err }()
	<-started
	cancel()
	if err := <-first; !errors.Is(err, ledger.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want ErrUnavailable and Canceled", err)
	}
	if _, err := l.Append(ctx, batch(0, 0, 4, -1)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("overtaking append: error %v, want ErrUnavailable", err)
	}
	if got := mustAppend(t, l, batch(1, 0, 9, -1)); got != 0 {
		t.Errorf("another partition has index %d, want 0", got)
	}
	close(goOn)
	if got := mustAppend(t, l, leaf); got != 1 {
		t.Errorf("repeated append has index %d, want 1", got)
	}
}

// TestStateRemovedWhileOpen: somebody deletes the state under a running log,
// which makes Tessera start again at index 0.
func TestStateRemovedWhileOpen(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	mustAppend(t, l, batch(0, 0, 9, -1))
	if err := os.Remove(filepath.Join(dir, "tlog", ".state", "treeState")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = l.Append(t.Context(), batch(1, 0, 9, -1))
		if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "somebody else") {
			t.Errorf("error %v, want ErrUnavailable about somebody else", err)
		}
	}
}
