package enrich_test

import (
	"testing"

	"borderwatch/consumers/enrich"
	"borderwatch/consumers/enrich/enrichtest"
	"borderwatch/schemas/access"
)

// The addresses of the tests. Those of documentation are placed by the operator's file or are in a list; the others
// are public addresses of which the test databases say what stands in their name.
const (
	officeDE    = "192.0.2.10"
	workloadDE  = "192.0.2.70"
	natDE       = "192.0.2.130"
	egress      = "192.0.2.200"
	torExit     = "203.0.113.1"
	vpn         = "203.0.113.20"
	relay       = "203.0.113.40"
	proxy       = "203.0.113.60"
	hostingIE   = "11.0.0.1"  // in the hosting list, GeoIP IE
	cloudFR     = "11.0.1.1"  // a published prefix of FR, GeoIP US
	publicDE    = "11.0.2.1"  // GeoIP DE
	disputed    = "11.0.3.1"  // DE in one database, NL in the other
	backEndUS   = "11.0.4.1"  // in the service list, GeoIP US
	unplaced    = "11.0.9.1"  // in no database
	somewhereEU = "11.0.5.1"  // GeoIP EU, which is no country
	publicCN    = "11.0.6.1"  // GeoIP CN
	narrowedDE  = "11.0.7.1"  // EU in one database, DE in the other
	publicIE    = "11.0.8.1"  // GeoIP IE
	publicRO    = "2400::1:1" // GeoIP RO
)

const networksYAML = `
format: borderwatch/networks/v1
sites:
  - {name: Berlin, kind: office, country: DE, prefixes: [192.0.2.0/26, 10.1.0.0/16, "2001:db8:1::/48"]}
  - {name: eu-central-1, kind: workload, region: eu-central-1, prefixes: [192.0.2.64/26]}
  - {name: NAT, kind: nat, country: DE, prefixes: [192.0.2.128/26]}
  - {name: remote access, kind: egress, prefixes: [192.0.2.192/26]}
lists:
  - {name: tor, file: lists/tor.txt, kind: tor}
  - {name: vpn, file: lists/vpn.txt, kind: vpn}
  - {name: relay, file: lists/relay.txt, kind: relay}
  - {name: proxy, file: lists/proxy.txt, kind: proxy}
  - {name: hosting, file: lists/hosting.txt, kind: hosting}
  - {name: back ends, file: lists/service.txt, kind: service}
  - {name: cloud, file: lists/cloud.csv, kind: cloud}
`

func lists() map[string][]byte {
	return map[string][]byte{
		"lists/tor.txt":     []byte("# exits\n203.0.113.1\n"),
		"lists/vpn.txt":     []byte("203.0.113.16/28\n"),
		"lists/relay.txt":   []byte("203.0.113.32/28\n"),
		"lists/proxy.txt":   []byte("203.0.113.48/28\n"),
		"lists/hosting.txt": []byte("11.0.0.0/24\n203.0.113.0/24 # all of it\n"),
		"lists/service.txt": []byte("11.0.4.0/24\r\n"),
		"lists/cloud.csv":   []byte("11.0.1.0/24,FR,FR-IDF,Paris,\n"),
	}
}

func databases() (first, second enrich.Database) {
	return enrich.Database{Name: "first.mmdb", Data: enrichtest.Database(map[string]enrichtest.Record{
			"11.0.0.0/24": {Country: "IE", Nested: true},
			"11.0.1.0/24": {Country: "US", Nested: true},
			"11.0.2.0/24": {Country: "DE", Nested: true, ASN: 64500, Org: "Example Net"},
			"11.0.3.0/24": {Country: "DE", Nested: true},
			"11.0.4.0/24": {Country: "US", Nested: true},
			"11.0.5.0/24": {Country: "EU", Nested: true},
			"11.0.6.0/24": {Country: "CN", Nested: true},
			"11.0.7.0/24": {Country: "EU", Nested: true},
			"11.0.8.0/24": {Country: "IE", Nested: true},
			"2400::/32":   {Country: "RO", Nested: true},
		})},
		enrich.Database{Name: "second.mmdb", Data: enrichtest.Database(map[string]enrichtest.Record{
			"11.0.2.0/24": {Country: "DE"},
			"11.0.3.0/24": {Country: "NL"},
			"11.0.7.0/24": {Country: "DE"},
		})}
}

func newEnricher(t testing.TB, yaml ...string) *enrich.Enricher {
	t.Helper()
	docs := []enrich.Document{{Path: "networks.yaml", Data: []byte(networksYAML)}}
	for _, y := range yaml {
		docs = append(docs, enrich.Document{Path: "test.yaml", Data: []byte(y)})
	}
	first, second := databases()
	e, problems := enrich.New(docs, lists(), first, second)
	for _, p := range problems {
		t.Error(p)
	}
	if e == nil || t.Failed() {
		t.FailNow()
	}
	return e
}

// noon is the time of the tests' events: 2026-11-20T12:00:00Z.
var noon, _ = access.ParseTime("2026-11-20T12:00:00Z")

func newEvent() *access.Event {
	ev := new(access.Event)
	ev.Reset()
	ev.ID, ev.Time, ev.Actor.ID = "e-1", noon, "u-1"
	return ev
}

func country(t testing.TB, code string) access.Country {
	t.Helper()
	c, ok := access.ParseCountry(code)
	if !ok {
		t.Fatalf("no country %q", code)
	}
	return c
}

func place(t testing.TB, code string) access.Place {
	t.Helper()
	p, ok := access.ParsePlace(code)
	if !ok {
		t.Fatalf("no place %q", code)
	}
	return p
}
