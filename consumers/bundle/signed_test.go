package bundle_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/enrich/enrichtest"
	"borderwatch/rules/release"
)

// office is where archives are built and signed: by the two who approve the exceptions of the example company.
type office struct {
	rules, archive   string // folder and file
	author, approver note.Signer
	policy           *release.Policy
	text             string        // of the policy
	base             string        // content digest that a machine builds on
	hour             time.Duration // signing goes on from here, an hour ago at the start
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{rules: shipped(t), archive: filepath.Join(t.TempDir(), "bundle.tar"), hour: -time.Hour}
	if err := os.Remove(filepath.Join(o.rules, "company", "exceptions", "EX-2026-015.yaml")); err != nil { // which a third one approves
		t.Fatal(err)
	}
	text := "format: borderwatch/activation-policy/v1\nenvironment: test\nroles: {author: [u-8001, u-8002], approver: [u-8001, u-8002, u-8003]}\nkeys:\n"
	for _, person := range []string{"u-8001", "u-8002", "u-8003"} {
		private, public, err := note.GenerateKey(rand.Reader, person)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := note.NewSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  - {person: %s, key: %q}\n", person, public)
		switch person {
		case "u-8001":
			o.author = signer
		case "u-8002":
			o.approver = signer
		}
	}
	o.text = text
	var err error
	if o.policy, err = release.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return o
}

// build writes the archive, without a statement.
func (o *office) build(t *testing.T) []bundle.Part {
	t.Helper()
	parts, err := bundle.Source{Dir: o.rules}.Read()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := release.WriteArchive(&out, parts); err != nil {
		t.Fatal(err)
	}
	write(t, out.String(), o.archive)
	if err := os.Remove(o.archive + bundle.SignedSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return parts
}

// sign puts a statement beside the archive, a minute later than the last.
func (o *office) sign(t *testing.T, parts []bundle.Part, earlier *release.Release, others ...note.Signer) *release.Release {
	t.Helper()
	s, err := release.Describe(parts, earlier)
	if err != nil {
		t.Fatal(err)
	}
	o.hour += time.Minute
	s.Environment, s.Time = "test", time.Now().UTC().Truncate(time.Millisecond).Add(o.hour)
	s.Before, s.Base = s.Time.Add(24*time.Hour), o.base
	signed, err := release.New(s, o.author, earlier)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range others {
		if err := signed.Sign(other); err != nil {
			t.Fatal(err)
		}
	}
	write(t, string(signed.Text()), o.archive+bundle.SignedSuffix)
	return signed
}

// history is the store's memory of what judged last.
type history struct {
	digest string
	err    error
}

func (h *history) LastBundle(context.Context) (string, bool, error) {
	return h.digest, h.digest != "", h.err
}

func (o *office) manager(kept *archive, past *history) *bundle.Manager {
	m := bundle.NewManager(bundle.File{Path: o.archive}, kept, slog.New(slog.DiscardHandler))
	m.Policy, m.History = o.policy, past
	return m
}

func TestOnlySignedBundlesGoLive(t *testing.T) {
	o, kept := newOffice(t), newArchive()
	parts := o.build(t)
	first := o.sign(t, parts, nil, o.approver)
	m := o.manager(kept, &history{})
	var told []string
	m.OnRefusal = func(err error) { told = append(told, err.Error()) }
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	live := m.Current()
	if live.Signatures() != bundle.SignedByPolicy || fmt.Sprint(live.Signers) != "[{author u-8001} {approver u-8002}]" {
		t.Errorf("%s by %v", live.Signatures(), live.Signers)
	}
	if live.Digest == first.Statement().Content {
		t.Error("the digest in rows does not cover the signatures")
	}
	whole, err := os.ReadFile(o.archive)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, "title:", "title: A", o.rules, "packs", "eu", "EU-101.yaml")
	next := o.build(t)
	for _, test := range []struct {
		name  string
		spoil func()
		words string
	}{
		{"unsigned", func() {}, "nobody has signed it"},
		{"signed by one", func() { o.sign(t, next, first) }, "the signature of the approver is missing: one of u-8002, u-8003 has to sign"},
		{"signed twice by one", func() { o.sign(t, next, first, o.author) }, "the signature of the approver is missing: one of u-8002, u-8003 has to sign"},
		{"other files than signed", func() {
			o.sign(t, next, first, o.approver)
			write(t, string(whole), o.archive)
		}, fmt.Sprintf("the files are not those that were signed: content sha256:%.12s…, signed sha256:%.12s… (differs: rules)", release.Digest(parts), release.Digest(next))},
		{"a half-written archive", func() { write(t, string(whole[:len(whole)/2]), o.archive) }, "half-written, or cut off"},
		{"a half-written statement", func() {
			write(t, string(whole), o.archive)
			text := first.Text()
			write(t, string(text[:len(text)-20]), o.archive+bundle.SignedSuffix)
		}, "not a signed statement about a bundle: statement 1: half-written or changed: malformed note"},
		{"one changed byte", func() { write(t, strings.Replace(string(whole), "EU-101", "EU-999", 1), o.archive) }, "not a whole bundle archive"},
	} {
		test.spoil()
		err := m.Reload(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v, want %s", test.name, err, test.words)
		}
		if m.Current() != live {
			t.Fatalf("%s: in force", test.name)
		}
		if m.Refusal() != err.Error() || !strings.Contains(told[len(told)-1], test.words) {
			t.Errorf("%s: told %q", test.name, told)
		}
	}

	next = o.build(t)
	o.sign(t, next, first, o.approver)
	if err := m.Reload(t.Context()); err != nil || m.Current() == live || m.Refused() {
		t.Fatalf("a good one is not in force: %v", err)
	}
	write(t, string(whole), o.archive)
	write(t, string(first.Text()), o.archive+bundle.SignedSuffix)
	if err := m.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "rolled back: signed at") {
		t.Errorf("the first again: %v", err)
	}

	// So it is after a restart, which falls back to what judged last.
	again := o.manager(kept, &history{digest: m.Current().Digest})
	if err := again.Start(t.Context()); err != nil || again.Current().Digest != m.Current().Digest || !strings.Contains(again.Refusal(), "rolled back") {
		t.Errorf("after a restart: %v, refused %q", err, again.Refusal())
	}
}

func TestBadBundleAtTheStart(t *testing.T) {
	o, kept := newOffice(t), newArchive()
	o.sign(t, o.build(t), nil, o.approver)
	m := o.manager(kept, &history{})
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := &history{digest: m.Current().Digest}

	// Signed to go live within a day: whoever starts later with the same is not too late.
	if err := o.manager(kept, last).Start(t.Context()); err != nil {
		t.Error(err)
	}
	write(t, "cut", o.archive)
	var refusals []string
	again := o.manager(kept, last)
	again.OnRefusal = func(err error) { refusals = append(refusals, err.Error()) }
	if err := again.Start(t.Context()); err != nil || again.Current().Digest != last.digest {
		t.Fatalf("the bundle that judged last is not in force: %v", err)
	}
	if len(refusals) != 1 || !strings.Contains(refusals[0], "half-written, or cut off") || again.Refusal() != refusals[0] {
		t.Errorf("told %q", refusals)
	}

	err := o.manager(kept, &history{}).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is not fit for use, and without one nothing can be judged") {
		t.Errorf("without one before it: %v", err)
	}
	err = o.manager(newArchive(), last).Start(t.Context())
	if err == nil {
		t.Error("started with a bundle that is not in the archive")
	}
	stranger := newOffice(t)
	stranger.archive = o.archive
	err = stranger.manager(kept, last).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the one that judged last cannot take its place: ") {
		t.Errorf("under a policy that does not know its signers: %v", err)
	}
	down := errors.New("down")
	synctest.Test(t, func(t *testing.T) { // which waits between attempts
		if err := o.manager(kept, &history{err: down}).Start(t.Context()); !errors.Is(err, down) {
			t.Errorf("the store does not answer: %v", err)
		}
	})
}

// A machine changes what people signed: it is compared with that, which the archive has by the digest of its content.
func TestMachineChangesARoster(t *testing.T) {
	o, kept := newOffice(t), newArchive()
	private, public, err := note.GenerateKey(rand.Reader, "hr")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	if o.policy, err = release.ParsePolicy(fmt.Appendf([]byte(o.text), "  - {machine: hr, may_change: [roster], key: %q}\n", public)); err != nil {
		t.Fatal(err)
	}
	people := o.sign(t, o.build(t), nil, o.approver)
	m := o.manager(kept, &history{})
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	change := func(earlier *release.Release) *release.Release {
		o.author, o.base = machine, people.Statement().Content
		return o.sign(t, o.build(t), earlier)
	}
	const roster = "company/reference/roster.yaml"
	edit(t, "people:\n", "people:\n  - {id: u-7001, kind: employee, employer: example-social-ie, employment: {from: 2026-12-01}}\n", o.rules, roster)
	first := change(people)
	if err := m.Reload(t.Context()); err != nil || fmt.Sprint(m.Current().Signers) != "[{machine hr}]" {
		t.Fatalf("a joiner: %v", err)
	}
	edit(t, "people:\n", "people:\n  - {id: u-7002, kind: employee, employer: example-social-ie, employment: {from: 2026-12-01}}\n", o.rules, roster)
	second := change(first)
	if err := m.Reload(t.Context()); err != nil {
		t.Fatalf("another one after it: %v", err)
	}
	live := m.Current()
	edit(t, "severity: critical", "severity: low", o.rules, "packs/eu/EU-101.yaml")
	change(second)
	const words = "the key of the machine hr cannot sign this: the rules differ from what people signed"
	if err := m.Reload(t.Context()); err == nil || err.Error() != words || m.Current() != live {
		t.Errorf("a rule: %v", err)
	}
	again := o.manager(kept, &history{digest: live.Digest})
	if err := again.Start(t.Context()); err != nil || again.Current().Digest != live.Digest {
		t.Errorf("after a restart with what was refused: %v", err)
	}
}

func TestActivationThatIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which waits between attempts
		o := newOffice(t)
		o.sign(t, o.build(t), nil, o.approver)
		m := o.manager(newArchive(), &history{})
		m.OnActivate = func(context.Context, *bundle.Bundle) error { return errors.New("the ledger is down") }
		if err := m.Start(t.Context()); err == nil || m.Current() != nil || strings.Contains(err.Error(), "not fit for use") {
			t.Errorf("in force without its leaf, or called unfit: %v", err)
		}
	})
}

func TestLocationDatabaseOfAnArchive(t *testing.T) {
	o := newOffice(t)
	geo := filepath.Join(t.TempDir(), "country.mmdb")
	write(t, string(enrichtest.Database(map[string]enrichtest.Record{"203.0.113.0/24": {}})), geo)
	parts, err := bundle.Source{Dir: o.rules, GeoIP: geo}.Read()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := release.WriteArchive(&out, parts); err != nil {
		t.Fatal(err)
	}
	write(t, out.String(), o.archive)
	file := bundle.File{Path: o.archive, Databases: bundle.Databases{GeoIP: geo}}
	if c, err := file.Candidate(t.Context(), nil); err != nil || release.Digest(c.Parts) != release.Digest(parts) {
		t.Errorf("with the same database: %v", err)
	}
	write(t, "another", geo)
	if _, err := file.Candidate(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "location database country.mmdb is sha256:") {
		t.Errorf("with another one: %v", err)
	}
	file.Databases.GeoIP = ""
	if _, err := file.Candidate(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "and none is configured") {
		t.Errorf("with none: %v", err)
	}
}

func TestDevelopmentKeySignsEveryChange(t *testing.T) {
	dir, kept := shipped(t), newArchive()
	private, public, err := note.GenerateKey(rand.Reader, "development")
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := release.ParsePolicy(fmt.Appendf(nil, "format: borderwatch/activation-policy/v1\nenvironment: d\ndevelopment: true\nkeys: [{person: dev, key: %q}]\n", public))
	if err != nil {
		t.Fatal(err)
	}
	origin := bundle.Development{Source: bundle.Source{Dir: dir}, Key: key, Environment: "d"}
	m := bundle.NewManager(origin, kept, slog.New(slog.DiscardHandler))
	m.Policy = policy
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := m.Current()
	if err := m.Reload(t.Context()); err != nil || m.Current() != first {
		t.Errorf("signed anew without a change: %v", err)
	}
	if first.Signatures() != bundle.SignedDevelopment {
		t.Errorf("signed %s", first.Signatures())
	}
	edit(t, "title:", "title: A", dir, "packs", "eu", "EU-101.yaml")
	if err := m.Reload(t.Context()); err != nil || m.Current() == first {
		t.Fatalf("a change is not in force: %v", err)
	}
	for id, since := range first.Release.Approved() {
		if !m.Current().Release.Approved()[id].Equal(since) {
			t.Errorf("the approval of %s moved", id)
		}
	}
	// A worker that starts again with the same files keeps the statement, and so the digest.
	again := bundle.NewManager(origin, kept, slog.New(slog.DiscardHandler))
	again.Policy, again.History = policy, &history{digest: m.Current().Digest}
	if err := again.Start(t.Context()); err != nil || again.Current().Digest != m.Current().Digest {
		t.Errorf("after a restart: %v", err)
	}
}

// An exception counts from its approval, also where the bundle is fetched again for a replay.
func TestExceptionsCountFromTheirApproval(t *testing.T) {
	o, kept := newOffice(t), newArchive()
	signed := o.sign(t, o.build(t), nil, o.approver)
	m := o.manager(kept, &history{})
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Fetch(t.Context(), kept, m.Current().Digest)
	if err != nil {
		t.Fatal(err)
	}
	approved := b.Release.Approved()
	if len(approved) == 0 || !slices.Equal(b.Release.Text(), signed.Text()) {
		t.Fatalf("%d exceptions, release\n%s", len(approved), b.Release.Text())
	}
	for id, since := range approved {
		if !since.Equal(signed.Statement().Time) {
			t.Errorf("%s since %v", id, since)
		}
	}
}
