package traffic

import (
	"strconv"
	"strings"
	"time"
)

var (
	// regions are the words of data.subject_regions that a country of residence leads to.
	regions          = []string{"EU", "UK", "CH", "US", "IN", "CN", "OTHER"}
	subjectCountries = []string{"DE", "ES", "FR", "IT", "PL", "US"}
	eea              = strings.Fields("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE NO IS LI")
	personActions    = []string{"view", "view", "read", "query", "query", "list"}
	serviceActions   = []string{"read", "read", "query", "write"}
	subjectActions   = []string{"view", "view", "write", "download"}
	justifications   = []string{
		"customer asked for a copy of the own data", "duplicate charge on a subscription", "login fails after a change of phone",
		"weekly report of the region", "trace of a failed delivery", "abuse report of last night", "check of a payment dispute",
		"on-call page: error rate of the profile service", "request of the data protection office", "test of a restored backup",
	}
)

// regionOf names the region of people who live in a country, as a catalogue writes it. EU means the EEA.
func regionOf(country string) string {
	switch {
	case country == "GB":
		return "UK"
	case has(eea, country):
		return "EU"
	case has(regions, country):
		return country
	}
	return "OTHER"
}

// harmless fills g.e with an access that no rule should object to.
func (g *Generator) harmless() {
	switch n := g.rng.IntN(100); {
	case n < 22:
		g.byService()
	case n < 34 && len(g.near["EU"]) > 0:
		g.bySubject()
	default:
		g.byPerson(g.worker())
	}
}

// worker is somebody employed at the event's time. A world of people who all left gives the last one drawn.
func (g *Generator) worker() *Person {
	people := g.workers
	if len(people) == 0 {
		return &g.world.People[0]
	}
	p := people[g.rng.IntN(len(people))]
	for range 8 {
		if p.Employed.Holds(g.e.time) {
			break
		}
		p = people[g.rng.IntN(len(people))]
	}
	return p
}

// byPerson is a person's ordinary work in his own country.
func (g *Generator) byPerson(p *Person) {
	g.person(p)
	g.place(p)
	near := g.near[regionOf(p.Home)]
	if len(near) == 0 {
		g.e.action, g.e.dataset, g.e.regions, g.e.classes = "login", "none", []string{}, []string{}
		g.e.feed, g.e.system = "sign-on", "sign-on"
		return
	}
	for range 4 {
		if d := g.dataset(near); g.allowed(p, d) {
			g.open(d, personActions)
			return
		}
	}
	g.e.action, g.e.dataset, g.e.regions, g.e.classes = "login", "none", []string{}, []string{}
	g.e.feed, g.e.system = "sign-on", "sign-on"
}

// person names the actor.
func (g *Generator) person(p *Person) {
	e := &g.e
	e.actor, e.kind, e.entity, e.employerCountry, e.home, e.groups = p.ID, p.Kind, p.Employer, p.EmployerCountry, p.Home, p.Groups
	e.office, e.session, e.mfa, e.outcome = p.Home, g.session(), "true", "success"
	e.gateway, e.decision = "gw-"+strings.ToLower(p.Home), "allowed"
}

// allowed reports whether an approval covers the access, and gives the event the approval. Data that policy does not
// care about needs none.
func (g *Generator) allowed(p *Person, d *Dataset) bool {
	if !d.sensitive() {
		return true
	}
	e := &g.e
	if len(g.world.Approvals) == 0 {
		e.approval, e.scope = "AP-"+strconv.Itoa(10_000+g.rng.IntN(90_000)), d.Name
		e.validUntil = e.time.Add(8 * time.Hour)
		e.ticket = g.ticket()
		return true
	}
	a := g.world.approval(p.ID, d.Name, e.time)
	if a == nil {
		return false
	}
	e.approval, e.scope, e.ticket = a.ID, a.Scope, a.Ticket
	if !a.Valid.End.IsZero() {
		e.validUntil = a.Valid.End.Add(-time.Millisecond)
	}
	return true
}

func (g *Generator) ticket() string { return "SUP-" + strconv.Itoa(1000+g.rng.IntN(9000)) }

// place puts a person at his desk, at home, or behind the company's remote access on a managed device.
func (g *Generator) place(p *Person) {
	e, ways := &g.e, g.ways[p.Home]
	e.physical = p.Home
	n := g.rng.IntN(10)
	switch {
	case len(ways.office) > 0 && n < 6:
		e.address = g.addressOf(p.ID, ways.office)
	case len(ways.public) > 0 && n < 8:
		e.address = g.addressOf(p.ID, ways.public)
	default:
		e.address, e.device = g.addressOf(p.ID, g.egress), p.Home
	}
}

// abroad puts a person in another country, in a hotel's network where the world knows one.
func (g *Generator) abroad(country string) {
	e := &g.e
	e.physical, e.device = country, ""
	e.address = g.addressOf(e.actor, g.ways[country].public)
	if e.address == "" {
		e.device = country
	}
}

// open reads from a data set.
func (g *Generator) open(d *Dataset, actions []string) {
	e := &g.e
	g.target(d)
	e.action = g.pick(actions)
	e.records = int64(1 + g.rng.IntN(40))
	e.subjects = 1 + e.records*3/4
	e.bytes = e.records * int64(180+g.rng.IntN(900))
	e.justification = g.pick(justifications)
}

// target names the data set and what it holds.
func (g *Generator) target(d *Dataset) {
	e := &g.e
	e.dataset, e.system, e.storage, e.form, e.exporter = d.Name, d.System, d.Storage, d.Form, d.Exporter
	e.regions, e.classes, e.categories = d.Regions, d.Classes, d.Categories
	e.feed = d.System
	if e.feed == "" {
		e.feed = "warehouse"
	}
}

// byService is a service account at work in its own region, from its own network.
func (g *Generator) byService() {
	s := &g.world.Services[g.rng.IntN(len(g.world.Services))]
	g.service(s)
	near := g.near[regionOf(s.Country)]
	if len(near) == 0 {
		g.e.action, g.e.dataset, g.e.regions, g.e.classes = "admin", "none", []string{}, []string{}
		g.e.feed, g.e.system = "scheduler", "scheduler"
		return
	}
	g.open(g.dataset(near), serviceActions)
	g.e.records *= 100
	g.e.justification = ""
}

func (g *Generator) service(s *Service) {
	e := &g.e
	e.actor, e.kind, e.entity, e.employerCountry, e.home = s.ID, "service", s.Employer, s.Country, s.Country
	e.outcome, e.session = "success", g.session()
	e.gateway, e.decision = "gw-services", "allowed"
	ways := g.ways[s.Country]
	prefixes := ways.workload
	if len(prefixes) == 0 {
		prefixes = ways.office
	}
	e.address = g.addressOf(s.ID, prefixes)
}

// bySubject is somebody looking at his own account.
func (g *Generator) bySubject() {
	e := &g.e
	country := g.pick(subjectCountries)
	near := g.near[regionOf(country)]
	if len(near) == 0 {
		country, near = "DE", g.near["EU"]
	}
	g.open(g.dataset(near), subjectActions)
	e.actor, e.kind, e.outcome = "account-"+strconv.Itoa(100_000+g.rng.IntN(900_000)), "subject", "success"
	e.session = g.session()
	e.address, e.physical = g.addressOf(e.actor, g.ways[country].public), country
	e.records, e.subjects, e.justification = 1, 1, ""
	e.gateway, e.decision = "gw-public", "allowed"
}
