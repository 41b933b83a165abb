package enrich

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/gaissmai/bart"
	"go.yaml.in/yaml/v3"

	"borderwatch/schemas/access"
)

const scalarNode = yaml.ScalarNode

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

// builder collects the entries of all files.
type builder struct {
	*Enricher
	files     map[string][]byte
	fileNames []string
	employers []reference
	used      map[string]bool // address lists that a networks file names
}

// reference is a use of an entity's id, to be checked once all files are read. It keeps no node: those of a large file
// are garbage once the file is read.
type reference struct {
	path         string
	line, column int
	key, id      string
}

func (b *builder) refer(o object, key, id string) {
	if id != "" {
		n := o.at(key)
		b.employers = append(b.employers, reference{o.path, n.Line, n.Column, key, id})
	}
}

// New reads the reference files among docs, the address lists that they name (by path relative to the bundle
// directory), and up to two location databases.
//
// The Enricher is nil where a document or a list has an error. A location database that is missing or damaged is
// reported as an Error too, but the Enricher works without it: what rests on an address is then unknown.
func New(docs []Document, files map[string][]byte, first, second Database) (*Enricher, []Problem) {
	var problems []Problem
	b := &builder{Enricher: &Enricher{sites: sites{table: new(bart.Table[int32])}, lists: newLists()}, files: files, used: map[string]bool{}}
	for name := range files {
		b.fileNames = append(b.fileNames, name)
	}
	slices.Sort(b.fileNames)
	docs = slices.Clone(docs)
	slices.SortStableFunc(docs, func(a, c Document) int { return cmp.Compare(a.Path, c.Path) })
	for _, doc := range docs {
		r := &reader{path: doc.Path, problems: &problems}
		for _, o := range r.documents(doc.Data) {
			b.document(o)
		}
	}
	b.checkReferences(&problems)
	b.checkFiles(&problems)
	refused := hasError(problems)
	for i, db := range []Database{first, second} {
		g, problem := openGeo(db)
		if problem != nil {
			problems = append(problems, *problem)
		}
		b.geo[i] = g
	}
	if refused {
		return nil, problems
	}
	b.people.seal()
	b.datasets.seal()
	b.entities.seal()
	b.approvals.seal()
	b.sites.seal()
	b.lists.seal()
	e := b.Enricher
	e.workers.New = func() any { return e.NewWorker() }
	return e, problems
}

func (b *builder) document(o object) {
	switch format := o.text("format"); format {
	case FormatRoster:
		b.roster(o)
	case FormatCatalogue:
		b.catalogue(o)
	case FormatEntities:
		b.entitiesDocument(o)
	case FormatNetworks:
		b.networksDocument(o)
	case FormatApprovals:
		b.approvalsDocument(o)
	}
}

// add puts an entry in its place and reports one of the same id and days.
func (b *builder) add(o object, key, id string, put func(line int) (int, bool)) {
	if id == "" {
		return
	}
	if line, ok := put(o.node.Line); !ok {
		o.fail(o.at(key), "end the earlier entry with until", "%s %s is given twice for the same days, first in line %d", key, id, line)
	}
}

// checkReferences refuses ids of entities that no entities file has.
func (b *builder) checkReferences(problems *[]Problem) {
	ids := b.entities.ids()
	for _, r := range b.employers {
		if b.entities.exact[r.id] == nil {
			*problems = append(*problems, Problem{Path: r.path, Line: r.line, Column: r.column, Severity: Error,
				Message: fmt.Sprintf("%s: no entities file has an entity %q", r.key, r.id), Hint: nearest(r.id, ids)})
		}
	}
}

// checkFiles warns of address lists that no networks file names: a list that was copied in and never takes effect.
func (b *builder) checkFiles(problems *[]Problem) {
	for _, name := range b.fileNames {
		if ext := path.Ext(name); !b.used[name] && (ext == ".txt" || ext == ".csv") {
			*problems = append(*problems, Problem{Path: name, Message: "no networks file names this list", Severity: Warning,
				Hint: "add it under lists: with its kind, or remove it"})
		}
	}
}

// Enrich completes ev in place. It may be called from any goroutine; a goroutine that has many events to do keeps a
// Worker of its own.
func (e *Enricher) Enrich(ev *access.Event) {
	w := e.workers.Get().(*Worker)
	w.Enrich(ev)
	e.workers.Put(w)
}

// Enrich completes ev in place: roster, catalogue, approval, network and location. Calling it again gives the same.
func (w *Worker) Enrich(ev *access.Event) {
	e := w.enricher
	person := e.people.find(ev.Actor.ID, ev.Time)
	e.addPerson(ev, person)
	e.addDatasets(ev)
	e.approve(ev)
	o := w.origin(ev.Source.Address, ev.Time)
	ev.Network = access.Network{ASN: o.asn, Org: o.org, Kind: o.kind}
	var client *origin
	if ev.Presence.ClientAddress != "" {
		c := w.origin(ev.Presence.ClientAddress, ev.Time)
		client = &c
	}
	e.locate(ev, person, &o, client)
}

// addPerson writes what the roster says of the actor, and where his employer is established.
func (e *Enricher) addPerson(ev *access.Event, p *Person) {
	a := &ev.Actor
	a.Groups = a.Groups[:len(a.Groups)-a.GroupsAdded]
	a.GroupsAdded, a.KindRef, a.EmployerEntityRef, a.EmployerCountryRef, a.HomeCountryRef = 0, 0, "", 0, 0
	a.CoveredPersonRef, a.EmploymentRef = 0, 0
	employer := a.EmployerEntity
	if p != nil {
		a.KindRef, a.EmployerEntityRef, a.HomeCountryRef = p.Kind, p.Employer, p.Home
		a.CoveredPersonRef, a.EmploymentRef = p.CoveredAt(ev.Time), p.EmploymentAt(ev.Time)
		a.Groups, a.GroupsAdded = append(a.Groups, p.Groups...), len(p.Groups)
		if p.Employer != "" {
			employer = p.Employer
		}
	}
	if employer == "" {
		return
	}
	if entity := at(e.entities.exact[employer], ev.Time); entity != nil {
		a.EmployerCountryRef = entity.Country
	}
}

// addDatasets writes what the catalogue says of each data set. The exporter is that of the first that has one.
func (e *Enricher) addDatasets(ev *access.Event) {
	ev.Data.ExporterEntityRef = ""
	for i := range ev.Data.Items {
		item := &ev.Data.Items[i]
		item.SystemRef, item.RegionsRef, item.ClassesRef, item.CategoriesRef, item.FormRef, item.StorageCountryRef = "", 0, 0, 0, 0, 0
		if item.Dataset == "" || item.Dataset == access.DatasetNone {
			continue
		}
		d := e.datasets.find(item.Dataset, ev.Time)
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

// Geo describes the location databases: name, build date, digest, and what is wrong with one that cannot be used.
func (e *Enricher) Geo() []GeoInfo {
	var infos []GeoInfo
	for _, g := range e.geo {
		if g.info.Name != "" || g.info.SHA256 != "" {
			infos = append(infos, g.info)
		}
	}
	return infos
}

// People lists the roster, in the order of ids and then of dates as written.
func (e *Enricher) People() []Person { return values(&e.people) }

// Datasets lists the catalogue in the order of patterns.
func (e *Enricher) Datasets() []Dataset { return values(&e.datasets) }

// Entities lists the entities in the order of ids.
func (e *Enricher) Entities() []Entity { return values(&e.entities) }

// Approvals lists the approvals in the order of ids.
func (e *Enricher) Approvals() []Approval { return values(&e.approvals) }

// Sites lists the operator's network file as site and prefix, in the order written.
func (e *Enricher) Sites() []SitePrefix {
	var out []SitePrefix
	for _, row := range e.sites.rows {
		for _, entry := range row.entries {
			out = append(out, SitePrefix{entry.value, row.prefix})
		}
	}
	return out
}

func values[T any](p *patterns[T]) []T {
	var out []T
	for _, id := range p.ids() {
		for _, entry := range p.entries(id) {
			out = append(out, entry.value)
		}
	}
	return out
}

// Find returns the catalogue's entry for a data set at t.
func (e *Enricher) Find(dataset string, t access.Millis) (Dataset, bool) {
	if d := e.datasets.find(dataset, t); d != nil {
		return *d, true
	}
	return Dataset{}, false
}

// cutList takes the first element off a comma-separated list.
func cutList(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, ",")
	return strings.TrimSpace(first), rest
}
