package enrich

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"borderwatch/schemas/access"
)

// SiteKind tells what stands behind a prefix of the operator's own network file.
type SiteKind uint8

// The kinds of site.
const (
	SiteNone     SiteKind = iota
	SiteOffice            // people and machines in a building: evidence of presence
	SiteWorkload          // servers: places services, says nothing about a person
	SiteEgress            // remote access: masks, unless the session gives the client's address
	SiteNAT               // a shared way out: places services, masks people
)

var siteKinds = []string{"office", "workload", "egress", "nat"}

// network classes a site for network.kind: an office is the company's own network; the others hide who is behind them
// in the same way as the public kinds they are classed as.
func (k SiteKind) network() access.NetworkKind {
	return [...]access.NetworkKind{access.NetworkUnknown, access.NetworkCorporate, access.NetworkHosting,
		access.NetworkVPN, access.NetworkProxy}[k]
}

// mask is the reason why the site hides a person, "" for an office.
func (k SiteKind) mask() string {
	return [...]string{"", "", "workload", "remote-access", "nat"}[k]
}

// Site is one entry of the operator's network file.
type Site struct {
	Name    string
	Kind    SiteKind
	Country access.Country
	Valid   Span
}

// SitePrefix is one prefix of a Site.
type SitePrefix struct {
	Site
	Prefix netip.Prefix
}

// sites finds the operator's entry of an address: of the longest prefix that has a valid one.
type sites struct {
	table *bart.Table[int32] // index into rows
	rows  []siteRow
}

type siteRow struct {
	prefix  netip.Prefix
	entries []dated[Site]
	outer   int32 // the next shorter prefix, -1 where there is none
}

func (s *sites) add(p netip.Prefix, e dated[Site]) (line int, ok bool) {
	i, known := s.table.Get(p)
	if !known {
		i = int32(len(s.rows))
		s.rows = append(s.rows, siteRow{prefix: p})
		s.table.Insert(p, i)
	}
	row := &s.rows[i]
	for _, other := range row.entries {
		if other.overlaps(e.Span) {
			return other.line, false
		}
	}
	row.entries = append(row.entries, e)
	return 0, true
}

func (s *sites) seal() {
	for i := range s.rows {
		s.rows[i].outer = -1
		for outer, j := range s.table.Supernets(s.rows[i].prefix) {
			if outer != s.rows[i].prefix {
				s.rows[i].outer = j
				break // the longest comes first
			}
		}
	}
}

// find returns the index of the longest prefix around ip, -1 where there is none.
func (s *sites) find(ip netip.Addr) int32 {
	if i, ok := s.table.Lookup(ip); ok {
		return i
	}
	return -1
}

// at returns the site valid at t at index i or around it.
func (s *sites) at(i int32, t access.Millis) *Site {
	for ; i >= 0; i = s.rows[i].outer {
		if site := at(s.rows[i].entries, t); site != nil {
			return site
		}
	}
	return nil
}

// readNetworks reads one borderwatch/networks/v1 document.
func (b *builder) readNetworks(o object) {
	o.only("format", "version", "sites", "lists")
	for _, e := range o.objects("sites") {
		e.only("name", "kind", "country", "region", "prefixes", "from", "until")
		s := Site{Name: e.required("name"), Kind: SiteKind(e.oneOf("kind", siteKinds) + 1), Country: e.placeOf("country", "region"), Valid: e.span()}
		if s.Country == 0 && s.Kind != SiteEgress {
			e.fail(e.at("country"), "", "country is missing: only a remote-access egress has none")
		}
		if len(e.list("prefixes")) == 0 {
			e.fail(e.at("prefixes"), "", "prefixes is missing")
		}
		for _, n := range e.list("prefixes") {
			p, why := parsePrefix(e.scalar(n))
			if why != "" {
				e.fail(n, "", "prefixes: %q %s", n.Value, why)
				continue
			}
			if line, ok := b.sites.add(p, dated[Site]{s.Valid, s, n.Line}); !ok {
				e.fail(n, "end the earlier entry with until", "prefixes: %s is given twice for the same days, first in line %d", p, line)
			}
		}
	}
	for _, e := range o.objects("lists") {
		b.readList(e)
	}
}
