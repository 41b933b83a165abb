package enrich

import "borderwatch/schemas/access"

// Reason explains one word of location's reason.
type Reason struct {
	Word    string
	Meaning string
	Cure    string // what would give the place; "" where nothing should
}

// Reasons lists every reason of a place that is unknown, masked or of a service, for explanations and for the coverage
// report. The reasons of a conflict name the two kinds of evidence: "declared-or-address".
func Reasons() []Reason { return reasons[:] }

var reasons = [...]Reason{
	{reasonNoAddress, "the source gave no address", "the feed's source: log the client's address"},
	{reasonInvalid, "what stands in source.ip is no address and no platform's name", "the feed's source"},
	{reasonHidden, "the source knows the address and does not tell it", "the roster, if it is a service of yours; else badge or device"},
	{reasonMixed, "a list of addresses in several countries; any of them may be forged", "the feed's source: log the address your own proxy saw"},
	{reasonUnspecified, "the address 0.0.0.0 or ::", "the feed's source"},
	{reasonPrivate, "a private address without an entry", "networks: the prefix and its site"},
	{reasonLoopback, "the machine's own address", "the feed's source: log the client behind the local proxy"},
	{reasonLinkLocal, "an address of one wire only", "the feed's source"},
	{reasonShared, "an address shared inside a carrier's or cloud's network, without an entry", "networks: the prefix and its site"},
	{reasonMulticast, "an address that nobody can send from (class D)", "the feed's source"},
	{reasonReserved, "an address that nobody can have (class E and others)", "the feed's source"},
	{reasonDocumentation, "an address that is reserved for documentation, without an entry", "the feed's source"},
	{reasonNoDatabase, "there is no usable location database", "the location database"},
	{reasonNotInDatabase, "no location database has the address", "a second location database, or networks"},
	{"via-service", "a platform's call behind which a person stands, or an actor that nobody says is a service", "the roster: say which actors are services; for people badge or device"},
	{"tor", "a Tor exit", ""},
	{"vpn", "an address of a VPN", "badge and device; networks, if it is your own remote access"},
	{"relay", "a private relay", "badge and device"},
	{"proxy", "an open or residential proxy", "badge and device; networks, if it is your own"},
	{"hosting", "an address of a hosting centre, which is no place of a person", "the roster, if it is a service; networks, if it is your own"},
	{"remote-access", "your own remote access, without the client's address", "the gateway: give the session's client address"},
	{"workload", "a person who comes from one of your servers", "the session on the server: actor.via and the client's address"},
	{"nat", "a person behind a way out that many share", "badge and device"},
	{"no-region", "a platform's own call without a region", "the feed's source"},
	{"global-service", "a service that logs in one region wherever it is called", ""},
	{"unknown-region", "a cloud region that is not in the table", "a newer borderwatch"},
}

// Disagreements returns the fields in which source and reference files say different things. Both stay open for rules;
// somebody should find out which is wrong.
func Disagreements(ev *access.Event) (fields access.FieldSet) {
	for _, f := range [...]access.Field{access.FieldActorKind, access.FieldActorCoveredPerson, access.FieldActorEmployment} {
		if _, other := ev.WordOf(f, 0); other != 0 {
			fields = fields.With(f)
		}
	}
	for _, f := range [...]access.Field{access.FieldActorEmployerCountry, access.FieldActorHomeCountry} {
		if _, other := ev.NationOf(f, 0); other != 0 {
			fields = fields.With(f)
		}
	}
	for _, f := range [...]access.Field{access.FieldActorEmployerEntity, access.FieldExporterEntity} {
		if _, other := ev.TextOf(f, 0); other != "" {
			fields = fields.With(f)
		}
	}
	for i := range ev.Data.Items {
		fields |= itemDisagreements(ev, i)
	}
	return fields
}

func itemDisagreements(ev *access.Event, i int) (fields access.FieldSet) {
	item := &ev.Data.Items[i]
	if _, other := ev.TextOf(access.FieldSystem, i); other != "" {
		fields = fields.With(access.FieldSystem)
	}
	if _, other := ev.WordOf(access.FieldForm, i); other != 0 {
		fields = fields.With(access.FieldForm)
	}
	if _, other := ev.NationOf(access.FieldStorageCountry, i); other != 0 {
		fields = fields.With(access.FieldStorageCountry)
	}
	for _, pair := range [...]struct {
		field         access.Field
		source, other access.Set
	}{
		{access.FieldSubjectRegions, item.Regions, item.RegionsRef},
		{access.FieldClasses, item.Classes, item.ClassesRef},
		{access.FieldCategories, item.Categories, item.CategoriesRef},
	} {
		if !pair.source.Missing() && !pair.other.Missing() && pair.source.Members() != pair.other.Members() {
			fields = fields.With(pair.field)
		}
	}
	return fields
}
