package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// CacheEnv names the environment variable that overrides the cache directory.
const CacheEnv = "BORDERWATCH_CACHE"

// lockPoll is how often a process that waits for another one's download looks
// whether it has finished.
const lockPoll = 200 * time.Millisecond

// CacheDir returns the directory that holds downloaded pieces and, unless a
// caller chooses otherwise, server data: $BORDERWATCH_CACHE, or the folder
// borderwatch in the user's cache directory. It is not created.
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheEnv); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("%s=%s: %w", CacheEnv, dir, err)
		}
		return abs, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory: %w; set %s to a folder with 2 GB of free space", err, CacheEnv)
	}
	return filepath.Join(dir, "borderwatch"), nil
}

// lockWait takes the exclusive lock on path, which it creates, and waits for
// whoever holds it. onWait, if not nil, is called once when it has to wait.
func lockWait(ctx context.Context, path string, onWait func()) (*flock.Flock, error) {
	lock := flock.New(path)
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if ok {
		return lock, nil
	}
	if onWait != nil {
		onWait()
	}
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("wait for lock %s: %w", path, err)
	}
	return lock, nil
}

// DirInUseError says that another process works in a data directory.
type DirInUseError struct {
	Dir  string
	What string // "ClickHouse" or "broker"
}

func (e *DirInUseError) Error() string {
	return fmt.Sprintf("another borderwatch uses %s for its %s: stop it, or choose another data directory", e.Dir, e.What)
}

// lockDir creates dir and takes it for this process.
func lockDir(dir, what string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory of the %s: %w", what, err)
	}
	lock := flock.New(filepath.Join(dir, "owner.lock"))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if !ok {
		return nil, &DirInUseError{Dir: dir, What: what}
	}
	return lock, nil
}

// DiskFullError says that a file system has too little room.
type DiskFullError struct {
	Dir  string
	Free int64 // bytes
	Need int64 // bytes
}

func (e *DiskFullError) Error() string {
	place := "another data directory"
	if cache, err := CacheDir(); err == nil && strings.HasPrefix(e.Dir, cache+string(filepath.Separator)) {
		place = "another place with " + CacheEnv
	}
	return fmt.Sprintf("disk full: %s has %d MB free and %d MB are needed: free some space, or choose %s",
		e.Dir, e.Free>>20, e.Need>>20, place)
}

// requireFree fails with a *DiskFullError unless the file system of dir, which
// must exist, has need bytes free.
func requireFree(dir string, need int64) error {
	free, err := freeBytes(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("free space of %s: %w", dir, err)
	}
	if free < need {
		return &DiskFullError{Dir: dir, Free: free, Need: need}
	}
	return nil
}
