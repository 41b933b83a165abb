package enrich

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/gaissmai/bart"
)

// builder collects the entries of all files.
type builder struct {
	*Enricher
	files     map[string][]byte
	fileNames []string
	employers []reference
	used      map[string]bool // address lists that a networks file names
}

func newBuilder(files map[string][]byte) *builder {
	return &builder{
		Enricher:  &Enricher{sites: sites{table: new(bart.Table[int32])}, lists: newLists()},
		files:     files,
		fileNames: slices.Sorted(maps.Keys(files)),
		used:      map[string]bool{},
	}
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
	b := newBuilder(files)
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
		b.readRoster(o)
	case FormatCatalogue:
		b.readCatalogue(o)
	case FormatEntities:
		b.readEntities(o)
	case FormatNetworks:
		b.readNetworks(o)
	case FormatApprovals:
		b.readApprovals(o)
	}
}

// add puts an entry under its id or pattern and refuses one of the same id and days.
func add[T any](p *patterns[T], o object, key, id string, valid Span, value T) {
	if id == "" {
		return
	}
	if line, ok := p.add(id, dated[T]{valid, value, o.node.Line}); !ok {
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
