package enrich_test

import (
	"slices"
	"strings"
	"testing"

	"borderwatch/consumers/enrich"
	"borderwatch/schemas/access"
)

const referenceYAML = `
format: borderwatch/entities/v1
entities:
  - {id: es-de, title: Example Social GmbH, country: DE, role: processor, until: 2026-06-30}
  - {id: es-de, title: Example Social GmbH, country: NL, role: processor, from: 2026-07-01}
  - {id: vendor-no, country: NO, role: vendor}
---
format: borderwatch/roster/v1
people:
  - id: u-1
    kind: contractor
    employer: es-de
    home_country: NO    # not the boolean false
    office_country: DE
    groups: [analysts, on-call]
    covered_person:
      - {answer: no, until: 2026-05-31}
      - {answer: yes, basis: residence, from: 2026-06-01}
    employment: {from: 2024-01-01, until: 2026-11-20, leave: [{from: 2026-08-01, until: 2026-08-31}]}
  - {id: u-2, kind: employee, covered_person: no, until: 2026-11-19}
services:
  - {id: svc-*, home_region: eu-west-1}
  - {id: svc-backup, kind: system, home_country: SE, employer: vendor-no}
---
format: borderwatch/catalogue/v1
datasets:
  - {pattern: eu.users.*, system: hive, subject_regions: [EU], classes: [personal], form: clear, storage_region: eu-central-1, exporter_entity: es-de}
  - {pattern: eu.users.billing*, system: pay}
  - {pattern: eu.users.contact*, subject_regions: [EU, UK], classes: [restricted], categories: [contact], until: 2026-11-20}
  - {pattern: eu.users.contact_archive, classes: []}
`

func at(t *testing.T, when string) access.Millis {
	t.Helper()
	m, ok := access.ParseTime(when)
	if !ok {
		t.Fatalf("no time %q", when)
	}
	return m
}

func TestRosterByTheEventsDay(t *testing.T) {
	e := newEnricher(t, referenceYAML)
	for _, row := range []struct {
		actor, time                       string
		kind, home, employer, established string
		covered, employment               string
		groups                            string
	}{
		{"u-1", "2026-11-20T23:59:59.999Z", "contractor", "NO", "es-de", "NL", "yes", "active", "analysts on-call"},
		{"u-1", "2026-11-21T00:00:00Z", "contractor", "NO", "es-de", "NL", "yes", "left", "analysts on-call"},
		{"u-1", "2026-08-31T10:00:00Z", "contractor", "NO", "es-de", "NL", "yes", "leave", "analysts on-call"},
		{"u-1", "2026-06-30T23:00:00Z", "contractor", "NO", "es-de", "DE", "yes", "active", "analysts on-call"},
		{"u-1", "2026-05-31T23:59:59Z", "contractor", "NO", "es-de", "DE", "no", "active", "analysts on-call"},
		{"u-1", "2023-12-31T23:59:59Z", "contractor", "NO", "es-de", "DE", "no", "unknown", "analysts on-call"},
		{"u-2", "2026-11-19T12:00:00Z", "employee", "unknown", "", "unknown", "no", "unknown", ""},
		{"u-2", "2026-11-20T12:00:00Z", "unknown", "unknown", "", "unknown", "unknown", "unknown", ""},
		{"svc-backup", "2026-11-20T12:00:00Z", "system", "SE", "vendor-no", "NO", "unknown", "unknown", ""},
		{"svc-other", "2026-11-20T12:00:00Z", "service", "IE", "", "unknown", "unknown", "unknown", ""},
		{"nobody", "2026-11-20T12:00:00Z", "unknown", "unknown", "", "unknown", "unknown", "unknown", ""},
	} {
		ev := newEvent()
		ev.Actor.ID, ev.Time = row.actor, at(t, row.time)
		e.Enrich(ev)
		a := &ev.Actor
		got := []string{a.KindRef.String(), a.HomeCountryRef.String(), a.EmployerEntityRef, a.EmployerCountryRef.String(),
			a.CoveredPersonRef.String(), a.EmploymentRef.String(), strings.Join(a.Groups, " ")}
		want := []string{row.kind, row.home, row.employer, row.established, row.covered, row.employment, row.groups}
		if !slices.Equal(got, want) {
			t.Errorf("%s at %s: %q, want %q", row.actor, row.time, got, want)
		}
	}
}

func TestCatalogueLongestValidPatternWins(t *testing.T) {
	e := newEnricher(t, referenceYAML)
	for _, row := range []struct{ dataset, time, system, regions, classes, storage string }{
		{"eu.users.likes", "2026-11-20T12:00:00Z", "hive", "EU", "personal", "DE"},
		{"eu.users.contact_v2", "2026-11-20T12:00:00Z", "", "EU,UK", "restricted", "unknown"},
		{"eu.users.contact_v2", "2026-11-21T12:00:00Z", "hive", "EU", "personal", "DE"},
		{"eu.users.billing", "2026-11-20T12:00:00Z", "pay", "unknown", "unknown", "unknown"},
		{"eu.users.c", "2026-11-20T12:00:00Z", "hive", "EU", "personal", "DE"},
		{"eu.users.contact_archive", "2026-11-20T12:00:00Z", "", "unknown", "", "unknown"},
		{"eu.users", "2026-11-20T12:00:00Z", "", "unknown", "unknown", "unknown"},
		{"none", "2026-11-20T12:00:00Z", "", "unknown", "unknown", "unknown"},
	} {
		ev := newEvent()
		ev.Time, ev.Data.Items[0].Dataset = at(t, row.time), row.dataset
		e.Enrich(ev)
		i := &ev.Data.Items[0]
		got := []string{i.SystemRef, i.RegionsRef.Format(access.SubjectRegions), i.ClassesRef.Format(access.DataClasses), i.StorageCountryRef.String()}
		if want := []string{row.system, row.regions, row.classes, row.storage}; !slices.Equal(got, want) {
			t.Errorf("%s at %s: %q, want %q", row.dataset, row.time, got, want)
		}
	}
}

// TestSourceAndReferenceStayApart checks that adding leaves what the source said, and its digest, as they were.
func TestSourceAndReferenceStayApart(t *testing.T) {
	e := newEnricher(t, referenceYAML)
	ev := newEvent()
	ev.Actor.Kind, ev.Actor.Groups, ev.Actor.GroupsGiven = access.ActorVendor, append(ev.Actor.Groups, "vendors"), true
	ev.Data.Items[0].Dataset, ev.Data.Items[0].Classes = "eu.users.contact", access.EmptySet.With(4)
	ev.AddItem().Dataset = "eu.users.likes"
	before, _ := ev.ContentDigest(nil)
	e.Enrich(ev)
	e.Enrich(ev)
	if after, _ := ev.ContentDigest(nil); after != before {
		t.Error("the content digest changed")
	}
	if a, b := ev.WordOf(access.FieldActorKind, 0); a != uint8(access.ActorVendor) || b != uint8(access.ActorContractor) {
		t.Errorf("actor.kind: %d and %d, want both", a, b)
	}
	if got := ev.WordsOf(access.FieldClasses, 0).Format(access.DataClasses); got != "restricted,public" {
		t.Errorf("classes: %s, want the union", got)
	}
	if groups, given := ev.TextsOf(access.FieldActorGroups); !given || strings.Join(groups, " ") != "vendors analysts on-call" {
		t.Errorf("groups: %q", groups)
	}
	if got, _ := ev.TextOf(access.FieldExporterEntity, 0); got != "es-de" {
		t.Errorf("exporter: %q, want that of the second data set", got)
	}
}

func TestApprovals(t *testing.T) {
	const file = `
format: borderwatch/approvals/v1
approvals:
  - {id: AP-1, actors: [u-1, u-2], datasets: [eu.users.*], scope: support, ticket: T-1, from: 2026-11-01, until: 2026-11-20}
`
	with, without := newEnricher(t, file), newEnricher(t)
	for _, row := range []struct {
		name, id, scope, until, actor, dataset, time string
		with, without                                access.ApprovalState
	}{
		{name: "none named", with: access.ApprovalNone, without: access.ApprovalNone},
		{name: "in force", id: "AP-1", scope: "support", until: "2026-11-30T00:00:00Z", with: access.ApprovalConfirmed, without: access.ApprovalAsserted},
		{name: "the file gives the end", id: "AP-1", with: access.ApprovalConfirmed, without: access.ApprovalRefused},
		{name: "a pattern as scope", id: "AP-1", scope: "eu.users.*", with: access.ApprovalConfirmed, without: access.ApprovalRefused},
		{name: "its own end is past", id: "AP-1", until: "2026-11-20T11:59:59.999Z", with: access.ApprovalRefused, without: access.ApprovalRefused},
		{name: "its own end is now", id: "AP-1", until: "2026-11-20T12:00:00Z", with: access.ApprovalConfirmed, without: access.ApprovalAsserted},
		{name: "past its end in the file", id: "AP-1", time: "2026-11-21T00:00:00Z", with: access.ApprovalRefused, without: access.ApprovalRefused},
		{name: "before its start", id: "AP-1", time: "2026-10-31T23:59:59Z", until: "2026-12-01T00:00:00Z", with: access.ApprovalRefused, without: access.ApprovalAsserted},
		{name: "another scope", id: "AP-1", scope: "billing", until: "2026-12-01T00:00:00Z", with: access.ApprovalRefused, without: access.ApprovalAsserted},
		{name: "another data set", id: "AP-1", dataset: "us.users.contact", until: "2026-12-01T00:00:00Z", with: access.ApprovalRefused, without: access.ApprovalAsserted},
		{name: "another actor", id: "AP-1", actor: "u-3", until: "2026-12-01T00:00:00Z", with: access.ApprovalRefused, without: access.ApprovalAsserted},
		{name: "not in the file", id: "AP-9", until: "2026-12-01T00:00:00Z", with: access.ApprovalRefused, without: access.ApprovalAsserted},
		{name: "a scope without an id", scope: "support", with: access.ApprovalRefused, without: access.ApprovalRefused},
	} {
		for e, want := range map[*enrich.Enricher]access.ApprovalState{with: row.with, without: row.without} {
			ev := newEvent()
			ev.Approval.ID, ev.Approval.Scope = row.id, row.scope
			ev.Data.Items[0].Dataset = "eu.users.contact"
			if row.dataset != "" {
				ev.Data.Items[0].Dataset = row.dataset
			}
			if row.actor != "" {
				ev.Actor.ID = row.actor
			}
			if row.time != "" {
				ev.Time = at(t, row.time)
			}
			if row.until != "" {
				ev.Approval.ValidUntil = at(t, row.until)
			}
			e.Enrich(ev)
			if ev.Approval.State != want {
				t.Errorf("%s, file %v: %s, want %s", row.name, e == with, ev.Approval.State, want)
			}
		}
	}
}

// TestNetworkPrecedence puts one address into several lists and prefixes.
func TestNetworkPrecedence(t *testing.T) {
	const file = `
format: borderwatch/networks/v1
sites:
  - {name: campus, kind: office, country: SE, prefixes: [12.0.0.0/16]}
  - {name: old lab, kind: office, country: FI, prefixes: [12.0.1.0/24], until: 2026-11-19}
lists:
  - {name: a, file: a.txt, kind: hosting}
  - {name: b, file: b.txt, kind: vpn}
  - {name: c, file: c.txt, kind: tor}
  - {name: d, file: d.csv, kind: cloud}
`
	files := map[string][]byte{
		"a.txt": []byte("12.0.0.0/8\n13.0.0.0/24\n13.0.1.0/24\n"),
		"b.txt": []byte("13.0.0.0/16\n"),
		"c.txt": []byte("13.0.0.7\n12.0.1.1\n"),
		"d.csv": []byte("14.0.0.0/8,US\n14.1.0.0/16,IE,,Dublin\n14.2.0.0/16,\n"),
	}
	e, problems := enrich.New([]enrich.Document{{Path: "n.yaml", Data: []byte(file)}}, files, enrich.Database{}, enrich.Database{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for address, want := range map[string]string{
		"12.0.1.1": "corporate SE", // the lab's entry is over, the campus around it is not; both before the Tor list
		"12.0.2.1": "corporate SE",
		"12.1.0.1": "hosting none",
		"13.0.0.1": "vpn none", // the longer prefix is hosting, the one around it VPN
		"13.0.1.1": "vpn none",
		"13.0.0.7": "tor none",
		"14.0.0.1": "hosting US",
		"14.1.0.1": "hosting IE",
		"14.2.0.1": "hosting none", // RFC 8805: an empty country withdraws
		"15.0.0.1": "unknown none",
	} {
		kind, _, countries, _ := e.WhereIs(address, noon)
		if got := kind.String() + " " + countries.String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestProblemsHavePlaceAndHint(t *testing.T) {
	const entities = "format: borderwatch/entities/v1\nentities: [{id: es-de, country: DE, role: processor}]\n---\n"
	for _, row := range []struct{ yaml, want string }{
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employe}", `f.yaml:3:21: kind: "employe" is not one of employee, contractor, vendor (did you mean employee?)`},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, home_contry: DE}", `f.yaml:3:31: unknown key "home_contry" (did you mean home_country?)`},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, home_country: UKR}", `f.yaml:3:45: home_country: "UKR" is not an ISO 3166-1 alpha-2 country code`},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, home_country: EL}", `f.yaml:3:45: home_country: "EL" is not an ISO 3166-1 alpha-2 country code (GR)`},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, home_country: Norway}", `f.yaml:3:45: home_country: "Norway" is not an ISO 3166-1 alpha-2 country code (NO)`},
		{"format: borderwatch/roster/v1\npeople:\n  - {kind: employee}", "f.yaml:3:5: id is missing"},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1}", "f.yaml:3:5: kind is missing"},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: 'u-*', kind: employee}", "f.yaml:3:10: id: a person needs an exact id, only a service may end in *"},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee}\n  - {id: u-1, kind: vendor, from: 2026-01-01}", "f.yaml:4:10: id u-1 is given twice for the same days, first in line 3 (end the earlier entry with until)"},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, id: u-2}", "f.yaml:3:31: id is given twice, first in line 3"},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, from: 2026-02-30}", `f.yaml:3:37: from: "2026-02-30" is not a day such as 2026-11-20, between 1970 and 2261`},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, from: 2026-02-02, until: 2026-02-01}", "f.yaml:3:56: until lies before from"},
		{"format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, covered_person: yes}", "f.yaml:3:47: covered_person: yes needs its basis ({answer: yes, basis: residence, from: 2026-01-01})"},
		{"format: borderwatch/roster/v1\npeople: &a\n  - {id: u-1, kind: employee, groups: *a}", "f.yaml:3:39: aliases are not read here (write the value out)"},
		{"format: borderwatch/roster/v1\npeople:\n  - u-1", "f.yaml:3:5: a mapping (key: value) is wanted here"},
		{entities + "format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee, employer: es-dd}", `f.yaml:6:41: employer: no entities file has an entity "es-dd" (did you mean es-de?)`},
		{"format: borderwatch/catalogue/v1\ndatasets:\n  - {pattern: a, classes: [restricte]}", `f.yaml:3:28: classes: "restricte" is not one of restricted, sensitive, personal, public (did you mean restricted?)`},
		{"format: borderwatch/catalogue/v1\ndatasets:\n  - {pattern: a, storage_country: DE, storage_region: us-east-1}", "f.yaml:3:55: storage_region us-east-1 lies in US, but storage_country is DE"},
		{"format: borderwatch/networks/v1\nsites:\n  - {name: a, kind: office, prefixes: [10.0.0.1/8]}", "f.yaml:3:5: country is missing: only a remote-access egress has none"},
		{"format: borderwatch/networks/v1\nsites:\n  - {name: a, kind: office, country: DE, prefixes: [10.0.0.1/8]}", `f.yaml:3:53: prefixes: "10.0.0.1/8" has bits behind its length; the prefix is 10.0.0.0/8`},
		{"format: borderwatch/networks/v1\nlists:\n  - {name: a, kind: tor, file: lists/ter.txt}", `f.yaml:3:32: file: there is no "lists/ter.txt" in the bundle (did you mean lists/tor.txt?)`},
		{"format: borderwatch/networks/v1\nlists:\n  - {name: a, kind: tor, file: lists/bad.txt}", `lists/bad.txt:2:1: "1.2.3.400" is not an address or CIDR prefix`},
		{"format: borderwatch/networks/v1\nlists:\n  - {name: a, kind: cloud, file: lists/tor.txt}", `lists/tor.txt:2:1: "203.0.113.1": a cloud list has lines of prefix,country, any other list only a prefix a line`},
		{"format: borderwatch/approvals/v1\napprovals:\n  - {id: AP-1, actors: [u-1], datasets: [a], from: 2026-01-01}", "f.yaml:3:5: until is missing"},
		{"format: borderwatch/roster/v1\npeople: [", "f.yaml:2:1: a value is missing here"},
	} {
		files := lists()
		files["lists/bad.txt"] = []byte("1.2.3.4\n1.2.3.400\n")
		e, problems := enrich.New([]enrich.Document{{Path: "f.yaml", Data: []byte(row.yaml)}}, files, enrich.Database{}, enrich.Database{})
		if e != nil {
			t.Errorf("%s\nwas accepted", row.yaml)
		}
		if !slices.ContainsFunc(problems, func(p enrich.Problem) bool { return strings.HasPrefix(p.Error(), row.want) }) {
			t.Errorf("%s\n got %v\nwant %s", row.yaml, problems, row.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	files := lists()
	files["lists/forgotten.txt"] = []byte("192.0.2.1\n")
	files["lists/tor.txt"] = []byte("# nothing\n")
	e, problems := enrich.New([]enrich.Document{{Path: "networks.yaml", Data: []byte(networksYAML)}}, files, enrich.Database{}, enrich.Database{})
	if e == nil || len(problems) != 2 || problems[0].Error() != "lists/tor.txt: the list is empty" ||
		!strings.HasPrefix(problems[1].Error(), "lists/forgotten.txt: no networks file names this list") {
		t.Error(problems)
	}
}

func TestDisagreements(t *testing.T) {
	e := newEnricher(t, referenceYAML)
	ev := newEvent()
	ev.Actor.Kind, ev.Actor.HomeCountry, ev.Actor.EmployerEntity = access.ActorEmployee, country(t, "NO"), "vendor-no"
	ev.Data.Items[0].Dataset, ev.Data.Items[0].Classes, ev.Data.Items[0].System = "eu.users.likes", access.EmptySet, "hive"
	ev.Data.Items[0].Regions = access.EmptySet.With(1)
	e.Enrich(ev)
	got := strings.Join(enrich.Disagreements(ev).Names(), " ")
	if want := "actor.kind actor.employer_entity data.classes"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOtherFormatsAreLeftToOthers(t *testing.T) {
	e := newEnricher(t, "format: borderwatch/rule/v1\nid: X\nsomething: [else]\n---\n# nothing\n---\n"+referenceYAML)
	if n := len(e.People()); n != 4 {
		t.Errorf("%d people, want 4", n)
	}
}

func FuzzReferenceFiles(f *testing.F) {
	for _, s := range []string{networksYAML, referenceYAML, "format: borderwatch/approvals/v1\napprovals: [{id: a, actors: [x], datasets: ['*'], from: 2026-01-01, until: 2026-01-02}]",
		"a: &a [*a]", "? [x]\n: y", "format: borderwatch/roster/v1\npeople: {id: x}", "--- \n---\n", "\x00", "format: [", "<<: {a: b}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		e, problems := enrich.New([]enrich.Document{{Path: "f.yaml", Data: []byte(yaml)}}, lists(), enrich.Database{}, enrich.Database{})
		if e == nil && len(problems) == 0 {
			t.Fatal("refused without a reason")
		}
		if e != nil {
			e.Enrich(newEvent())
		}
	})
}
