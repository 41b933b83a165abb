package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// Files of a ledger directory. Only treeDir may be served.
const (
	lockFile   = "lock"
	secretFile = "signing.key"
	publicFile = "verifier.pub"
	treeDir    = "tlog"
)

const (
	defaultBatchAge   = 5 * time.Millisecond
	defaultCheckpoint = time.Second
	republishEvery    = time.Minute
	maxEntriesPerSync = 256   // one full entry bundle
	maxOutstanding    = 65536 // enforced by the cloud drivers, not by POSIX
	shutdownTimeout   = 10 * time.Second
)

var (
	// ErrLocked means that another process has the ledger open.
	ErrLocked = errors.New("ledger is in use by another process")
	// ErrUnavailable means that a leaf may not be durable: the append failed or
	// its outcome is unknown. The same leaf may be appended again; it is neither
	// lost nor doubled. Workers stop before the insert.
	ErrUnavailable = errors.New("ledger unavailable")
	// ErrClosed wraps ErrUnavailable.
	ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)
)

// Options of Open. Only Dir is required.
type Options struct {
	Dir string // made if missing, with mode 0700
	// Origin names the log in its checkpoints, like ledger.example.com/2026. It
	// is fixed by the first start. If empty, a random one is made.
	Origin string
	// BatchAge is how long the first leaf of a write waits for company; an append
	// takes this and a few milliseconds. Default 5 ms.
	BatchAge time.Duration
	// CheckpointInterval is the age at which a grown log signs a new checkpoint,
	// at least 100 ms. Default 1 s. A silent log signs one every minute.
	CheckpointInterval time.Duration
	// KeepSaltKeys is how long the salt key of a day is kept after it: a batch that was recorded and not stored can be made
	// again for that long, and a row that is erased can be guessed at by whoever has the key. Default 8 days.
	KeepSaltKeys time.Duration
	Now          func() time.Time // the clock of salt keys; default time.Now
	// Witnesses cosign checkpoints. Where there are any, a checkpoint is published only once Quorum of them (0: all) have
	// cosigned it. Appends do not wait for them.
	Witnesses []Witness
	Quorum    int
	// Heartbeat is how long the log may be silent before it gets a Heartbeat leaf. 0: for ever.
	Heartbeat time.Duration

	rotating bool // by Rotate, which may find a rotation unfinished
}

// Log is the ledger on local disk. It holds an exclusive lock from Open to
// Close. All methods may be called concurrently.
type Log struct {
	dir  string
	lock *flock.Flock
	key  signingKey
	keys note.Verifiers // key and those before it
	sign *guard

	now       func() time.Time
	keepSalts time.Duration
	witnesses []note.Verifier
	quorum    int

	add      tessera.AddFn
	reader   tessera.LogReader
	shutdown func(context.Context) error
	cancel   context.CancelFunc

	stopBeats context.CancelFunc // nil where there are none

	mu        sync.Mutex
	heads     map[Key]*slot
	notices   slot                // turn for leaves without a partition
	noticed   map[[32]byte]uint64 // their digests; written with the turn, guarded by mu
	rotations []KeyRotation       // in their order; guarded by mu
	acked     uint64              // 1 + the largest index acknowledged
	closed    bool
	failed    error // set when the files went backwards under the log
	inflight  sync.WaitGroup
	beats     sync.WaitGroup // the goroutine of heartbeats
}

// Open locks the ledger, makes what is missing, reads all leaves back to know
// the head of every partition, and checks that they hash to the last signed
// checkpoint. It takes about three seconds for a million leaves.
//
// The error wraps ErrLocked if another process has the ledger open. Open
// refuses a ledger whose leaves are not contiguous, whose state is older than
// its checkpoint, or whose signing key is gone: a log that went on from there
// would contradict what it published.
func Open(ctx context.Context, o Options) (*Log, error) {
	if o.Dir == "" {
		return nil, errors.New("open ledger: no directory given")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	lock, err := takeLock(filepath.Join(o.Dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", o.Dir, err)
	}
	l := &Log{
		dir:     o.Dir,
		lock:    lock,
		heads:   map[Key]*slot{},
		notices: newSlot(),
		noticed: map[[32]byte]uint64{},
		now:     o.Now, keepSalts: o.KeepSaltKeys,
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.keepSalts <= 0 {
		l.keepSalts = defaultKeep
	}
	if err := l.start(ctx, o); err != nil {
		if l.cancel != nil {
			l.cancel()
		}
		return nil, errors.Join(fmt.Errorf("open ledger %s: %w", o.Dir, err), lock.Unlock())
	}
	return l, nil
}

// takeLock never waits. The process id in the file is only a hint for people.
func takeLock(path string) (*flock.Flock, error) {
	lock := flock.New(path)
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !ok {
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("%w (pid %.10s): %s", ErrLocked, strings.TrimSpace(string(holder)), path)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return lock, nil
}

func (l *Log) start(ctx context.Context, o Options) error {
	if err := l.openKey(o.Origin); err != nil {
		return err
	}
	if err := l.openTree(ctx, o); err != nil {
		return err
	}
	if err := l.replay(ctx); err != nil {
		return err
	}
	if err := l.ownKey(); err != nil && !o.rotating {
		return err
	}
	l.sign.open(l.acked)
	if o.Heartbeat > 0 {
		background, cancel := context.WithCancel(context.WithoutCancel(ctx))
		l.stopBeats = cancel
		l.beats.Go(func() { l.beat(background, o.Heartbeat) })
	}
	return nil
}

// openKey makes a key only for a ledger that never signed anything.
func (l *Log) openKey(origin string) error {
	path := filepath.Join(l.dir, secretFile)
	key, err := loadKey(path, origin)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(l.treePath(layout.CheckpointPath)); err == nil {
			return fmt.Errorf("signing key %s is missing and the log has checkpoints: restore it", path)
		}
		key, err = createKey(path, origin)
	}
	if err != nil {
		return err
	}
	l.key = key
	previous, err := previousKeys(filepath.Join(l.dir, previousFile))
	if err != nil {
		return err
	}
	l.keys = note.VerifierList(append(previous, key.verifier)...)
	return writeFile(filepath.Join(l.dir, publicFile), []byte(key.public+"\n"), 0o644)
}

// openTree starts the Tessera appender. Its goroutines live until Close, so it
// gets the values of ctx but not its end.
func (l *Log) openTree(ctx context.Context, o Options) error {
	empty, err := l.checkState()
	if err != nil {
		return err
	}
	// A new log signs its empty tree at once, another one after replay.
	l.sign = &guard{Signer: l.key.signer, ready: empty}
	opts, err := l.appendOptions(o)
	if err != nil {
		return err
	}
	err = l.startAppender(ctx, opts)
	if err != nil && empty && len(o.Witnesses) > 0 {
		// The driver made the log and then wanted its first checkpoint cosigned. That may come later.
		err = l.startAppender(ctx, opts)
	}
	return err
}

// appendOptions says how the driver batches, signs and publishes.
func (l *Log) appendOptions(o Options) (*tessera.AppendOptions, error) {
	age, interval := o.BatchAge, o.CheckpointInterval
	if age <= 0 {
		age = defaultBatchAge
	}
	if interval <= 0 {
		interval = defaultCheckpoint
	}
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(l.sign).
		WithBatching(maxEntriesPerSync, age).
		WithPushback(maxOutstanding).
		WithCheckpointInterval(interval).
		WithCheckpointRepublishInterval(max(republishEvery, interval))
	return opts, l.withWitnesses(opts, o)
}

// startAppender starts the goroutines of the driver.
func (l *Log) startAppender(ctx context.Context, opts *tessera.AppendOptions) error {
	driver, err := posix.New(ctx, posix.Config{Path: l.treePath()})
	if err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	appender, shutdown, reader, err := tessera.NewAppender(background, driver, opts)
	if err != nil {
		cancel()
		return err
	}
	l.add, l.reader, l.shutdown, l.cancel = appender.Add, reader, shutdown, cancel
	return nil
}

// checkState reports whether the log is new. It refuses a published log without
// its state file: Tessera would take it for new and write over it from index 0.
func (l *Log) checkState() (empty bool, err error) {
	state := l.treePath(".state", "treeState")
	_, err = os.Stat(state)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for _, name := range []string{layout.CheckpointPath, "tile"} {
		if _, err := os.Stat(l.treePath(name)); err == nil {
			return false, fmt.Errorf("%s is missing and the log is not empty: restore it", state)
		}
	}
	return true, nil
}

func (l *Log) treePath(elem ...string) string {
	return filepath.Join(append([]string{l.dir, treeDir}, elem...)...)
}

// VerifierKey returns the public key of the log in the form of package note.
func (l *Log) VerifierKey() string { return l.key.public }

// Checkpoint returns the last published checkpoint, a signed note (C2SP
// tlog-checkpoint). It covers an acknowledged leaf about one interval later.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	cp, err := l.reader.ReadCheckpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return cp, nil
}

// Close lets running appends finish, waits for a checkpoint that covers them,
// and gives up the lock. An error about the checkpoint leaves the ledger
// closed and its leaves durable; the next start signs them. Running appends are
// waited for whatever ctx says: without the lock a second writer could come in.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again {
		return nil
	}
	if l.stopBeats != nil {
		l.stopBeats()
		l.beats.Wait()
	}
	l.inflight.Wait() // after it nobody else writes failed
	err := l.failed
	if err == nil {
		err = l.publish(ctx)
	}
	l.sign.close()
	l.cancel()
	return errors.Join(err, l.lock.Unlock())
}

// publish waits for a checkpoint that covers all acknowledged leaves.
func (l *Log) publish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := l.shutdown(ctx); err != nil {
		return fmt.Errorf("close ledger: last checkpoint: %w", err)
	}
	return nil
}
