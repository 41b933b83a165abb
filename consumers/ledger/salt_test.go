package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
)

// TestSaltKeys follows the keys of a log over two weeks: the same for a day each time and after a restart, none for a day
// that is not, and destroyed when its time has come.
func TestSaltKeys(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	open := func() *ledger.Log {
		l, err := ledger.Open(t.Context(), ledger.Options{Dir: dir, Now: func() time.Time { return now }, CheckpointInterval: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	key := func(day string) ledger.SaltKey {
		t.Helper()
		k, err := l.SaltKey(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	gone := func(day string) {
		t.Helper()
		if k, err := l.SaltKey(t.Context(), day); !errors.Is(err, ledger.ErrSaltKeyGone) {
			t.Errorf("day %q: key %x, error %v, want ErrSaltKeyGone", day, k, err)
		}
	}
	first := key("2026-11-24")
	if first == (ledger.SaltKey{}) || key("2026-11-24") != first || key("2026-11-23") == first {
		t.Error("a day has no key of its own")
	}
	for _, day := range []string{"2026-11-20", "2026-11-27", "2026-11-31", "", "../verifier.pub"} {
		gone(day)
	}
	if info, err := os.Stat(filepath.Join(dir, "salts", "2026-11-24.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l = open()
	t.Cleanup(func() { _ = l.Close(t.Context()) })
	now = now.AddDate(0, 0, 8)
	key("2026-12-02")
	if key("2026-11-24") != first {
		t.Error("a restart or eight days changed the key")
	}
	now = now.AddDate(0, 0, 1)
	key("2026-12-03")
	gone("2026-11-24")
	if _, err := os.Stat(filepath.Join(dir, "salts", "2026-11-24.key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a destroyed key: %v", err)
	}
}

// TestDamagedSaltKey must not make another key: rows with the old salts are stored already.
func TestDamagedSaltKey(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Options{Dir: dir, CheckpointInterval: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(t.Context()) })
	day := time.Now().UTC().Format(time.DateOnly)
	if _, err := l.SaltKey(t.Context(), day); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "salts", day+".key"), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.SaltKey(t.Context(), day); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}
