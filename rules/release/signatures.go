package release

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Signatures are the names under a statement, by what the activation policy knows of them.
type Signatures struct {
	Verified []string // holders of the policy's keys whose signatures are right, in the order of signing
	Unknown  []string // names of keys that the policy does not have: whoever wrote the text may have chosen them
}

// Signatures verifies what is under the release's own statement. A wrong signature by a key of the policy is an error.
func (p *Policy) Signatures(r *Release) (s Signatures, err error) {
	own := &r.notes[0]
	opened, err := unverified(own.text)
	if err != nil {
		return s, err
	}
	known := false
	for _, sig := range opened.UnverifiedSigs {
		if k := p.keyOf(sig.Name, sig.Hash); k != nil {
			known, s.Verified = true, append(s.Verified, k.holder)
		} else {
			s.Unknown = append(s.Unknown, sig.Name)
		}
	}
	if !known {
		return s, nil
	}
	if _, err := p.verified(own); err != nil {
		return Signatures{}, err
	}
	return s, nil
}

// Admits refuses a key whose holder the policy does not know.
func (p *Policy) Admits(signer note.Signer) error {
	if p.keyOf(signer.Name(), signer.KeyHash()) == nil {
		return fmt.Errorf("the activation policy does not have your key %s+%08x", signer.Name(), signer.KeyHash())
	}
	return nil
}

// Countersign adds a signature to the release's own statement, after it has verified those that are there: each must be by
// another key holder of the policy.
func (p *Policy) Countersign(r *Release, signer note.Signer) error {
	if err := p.Admits(signer); err != nil {
		return err
	}
	there, err := p.Signatures(r)
	switch {
	case err != nil:
		return fmt.Errorf("nothing was signed: %w", err)
	case len(there.Unknown) > 0:
		return fmt.Errorf("nothing was signed: the statement has a signature in the name of %s by a key that the activation policy does not have",
			strings.Join(there.Unknown, ", "))
	case len(there.Verified) == 0:
		return fmt.Errorf("nothing was signed: %w: nobody has signed it", ErrRelease)
	}
	if holder := p.keyOf(signer.Name(), signer.KeyHash()).holder; contains(there.Verified, holder) {
		return fmt.Errorf("%s has signed this statement already: the next signature is another person's", holder)
	}
	return r.Sign(signer)
}

func (p *Policy) keyOf(name string, hash uint32) *key {
	for i := range p.keys {
		if v := p.keys[i].verifier; v.Name() == name && v.KeyHash() == hash {
			return &p.keys[i]
		}
	}
	return nil
}
