package traffic

import (
	"strconv"
	"strings"
	"time"
)

var (
	// regions are the words of data.subject_regions that a country of residence leads to.
	regions          = []string{"EU", "UK", "CH", "US", "IN", "CN", "OTHER"}
	subjectCountries = []string{"DE", "ES", "FR", "IT", "PL"}
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

// worker is somebody at work at the event's time. Where all are away it is any of them.
func (g *Generator) worker() *Person {
	people := g.workers
	if len(people) == 0 {
		return &g.world.People[0]
	}
	start := g.rng.IntN(len(people))
	for i := range people {
		if p := people[(start+i)%len(people)]; p.works(g.e.time) {
			return p
		}
	}
	return people[start]
}

// byPerson is a person's ordinary work in his own country.
func (g *Generator) byPerson(p *Person) {
	g.person(p)
	g.place(p)
	near := g.near[regionOf(p.Home)]
	for range min(len(near), 4) {
		if d := g.dataset(near); g.allowed(p, d) {
			g.open(d, personActions)
			g.cover(p)
			return
		}
	}
	g.noData("login", "sign-on")
}

// cover gives a transfer its ground: somebody at work in the EU for an employer of a third country.
func (g *Generator) cover(p *Person) {
	if has(g.e.regions, "EU") && p.EmployerCountry != "" && !has(adequate, regionOf(p.EmployerCountry)) {
		g.e.mechanism = "scc"
	}
}

// adequate are the regions whose employers need no ground for a transfer of EU data.
var adequate = []string{"EU", "UK", "CH"}

// noData is an operation that touches no user data.
func (g *Generator) noData(action, system string) {
	e := &g.e
	e.action, e.dataset, e.regions, e.classes, e.categories = action, "none", []string{}, []string{}, []string{}
	e.feed, e.system = system, system
}

// person names the actor.
func (g *Generator) person(p *Person) {
	e := &g.e
	e.actor, e.kind, e.entity, e.employerCountry, e.home, e.groups = p.ID, p.Kind, p.Employer, p.EmployerCountry, p.Home, p.Groups
	e.office, e.session, e.mfa, e.outcome = p.Office, g.session(), "true", "success"
	e.gateway, e.decision = "gw-"+strings.ToLower(p.Home), "allowed"
	e.ticket = g.ticket()
	if !p.Covered && !p.Unexamined {
		e.covered = "no"
	}
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
		return true
	}
	a := g.world.approval(p.ID, d.Name, e.time)
	if a == nil {
		return false
	}
	e.approval, e.scope = a.ID, a.Scope
	if a.Ticket != "" {
		e.ticket = a.Ticket
	}
	if !a.Valid.End.IsZero() {
		e.validUntil = a.Valid.End.Add(-time.Millisecond)
	}
	return true
}

func (g *Generator) ticket() string { return "SUP-" + strconv.Itoa(1000+g.rng.IntN(9000)) }

// place puts a person at his desk, at home, or behind the company's remote access on a managed device.
func (g *Generator) place(p *Person) {
	e := &g.e
	office, public := g.ways[p.Office].office, g.ways[p.Home].public
	n := g.rng.IntN(10)
	switch {
	case len(office) > 0 && n < 6:
		e.address, e.physical = g.addressOf(p.ID, office), p.Office
	case len(public) > 0 && n < 8:
		e.address, e.physical = g.addressOf(p.ID, public), p.Home
	default:
		e.address, e.physical, e.device = g.addressOf(p.ID, g.egress), p.Home, p.Home
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
		g.noData("admin", "scheduler")
		return
	}
	g.open(g.dataset(near), serviceActions)
	g.e.records *= 100
	g.e.bytes *= 100
	g.e.justification = ""
}

func (g *Generator) service(s *Service) {
	e := &g.e
	e.actor, e.kind, e.entity, e.home = s.ID, s.Kind, s.Employer, s.Country
	e.outcome, e.session, e.covered = "success", g.session(), "no"
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
