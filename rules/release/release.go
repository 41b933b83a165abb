package release

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Limits of the text of a release: it travels as one Kafka record.
const (
	MaxReleaseBytes = 512 << 10
	maxNotes        = 512
)

// Release is a signed statement and the earlier ones that it leans on: those under which exceptions that are still in the
// bundle were approved, and the one by two people that a machine builds on. Its text is one signed note after the other,
// its own first; behind a note stands the time at which it went live, where it has.
type Release struct{ notes []signedNote }

type signedNote struct {
	text      []byte // C2SP signed note
	statement *Statement
	activated time.Time // zero where it is not known to have gone live
}

// activatedPrefix starts the line behind a note that went live.
const activatedPrefix = "activated "

// Statement returns what the release says of its bundle.
func (r *Release) Statement() *Statement { return r.notes[0].statement }

// Effective is when the release took effect: when it went live, and never before it was signed.
func (r *Release) Effective() time.Time { return r.notes[0].effective() }

func (n *signedNote) effective() time.Time {
	if n.activated.After(n.statement.Time) {
		return n.activated
	}
	return n.statement.Time
}

// Base returns the content digest of the release by people that a machine's change of this one builds on.
func (r *Release) Base() string {
	if s := r.Statement(); s.Base == "" {
		return s.Content
	}
	return r.Statement().Base
}

// New returns a release of one statement, signed by its author.
func New(s Statement, author note.Signer, leaning *Release) (*Release, error) {
	s.Author = author.Name()
	text, err := note.Sign(&note.Note{Text: s.Text()}, author)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	r := &Release{notes: []signedNote{{text: text, statement: &s}}}
	if leaning != nil {
		r.lean(leaning)
	}
	return Parse(r.Text())
}

// lean takes over the notes of an earlier release that the statement needs.
func (r *Release) lean(earlier *Release) {
	s := r.Statement()
	for _, n := range earlier.notes {
		if n.statement.Content == s.Base || slices.ContainsFunc(s.Exceptions, n.approved) {
			r.notes = append(r.notes, n)
		}
	}
}

// approved reports whether an exception that was approved earlier was so under this note.
func (n *signedNote) approved(a Approval) bool {
	return !a.Since.IsZero() && n.effective().Equal(a.Since) &&
		slices.Contains(n.statement.Exceptions, Approval{ID: a.ID, Digest: a.Digest})
}

// CarryOver marks the exceptions that were approved under an earlier release or those that it leans on. What is not found
// there, or was changed since, stays new: the signatures under this statement are its approval.
func CarryOver(exceptions []Approval, earlier *Release) []Approval {
	out := slices.Clone(exceptions)
	for i, a := range out {
		for _, old := range earlier.Statement().Exceptions {
			if old.ID != a.ID || old.Digest != a.Digest {
				continue
			}
			if out[i].Since = old.Since; old.Since.IsZero() {
				out[i].Since = earlier.Effective()
			}
		}
	}
	return out
}

// Sign adds a signature to the release's own statement. The statement stays as it is.
func (r *Release) Sign(signer note.Signer) error {
	own := &r.notes[0]
	opened, err := unverified(own.text)
	if err != nil {
		return err
	}
	opened.Sigs, opened.UnverifiedSigs = opened.UnverifiedSigs, nil
	if own.text, err = note.Sign(opened, signer); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return nil
}

// Activate notes when the release goes live. An earlier time is kept.
func (r *Release) Activate(at time.Time) {
	if r.notes[0].activated.IsZero() {
		r.notes[0].activated = at.UTC().Truncate(time.Millisecond)
	}
}

// Activated returns when the release went live, zero where it is not known to have.
func (r *Release) Activated() time.Time { return r.notes[0].activated }

// SignerNames lists the names under the statement. Nothing is verified; Policy.Verify does that.
func (r *Release) SignerNames() (names []string) {
	opened, err := unverified(r.notes[0].text)
	if err != nil {
		return nil
	}
	for _, sig := range opened.UnverifiedSigs {
		names = append(names, sig.Name)
	}
	return names
}

// Approved gives the time from which each exception of the bundle is approved, by id.
func (r *Release) Approved() map[string]time.Time {
	out := make(map[string]time.Time)
	for _, a := range r.Statement().Exceptions {
		if out[a.ID] = a.Since; a.Since.IsZero() {
			out[a.ID] = r.Effective()
		}
	}
	return out
}

// Text returns the release as Parse reads it.
func (r *Release) Text() []byte {
	var out []byte
	for _, n := range r.notes {
		out = append(out, n.text...)
		if !n.activated.IsZero() {
			out = fmt.Appendf(out, "%s%s\n", activatedPrefix, n.activated.Format(timeLayout))
		}
	}
	return out
}

// ErrRelease is wrapped by what is wrong with the text of a release.
var ErrRelease = errors.New("not a signed statement about a bundle")

// Parse reads the text of a release. It verifies no signature.
func Parse(text []byte) (*Release, error) {
	if len(text) > MaxReleaseBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d; it grows with exceptions that were approved one by one: remove those that are over",
			ErrRelease, len(text), MaxReleaseBytes)
	}
	r := &Release{}
	for at := 0; at < len(text); {
		end := len(text)
		if i := bytes.Index(text[at+1:], []byte("\n"+statementVersion+"\n")); i >= 0 {
			end = at + 1 + i + 1
		}
		if len(r.notes) == maxNotes {
			return nil, fmt.Errorf("%w: more than %d statements", ErrRelease, maxNotes)
		}
		n, err := parseNote(text[at:end])
		if err != nil {
			return nil, fmt.Errorf("%w: statement %d: %w", ErrRelease, len(r.notes)+1, err)
		}
		r.notes = append(r.notes, n)
		at = end
	}
	if len(r.notes) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrRelease)
	}
	return r, nil
}

func parseNote(text []byte) (n signedNote, err error) {
	if i := bytes.LastIndex(text, []byte("\n"+activatedPrefix)); i >= 0 {
		line := strings.TrimSuffix(string(text[i+1+len(activatedPrefix):]), "\n")
		if n.activated, err = time.Parse(timeLayout, line); err != nil || !bytes.HasSuffix(text, []byte("\n")) {
			return n, fmt.Errorf("%.60q is not a time like %s", line, timeLayout)
		}
		text = text[:i+1]
	}
	n.text = bytes.Clone(text)
	opened, err := unverified(n.text)
	if err != nil {
		return n, err
	}
	n.statement, err = ParseStatement(opened.Text)
	return n, err
}

// unverified opens a note without looking at its signatures, which are all in UnverifiedSigs.
func unverified(text []byte) (*note.Note, error) {
	_, err := note.Open(text, note.VerifierList())
	var opened *note.UnverifiedNoteError
	if !errors.As(err, &opened) {
		return nil, fmt.Errorf("half-written or changed: %w", err)
	}
	for _, sig := range opened.Note.UnverifiedSigs {
		// note lets the unused last bits of the text be anything, and one changed byte is a refusal.
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return nil, fmt.Errorf("half-written or changed: signature of %s: %w", sig.Name, err)
		}
	}
	return opened.Note, nil
}
