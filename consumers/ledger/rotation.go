package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// previousFile has the public keys that signed the log before, a line each: a checkpoint of the last one stays valid
// until the new key has signed one.
const previousFile = "previous.pub"

const pollCheckpoint = 50 * time.Millisecond

// ErrRotation means that the signing key is not the one that the log says: a replacement was recorded and not finished,
// or an old key was put back.
var ErrRotation = errors.New("the signing key is not the one that the log names: finish with borderwatch ledger rotate-key")

// KeyRotation is the leaf of a new signing key (key-rotation/v1): the old key vouches for the new one, and the new one
// shows that it is there. Checkpoints that cover more than this leaf are signed by the new key.
type KeyRotation struct {
	Old, New     string    // verifier keys, name+hash+key, of one name
	Time         time.Time // milliseconds, UTC
	ByOld, ByNew []byte    // Ed25519 signatures over the lines before them
}

// newRotation signs with both keys.
func newRotation(old, next signingKey, at time.Time) (k KeyRotation, err error) {
	k = KeyRotation{Old: old.public, New: next.public, Time: at.UTC().Truncate(time.Millisecond)}
	if k.ByOld, err = old.signer.Sign(k.statement()); err != nil {
		return k, err
	}
	k.ByNew, err = next.signer.Sign(k.statement())
	return k, err
}

// statement is what the keys sign.
func (k KeyRotation) statement() lines {
	return lines(kindRotation+"\n").text("old", k.Old).text("new", k.New).time("time", k.Time)
}

// Marshal implements Leaf.
func (k KeyRotation) Marshal() []byte {
	t := k.statement().text("by-old", base64.StdEncoding.EncodeToString(k.ByOld))
	return t.text("by-new", base64.StdEncoding.EncodeToString(k.ByNew))
}

// Validate implements Leaf. It checks both signatures.
func (k KeyRotation) Validate() error {
	old, err := note.NewVerifier(k.Old)
	if err != nil {
		return invalid("old", "%v", err)
	}
	next, err := note.NewVerifier(k.New)
	if err != nil {
		return invalid("new", "%v", err)
	}
	switch {
	case k.Old == k.New:
		return invalid("new", "the key is the old one")
	case old.Name() != next.Name():
		return invalid("new", "the key is for %q, the old one for %q", next.Name(), old.Name())
	case !old.Verify(k.statement(), k.ByOld):
		return invalid("by-old", "the old key did not sign this")
	case !next.Verify(k.statement(), k.ByNew):
		return invalid("by-new", "the new key did not sign this")
	}
	return validateTime("time", k.Time)
}

func readKeyRotation(r *lineReader) KeyRotation {
	return KeyRotation{Old: r.text("old"), New: r.text("new"), Time: r.time("time"), ByOld: r.base64("by-old"), ByNew: r.base64("by-new")}
}

func (r *lineReader) base64(name string) []byte {
	b, err := base64.StdEncoding.DecodeString(r.text(name))
	if err != nil {
		r.fail("%s is not base64", name)
	}
	return b
}

// FollowKeys returns the key that signs the log now, given the key that one trusts and the rotations of the log in their
// order. Rotations before the trusted key are passed over; after it each must start where the one before it ended.
func FollowKeys(trusted string, rotations []KeyRotation) (string, error) {
	key, reached := strings.TrimSpace(trusted), false
	for _, k := range rotations {
		switch {
		case k.Old == key:
			key, reached = k.New, true
		case reached:
			return "", fmt.Errorf("the log replaces key %.60s, which was not in force; %.60s was", k.Old, key)
		}
	}
	return key, nil
}

// GenerateKey makes an Ed25519 signing key for a log of that origin, in a file that must not be there yet, and returns
// its public half.
func GenerateKey(path, origin string) (public string, err error) {
	if _, err := os.Stat(path); err == nil {
		return "", fmt.Errorf("%s is there already", path)
	}
	key, err := createKey(path, origin)
	return key.public, err
}

// Rotate replaces the signing key of a log that no process has open by the one in keyFile. The rotation is recorded in
// the log under a last checkpoint of the old key before the key is replaced; after a crash, or when witnesses did not
// cosign that checkpoint, it is to be called again. It returns the new public key.
func Rotate(ctx context.Context, o Options, keyFile string) (string, error) {
	next, err := loadKey(keyFile, o.Origin)
	if err != nil {
		return "", fmt.Errorf("new key: %w", err)
	}
	o.Heartbeat, o.rotating = 0, true
	l, err := Open(ctx, o)
	if err != nil {
		return "", err
	}
	old := l.key
	if err = l.recordRotation(ctx, next); err == nil {
		err = l.awaitCheckpoint(ctx)
	}
	if err := errors.Join(err, l.Close(ctx)); err != nil {
		return "", fmt.Errorf("the key is not replaced yet, do it again: %w", err)
	}
	if old.public == next.public {
		return next.public, nil // only the file that says so was missing
	}
	if err := addPrevious(filepath.Join(o.Dir, previousFile), old.public); err != nil {
		return "", err
	}
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return "", err
	}
	if err := writeFile(filepath.Join(o.Dir, secretFile), text, 0o600); err != nil {
		return "", err
	}
	return next.public, writeFile(filepath.Join(o.Dir, publicFile), []byte(next.public+"\n"), 0o644)
}

// recordRotation appends the leaf unless it is the last rotation already.
func (l *Log) recordRotation(ctx context.Context, next signingKey) error {
	if n := len(l.rotations); n > 0 && l.rotations[n-1].New == next.public {
		return nil
	}
	if err := l.ownKey(); err != nil {
		return err // it waits for another key than this
	}
	leaf, err := newRotation(l.key, next, l.now())
	if err != nil {
		return err
	}
	_, err = l.Append(ctx, leaf)
	return err
}

// awaitCheckpoint waits for a checkpoint over all leaves, those of earlier processes among them, which Close does not.
func (l *Log) awaitCheckpoint(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	tick := time.NewTicker(pollCheckpoint)
	defer tick.Stop()
	for {
		cp, err := l.openCheckpoint(ctx)
		if err != nil || cp.Size >= l.size() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the last checkpoint of the old key was not published: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// ownKey checks that the log names the key that it is about to be signed with.
func (l *Log) ownKey() error {
	if n := len(l.rotations); n > 0 && l.rotations[n-1].New != l.key.public {
		return fmt.Errorf("%w (%s)", ErrRotation, l.rotations[n-1].New)
	}
	return nil
}

func addPrevious(path, public string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if bytes.Contains(text, []byte(public+"\n")) {
		return nil
	}
	return writeFile(path, append(text, public+"\n"...), 0o644)
}

// previousKeys reads the keys that signed the log before.
func previousKeys(path string) (keys []note.Verifier, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Fields(string(text)) {
		v, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		keys = append(keys, v)
	}
	return keys, nil
}
