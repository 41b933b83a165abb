package traffic

import (
	"strings"
	"time"
)

// Label names what was planted in a record.
type Label string

// The labels, and what an event with the label is.
const (
	ForbiddenCountry     Label = "forbidden-country"     // an employee opens EU data in a country that is not approved
	DeniedAttempt        Label = "denied-attempt"        // the same, refused by the gateway
	GatewayBypassed      Label = "gateway-bypassed"      // the same, around the gateway
	ApprovedException    Label = "approved-exception"    // abroad under an exception in force
	ExpiredException     Label = "expired-exception"     // abroad under an exception that is over or not yet in force
	LocationConflict     Label = "location-conflict"     // the declared country and the address contradict each other
	Masked               Label = "masked"                // from a public VPN, nothing else known
	UnknownLocation      Label = "unknown-location"      // neither an address nor a declared country
	MissingApproval      Label = "missing-approval"      // a contractor without an approval, or an employee who decrypts without one
	ExpiredApproval      Label = "expired-approval"      // the same under an approval that is over
	BulkExport           Label = "bulk-export"           // an export of thousands of EU people's data
	NoSecondFactor       Label = "no-second-factor"      // a session without MFA
	Anonymous            Label = "anonymous"             // EU data opened by nobody in particular
	OnLeave              Label = "on-leave"              // somebody on leave
	ForbiddenReplication Label = "forbidden-replication" // a service copies EU data to a country of concern
	ServiceAbroad        Label = "service-abroad"        // a service account used from another country than its own
	CoveredPerson        Label = "covered-person"        // a covered person opens sensitive data of people in the US
	CountryOfConcern     Label = "country-of-concern"    // an employee opens such data in a country of concern
	Transfer             Label = "transfer"              // somebody employed in a third country opens EU data at his desk
	FormerEmployee       Label = "former-employee"       // somebody who left
	LostField            Label = "lost-field"            // a third country's worker on a new data set, from a feed that stopped saying whose data it is
	Copy                 Label = "copy"                  // an earlier event, delivered a second time
	ReusedID             Label = "reused-id"             // an earlier event's id with other content
)

// forbidden are the countries where planted people go: approved for no one's data, and known to location databases.
var forbidden = []string{"CN", "RU", "VE"}

// plant is one kind of case. apply fills g.e, whose id, time and number are set.
type plant struct {
	label  Label
	weight int
	apply  func(*Generator)
}

// possible lists the plants that the world has the people, data sets and networks for.
func (g *Generator) possible() []plant {
	var list []plant
	add := func(label Label, weight int, ok bool, apply func(*Generator)) {
		if ok {
			list = append(list, plant{label, weight, apply})
		}
	}
	eu, us := len(g.guarded["EU"]) > 0, len(g.bulk) > 0
	addresses := len(g.world.Public["DE"]) > 0 && len(g.world.Public["RU"]) > 0
	add(ForbiddenCountry, 14, eu, func(g *Generator) { g.inForbidden() })
	add(DeniedAttempt, 8, eu, func(g *Generator) { g.inForbidden(); g.deny() })
	add(GatewayBypassed, 3, eu, func(g *Generator) { g.inForbidden(); g.e.decision = "bypassed" })
	add(LocationConflict, 8, eu && addresses, (*Generator).conflict)
	add(Masked, 10, eu && len(g.world.Anonymisers) > 0, (*Generator).masked)
	add(UnknownLocation, 8, eu, (*Generator).placeless)
	add(MissingApproval, 8, eu, (*Generator).unapproved)
	add(ExpiredApproval, 5, eu, (*Generator).overdue)
	add(BulkExport, 4, eu, (*Generator).bulkExport)
	add(NoSecondFactor, 4, eu, func(g *Generator) { g.opensEU(); g.e.mfa = "false" })
	add(Anonymous, 2, eu, (*Generator).anonymous)
	add(OnLeave, 3, eu && g.find(g.away) != nil, (*Generator).onLeave)
	add(ForbiddenReplication, 5, eu, (*Generator).replication)
	add(ServiceAbroad, 4, addresses && eu, (*Generator).serviceAbroad)
	add(CoveredPerson, 6, us && g.find(g.isCovered) != nil, (*Generator).covered)
	add(CountryOfConcern, 4, us, (*Generator).ofConcern)
	add(Transfer, 6, eu && g.find(g.thirdCountry) != nil, (*Generator).transfer)
	add(FormerEmployee, 3, eu && g.find(g.left) != nil, (*Generator).former)
	add(LostField, 4, eu && g.find(g.thirdCountry) != nil, (*Generator).lostField)
	add(Copy, 4, true, (*Generator).again)
	add(ReusedID, 1, true, func(g *Generator) { g.again(); g.e.records++ })
	return append(list, g.exceptions()...)
}

// exceptions plants each exception once in force and once not, by the time of the first event.
func (g *Generator) exceptions() (list []plant) {
	for _, x := range g.world.Exceptions {
		person := g.find(func(p *Person) bool { return p.ID == x.Actor })
		i := indexOf(g.world.Datasets, x.Dataset)
		if person == nil || i < 0 {
			continue
		}
		label := ExpiredException
		if x.Valid.Holds(g.options.Start) {
			label = ApprovedException
		}
		list = append(list, plant{label, 6, func(g *Generator) {
			g.opens(person, &g.world.Datasets[i])
			g.abroad(x.Country)
			g.e.mechanism = "scc"
		}})
	}
	return list
}

func indexOf(datasets []Dataset, name string) int {
	for i := range datasets {
		if datasets[i].Name == name {
			return i
		}
	}
	return -1
}

// find returns the first person who is so, nil where nobody is.
func (g *Generator) find(is func(*Person) bool) *Person {
	for i := range g.world.People {
		if is(&g.world.People[i]) {
			return &g.world.People[i]
		}
	}
	return nil
}

// some returns one of the people who are so.
func (g *Generator) some(is func(*Person) bool) *Person {
	start := g.rng.IntN(len(g.world.People))
	for i := range g.world.People {
		if p := &g.world.People[(start+i)%len(g.world.People)]; is(p) {
			return p
		}
	}
	return &g.world.People[start]
}

// thirdCountry reports whether somebody works for an employer in a country without an adequacy decision.
func (g *Generator) thirdCountry(p *Person) bool {
	region := regionOf(p.EmployerCountry)
	return !p.Covered && !p.Unexamined && !g.excepted(p.ID) && p.works(g.options.Start) && p.EmployerCountry != "" && (region == "OTHER" || region == "IN")
}

func (g *Generator) left(p *Person) bool {
	return !p.Employed.End.IsZero() && !p.Employed.End.After(g.options.Start)
}

// opens is a person at home opening a data set, under an approval where there is one.
func (g *Generator) opens(p *Person, d *Dataset) {
	g.person(p)
	g.place(p)
	g.allowed(p, d)
	g.open(d, personActions)
}

// opensEU is somebody of the EU opening EU data that policy cares about.
func (g *Generator) opensEU() {
	p := g.some(func(p *Person) bool {
		return regionOf(p.Home) == "EU" && !g.excepted(p.ID) && p.Employed.Holds(g.e.time)
	})
	g.opens(p, g.dataset(g.guarded["EU"]))
}

func (g *Generator) inForbidden() {
	g.opensEU()
	g.abroad(g.pick(forbidden))
}

func (g *Generator) deny() {
	e := &g.e
	e.outcome, e.decision = "denied", "blocked"
	e.subjects, e.records, e.bytes = 0, 0, 0
}

func (g *Generator) conflict() {
	g.opensEU()
	g.abroad("RU")
	g.e.physical = "DE"
}

func (g *Generator) masked() {
	g.opensEU()
	g.e.address, g.e.physical, g.e.device = g.addressOf(g.e.actor, g.world.Anonymisers), "", ""
}

func (g *Generator) placeless() {
	g.opensEU()
	g.e.address, g.e.physical, g.e.device = "", "", ""
}

// external is a contractor or vendor's worker in the EU opening EU data; where the world has none, an employee who
// decrypts it. Both need an approval.
func (g *Generator) external() {
	outside := func(p *Person) bool { return p.Kind != "employee" && regionOf(p.Home) == "EU" && p.works(g.e.time) }
	if g.find(outside) != nil {
		g.opens(g.some(outside), g.dataset(g.guarded["EU"]))
		return
	}
	g.opensEU()
	g.e.action = "decrypt"
}

func (g *Generator) unapproved() {
	g.external()
	e := &g.e
	e.approval, e.scope, e.validUntil = "", "", time.Time{}
}

func (g *Generator) bulkExport() {
	g.opensEU()
	e := &g.e
	e.action, e.records, e.subjects, e.bytes = "export", 4000, 3900, 2_400_000
	e.destSystem, e.destCountry, e.destEntity = "office-share", e.storage, e.entity
}

func (g *Generator) anonymous() {
	g.bySubject()
	e := &g.e
	g.target(g.dataset(g.guarded["EU"]))
	e.actor, e.kind, e.session, e.action = "anonymous", "anonymous", "", "download"
}

func (g *Generator) onLeave() {
	g.opens(g.some(g.away), g.dataset(g.guarded["EU"]))
}

func (g *Generator) away(p *Person) bool { return p.onLeave(g.options.Start) }

func (g *Generator) ofConcern() {
	g.opens(g.some(func(p *Person) bool { return p.Home == "US" && !p.Covered && !p.Unexamined && p.works(g.e.time) }), g.dataset(g.bulk))
	g.abroad(g.pick(forbidden))
}

func (g *Generator) overdue() {
	g.external()
	e := &g.e
	if e.approval == "" {
		e.approval, e.scope = "AP-10001", e.dataset
	}
	e.validUntil = e.time.Add(-26 * time.Hour)
}

func (g *Generator) replication() {
	g.service(&g.world.Services[g.rng.IntN(len(g.world.Services))])
	g.open(g.dataset(g.guarded["EU"]), []string{"replicate", "copy"})
	e := &g.e
	country := g.pick(forbidden)
	e.destSystem, e.destCountry, e.destEntity = "replica-"+strings.ToLower(country), country, "partner-"+strings.ToLower(country)
	e.mechanism, e.justification = "none", ""
	e.records, e.subjects, e.bytes = 2_000_000, 1_400_000, 900_000_000
}

func (g *Generator) serviceAbroad() {
	g.service(&g.world.Services[g.rng.IntN(len(g.world.Services))])
	g.open(g.dataset(g.guarded["EU"]), []string{"read", "list", "download"})
	g.e.address = g.addressOf(g.e.actor, g.world.Public["RU"])
	g.e.justification = ""
}

func (g *Generator) covered() {
	g.opens(g.some(g.isCovered), g.dataset(g.bulk))
}

func (g *Generator) isCovered(p *Person) bool { return p.Covered && p.works(g.options.Start) }

func (g *Generator) transfer() {
	g.opens(g.some(g.thirdCountry), g.dataset(g.guarded["EU"]))
}

func (g *Generator) former() {
	g.opens(g.some(g.left), g.dataset(g.guarded["EU"]))
}

// lostField is a data set that no catalogue knows, from a feed that stopped naming regions and classes.
func (g *Generator) lostField() {
	g.opens(g.some(g.thirdCountry), g.dataset(g.guarded["EU"]))
	e := &g.e
	e.dataset = "landing." + e.dataset
	e.feed = "support-desk"
	e.regions, e.classes, e.categories, e.form, e.storage = nil, nil, nil, "", ""
}

// again repeats an earlier harmless event with its id, time and number.
func (g *Generator) again() {
	if g.earlier.id == 0 {
		g.harmless()
		return
	}
	g.e = g.earlier
}
