package enrich_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"borderwatch/schemas/access"
)

// speech is what an address says, for a person and for a service account, as the table in place.go and the design have
// it. "place" names countries; "masked" hides; "lifted" is a mask that any other evidence lifts; "service" is the
// platform's own call; "nothing" says nothing.
type speech struct{ what, countries, reason string }

var addresses = []struct {
	name, address, client, region, service string
	person, machine                        speech
	kind                                   string
	contested                              bool
}{
	{name: "none", person: speech{"nothing", "", "no-address"}, kind: "unknown"},
	{name: "private", address: "10.9.9.9", person: speech{"nothing", "", "private-address"}, kind: "unknown"},
	{name: "class E", address: "255.18.064.253", person: speech{"nothing", "", "invalid-address"}, kind: "unknown"},
	{name: "hidden", address: "gce-internal-ip", person: speech{"nothing", "", "hidden-address"}, kind: "unknown"},
	{name: "unplaced", address: unplaced, person: speech{"nothing", "", "not-in-database"}, kind: "unknown"},
	{name: "office", address: officeDE, person: speech{"place", "DE", ""}, kind: "corporate"},
	{name: "workload", address: workloadDE, person: speech{"masked", "", "workload"}, machine: speech{"place", "DE", ""}, kind: "hosting"},
	{name: "nat", address: natDE, person: speech{"masked", "", "nat"}, machine: speech{"place", "DE", ""}, kind: "proxy"},
	{name: "egress", address: egress, person: speech{"masked", "", "remote-access"}, kind: "vpn"},
	{name: "egress, client DE", address: egress, client: publicDE, person: speech{"place", "DE", ""}, kind: "vpn"},
	{name: "egress, client Tor", address: egress, client: torExit, person: speech{"masked", "", "tor"}, kind: "vpn"},
	{name: "egress, client private", address: egress, client: "10.9.9.9", person: speech{"masked", "", "remote-access"}, kind: "vpn"},
	{name: "egress, client platform", address: egress, client: "AWS Internal", person: speech{"masked", "", "remote-access"}, kind: "vpn"},
	{name: "vpn, client DE", address: vpn, client: publicDE, person: speech{"masked", "", "vpn"}, kind: "vpn"},
	{name: "office, client CN", address: officeDE, client: publicCN, person: speech{"place", "DE", ""}, kind: "corporate"},
	{name: "nat, client DE", address: natDE, client: publicDE, person: speech{"masked", "", "nat"}, machine: speech{"place", "DE", ""}, kind: "proxy"},
	{name: "public, client CN", address: publicDE, client: publicCN, person: speech{"place", "DE", ""}, kind: "unknown"},
	{name: "tor", address: torExit, person: speech{"masked", "", "tor"}, kind: "tor"},
	{name: "relay", address: relay, person: speech{"masked", "", "relay"}, kind: "relay"},
	{name: "proxy", address: proxy, person: speech{"masked", "", "proxy"}, kind: "proxy"},
	{name: "hosting", address: hostingIE, person: speech{"masked", "", "hosting"}, machine: speech{"place", "IE", ""}, kind: "hosting", contested: true},
	{name: "cloud", address: cloudFR, person: speech{"masked", "", "hosting"}, machine: speech{"place", "FR", ""}, kind: "hosting"},
	{name: "public", address: publicDE, person: speech{"place", "DE", ""}, kind: "unknown"},
	{name: "disputed", address: disputed, person: speech{"place", "DE NL", ""}, kind: "unknown", contested: true},
	{name: "narrowed by the second database", address: narrowedDE, person: speech{"place", "DE", ""}, kind: "unknown"},
	{name: "list, hosting inside", address: publicIE + "," + hostingIE, person: speech{"masked", "", "hosting"}, machine: speech{"place", "IE", ""}, kind: "hosting", contested: true},
	{name: "list, hosting first", address: hostingIE + "," + publicIE, person: speech{"masked", "", "hosting"}, machine: speech{"place", "IE", ""}, kind: "hosting", contested: true},
	{name: "back end", address: backEndUS, person: speech{"place", "US", ""}, kind: "service", contested: true},
	{name: "list, one usable", address: publicDE + ", 10.0.0.1", person: speech{"place", "DE", ""}, kind: "unknown"},
	{name: "list, two countries", address: publicDE + "," + publicCN, person: speech{"nothing", "", "mixed-addresses"}, kind: "unknown"},
	{name: "list, Tor inside", address: publicDE + "," + torExit, person: speech{"masked", "", "tor"}, kind: "tor"},
	{name: "platform", address: "AWS Internal", region: "eu-central-1", service: "kms.amazonaws.com",
		person: speech{"lifted", "", "via-service"}, machine: speech{"service", "DE", ""}, kind: "service"},
	{name: "platform, global", address: "iam.amazonaws.com", region: "us-east-1", service: "iam.amazonaws.com",
		person: speech{"lifted", "", "via-service"}, machine: speech{"service", "", "global-service"}, kind: "service"},
	{name: "platform, no region", address: "private",
		person: speech{"lifted", "", "via-service"}, machine: speech{"service", "", "no-region"}, kind: "service"},
}

var actors = []struct {
	name      string
	kind, ref access.ActorKind
	via       []string
	machine   bool
}{
	{name: "employee", kind: access.ActorEmployee},
	{name: "unknown kind"},
	{name: "service", kind: access.ActorService, machine: true},
	{name: "system", kind: access.ActorSystem, machine: true},
	{name: "service through which somebody acts", kind: access.ActorService, via: []string{"u-1"}},
}

// TestTruthTable judges every combination of evidence and compares with an oracle over the tables above.
func TestTruthTable(t *testing.T) {
	e := newEnricher(t)
	w := e.NewWorker()
	declared := []string{"", "DE", "CN", "EUR", "ANY"}
	others := []string{"", "DE", "CN"}
	rows := 0
	for _, address := range addresses {
		for _, actor := range actors {
			for _, d := range declared {
				for _, device := range others {
					for _, badge := range others {
						ev := newEvent()
						ev.Actor.Kind, ev.Actor.Via, ev.Actor.ViaGiven = actor.kind, actor.via, actor.via != nil
						ev.Source.Address, ev.Presence.ClientAddress = address.address, address.client
						ev.Source.Region, ev.Source.Service = address.region, address.service
						ev.Declared.Physical = place(t, d)
						ev.Presence.Device, ev.Presence.Badge = place(t, device), place(t, badge)
						w.Enrich(ev)
						says := address.person
						if actor.machine && address.machine.what != "" {
							says = address.machine
						}
						want := oracle(says, d, device, badge, address.contested)
						got := describe(ev)
						if got != want {
							t.Errorf("%s, %s, declared %q, device %q, badge %q:\n got %s\nwant %s", address.name, actor.name, d, device, badge, got, want)
						}
						if ev.Network.Kind.String() != address.kind {
							t.Errorf("%s: network.kind %s, want %s", address.name, ev.Network.Kind, address.kind)
						}
						rows++
					}
				}
			}
		}
	}
	if want := len(addresses) * len(actors) * 5 * 3 * 3; rows != want || rows < 6000 {
		t.Errorf("%d rows judged, want %d", rows, want)
	}
}

func describe(ev *access.Event) string {
	l := &ev.Location
	s := fmt.Sprintf("%s %s confidence %s", l.Verdict, l.Candidates, l.Confidence)
	if l.Verdict == access.LocationConflict {
		return s
	}
	if l.AddressOnly {
		s += " address-only"
	}
	if l.Contested && l.AddressOnly {
		s += " contested"
	}
	return s + " " + l.Reason
}

// oracle says what the design wants, in words and lists of codes. Only DE, NL and CN occur; EUR holds DE and NL.
func oracle(says speech, declared, device, badge string, contested bool) string {
	if says.what == "service" {
		if says.countries == "" {
			return "service any confidence unknown " + says.reason
		}
		return "service " + says.countries + " confidence medium " + says.reason
	}
	var given []string // the other evidence that narrows anything
	for _, s := range []string{declared, device, badge} {
		if s != "" && s != "ANY" {
			given = append(given, s)
		}
	}
	agreeing := ""
	for _, c := range []string{"DE", "CN"} {
		if count(given, c) >= 2 && !contradicted(given, c) {
			agreeing = c
		}
	}
	if says.what == "masked" && agreeing == "" || says.what == "lifted" && len(given) == 0 {
		return "masked any confidence unknown " + says.reason
	}
	all := given
	if says.what == "place" {
		all = append(slices.Clone(given), says.countries)
	}
	if len(all) == 0 {
		return "unknown any confidence unknown " + says.reason
	}
	return weigh(all, says, len(given) == 0, contested)
}

// weigh judges evidence of which at least one piece is there.
func weigh(all []string, says speech, addressOnly, contested bool) string {
	left := open(all[0])
	named := open(all[0])
	for _, s := range all[1:] {
		left = slices.DeleteFunc(left, func(c string) bool { return !slices.Contains(open(s), c) })
		named = append(named, open(s)...)
	}
	if len(left) == 0 {
		return "conflict " + join(named) + " confidence unknown"
	}
	exact := 0
	for _, s := range all {
		if len(s) == 2 {
			exact++
		}
	}
	switch {
	case exact >= 2:
		return "agree " + join(left) + " confidence high "
	case addressOnly && contested:
		return "single " + join(left) + " confidence low address-only contested "
	case addressOnly:
		return "single " + join(left) + " confidence medium address-only "
	}
	return "single " + join(left) + " confidence medium "
}

func open(s string) []string {
	if s == "EUR" {
		europe, _ := access.ParsePlace("EUR")
		set := europe.Countries()
		var codes []string
		for _, c := range set.Countries() {
			codes = append(codes, c.String())
		}
		return codes
	}
	return strings.Fields(s)
}

func join(codes []string) string {
	codes = slices.Clone(codes)
	slices.Sort(codes)
	return strings.Join(slices.Compact(codes), "|")
}

func count(list []string, s string) (n int) {
	for _, e := range list {
		if e == s {
			n++
		}
	}
	return n
}

func contradicted(list []string, c string) bool {
	for _, s := range list {
		if !slices.Contains(open(s), c) {
			return true
		}
	}
	return false
}

// The three cases of the design in which a service's place could be laundered.

func TestStolenInstanceRoleUsedFromAbroad(t *testing.T) {
	e := newEnricher(t, `
format: borderwatch/roster/v1
services: [{id: role/reader, home_region: us-east-1}]
`)
	ev := newEvent()
	ev.Actor.ID, ev.Actor.Kind = "role/reader", access.ActorService
	ev.Source.Address, ev.Source.Region, ev.Source.Service = publicRO, "us-east-1", "s3.amazonaws.com"
	e.Enrich(ev)
	l := ev.Location
	if l.Verdict != access.LocationSingle || l.Candidates.String() != "RO" || l.Expected != access.ExpectedAway {
		t.Errorf("%s in %s, expected %s; want single in RO, away", l.Verdict, l.Candidates, l.Expected)
	}
	for _, evidence := range l.Evidence[:l.EvidenceCount] {
		if evidence.Kind == access.EvidenceRegion {
			t.Error("the endpoint's region is evidence about a caller with an address")
		}
	}
}

func TestPersonsDecryptThatArrivesAsAWSInternal(t *testing.T) {
	e := newEnricher(t, `
format: borderwatch/roster/v1
people: [{id: u-1, kind: employee, home_country: DE}]
`)
	for _, row := range []struct {
		name string
		kind access.ActorKind
		via  []string
	}{
		{"the source says so", access.ActorEmployee, nil},
		{"only the roster says so", access.ActorUnknown, nil},
		{"the source takes him for a service", access.ActorService, nil},
		{"he stands behind a service", access.ActorService, []string{"u-1"}},
	} {
		ev := newEvent()
		ev.Actor.Kind, ev.Actor.Via, ev.Actor.ViaGiven = row.kind, row.via, row.via != nil
		ev.Action = access.ActionDecrypt
		ev.Source.Address, ev.Source.Region, ev.Source.Service = "AWS Internal", "eu-central-1", "kms.amazonaws.com"
		e.Enrich(ev)
		l := ev.Location
		if l.Verdict != access.LocationMasked || l.Reason != "via-service" || !l.Candidates.All() || l.Expected != access.ExpectedUnknown {
			t.Errorf("%s: %s (%s) in %s, expected %s", row.name, l.Verdict, l.Reason, l.Candidates, l.Expected)
		}
	}
}

func TestGlobalServiceRecordHasNoPlace(t *testing.T) {
	e := newEnricher(t)
	for _, row := range []struct{ service, region, want, reason string }{
		{"iam.amazonaws.com", "us-east-1", "any", "global-service"},
		{"sts.amazonaws.com", "us-east-1", "any", "global-service"},
		{"sts.amazonaws.com", "eu-west-1", "IE", ""},
		{"s3.amazonaws.com", "us-east-1", "US", ""},
		{"s3.amazonaws.com", "moon-1", "any", "unknown-region"},
	} {
		ev := newEvent()
		ev.Actor.Kind, ev.Source.Address = access.ActorSystem, "cloudformation.amazonaws.com"
		ev.Source.Region, ev.Source.Service = row.region, row.service
		e.Enrich(ev)
		l := ev.Location
		if l.Verdict != access.LocationService || l.Candidates.String() != row.want || l.Reason != row.reason {
			t.Errorf("%s in %s: %s in %s (%s), want service in %s (%s)", row.service, row.region, l.Verdict, l.Candidates, l.Reason, row.want, row.reason)
		}
	}
}

// TestAllEvidenceIsKept gives an event every piece of evidence there can be.
func TestAllEvidenceIsKept(t *testing.T) {
	e := newEnricher(t, `
format: borderwatch/roster/v1
people: [{id: u-1, kind: employee, home_country: IE, office_country: FR}]
---
format: borderwatch/networks/v1
sites: [{name: remote access of the lab, kind: egress, country: SE, prefixes: [11.0.3.0/24]}]
`)
	ev := newEvent()
	ev.Source.Address, ev.Presence.ClientAddress = disputed, publicDE
	ev.Declared.Physical, ev.Declared.Office = place(t, "EUR"), place(t, "PL")
	ev.Presence.Device, ev.Presence.Badge = place(t, "DE"), place(t, "DE")
	e.Enrich(ev)
	var got []string
	for _, evidence := range ev.Location.Evidence[:ev.Location.EvidenceCount] {
		got = append(got, evidence.Kind.String()+" "+evidence.Place.String())
	}
	want := "declared EUR, prefix SE, address DE, address-2 NL, address DE, address-2 DE, device DE, badge DE, office PL, office FR, roster IE"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, ", "), want)
	}
	if l := &ev.Location; l.Verdict != access.LocationAgree || l.Candidates.String() != "DE" || l.Expected != access.ExpectedAway {
		t.Errorf("%s in %s, %s", l.Verdict, l.Candidates, l.Expected)
	}
}
