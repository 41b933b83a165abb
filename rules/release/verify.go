package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/rules/policy"
)

// Signer is somebody whose signature counted, and as what.
type Signer struct {
	Role string // author, approver, partner, machine or development
	Name string // the person or machine
}

// Context is what a bundle is held against when it asks to go live.
type Context struct {
	// Now is the time at which it asks. Zero: it has been live before, so neither its age nor what is live matters.
	Now time.Time
	// Live is the release in force, nil where there is none.
	Live *Release
	// Base returns the parts of an earlier bundle by its content digest: a machine's release is compared with them.
	Base func(content string) ([]Part, error)
}

// maxWaiting is how long before it goes live a bundle may be signed at most, whatever its statement says.
const maxWaiting = 30 * 24 * time.Hour

// clockSkew is how much later than here the clock of a signer may be.
const clockSkew = 5 * time.Minute

// Verify refuses a bundle that may not go live under the policy, and says in words why. parts are all of the bundle but its
// signed statement, which is r. It returns whose signatures counted.
func (p *Policy) Verify(parts []Part, r *Release, at Context) ([]Signer, error) {
	if err := r.describes(parts); err != nil {
		return nil, err
	}
	if r.Statement().Environment != p.Environment {
		return nil, fmt.Errorf("signed for the environment %s, this is %s", r.Statement().Environment, p.Environment)
	}
	signers, err := p.signers(parts, r, at)
	if err != nil {
		return nil, err
	}
	if err := p.approvals(parts, r); err != nil {
		return nil, err
	}
	if at.Now.IsZero() {
		return signers, nil
	}
	return signers, r.timely(at)
}

// describes compares the statement with the parts it is about.
func (r *Release) describes(parts []Part) error {
	s, content := r.Statement(), Digest(Content(parts))
	groups := Groups(parts)
	if s.Content == content && slices.Equal(s.Groups, groups) {
		return nil
	}
	var changed []string
	for _, name := range groupNames {
		has := func(g GroupDigest) bool { return g.Group == name }
		i, j := slices.IndexFunc(s.Groups, has), slices.IndexFunc(groups, has)
		if (i < 0) != (j < 0) || i >= 0 && s.Groups[i] != groups[j] {
			changed = append(changed, name)
		}
	}
	return fmt.Errorf("the files are not those that were signed: content sha256:%.12s…, signed sha256:%.12s… (differs: %s)",
		content, s.Content, strings.Join(changed, ", "))
}

// timely refuses what is from the future, too old, or older than what is live.
func (r *Release) timely(at Context) error {
	s := r.Statement()
	switch {
	case s.Time.After(at.Now.Add(clockSkew)) || r.Activated().After(at.Now.Add(clockSkew)):
		return fmt.Errorf("signed at %s, which lies in the future: a clock is wrong", s.Time.Format(time.RFC3339))
	case !at.Now.Before(s.Before):
		return fmt.Errorf("expired: it was signed to go live before %s", s.Before.Format(time.RFC3339))
	case !at.Now.Before(s.Time.Add(maxWaiting)):
		return fmt.Errorf("expired: it was signed at %s, and may wait 30 days at most", s.Time.Format(time.RFC3339))
	case at.Live == nil:
		return nil
	case !s.Time.After(at.Live.Statement().Time):
		return fmt.Errorf("rolled back: signed at %s, and what is live at %s; to go back to an earlier state, sign it anew",
			s.Time.Format(timeLayout), at.Live.Statement().Time.Format(timeLayout))
	case r.humanTime().Before(at.Live.humanTime()):
		return fmt.Errorf("rolled back: built on what people signed at %s, and what is live on what they signed at %s",
			r.humanTime().Format(timeLayout), at.Live.humanTime().Format(timeLayout))
	}
	return nil
}

// humanTime is when people last signed what the release is built on.
func (r *Release) humanTime() time.Time {
	base := r.Statement().Base
	for _, n := range r.notes[1:] {
		if base != "" && n.statement.Content == base {
			return n.statement.Time
		}
	}
	return r.Statement().Time
}

// signers finds who signed and whether that is enough.
func (p *Policy) signers(parts []Part, r *Release, at Context) ([]Signer, error) {
	keys, err := p.verified(&r.notes[0])
	if err != nil {
		return nil, err
	}
	if p.Development {
		return []Signer{{"development", keys[0].holder}}, nil
	}
	signers, missing := p.people(r.Statement(), keys)
	if missing == nil {
		if r.Statement().Base != "" {
			return nil, errors.New("signed by people, and says that it is a machine's change of an earlier bundle")
		}
		return signers, nil
	}
	for _, k := range keys {
		if k.machine {
			return []Signer{{"machine", k.holder}}, p.machine(k, parts, r, at)
		}
	}
	return nil, missing
}

// verified returns the keys of the policy whose signatures are under a note.
func (p *Policy) verified(n *signedNote) (keys []key, err error) {
	list := make([]note.Verifier, len(p.keys))
	for i := range p.keys {
		list[i] = p.keys[i].verifier
	}
	opened, err := note.Open(n.text, note.VerifierList(list...))
	var unknown *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unknown):
		return nil, fmt.Errorf("signed by nobody whom the activation policy knows (by %s)", names(unknown.Note.UnverifiedSigs))
	case errors.As(err, &invalid):
		return nil, fmt.Errorf("the signature of %s is not under this statement: one of the two was changed", invalid.Name)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	for _, sig := range opened.Sigs {
		for _, k := range p.keys {
			if k.verifier.Name() == sig.Name && k.verifier.KeyHash() == sig.Hash {
				keys = append(keys, k)
			}
		}
	}
	return keys, nil
}

func names(sigs []note.Signature) string {
	var out []string
	for _, sig := range sigs {
		out = append(out, sig.Name)
	}
	return strings.Join(out, ", ")
}

// people assigns the roles to different people, or says which is missing.
func (p *Policy) people(s *Statement, keys []key) ([]Signer, error) {
	var signed []string
	author := ""
	for _, k := range keys {
		if k.machine {
			continue
		}
		signed = append(signed, k.holder)
		if k.verifier.Name() == s.Author {
			author = k.holder
		}
	}
	switch {
	case author == "":
		return nil, fmt.Errorf("not signed by its author %s", s.Author)
	case !contains(p.author, author):
		return nil, fmt.Errorf("%s signed as author, and the activation policy does not name %s as one", author, author)
	}
	signers := []Signer{{"author", author}}
	taken := []string{author}
	for _, role := range []struct {
		name   string
		people []string
	}{{"approver", p.approver}, {"partner", p.partner}} {
		if len(role.people) == 0 {
			continue
		}
		i := slices.IndexFunc(signed, func(person string) bool { return contains(role.people, person) && !contains(taken, person) })
		if i < 0 {
			return nil, lacking(role.name, role.people, signed, taken)
		}
		signers, taken = append(signers, Signer{role.name, signed[i]}), append(taken, signed[i])
	}
	return signers, nil
}

// lacking says which signature is missing.
func lacking(role string, people, signed, taken []string) error {
	open := slices.DeleteFunc(slices.Clone(people), func(person string) bool { return contains(taken, person) })
	if len(signed) > len(distinct(signed)) && len(distinct(signed)) == len(taken) {
		return fmt.Errorf("signed twice by %s: author and %s must be two people", signed[0], role)
	}
	who := "one of " + strings.Join(open, ", ")
	if len(open) == 1 {
		who = open[0]
	}
	return fmt.Errorf("the signature of the %s is missing: %s has to sign", role, who)
}

// approvals refuses exceptions that the people they name have not signed.
func (p *Policy) approvals(parts []Part, r *Release) error {
	found, err := Exceptions(parts)
	if err != nil {
		return err
	}
	set, _ := readRules(parts) // Exceptions has read the same without a problem
	s := r.Statement()
	for i, a := range found {
		if len(s.Exceptions) != len(found) || s.Exceptions[i].ID != a.ID || s.Exceptions[i].Digest != a.Digest {
			return errors.New("the statement does not list the exceptions of the bundle as they are")
		}
	}
	for _, a := range s.Exceptions {
		at := slices.IndexFunc(set.Exceptions, func(x *policy.Exception) bool { return x.ID == a.ID })
		if at < 0 {
			return fmt.Errorf("the statement lists the exception %s, which is not in the bundle", a.ID)
		}
		if err := p.approval(set.Exceptions[at], a, r); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) approval(x *policy.Exception, a Approval, r *Release) error {
	under := &r.notes[0]
	if !a.Since.IsZero() {
		i := slices.IndexFunc(r.notes, func(n signedNote) bool { return n.approved(a) })
		if i < 0 {
			return fmt.Errorf("the exception %s is said to be approved since %s, and no statement of that time shows it", a.ID, a.Since.Format(time.RFC3339))
		}
		under = &r.notes[i]
	}
	if under.statement.Environment != p.Environment {
		return fmt.Errorf("the exception %s was approved for the environment %s, this is %s", a.ID, under.statement.Environment, p.Environment)
	}
	if under == &r.notes[0] && r.Statement().Base != "" {
		return fmt.Errorf("the exception %s is new: a machine cannot approve it", a.ID)
	}
	keys, err := p.verified(under)
	if err != nil {
		return fmt.Errorf("the exception %s: %w", a.ID, err)
	}
	if p.Development {
		return nil
	}
	for _, person := range x.ApprovedBy {
		if !slices.ContainsFunc(keys, func(k key) bool { return !k.machine && same(k.holder, person) }) {
			return fmt.Errorf("the exception %s is approved_by %s, who has not signed: approvers are those who sign", a.ID, person)
		}
	}
	return nil
}
