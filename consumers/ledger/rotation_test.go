package ledger_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
)

// TestHeartbeat waits for the sign of life of a silent log, which restarts as any other.
func TestHeartbeat(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.Heartbeat = 20 * time.Millisecond
	l, err := ledger.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "two heartbeats", func() bool { return published(t, l, dir) >= 2 })
	closeLog(t, l)
	closeLog(t, open(t, dir))
	if _, err := client(t, serve(t, open(t, t.TempDir()))).Append(t.Context(), ledger.Heartbeat{Time: testTime}); !errors.Is(err, ledger.ErrInvalidLeaf) {
		t.Errorf("a heartbeat from outside: %v", err)
	}
}

// rotation is a log with one leaf and a key that waits.
func rotation(t *testing.T) (o ledger.Options, old, next, file string) {
	t.Helper()
	o = options(t.TempDir())
	l := open(t, o.Dir)
	mustAppend(t, l, batch(0, 0, 9, -1))
	old = l.VerifierKey()
	closeLog(t, l)
	file = filepath.Join(t.TempDir(), "next.key")
	next, err := ledger.GenerateKey(file, o.Origin)
	if err != nil {
		t.Fatal(err)
	}
	return o, old, next, file
}

func TestRotate(t *testing.T) {
	o, old, next, file := rotation(t)
	for range 2 { // again does no harm
		if got, err := ledger.Rotate(t.Context(), o, file); err != nil || got != next {
			t.Fatalf("%s, %v", got, err)
		}
	}
	parseCheckpoint(t, []byte(checkpointFile(t, o.Dir)), old) // the last one of the old key
	l := open(t, o.Dir)
	if l.VerifierKey() != next {
		t.Errorf("the key is %s, want %s", l.VerifierKey(), next)
	}
	mustAppend(t, l, batch(0, 10, 19, 0))
	closeLog(t, l)
	verifyTree(t, fileReader(o.Dir), parseCheckpoint(t, []byte(checkpointFile(t, o.Dir)), next))
	leaf := rotationLeaf(t, o.Dir, "3")
	for name, tt := range map[string]struct{ trusted, want string }{"who trusts the old key": {old + "\n", next}, "who trusts the new one": {next, next}} {
		if got, err := ledger.FollowKeys(tt.trusted, []ledger.KeyRotation{leaf}); err != nil || got != tt.want {
			t.Errorf("%s comes to %s, %v", name, got, err)
		}
	}
	if _, err := ledger.FollowKeys(old, []ledger.KeyRotation{leaf, leaf}); err == nil {
		t.Error("followed a key that was not in force")
	}
}

// rotationLeaf reads the second leaf from the files of a log of that size.
func rotationLeaf(t *testing.T, dir, size string) ledger.KeyRotation {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "tlog", "tile", "entries", "000.p", size))
	if err != nil {
		t.Fatal(err)
	}
	first := 2 + int(data[0])<<8 + int(data[1])
	n := int(data[first])<<8 + int(data[first+1])
	leaf, err := ledger.ParseLeaf(data[first+2 : first+2+n])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.(ledger.KeyRotation)
}

// TestRotateInterrupted records the rotation while the witness is away. The log does not start with either key until the
// rotation is finished.
func TestRotateInterrupted(t *testing.T) {
	o, old, next, file := rotation(t)
	p := startPartner(t, old, next)
	o.Witnesses = []ledger.Witness{p.Witness}
	p.away.Store(true)
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := ledger.Rotate(soon, o, file); err == nil || !strings.Contains(err.Error(), "do it again") {
		t.Fatalf("without the witness: %v", err)
	}
	if _, err := ledger.Open(t.Context(), o); !errors.Is(err, ledger.ErrRotation) {
		t.Errorf("between the keys: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	if _, err := ledger.GenerateKey(other, o.Origin); err != nil {
		t.Fatal(err)
	}
	p.away.Store(false)
	if _, err := ledger.Rotate(t.Context(), o, other); !errors.Is(err, ledger.ErrRotation) {
		t.Errorf("with a third key: %v", err)
	}
	if got, err := ledger.Rotate(t.Context(), o, file); err != nil || got != next {
		t.Fatalf("again: %s, %v", got, err)
	}
	l, err := ledger.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, batch(0, 10, 19, 0))
	closeLog(t, l)
	parseCheckpoint(t, []byte(checkpointFile(t, o.Dir)), next)
}

func TestRotationForged(t *testing.T) {
	o, _, _, file := rotation(t)
	if _, err := ledger.Rotate(t.Context(), o, file); err != nil {
		t.Fatal(err)
	}
	good := rotationLeaf(t, o.Dir, "2")
	_, stranger, _, _ := rotation(t)
	for name, change := range map[string]func(*ledger.KeyRotation){
		"another new key":          func(k *ledger.KeyRotation) { k.New = stranger },
		"another old key":          func(k *ledger.KeyRotation) { k.Old = stranger },
		"another time":             func(k *ledger.KeyRotation) { k.Time = k.Time.Add(time.Second) },
		"the new key vouches":      func(k *ledger.KeyRotation) { k.ByOld = k.ByNew },
		"the new key is not there": func(k *ledger.KeyRotation) { k.ByNew = k.ByOld },
	} {
		forged := good
		change(&forged)
		if err := forged.Validate(); !errors.Is(err, ledger.ErrInvalidLeaf) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
