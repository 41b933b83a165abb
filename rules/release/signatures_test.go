package release_test

import (
	"slices"
	"strings"
	"testing"

	"borderwatch/rules/release"
)

// TestCountersign signs after somebody only where what is there is right and another person's.
func TestCountersign(t *testing.T) {
	s := newSite(t)
	statement := about(t, small.parts(), noon, nil)
	for _, test := range []struct {
		name   string
		there  []signer
		signer signer
		words  string
	}{
		{"the approver", []signer{s.author}, s.approver, ""},
		{"the same key", []signer{s.author}, s.author, "u-1 has signed this statement already"},
		{"another key of the same person", []signer{s.author}, s.second, "u-1 has signed this statement already"},
		{"a stranger", []signer{s.author}, s.stranger, "the activation policy does not have your key x-1+"},
		{"below a stranger", []signer{s.stranger}, s.approver, "a signature in the name of x-1 by a key that the activation policy does not have"},
		{"below a stranger and the author", []signer{s.author, s.stranger}, s.approver, "in the name of x-1 by a key"},
		{"below somebody with the author's name", []signer{newSigner(t, "u-1")}, s.approver, "in the name of u-1 by a key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := sign(t, statement, nil, test.there...)
			before := string(r.Text())
			err := s.policy.Countersign(r, test.signer)
			if test.words == "" {
				want(t, err, "")
			} else if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("%v, want %q", err, test.words)
			}
			if changed := string(r.Text()) != before; changed != (err == nil) {
				t.Errorf("text changed: %t", changed)
			}
		})
	}
	r := sign(t, statement, nil, s.author, s.stranger)
	by, err := s.policy.Signatures(r)
	if err != nil || !slices.Equal(by.Verified, []string{"u-1"}) || !slices.Equal(by.Unknown, []string{"x-1"}) {
		t.Errorf("%+v, %v", by, err)
	}
	if _, err := release.Parse(r.Text()); err != nil {
		t.Error(err)
	}
}
