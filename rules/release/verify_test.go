package release_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"borderwatch/rules/release"
)

func TestSignatures(t *testing.T) {
	s := newSite(t)
	parts := small.parts()
	statement := about(t, parts, noon, nil)
	withPartner := s.parse(t, "  partner: [p-1]")
	for _, test := range []struct {
		name    string
		policy  *release.Policy
		signers []signer
		words   string
	}{
		{"author and approver", s.policy, []signer{s.author, s.approver}, ""},
		{"in the other order", s.policy, []signer{s.approver, s.author}, ""},
		{"the author alone", s.policy, []signer{s.author}, "the signature of the approver is missing: u-2 has to sign"},
		{"the same person twice", s.policy, []signer{s.author, s.second}, "signed twice by u-1: author and approver must be two people"},
		{"a stranger alone", s.policy, []signer{s.stranger}, "signed by nobody whom the activation policy knows (by x-1)"},
		{"a stranger as approver", s.policy, []signer{s.author, s.stranger}, "the signature of the approver is missing: u-2 has to sign"},
		{"a stranger as author", s.policy, []signer{s.stranger, s.approver}, "not signed by its author x-1"},
		{"the partner as author", s.policy, []signer{s.partner, s.approver}, "p-1 signed as author, and the activation policy does not name p-1 as one"},
		{"a machine alone", s.policy, []signer{s.machine}, "signed by the machine hr alone, and not said to build on a bundle that people signed"},
		{"a machine as approver", s.policy, []signer{s.author, s.machine}, "signed by the machine hr alone, and not said to build on a bundle that people signed"},
		{"without the partner", withPartner, []signer{s.author, s.approver}, "the signature of the partner is missing: p-1 has to sign"},
		{"with the partner", withPartner, []signer{s.author, s.approver, s.partner}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := sign(t, statement, nil, test.signers...)
			_, err := test.policy.Verify(parts, r, release.Context{Now: noon})
			want(t, err, test.words)
		})
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	s := newSite(t)
	parts := small.parts()
	text := sign(t, about(t, parts, noon, nil), nil, s.author, s.approver).Text()
	for i := range text {
		changed := slices.Clone(text)
		changed[i] ^= 1
		r, err := release.Parse(changed)
		if err != nil {
			continue
		}
		if _, err := s.policy.Verify(parts, r, release.Context{Now: noon}); err == nil {
			t.Errorf("byte %d changed, %q, and accepted:\n%s", i, changed[i], changed)
		}
	}
	for i := range text {
		r, err := release.Parse(text[:i])
		if err != nil {
			continue
		}
		if _, err := s.policy.Verify(parts, r, release.Context{Now: noon}); err == nil {
			t.Errorf("cut off after %d bytes, and accepted", i)
		}
	}
}

func TestOtherFilesThanSigned(t *testing.T) {
	s := newSite(t)
	r := sign(t, about(t, small.parts(), noon, nil), nil, s.author, s.approver)
	signed := r.Statement().Content[:12]
	for path, groups := range map[string]string{"rule.yaml": "rules", "exception.yaml": "exceptions", "roster.yaml": "roster",
		"lists/vpn.txt": "references", "country.mmdb": "geoip"} {
		parts := small.with(path, small[path]+"\n").parts()
		_, err := s.policy.Verify(parts, r, release.Context{Now: noon})
		want(t, err, fmt.Sprintf("the files are not those that were signed: content sha256:%.12s…, signed sha256:%s… (differs: %s)", release.Digest(parts), signed, groups))
	}
	if _, err := s.policy.Verify(reversed(small.parts()), r, release.Context{Now: noon}); err != nil {
		t.Errorf("another order of files: %v", err)
	}
}

func TestTimes(t *testing.T) {
	s := newSite(t)
	parts := small.parts()
	first := sign(t, about(t, parts, noon, nil), nil, s.author, s.approver)
	later := sign(t, about(t, parts, noon.Add(time.Hour), first), first, s.author, s.approver)
	for _, test := range []struct {
		name  string
		r     *release.Release
		at    release.Context
		words string
	}{
		{"in time", first, release.Context{Now: noon.Add(time.Minute)}, ""},
		{"a clock that is a little late", first, release.Context{Now: noon.Add(-4 * time.Minute)}, ""},
		{"a clock that is wrong", first, release.Context{Now: noon.Add(-6 * time.Minute)}, "signed at 2026-11-24T12:00:00Z, which lies in the future: a clock is wrong"},
		{"expired", first, release.Context{Now: noon.Add(7 * 24 * time.Hour)}, "expired: it was signed to go live before 2026-12-01T12:00:00Z"},
		{"long live", first, release.Context{}, ""},
		{"newer than what is live", later, release.Context{Now: noon.Add(time.Hour), Live: first}, ""},
		{"older than what is live", first, release.Context{Now: noon.Add(time.Hour), Live: later},
			"rolled back: signed at 2026-11-24T12:00:00.000Z, and what is live at 2026-11-24T13:00:00.000Z; to go back to an earlier state, sign it anew"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.policy.Verify(parts, test.r, test.at)
			want(t, err, test.words)
		})
	}
	patient := about(t, parts, noon, nil)
	patient.Before = noon.AddDate(1, 0, 0)
	_, err := s.policy.Verify(parts, sign(t, patient, nil, s.author, s.approver), release.Context{Now: noon.AddDate(0, 0, 30)})
	want(t, err, "expired: it was signed at 2026-11-24T12:00:00Z, and may wait 30 days at most")
	elsewhere := about(t, parts, noon, nil)
	elsewhere.Environment = "staging"
	_, err = s.policy.Verify(parts, sign(t, elsewhere, nil, s.author, s.approver), release.Context{Now: noon})
	want(t, err, "signed for the environment staging, this is test")
}

func TestApprovalsOfExceptions(t *testing.T) {
	s := newSite(t)
	verify := func(f files, r *release.Release) error {
		_, err := s.policy.Verify(f.parts(), r, release.Context{Now: noon.Add(2 * time.Hour)})
		return err
	}
	three := files{"exception.yaml": strings.Replace(exceptionText, "[u-1, u-2]", "[u-1, p-1]", 1), "rule.yaml": ruleText, "groups.yaml": groupText}
	r := sign(t, about(t, three.parts(), noon, nil), nil, s.author, s.approver)
	want(t, verify(three, r), "the exception EX-1 is approved_by p-1, who has not signed: approvers are those who sign")
	r = sign(t, about(t, three.parts(), noon, nil), nil, s.author, s.approver, s.partner)
	want(t, verify(three, r), "")
	r.Activate(noon.Add(time.Minute))
	r = parse(t, r.Text())
	if got := r.Approved()["EX-1"]; !got.Equal(noon.Add(time.Minute)) {
		t.Errorf("approved from %v: it counts from when it went live", got)
	}

	// The next release changes something else: the approval stands, with its time and the statement that shows it.
	other := three.edit("rule.yaml", "A rule", "Another title")
	next := sign(t, about(t, other.parts(), noon.Add(time.Hour), r), r, s.approver, s.author)
	want(t, verify(other, next), "")
	if got := next.Approved()["EX-1"]; !got.Equal(noon.Add(time.Minute)) {
		t.Errorf("approved from %v in the next release", got)
	}
	third := sign(t, about(t, other.parts(), noon.Add(90*time.Minute), next), next, s.approver, s.author)
	want(t, verify(other, third), "")

	// An approval that nobody gave.
	made := about(t, other.parts(), noon.Add(time.Hour), r)
	made.Exceptions[0].Since = noon.Add(-time.Hour)
	want(t, verify(other, sign(t, made, r, s.author, s.approver)),
		"the exception EX-1 is said to be approved since 2026-11-24T11:00:00Z, and no statement of that time shows it")

	// A changed exception, and a group that it names which grew, need a new approval.
	for path, change := range map[string][2]string{"exception.yaml": {"2026-12-03", "2026-12-04"}, "groups.yaml": {"u-6]", "u-6, u-7]"}} {
		changed := three.edit(path, change[0], change[1])
		again := about(t, changed.parts(), noon.Add(time.Hour), r)
		if !again.Exceptions[0].Since.IsZero() {
			t.Errorf("%s was changed and the approval stands", path)
		}
		want(t, verify(changed, sign(t, again, r, s.author, s.approver)), "the exception EX-1 is approved_by p-1, who has not signed: approvers are those who sign")
	}
	// An approval given elsewhere does not count here.
	elsewhere := about(t, three.parts(), noon, nil)
	elsewhere.Environment = "staging"
	from := sign(t, elsewhere, nil, s.author, s.approver, s.partner)
	want(t, verify(three, sign(t, about(t, three.parts(), noon.Add(time.Hour), from), from, s.author, s.approver)),
		"the exception EX-1 was approved for the environment staging, this is test")

	unlisted := about(t, three.parts(), noon, nil)
	unlisted.Exceptions = nil
	want(t, verify(three, sign(t, unlisted, nil, s.author, s.approver, s.partner)), "the statement does not list the exceptions of the bundle as they are")
}

func TestMachine(t *testing.T) {
	s := newSite(t)
	base := sign(t, about(t, small.parts(), noon, nil), nil, s.author, s.approver)
	base.Activate(noon)
	const cannot = "the key of the machine hr cannot sign this: "
	const changes = "; a machine may set employment.until and until, and only to an earlier day"
	for _, test := range []struct {
		name  string
		files files
		words string
	}{
		{"nothing", small, ""},
		{"a newer location database", small.with("country.mmdb", "a newer one"), ""},
		{"a joiner", small.edit("roster.yaml", "services:", "  - {id: u-7, kind: contractor, employer: e-1, covered_person: unknown, employment: {from: 2026-12-01}}\nservices:"), ""},
		{"a leaver", small.edit("roster.yaml", "2022-01-10}}", "2022-01-10, until: 2026-11-30}}"), ""},
		{"an earlier end", small.edit("roster.yaml", "2026-12-31", "2026-11-30"), ""},
		{"a later end", small.edit("roster.yaml", "2026-12-31", "2027-12-31"), cannot + "the roster changes employment.until of u-6" + changes},
		{"no end any more", small.edit("roster.yaml", ", until: 2026-12-31", ""), cannot + "the roster changes employment.until of u-6" + changes},
		{"another answer about a covered person", small.edit("roster.yaml", "covered_person: no", "covered_person: yes"), cannot + "the roster changes covered_person of u-5" + changes},
		{"another employer", small.edit("roster.yaml", "u-6, kind: employee, employer: e-1", "u-6, kind: employee, employer: e-2"), cannot + "the roster changes employer of u-6" + changes},
		{"a joiner who is no covered person", small.edit("roster.yaml", "services:", "  - {id: u-7, covered_person: no}\nservices:"), cannot + "the roster gives the new person u-7 covered_person, which needs two people"},
		{"a joiner in a group", small.edit("roster.yaml", "services:", "  - {id: u-7, groups: [dpo]}\nservices:"), cannot + "the roster gives the new person u-7 groups, which needs two people"},
		{"a service", small.edit("roster.yaml", "services:", "services:\n  - {id: svc-2}"), cannot + "the service svc-2 is new: only people join without two signatures"},
		{"somebody struck off", small.edit("roster.yaml", "  - {id: u-5, kind: employee, employer: e-1, covered_person: no, employment: {from: 2022-01-10}}\n", ""), cannot + "the roster's line of u-6 was added, moved or follows one that is gone"},
		{"a rule", small.edit("rule.yaml", "severity: high", "severity: low"), cannot + "the rules differ from what people signed"},
		{"a list of addresses", small.with("lists/vpn.txt", "198.51.100.0/24\n"), cannot + "the references differ from what people signed"},
		{"a rule in a roster's file", small.edit("roster.yaml", "format:", strings.Replace(ruleText, "R-1", "R-2", 1)+"---\nformat:"), cannot + "the roster's line of u-5 is gone; a leaver keeps it, with an end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			statement := about(t, test.files.parts(), noon.Add(time.Hour), base)
			statement.Base = base.Statement().Content
			r := sign(t, statement, base, s.machine)
			fetch := func(string) ([]release.Part, error) { return small.parts(), nil }
			_, err := s.policy.Verify(test.files.parts(), r, release.Context{Now: noon.Add(time.Hour), Live: base, Base: fetch})
			want(t, err, test.words)
		})
	}
}

func TestMachineAndExceptions(t *testing.T) {
	s := newSite(t)
	base := sign(t, about(t, small.parts(), noon, nil), nil, s.author, s.approver)
	fetch := func(string) ([]release.Part, error) { return small.parts(), nil }
	statement := about(t, small.parts(), noon.Add(time.Hour), nil) // the exception is said to be new
	statement.Base = base.Statement().Content
	_, err := s.policy.Verify(small.parts(), sign(t, statement, base, s.machine), release.Context{Now: noon.Add(time.Hour), Base: fetch})
	want(t, err, "the exception EX-1 is new: a machine cannot approve it")

	// Built on a bundle that only one signed.
	half := sign(t, about(t, small.parts(), noon, nil), nil, s.author)
	statement = about(t, small.parts(), noon.Add(time.Hour), half)
	statement.Base = half.Statement().Content
	_, err = s.policy.Verify(small.parts(), sign(t, statement, half, s.machine), release.Context{Now: noon.Add(time.Hour), Base: fetch})
	want(t, err, "what the machine hr builds on: the signature of the approver is missing: u-2 has to sign")

	// Built on an older bundle than the one in force.
	newer := sign(t, about(t, small.edit("rule.yaml", "A rule", "Another").parts(), noon.Add(time.Minute), base), base, s.author, s.approver)
	statement = about(t, small.parts(), noon.Add(time.Hour), base)
	statement.Base = base.Statement().Content
	_, err = s.policy.Verify(small.parts(), sign(t, statement, base, s.machine), release.Context{Now: noon.Add(time.Hour), Live: newer, Base: fetch})
	want(t, err, "rolled back: built on what people signed at 2026-11-24T12:00:00.000Z, and what is live on what they signed at 2026-11-24T12:01:00.000Z")
}

func TestPolicyRefusals(t *testing.T) {
	s, schema := newSite(t), policySchema(t)
	text := s.text("")
	// What only the reader knows: a schema compares no people with each other and reads no keys.
	unseen := []string{"one person for both", "a person without a key", "a machine as author"}
	for _, test := range []struct{ name, old, new, words string }{
		{"empty", text, "", "the file is empty"},
		{"another format", "activation-policy/v1", "policy/v1", `format is "borderwatch/policy/v1", want borderwatch/activation-policy/v1`},
		{"a typo", "roles:", "rolls:", `9:1: there is no key "rolls" here (did you mean roles?)`},
		{"a typo in a role", "approver:", "aprover:", `11:3: there is no key "aprover" here (did you mean approver?)`},
		{"a key that is none", s.author.public, "u-1+123", "keys[0]: key is not a line that rules keygen printed: malformed verifier id"},
		{"a person and a machine", "person: u-2,", "person: u-2, machine: m, may_change: [geoip],", "keys[2]: a key belongs to a person or to a machine, one of them"},
		{"a machine for rules", "[roster, geoip]", "[rules]", `keys[4]: a machine may change roster and geoip, not "rules": that can silence a rule and needs two people`},
		{"nobody approves", "approver: [u-1, u-2]", "approver: []", "roles.approver names nobody"},
		{"one person for both", "  author: [u-1, u-2]\n  approver: [u-1, u-2]", "  author: [u-1]\n  approver: [U-1]", "author and approver are one person: two are needed"},
		{"a person without a key", "approver: [u-1, u-2]", "approver: [u-3]", "roles.approver names u-3, who has no key"},
		{"a machine as author", "author: [u-1, u-2]", "author: [hr]", "roles.author names hr, who has no key"},
		{"development with roles", "environment: test", "environment: test\ndevelopment: true", "development: true goes with one key and no roles"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(text, test.old, test.new, 1)
			_, err := release.ParsePolicy([]byte(changed))
			want(t, err, "activation policy: "+test.words)
			if err := checkSchema(t, schema, changed); (err == nil) != slices.Contains(unseen, test.name) {
				t.Errorf("the schema says %v", err)
			}
		})
	}
}

func TestDevelopmentKeyStandsForEverybody(t *testing.T) {
	s := newSite(t)
	text := "format: borderwatch/activation-policy/v1\nenvironment: test\ndevelopment: true\nkeys:\n  - {person: dev, key: " + s.stranger.public + "}\n"
	policy, err := release.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := sign(t, about(t, small.parts(), noon, nil), nil, s.stranger)
	signers, err := policy.Verify(small.parts(), r, release.Context{Now: noon})
	if err != nil || len(signers) != 1 || signers[0].Role != "development" {
		t.Errorf("%v, %v", signers, err)
	}
	if _, err := s.policy.Verify(small.parts(), r, release.Context{Now: noon}); err == nil {
		t.Error("another policy takes the development key")
	}
}
