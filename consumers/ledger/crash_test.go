package ledger_test

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
)

var seed = flag.Uint64("seed", 0, "seed of the crash points, 0 for a new one")

// dirVariable tells a child process which ledger to use.
const dirVariable = "BORDERWATCH_TEST_LEDGER"

const crashPartitions = 6

// child re-executes this test binary to run one test with the variable set.
func child(t *testing.T, test, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), dirVariable+"="+dir)
	return cmd
}

type ack struct {
	partition   int32
	first, last int64
	prev, index int64
}

// TestCrash kills a process that appends, at random moments, and looks at what
// is left: every acknowledged leaf is there and nothing else but what was
// under way.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(dirVariable); dir != "" {
		appendForever(t, dir)
		return
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed=%d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 0))
	dir := t.TempDir()
	heads := map[int32]ack{}
	for round := range 8 {
		after, delay := 1+rng.IntN(400), time.Duration(rng.IntN(3000))*time.Microsecond
		if round%4 == 0 {
			after, delay = 0, time.Duration(rng.IntN(60))*time.Millisecond // while it starts
		}
		acks := runAndKill(t, dir, after, delay)
		l := open(t, dir)
		for _, a := range acks {
			heads[a.partition] = a
			checkAcked(t, l, a)
		}
		checkHeads(t, l, heads)
		closeLog(t, l)
		verifyTree(t, fileReader(dir), parseCheckpoint(t, []byte(checkpointFile(t, dir)), l.VerifierKey()))
	}
}

// appendForever appends leaves of random size to all partitions and writes a
// line for each acknowledged one.
func appendForever(t *testing.T, dir string) {
	l, err := ledger.Open(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for p := range int32(crashPartitions) {
		wg.Go(func() {
			h, ok, err := l.Head(t.Context(), batch(p, 0, 0, -1).Span().Key)
			a := ack{partition: p, first: h.Last + 1, prev: int64(h.Index)}
			if !ok {
				a.first, a.prev = 0, -1
			}
			for err == nil {
				a.last = a.first + rand.Int64N(100)
				var index uint64
				index, err = l.Append(t.Context(), batch(p, a.first, a.last, a.prev))
				a.index = int64(index)
				mu.Lock()
				fmt.Println("ack", a.partition, a.first, a.last, a.prev, a.index)
				mu.Unlock()
				a.first, a.prev = a.last+1, a.index
			}
			t.Error(err)
		})
	}
	wg.Wait()
}

// runAndKill ends the child some time after its start or after a number of
// acknowledged leaves. It returns all that were acknowledged.
func runAndKill(t *testing.T, dir string, after int, delay time.Duration) (acks []ack) {
	t.Helper()
	cmd := child(t, "TestCrash", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { cmd.Process.Kill() }
	if after == 0 {
		time.AfterFunc(delay, kill)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var a ack
		n, _ := fmt.Sscanf(lines.Text(), "ack %d %d %d %d %d", &a.partition, &a.first, &a.last, &a.prev, &a.index)
		if n != 5 {
			continue
		}
		acks = append(acks, a)
		if len(acks) == after {
			time.AfterFunc(delay, kill)
		}
	}
	err = cmd.Wait()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("child ended with %v, want a kill:\n%s", err, stderr.Bytes())
	}
	return acks
}

func checkAcked(t *testing.T, l *ledger.Log, a ack) {
	t.Helper()
	want := batch(a.partition, a.first, a.last, a.prev)
	for e, err := range l.Leaves(t.Context(), want.Span().Key, a.first) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Index != uint64(a.index) || e.Leaf != ledger.Leaf(want) {
			t.Errorf("partition %d has %+v at index %d, acknowledged was %+v", a.partition, e.Leaf, e.Index, a)
		}
		return
	}
	t.Errorf("acknowledged leaf %+v is missing", a)
}

// checkHeads allows one leaf beyond the acknowledged ones: it was under way. The
// next round begins after it.
func checkHeads(t *testing.T, l *ledger.Log, acked map[int32]ack) {
	t.Helper()
	for p, a := range acked {
		k := batch(p, 0, 0, -1).Span().Key
		head, _, err := l.Head(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		unacked := 0
		for _, err := range l.Leaves(t.Context(), k, a.last+1) {
			if err != nil {
				t.Fatal(err)
			}
			unacked++
		}
		if head.Last < a.last || unacked > 1 {
			t.Errorf("partition %d: head %+v and %d leaves after the last acknowledged %+v", p, head, unacked, a)
		}
		a.last = head.Last
		acked[p] = a
	}
}

// TestLockedByAnotherProcess opens the ledger here and again in a child.
func TestLockedByAnotherProcess(t *testing.T) {
	if dir := os.Getenv(dirVariable); dir != "" {
		_, err := ledger.Open(t.Context(), options(dir))
		if !errors.Is(err, ledger.ErrLocked) {
			t.Fatalf("error %v, want ErrLocked", err)
		}
		fmt.Println("refused:", err)
		return
	}
	dir := t.TempDir()
	open(t, dir)
	out, err := child(t, "TestLockedByAnotherProcess", dir).CombinedOutput()
	want := fmt.Sprintf("in use by another process (pid %d): %s", os.Getpid(), filepath.Join(dir, "lock"))
	if err != nil || !bytes.Contains(out, []byte(want)) {
		t.Errorf("child: %v, want %q in\n%s", err, want, out)
	}
}

// TestDiskFull limits the size of files in a child, so that a write of an entry
// bundle stops half-way like on a full disk.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(dirVariable); dir != "" {
		fillDisk(t, dir)
		return
	}
	dir := t.TempDir()
	if out, err := child(t, "TestDiskFull", dir).CombinedOutput(); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	leaves := verifyFiles(t, dir, 41)
	l := open(t, dir)
	wantHead(t, l, batch(0, 0, 0, -1).Span().Key, ledger.Head{Index: 40, First: 40, Last: 40})
	if want := batch(0, 40, 40, 39).Marshal(); !bytes.Equal(leaves[40], want) {
		t.Errorf("leaf 40 is %q, want %q", leaves[40], want)
	}
}

func fillDisk(t *testing.T, dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	l := open(t, dir)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := before
	limit.Cur = 10_000 // some 24 leaves
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	prev, failed := int64(-1), 0
	for i := range int64(41) {
		leaf := batch(0, i, i, prev)
		index, err := l.Append(t.Context(), leaf)
		if err != nil {
			failed++
			if !errors.Is(err, ledger.ErrUnavailable) || !bytes.Contains([]byte(err.Error()), []byte("file too large")) {
				t.Errorf("error %v, want ErrUnavailable and the cause", err)
			}
			wantHead(t, l, leaf.Span().Key, ledger.Head{Index: uint64(prev), First: prev, Last: prev})
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
				t.Fatal(err)
			}
			index = uint64(mustAppend(t, l, leaf))
		}
		if int64(index) != i {
			t.Fatalf("leaf %d has index %d", i, index)
		}
		prev = int64(index)
	}
	if failed != 1 {
		t.Errorf("%d appends failed, want 1", failed)
	}
}

// TestUnwritable puts a file where a folder should be, which stops root too.
func TestUnwritable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), options(dir)); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("open: error %v, want ENOTDIR", err)
	}

	dir = t.TempDir()
	l := open(t, dir)
	mustAppend(t, l, batch(0, 0, 9, -1))
	tiles := filepath.Join(dir, "tlog", "tile")
	if err := errors.Join(os.Rename(tiles, tiles+".away"), os.WriteFile(tiles, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, leaf := range []ledger.Leaf{batch(0, 10, 19, 0), batch(1, 0, 9, -1)} {
		if _, err := l.Append(t.Context(), leaf); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("append: error %v, want ErrUnavailable", err)
		}
	}
	if err := errors.Join(os.Remove(tiles), os.Rename(tiles+".away", tiles)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(0, 10, 19, 0))
	mustAppend(t, l, batch(1, 0, 9, -1))
	closeLog(t, l)
	verifyFiles(t, dir, 3)
}

func TestReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), options(dir)); !errors.Is(err, os.ErrPermission) {
		t.Errorf("error %v, want ErrPermission", err)
	}
}
