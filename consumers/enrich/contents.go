package enrich

import "borderwatch/schemas/access"

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

// WhereIs tells what the bundle says of an address at t, for tools that explain or propose: the kind of network, the
// operator's site if there is one, the country that counts for a service and whether databases disagree about it.
func (e *Enricher) WhereIs(address string, t access.Millis) (kind access.NetworkKind, site Site, countries access.CountrySet, contested bool) {
	f := e.lookUp(address)
	o := e.originOf(&f, t)
	if o.site != nil {
		site = *o.site
	}
	countries, contested = o.place()
	return o.kind, site, countries, contested
}
