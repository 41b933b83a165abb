package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// signingKey is the Ed25519 key of the log in the form of package note.
type signingKey struct {
	signer   note.Signer
	verifier note.Verifier
	public   string // verifier key, as it is given to partners
}

// guard signs checkpoints only while the log may publish: never before the
// leaves were read back and checked, and never a smaller log than before.
type guard struct {
	note.Signer

	mu    sync.Mutex
	ready bool
	size  uint64
}

var errNotReady = errors.New("not signing: the log is not checked yet")

// Sign implements note.Signer.
func (g *guard) Sign(text []byte) ([]byte, error) {
	var cp log.Checkpoint
	if _, err := cp.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("not signing: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ready {
		return nil, errNotReady
	}
	if cp.Size < g.size {
		return nil, fmt.Errorf("not signing %d leaves after %d: the log was rolled back", cp.Size, g.size)
	}
	g.size = cp.Size
	return g.Signer.Sign(text)
}

// open allows checkpoints of size leaves or more.
func (g *guard) open(size uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready, g.size = true, size
}

func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready = false
}

// loadKey reads the signing key of a ledger that has one.
func loadKey(path, origin string) (signingKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return signingKey{}, err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return signingKey{}, fmt.Errorf("signing key %s is open to others (mode %04o): want 0600", path, perm)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return signingKey{}, err
	}
	key, err := parseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return signingKey{}, fmt.Errorf("signing key %s: %w", path, err)
	}
	if have := key.signer.Name(); origin != "" && origin != have {
		return signingKey{}, fmt.Errorf("signing key %s is for origin %q, not %q", path, have, origin)
	}
	return key, nil
}

// parseKey derives the public half, which package note does not offer:
// PRIVATE+KEY+<name>+<hash>+<base64 of algorithm byte and seed>.
func parseKey(secret string) (signingKey, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return signingKey{}, err
	}
	parts := strings.SplitN(secret, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return signingKey{}, errors.New("not an Ed25519 note key")
	}
	private := ed25519.NewKeyFromSeed(seed[1:])
	public, err := note.NewEd25519VerifierKey(signer.Name(), private.Public().(ed25519.PublicKey))
	if err != nil {
		return signingKey{}, err
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{signer: signer, verifier: verifier, public: public}, nil
}

// createKey makes the key of a new ledger. The file appears whole or not at
// all, and is on disk before the first checkpoint is signed with it.
func createKey(path, origin string) (signingKey, error) {
	if origin == "" {
		var b [8]byte
		rand.Read(b[:])
		origin = "borderwatch/" + hex.EncodeToString(b[:])
	}
	secret, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return signingKey{}, fmt.Errorf("generate signing key for origin %q: %w", origin, err)
	}
	key, err := parseKey(secret)
	if err != nil {
		return signingKey{}, fmt.Errorf("origin %q: %w", origin, err)
	}
	return key, writeFile(path, []byte(secret+"\n"), 0o600)
}

// writeFile replaces a file atomically and durably.
func writeFile(path string, data []byte, perm fs.FileMode) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
