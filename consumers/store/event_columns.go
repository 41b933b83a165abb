package store

import (
	"borderwatch/schemas/access"
)

// The groups of columns that events and alerts share. They show the value that counts: the reference's where source and
// reference both speak; the differs column has the other one.

func prefer[T comparable](value, reference T) T {
	var zero T
	if reference != zero {
		return reference
	}
	return value
}

type actorColumns struct {
	sourceIP, id    *dictionary
	kind            *fixed
	via             *dictionary
	employerCountry *codes
	employerEntity  *dictionary
	homeCountry     *codes
	groups          *dictionary
	covered         *fixed
	employment      *fixed
	sessionID       *text
	mfa             *fixed
}

func newActorColumns(t *table) actorColumns {
	return actorColumns{
		sourceIP: t.dictionary("source_ip"), id: t.dictionary("actor_id"), kind: t.enum("actor_kind", "actor_kind"),
		via: t.dictionary("actor_via"), employerCountry: t.country("actor_employer_country"),
		employerEntity: t.dictionary("actor_employer_entity"), homeCountry: t.country("actor_home_country"),
		groups: t.dictionary("actor_groups"), covered: t.enum("actor_covered_person", "answer"),
		employment: t.enum("actor_employment", "employment"), sessionID: t.text("session_id"), mfa: t.enum("session_mfa", "answer"),
	}
}

func (c *actorColumns) add(ev *access.Event, scratch []byte) []byte {
	a := &ev.Actor
	c.sourceIP.string(ev.Source.Address)
	c.id.string(a.ID)
	c.kind.byte(uint8(prefer(a.Kind, a.KindRef)))
	scratch = c.via.list(scratch, a.Via, a.ViaGiven)
	c.employerCountry.country(prefer(a.EmployerCountry, a.EmployerCountryRef))
	c.employerEntity.string(prefer(a.EmployerEntity, a.EmployerEntityRef))
	c.homeCountry.country(prefer(a.HomeCountry, a.HomeCountryRef))
	scratch = c.groups.list(scratch, a.Groups, a.GroupsGiven || a.GroupsAdded > 0)
	c.covered.byte(uint8(prefer(a.CoveredPerson, a.CoveredPersonRef)))
	c.employment.byte(uint8(prefer(a.Employment, a.EmploymentRef)))
	c.sessionID.string(ev.Session.ID)
	c.mfa.byte(uint8(ev.Session.MFA))
	return scratch
}

// placeColumns are all that is known about where the access came from.
type placeColumns struct {
	office, physical, badge, device *codes
	client                          *dictionary
	locationColumns
	addressOnly, contested *fixed
	evidenceColumn
	networkColumns
}

func newPlaceColumns(t *table) placeColumns {
	return placeColumns{
		office: t.place("declared_office"), physical: t.place("declared_physical"),
		badge: t.place("presence_badge"), device: t.place("presence_device"), client: t.dictionary("presence_client"),
		locationColumns: newLocationColumns(t),
		addressOnly:     t.byte("location_address_only", "Bool"), contested: t.byte("location_contested", "Bool"),
		evidenceColumn: newEvidenceColumn(t), networkColumns: newNetworkColumns(t),
	}
}

func (c *placeColumns) add(ev *access.Event) {
	c.office.place(ev.Declared.Office)
	c.physical.place(ev.Declared.Physical)
	c.badge.place(ev.Presence.Badge)
	c.device.place(ev.Presence.Device)
	c.client.string(ev.Presence.ClientAddress)
	c.locationColumns.add(&ev.Location)
	c.addressOnly.bool(ev.Location.AddressOnly)
	c.contested.bool(ev.Location.Contested)
	c.evidenceColumn.add(&ev.Location)
	c.networkColumns.add(&ev.Network)
}

type locationColumns struct {
	country             *keyed[access.CountrySet]
	verdict             *fixed
	reason              *dictionary
	expected, confident *fixed
}

func newLocationColumns(t *table) locationColumns {
	return locationColumns{
		country: add(t, "location_country", newKeyed[access.CountrySet]()), verdict: t.enum("location_verdict", "location_verdict"),
		reason: t.dictionary("location_reason"), expected: t.enum("location_expected", "expectation"),
		confident: t.enum("location_confidence", "confidence"),
	}
}

func (c *locationColumns) add(l *access.Location) {
	if !c.country.find(l.Candidates) {
		c.country.define(l.Candidates, l.Candidates.String())
	}
	c.verdict.byte(uint8(l.Verdict))
	c.reason.string(l.Reason)
	c.expected.byte(uint8(l.Expected))
	c.confident.byte(uint8(l.Confidence))
}

// evidenceColumn knows a list of evidence by its pieces: four bits of kind and twelve of place each.
type evidenceColumn struct {
	evidence *keyed[[2]uint64]
}

func newEvidenceColumn(t *table) evidenceColumn {
	return evidenceColumn{add(t, "location_evidence", newKeyed[[2]uint64]())}
}

func (c *evidenceColumn) add(l *access.Location) {
	var key [2]uint64
	for i, e := range l.Evidence[:l.EvidenceCount] {
		key[i/4] = key[i/4]<<16 | uint64(e.Kind)<<12 | uint64(e.Place)
	}
	if !c.evidence.find(key) {
		c.evidence.define(key, evidenceText(l))
	}
}

type networkColumns struct {
	asn  *fixed
	org  *dictionary
	kind *fixed
}

func newNetworkColumns(t *table) networkColumns {
	return networkColumns{t.fixed("network_asn", "UInt32", 4), t.dictionary("network_org"), t.enum("network_kind", "network_kind")}
}

func (c *networkColumns) add(n *access.Network) {
	c.asn.uint32(n.ASN)
	c.org.string(n.Org)
	c.kind.byte(uint8(n.Kind))
}

type dataColumns struct {
	dataset, system              *dictionary
	regions, classes, categories *keyed[access.Set]
	form                         *fixed
	storage                      *codes
}

func newDataColumns(t *table) dataColumns {
	return dataColumns{
		dataset: t.dictionary("dataset"), system: t.dictionary("system"),
		regions: add(t, "subject_regions", newKeyed[access.Set]()), classes: add(t, "classes", newKeyed[access.Set]()),
		categories: add(t, "categories", newKeyed[access.Set]()), form: t.enum("form", "data_form"),
		storage: t.country("storage_country"),
	}
}

func (c *dataColumns) add(i *access.Item) {
	c.dataset.string(i.Dataset)
	c.system.string(prefer(i.System, i.SystemRef))
	addSet(c.regions, i.EffectiveRegions(), access.SubjectRegions)
	addSet(c.classes, i.EffectiveClasses(), access.DataClasses)
	addSet(c.categories, i.EffectiveCategories(), access.DataCategories)
	c.form.byte(uint8(prefer(i.Form, i.FormRef)))
	c.storage.country(prefer(i.StorageCountry, i.StorageCountryRef))
}

func addSet(c *keyed[access.Set], s access.Set, v *access.Vocabulary) {
	if !c.find(s) {
		c.define(s, s.Format(v))
	}
}

type destColumns struct {
	system  *dictionary
	country *codes
	entity  *dictionary
}

func newDestColumns(t *table) destColumns {
	return destColumns{t.dictionary("dest_system"), t.country("dest_country"), t.dictionary("dest_entity")}
}

func (c *destColumns) add(d *access.Dest) {
	c.system.string(d.System)
	c.country.country(d.Country)
	c.entity.string(d.Entity)
}

type approvalColumns struct {
	id, scope *dictionary
	until     *fixed
	state     *fixed
}

func (c *approvalColumns) add(a *access.Approval) {
	c.id.string(a.ID)
	c.scope.string(a.Scope)
	c.until.int64(int64(a.ValidUntil))
	c.state.byte(uint8(a.State))
}

// country and place make columns whose values are known by number; a place has 256 countries and then the regions.
func (t *table) country(name string) *codes { return add(t, name, newCodes(256)) }
func (t *table) place(name string) *codes   { return add(t, name, newCodes(512)) }

func (c *codes) country(v access.Country) {
	if !c.find(int(v)) {
		c.define(int(v), v.String())
	}
}

func (c *codes) place(v access.Place) {
	if !c.find(int(v) & 511) {
		c.define(int(v)&511, v.String())
	}
}
