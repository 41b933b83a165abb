package release_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/rules/release"
)

// signer is somebody with a key.
type signer struct {
	note.Signer
	public string
}

func newSigner(t testing.TB, name string) signer {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer{s, public}
}

// site is everybody who signs, and the policy that names them.
type site struct {
	author, approver, second, partner, stranger, machine signer // second is another key of the author
	policy                                               *release.Policy
}

func newSite(t testing.TB) *site {
	s := &site{author: newSigner(t, "u-1"), approver: newSigner(t, "u-2"), second: newSigner(t, "u-1-token"),
		partner: newSigner(t, "p-1"), stranger: newSigner(t, "x-1"), machine: newSigner(t, "hr")}
	s.policy = s.parse(t, "")
	return s
}

// parse makes the policy, with more lines under roles.
func (s *site) parse(t testing.TB, more string) *release.Policy {
	t.Helper()
	p, err := release.ParsePolicy([]byte(s.text(more)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *site) text(more string) string {
	return fmt.Sprintf(`format: borderwatch/activation-policy/v1
environment: test
keys:
  - {person: u-1, key: %s}
  - {person: u-1, key: %s}
  - {person: u-2, key: %s}
  - {person: p-1, key: %s}
  - {machine: hr, may_change: [roster, geoip], key: %s}
roles:
  author: [u-1, u-2]
  approver: [u-1, u-2]
%s`, s.author.public, s.second.public, s.approver.public, s.partner.public, s.machine.public, more)
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// files are the files of a bundle by path.
type files map[string]string

func (f files) with(path, text string) files {
	out := files{path: text}
	for p, t := range f {
		if p != path {
			out[p] = t
		}
	}
	return out
}

func (f files) edit(path, old, new string) files {
	if !strings.Contains(f[path], old) {
		panic(path + " does not hold " + old)
	}
	return f.with(path, strings.Replace(f[path], old, new, 1))
}

func (f files) parts() (parts []release.Part) {
	for path, text := range f {
		role := release.RoleFile
		if strings.HasSuffix(path, ".mmdb") {
			role = release.RoleGeoIP
		}
		parts = append(parts, release.NewPart(role, path, []byte(text)))
	}
	return parts
}

const ruleText = `format: borderwatch/rule/v1
id: R-1
title: A rule
status: active
severity: high
owner: o
why: Because.
respond: Look.
when: {data.classes: restricted, location.country not: DE}
exceptions: allowed
exception_must_pin: [actor.id]
`

const groupText = `format: borderwatch/groups/v1
groups:
  - {name: oncall, kind: actors, title: On call, source: rota, checked: 2026-11-01, members: [u-5, u-6]}
`

const exceptionText = `format: borderwatch/exception/v1
id: EX-1
title: An exception
rules: [R-1]
ticket: T-1
requested_by: u-9
approved_by: [u-1, u-2]
valid_from: 2026-11-20
valid_until: 2026-12-03
reason: Cover.
when: {actor.id: "@oncall"}
`

const rosterText = `format: borderwatch/roster/v1
version: "1"
people:
  - {id: u-5, kind: employee, employer: e-1, covered_person: no, employment: {from: 2022-01-10}}
  - {id: u-6, kind: employee, employer: e-1, employment: {from: 2022-01-10, until: 2026-12-31}}
services:
  - {id: svc-1, employer: e-1}
`

// small is a bundle with a part of every group.
var small = files{"rule.yaml": ruleText, "groups.yaml": groupText, "exception.yaml": exceptionText, "roster.yaml": rosterText,
	"lists/vpn.txt": "203.0.113.0/24\n", "country.mmdb": "a database"}

// about begins a statement about a bundle that is signed at a time.
func about(t testing.TB, parts []release.Part, at time.Time, earlier *release.Release) release.Statement {
	t.Helper()
	s, err := release.Describe(parts, earlier)
	if err != nil {
		t.Fatal(err)
	}
	s.Environment, s.Time, s.Before = "test", at, at.Add(7*24*time.Hour)
	return s
}

// sign makes a release by the first and the others.
func sign(t testing.TB, s release.Statement, earlier *release.Release, signers ...signer) *release.Release {
	t.Helper()
	r, err := release.New(s, signers[0], earlier)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range signers[1:] {
		if err := r.Sign(other); err != nil {
			t.Fatal(err)
		}
	}
	return parse(t, r.Text())
}

func parse(t testing.TB, text []byte) *release.Release {
	t.Helper()
	r, err := release.Parse(text)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return r
}

// want compares an error with its exact words, "" for none.
func want(t testing.TB, err error, words string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != words {
		t.Errorf("%q, want %q", got, words)
	}
}

func reversed(parts []release.Part) []release.Part {
	parts = slices.Clone(parts)
	slices.Reverse(parts)
	return parts
}
