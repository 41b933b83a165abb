package enrich

import (
	"sync"

	"borderwatch/schemas/access"
)

// The formats of the reference files.
const (
	FormatRoster    = "borderwatch/roster/v1"
	FormatCatalogue = "borderwatch/catalogue/v1"
	FormatEntities  = "borderwatch/entities/v1"
	FormatNetworks  = "borderwatch/networks/v1"
	FormatApprovals = "borderwatch/approvals/v1"
)

// Enricher completes events from the reference files of one bundle. It never changes and is safe for concurrent use.
type Enricher struct {
	people        patterns[Person]
	datasets      patterns[Dataset]
	entities      patterns[Entity]
	approvals     patterns[Approval]
	haveApprovals bool
	sites         sites
	lists         lists
	geo           [2]*geo
	workers       sync.Pool // of *Worker
}

// Enrich completes ev in place. It may be called from any goroutine; a goroutine that has many events to do keeps a
// Worker of its own.
func (e *Enricher) Enrich(ev *access.Event) {
	w := e.workers.Get().(*Worker)
	w.Enrich(ev)
	e.workers.Put(w)
}

// Enrich completes ev in place: roster, catalogue, approval, network and location. Calling it again gives the same.
func (w *Worker) Enrich(ev *access.Event) { w.EnrichAt(ev, ev.Time) }

// EnrichAt completes ev by what the reference files say of the time t.
func (w *Worker) EnrichAt(ev *access.Event, t access.Millis) {
	e := w.enricher
	person := e.people.find(ev.Actor.ID, t)
	e.addPerson(ev, person, t)
	e.addDatasets(ev, t)
	e.approve(ev, t)
	o := w.origin(ev.Source.Address, t)
	ev.Network = access.Network{ASN: o.asn, Org: o.org, Kind: o.kind}
	var client *origin
	if ev.Presence.ClientAddress != "" {
		c := w.origin(ev.Presence.ClientAddress, t)
		client = &c
	}
	e.locate(ev, person, &o, client)
}

// addPerson writes what the roster says of the actor, and where his employer is established.
func (e *Enricher) addPerson(ev *access.Event, p *Person, t access.Millis) {
	a := &ev.Actor
	a.Groups = a.Groups[:len(a.Groups)-a.GroupsAdded]
	a.GroupsAdded, a.KindRef, a.EmployerEntityRef, a.EmployerCountryRef, a.HomeCountryRef = 0, 0, "", 0, 0
	a.CoveredPersonRef, a.EmploymentRef = 0, 0
	employer := a.EmployerEntity
	if p != nil {
		a.KindRef, a.EmployerEntityRef, a.HomeCountryRef = p.Kind, p.Employer, p.Home
		a.CoveredPersonRef, a.EmploymentRef = p.CoveredAt(t), p.EmploymentAt(t)
		a.Groups, a.GroupsAdded = append(a.Groups, p.Groups...), len(p.Groups)
		if p.Employer != "" {
			employer = p.Employer
		}
	}
	if employer == "" {
		return
	}
	if entity := at(e.entities.exact[employer], t); entity != nil {
		a.EmployerCountryRef = entity.Country
	}
}

// addDatasets writes what the catalogue says of each data set. The exporter is that of the first that has one.
func (e *Enricher) addDatasets(ev *access.Event, t access.Millis) {
	ev.Data.ExporterEntityRef = ""
	for i := range ev.Data.Items {
		item := &ev.Data.Items[i]
		item.SystemRef, item.RegionsRef, item.ClassesRef, item.CategoriesRef, item.FormRef, item.StorageCountryRef = "", 0, 0, 0, 0, 0
		if item.Dataset == "" || item.Dataset == access.DatasetNone {
			continue
		}
		d := e.datasets.find(item.Dataset, t)
		if d == nil {
			continue
		}
		item.SystemRef, item.FormRef, item.StorageCountryRef = d.System, d.Form, d.Storage
		item.RegionsRef, item.ClassesRef, item.CategoriesRef = d.Regions, d.Classes, d.Categories
		if ev.Data.ExporterEntityRef == "" {
			ev.Data.ExporterEntityRef = d.Exporter
		}
	}
}
