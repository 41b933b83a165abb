package witness

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxProof is the number of hashes that a consistency proof may have (C2SP
// tlog-witness).
const maxProof = 63

var (
	errUnknownLog = errors.New("unknown origin")
	errUnsigned   = errors.New("no signature by a known key of the log")
)

// checkpoint is a signed checkpoint of a known log.
type checkpoint struct {
	seen
	origin string
	note   *note.Note
}

// open reads a checkpoint (C2SP tlog-checkpoint) and checks the log's
// signature. The error wraps errUnknownLog or errUnsigned, or says what is
// malformed.
func (w *Witness) open(text []byte) (c checkpoint, err error) {
	origin, _, ok := bytes.Cut(text, []byte{'\n'})
	if !ok {
		return c, errors.New("checkpoint: no newline")
	}
	c.origin = string(origin)
	keys, known := w.logs[c.origin]
	if !known {
		return c, fmt.Errorf("%w %.100q", errUnknownLog, c.origin)
	}
	if c.note, err = note.Open(text, keys); err != nil {
		if unverified := new(note.UnverifiedNoteError); errors.As(err, &unverified) {
			return c, errUnsigned
		}
		if invalid := new(note.InvalidSignatureError); errors.As(err, &invalid) {
			return c, errUnsigned
		}
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	c.seen, err = readTree(c.note.Text)
	return c, err
}

// readTree reads size and root, the second and third line of a checkpoint.
func readTree(text string) (s seen, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return s, errors.New("checkpoint: fewer than three lines")
	}
	if s.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || s.size < 0 || strconv.FormatInt(s.size, 10) != lines[1] {
		return s, fmt.Errorf("checkpoint: %.30q is no size of a tree", lines[1])
	}
	if s.root, err = tlog.ParseHash(lines[2]); err != nil {
		return s, fmt.Errorf("checkpoint: root: %w", err)
	}
	return s, nil
}

// request is the body of add-checkpoint:
//
//	old <size>
//	<hash of the proof, base64>   none to 63 lines
//	<empty line>
//	<checkpoint>
type request struct {
	old   int64
	proof []tlog.Hash
	text  []byte // of the checkpoint
}

func readRequest(body []byte) (r request, err error) {
	head, text, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return r, errors.New("no empty line before the checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if r.old, err = strconv.ParseInt(size, 10, 64); !ok || err != nil || r.old < 0 || strconv.FormatInt(r.old, 10) != size {
		return r, fmt.Errorf("%.40q is not old and a size", lines[0])
	}
	if len(lines)-1 > maxProof {
		return r, fmt.Errorf("%d hashes in the proof, at most %d", len(lines)-1, maxProof)
	}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return r, fmt.Errorf("proof: %.60q: %w", line, err)
		}
		r.proof = append(r.proof, h)
	}
	r.text = text
	return r, nil
}

// extends reports whether the tree of c contains the one of last as a prefix.
func (c *checkpoint) extends(last seen, proof []tlog.Hash) bool {
	if last.size == 0 || last.size == c.size {
		return len(proof) == 0
	}
	return tlog.CheckTree(proof, c.size, c.root, last.size, last.root) == nil
}

// cosign adds the witness's signature, which has the time in it, and returns
// the signed checkpoint and the line of the signature.
func (w *Witness) cosign(c *checkpoint) (text, line []byte, err error) {
	text, err = note.Sign(&note.Note{Text: c.note.Text, Sigs: c.note.Sigs}, w.signer)
	if err != nil {
		return nil, nil, fmt.Errorf("cosign: %w", err)
	}
	verifier, err := cosignature.NewVerifierForCosignatureV1(w.public)
	if err != nil {
		return nil, nil, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return nil, nil, fmt.Errorf("cosign: %w", err)
	}
	return text, fmt.Appendf(nil, "— %s %s\n", opened.Sigs[0].Name, opened.Sigs[0].Base64), nil
}

// cosignedKey derives the verifier key with the algorithm byte of cosignature/v1 from PRIVATE+KEY+name+hash+key.
func cosignedKey(name, secret string) (string, error) {
	parts := strings.SplitN(secret, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return "", errors.New("witness key: not an Ed25519 key")
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	plain, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return "", fmt.Errorf("witness key: %w", err)
	}
	return cosignature.VKeyToCosignatureV1(plain)
}
