// Package witness is a witness of transparency logs (C2SP tlog-witness): it
// remembers the last checkpoint of every log it was told to watch, and
// cosigns a newer one only when that provably contains it. Whoever runs it
// holds what the operator of a log cannot take back.
//
// It is meant for the independent partner, and shares no Merkle code with the
// writer of the log: proofs are checked by the code of the Go checksum
// database (golang.org/x/mod/sumdb).
package witness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	lockFile       = "lock"
	stateSuffix    = ".checkpoint"
	requestTimeout = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeader      = 16 << 10
)

// ErrLocked means that another process has the folder open. Two witnesses with
// one key could sign two histories.
var ErrLocked = errors.New("the witness's folder is in use by another process")

// Options of Open. All but Log are required.
type Options struct {
	Dir string // of the last checkpoints, made if missing; on a disk that keeps what was synced
	// Secret is the witness's own Ed25519 key in the form of package note (PRIVATE+KEY+…).
	Secret string
	// Logs are the public keys of the logs to watch, as their operators give them (name+hash+key). A log whose key was
	// replaced has several of one name.
	Logs []string
	Log  *slog.Logger // says what was refused; default: nowhere
}

// Witness cosigns checkpoints. All methods may be called concurrently.
type Witness struct {
	dir    string
	lock   *flock.Flock
	signer note.Signer
	public string
	logs   map[string]note.Verifiers // by origin
	log    *slog.Logger

	mu sync.Mutex // held from the comparison with the last checkpoint until the next one is durable
}

// seen is the last checkpoint of a log that was cosigned.
type seen struct {
	size int64
	root tlog.Hash
}

// Open checks the keys, takes the folder for this process and reads the last
// checkpoints, so that a damaged one is found now. The error wraps ErrLocked
// if another process has the folder.
func Open(o Options) (*Witness, error) {
	w := &Witness{dir: o.Dir, logs: map[string]note.Verifiers{}, log: o.Log}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	signer, err := cosignature.NewSignerForCosignatureV1(o.Secret)
	if err != nil {
		return nil, fmt.Errorf("witness key: %w", err)
	}
	w.signer = signer
	if w.public, err = PublicKey(o.Secret); err != nil {
		return nil, err
	}
	if err := w.watch(o.Logs); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	w.lock = flock.New(filepath.Join(o.Dir, lockFile))
	switch ok, err := w.lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("witness: lock %s: %w", o.Dir, err)
	case !ok:
		return nil, fmt.Errorf("%w: %s", ErrLocked, o.Dir)
	}
	for origin := range w.logs {
		if _, err := w.last(origin); err != nil {
			return nil, errors.Join(err, w.lock.Unlock())
		}
	}
	return w, nil
}

// watch sorts the keys of logs by their origin, which is the name of the key.
func (w *Witness) watch(keys []string) error {
	byOrigin := map[string][]note.Verifier{}
	for _, key := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return fmt.Errorf("key of a log %.80q: %w", key, err)
		}
		byOrigin[v.Name()] = append(byOrigin[v.Name()], v)
	}
	if len(byOrigin) == 0 {
		return errors.New("witness: no log to watch")
	}
	for origin, list := range byOrigin {
		w.logs[origin] = note.VerifierList(list...)
	}
	return nil
}

// PublicKey is the cosignature/v1 verifier key of a witness's secret key: what
// the operator of a log has to know of the witness.
func PublicKey(secret string) (string, error) {
	signer, err := cosignature.NewSignerForCosignatureV1(secret)
	if err != nil {
		return "", fmt.Errorf("witness key: %w", err)
	}
	return cosignedKey(signer.Name(), secret)
}

// PublicKey returns the cosignature/v1 verifier key of the witness.
func (w *Witness) PublicKey() string { return w.public }

// Close gives up the folder.
func (w *Witness) Close() error { return w.lock.Unlock() }

// Run serves on ln until ctx ends, then lets running requests finish for ten
// seconds. It closes ln, not the witness.
func (w *Witness) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler: w.Handler(), ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout,
		WriteTimeout: requestTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve witness: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("stop witness: %w", err), srv.Close())
	}
	return nil
}

func (w *Witness) statePath(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(w.dir, hex.EncodeToString(sum[:16])+stateSuffix)
}

// last reads the last cosigned checkpoint of a log, a zero one where there is
// none. It was checked before it was written; its signature is checked again,
// since a damaged file must not become a smaller log.
func (w *Witness) last(origin string) (seen, error) {
	path := w.statePath(origin)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{}, nil
	}
	if err != nil {
		return seen{}, fmt.Errorf("last checkpoint of %s: %w", origin, err)
	}
	c, err := w.open(text)
	if err != nil || c.origin != origin {
		return seen{}, fmt.Errorf("last checkpoint of %s, %s, is damaged, or its key is not among the log's keys any more: %w",
			origin, path, errors.Join(err, errors.New("restore it")))
	}
	return c.seen, nil
}

// keep makes a checkpoint the last one of its log, durably: after a crash the
// file is the old or the new one, and never gone.
func (w *Witness) keep(origin string, text []byte) error {
	path := w.statePath(origin)
	next := path + ".next"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	dir, err := os.Open(w.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
