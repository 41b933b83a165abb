package bundle_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/rules/release"
	"borderwatch/rules/semantics"
)

// signedAt is when the bundles of the examples are signed.
var signedAt = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// people may be author and approver of the bundles; machine may change the roster and the location databases.
var (
	people  = []string{"u-8001", "u-8002", "u-8003"}
	machine = "hr"
)

// signing is an activation policy and the keys of those it names.
type signing struct {
	policy *release.Policy
	keys   map[string]note.Signer
}

func newSigning(t *testing.T) *signing {
	t.Helper()
	s := &signing{keys: map[string]note.Signer{}}
	text := "format: borderwatch/activation-policy/v1\nenvironment: test\nkeys:\n"
	for _, name := range append([]string{machine}, people...) {
		private, public, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			t.Fatal(err)
		}
		if s.keys[name], err = note.NewSigner(private); err != nil {
			t.Fatal(err)
		}
		holder := "person: " + name
		if name == machine {
			holder = "machine: " + name + ", may_change: [roster, geoip]"
		}
		text += fmt.Sprintf("  - {%s, key: %s}\n", holder, public)
	}
	text += "roles: {author: [u-8001, u-8002, u-8003], approver: [u-8001, u-8002, u-8003]}\n"
	var err error
	if s.policy, err = release.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

// sign makes a release of parts. A machine's says which bundle of two people it changes.
func (s *signing) sign(t *testing.T, parts []release.Part, at time.Time, base *release.Release, names ...string) *release.Release {
	t.Helper()
	statement, err := release.Describe(parts, base)
	if err != nil {
		t.Fatal(err)
	}
	statement.Environment, statement.Time, statement.Before = "test", at, at.AddDate(0, 0, 7)
	if names[0] == machine {
		statement.Base = base.Statement().Content
	}
	r, err := release.New(statement, s.keys[names[0]], base)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names[1:] {
		if err := r.Sign(s.keys[name]); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// checkSignatures lets the signers of an example sign its bundle. Where files change, two people have signed the bundle
// before, and the signers sign the change.
func checkSignatures(t *testing.T, x *semantics.Example, files, changed semantics.Files) {
	s := newSigning(t)
	parts := partsOf(t, x, files)
	at := release.Context{Now: signedAt}
	var live *release.Release
	if changed != nil {
		before := parts
		live = s.sign(t, before, signedAt, nil, people[0], people[1])
		if _, err := s.policy.Verify(before, live, at); err != nil {
			t.Fatalf("the bundle before the change: %v", err)
		}
		live.Activate(signedAt)
		parts = partsOf(t, x, changed)
		at = release.Context{Now: signedAt.Add(time.Hour), Live: live, Base: func(string) ([]release.Part, error) { return before, nil }}
	}
	r := s.sign(t, parts, at.Now, live, x.Signers...)
	_, err := s.policy.Verify(parts, r, at)
	if err != nil {
		t.Log(err)
	}
	want(t, "the bundle", map[bool]string{true: "accepted", false: "refused"}[err == nil], x.Expect.Bundle)
}
