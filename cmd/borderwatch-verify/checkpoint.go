package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxCheckpoint bounds a checkpoint, which is a few hundred bytes.
const maxCheckpoint = 64 << 10

// checkpoint is the log's signed statement about itself: how many leaves it has and their Merkle root (C2SP
// tlog-checkpoint).
type checkpoint struct {
	text     []byte // the signed note
	size     int64
	root     tlog.Hash
	cosigned map[string]time.Time // by witness
}

// trust is whose signatures count.
type trust struct {
	logs      []note.Verifier // the log's key, and those that replaced it, all of one name
	key       string          // of the log, as it was given
	witnesses []note.Verifier
	quorum    int           // witnesses that must have signed
	maxAge    time.Duration // of the quorum's signatures
}

// openTrust reads the log's public key and, where given, those of witnesses, one a line. Without a quorum all of them have
// to sign.
func openTrust(keyFile, witnessFile string, quorum int, maxAge time.Duration) (*trust, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	t := &trust{key: strings.TrimSpace(string(text)), quorum: quorum, maxAge: maxAge}
	for line := range strings.Lines(t.key) {
		v, err := note.NewVerifier(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("public key %s: %w", keyFile, err)
		}
		if t.logs = append(t.logs, v); v.Name() != t.name() {
			return nil, fmt.Errorf("public keys %s: of %s and of %s", keyFile, t.name(), v.Name())
		}
	}
	if len(t.logs) == 0 {
		return nil, fmt.Errorf("public key %s: the file is empty", keyFile)
	}
	if witnessFile == "" {
		return t, nil
	}
	if text, err = os.ReadFile(witnessFile); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w, err := newCosigner(line)
		if err != nil {
			return nil, fmt.Errorf("witness key %s: %w", witnessFile, err)
		}
		t.witnesses = append(t.witnesses, w)
	}
	if t.quorum == 0 {
		t.quorum = len(t.witnesses)
	}
	if t.quorum < 1 || t.quorum > len(t.witnesses) {
		return nil, fmt.Errorf("%s names %d witnesses, which are no quorum of %d", witnessFile, len(t.witnesses), t.quorum)
	}
	return t, nil
}

// name is the log's.
func (t *trust) name() string { return t.logs[0].Name() }

// errSignature says that a checkpoint is not what the trusted keys signed.
var errSignature = errors.New("signature")

// read fetches the current checkpoint. An error that wraps errSignature is a finding.
func (t *trust) read(ctx context.Context, f files) (*checkpoint, error) {
	text, err := f.read(ctx, "checkpoint", maxCheckpoint)
	if err != nil {
		return nil, err
	}
	return t.open(text)
}

// open checks the signatures of a checkpoint: origin, size and root, a line each.
func (t *trust) open(text []byte) (*checkpoint, error) {
	signed, err := note.Open(text, note.VerifierList(slices.Concat(t.logs, t.witnesses)...))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSignature, err)
	}
	c := &checkpoint{text: text, cosigned: map[string]time.Time{}}
	byLog := false
	for _, s := range signed.Sigs {
		if s.Name == t.name() {
			byLog = true
		} else if at, ok := cosignedAt(s.Base64); ok {
			c.cosigned[s.Name] = at
		}
	}
	lines := strings.Split(signed.Text, "\n")
	switch {
	case !byLog:
		return nil, fmt.Errorf("%w: the log's key %s did not sign", errSignature, t.name())
	case len(lines) < 3 || lines[0] != t.name():
		return nil, fmt.Errorf("%w: its origin is not %s", errSignature, t.name())
	}
	if c.size, err = strconv.ParseInt(lines[1], 10, 63); err == nil {
		c.root, err = tlog.ParseHash(lines[2])
	}
	if err != nil || c.size < 0 {
		return nil, fmt.Errorf("%w: no checkpoint: %w", errSignature, err)
	}
	return c, nil
}

// cosigner verifies a witness's signature, which carries the time at which it was made (C2SP tlog-cosignature,
// cosignature/v1).
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

const (
	algCosignature = 4
	cosignature    = 8 + ed25519.SignatureSize // time and signature
)

// newCosigner parses name+hash+key of a witness.
func newCosigner(text string) (*cosigner, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("want name+hash+key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != algCosignature {
		return nil, fmt.Errorf("%s: not a cosignature/v1 key", parts[0])
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	w := &cosigner{name: parts[0], hash: binary.BigEndian.Uint32(sum[:]), key: key[1:]}
	if want := fmt.Sprintf("%08x", w.hash); parts[1] != want {
		return nil, fmt.Errorf("%s: its hash is %s, not %s", parts[0], want, parts[1])
	}
	return w, nil
}

// Name implements note.Verifier.
func (w *cosigner) Name() string { return w.name }

// KeyHash implements note.Verifier.
func (w *cosigner) KeyHash() uint32 { return w.hash }

// Verify implements note.Verifier.
func (w *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != cosignature {
		return false
	}
	var signed bytes.Buffer
	fmt.Fprintf(&signed, "cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.key, signed.Bytes(), signature[8:])
}

func cosignedAt(encoded string) (time.Time, bool) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 4+cosignature {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC(), true
}

// witnessed checks that enough witnesses have signed lately.
func (t *trust) witnessed(c *checkpoint, now time.Time, r *Report) {
	fresh := 0
	for _, w := range t.witnesses {
		at, ok := c.cosigned[w.Name()]
		switch age := now.Sub(at); {
		case !ok:
			r.Witnesses = append(r.Witnesses, Witness{Name: w.Name()})
		default:
			r.Witnesses = append(r.Witnesses, Witness{Name: w.Name(), Signed: &at})
			if age <= t.maxAge {
				fresh++
			}
		}
	}
	if len(t.witnesses) == 0 {
		r.limit("No witness is configured: that the log is the same for everybody is known only as far back as the checkpoint you keep.")
		return
	}
	if fresh < t.quorum {
		r.add(Finding{Kind: "cosignature", Where: "checkpoint", Evidence: checkpointsEvidence(t, c),
			Text: fmt.Sprintf("%d of %d witnesses signed it within %s, %d have to", fresh, len(t.witnesses), t.maxAge, t.quorum)})
	}
}
