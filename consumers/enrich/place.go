package enrich

import "borderwatch/schemas/access"

// origin is what an address says at the time of one event.
type origin struct {
	platform  bool               // a platform's own name stands where an address should
	kind      access.NetworkKind // network.kind
	site      *Site              // the operator's entry
	cloud     access.Country     // where the cloud that owns the prefix says it lies
	geo       [2]access.Place
	reason    string // why the address places nobody, "" where it may
	asn       uint32
	org       string
	addressed bool // there is an address, usable or not
}

// An address is evidence or hides the person, by the kind of network:
//
//	source.ip is in …            a person                  a service account
//	the operator's office        its country               its country
//	the operator's workload      masked                    its country
//	the operator's NAT           masked                    its country
//	the operator's egress        masked, or the session's client address counts in its stead
//	vpn, tor, proxy, relay       masked                    masked
//	hosting                      masked                    the cloud's published country, else GeoIP
//	service, mobile, residential, or no list
//	                             GeoIP                     the cloud's published country, else GeoIP
//	a platform's own name        masked: via-service       no address: verdict service
//	private, reserved, none      nothing                   nothing
//
// A masked place needs two kinds of other evidence that name one country; behind a platform's name one kind does, for
// there no address contradicts it.
func (o *origin) mask(machine bool) string {
	switch {
	case o.platform:
		return "via-service"
	case o.site != nil:
		if o.site.Kind == SiteEgress || !machine {
			return o.site.Kind.mask()
		}
	case o.kind == access.NetworkHosting && machine:
	case o.kind.Masks():
		return o.kind.String()
	}
	return ""
}

// place is where the address puts the actor: the operator's word before the cloud's, the cloud's before GeoIP's. Two
// databases that name different countries leave both, and are contested.
func (o *origin) place() (countries access.CountrySet, contested bool) {
	switch {
	case o.site != nil:
		return access.SetOf(o.site.Country), false
	case o.cloud != 0: // a cloud's prefix masks people
		return access.SetOf(o.cloud), false
	}
	first, second := o.geo[0], o.geo[1]
	backEnd := o.kind == access.NetworkService || o.kind == access.NetworkHosting
	switch {
	case !first.Known() && !second.Known():
		return countries, false
	case !second.Known():
		return first.Countries(), backEnd
	case !first.Known():
		return second.Countries(), backEnd
	}
	a, b := first.Countries(), second.Countries()
	if a.Disjoint(&b) {
		return a.Union(b), true
	}
	return a.Intersect(b), backEnd
}

// tally collects the kinds of evidence that count.
type tally struct {
	common access.CountrySet // what all leave open
	named  access.CountrySet // what any names
	counts int               // kinds that say something
	exact  int               // of which name one country
	last   access.EvidenceKind
	clash  [2]access.EvidenceKind // the first two that contradict each other
}

func (t *tally) add(kind access.EvidenceKind, countries access.CountrySet) {
	if countries.Empty() || countries.All() {
		return
	}
	if t.counts == 0 {
		t.common = countries
	} else {
		common := t.common.Intersect(countries)
		if common.Empty() && t.clash[0] == 0 {
			t.clash = [2]access.EvidenceKind{t.last, kind}
		}
		t.common = common
	}
	t.named = t.named.Union(countries)
	t.counts++
	if countries.Len() == 1 {
		t.exact++
	}
	t.last = kind
}

func (t *tally) addPlace(kind access.EvidenceKind, p access.Place) {
	if p.Known() {
		t.add(kind, p.Countries())
	}
}

// conflict reports whether the evidence cannot all be true.
func (t *tally) conflict() bool { return t.counts > 0 && t.common.Empty() }

// agree reports whether two kinds name the same one country and nothing contradicts.
func (t *tally) agree() bool { return t.exact >= 2 && !t.common.Empty() }

// locate finds out where the access came from: the first of service, masked, conflict, agree, single, unknown that
// holds. client is the origin of the session's client address, nil where there is none.
func (e *Enricher) locate(ev *access.Event, person *Person, o, client *origin) {
	l := &ev.Location
	*l = access.Location{}
	machine := isMachine(ev)
	record(ev, person, o, client, machine)

	var t tally
	t.addPlace(access.EvidenceDeclared, ev.Declared.Physical)
	t.addPlace(access.EvidenceDevice, ev.Presence.Device)
	t.addPlace(access.EvidenceBadge, ev.Presence.Badge)
	from := o
	if client != nil && o.site != nil && o.site.Kind == SiteEgress && client.speaks(machine) {
		from = client
	}
	mask := from.mask(machine)
	switch {
	case o.platform && machine:
		service(ev)
	case mask != "" && !t.agree() && !(o.platform && t.counts > 0):
		l.Verdict, l.Reason, l.Candidates = access.LocationMasked, mask, access.AllCountries
	default:
		others := t.counts
		if mask == "" {
			countries, contested := from.place()
			t.add(access.EvidenceAddress, countries)
			l.Contested = contested
		}
		l.AddressOnly = others == 0 && t.counts == 1
		decide(l, &t, from.reason)
	}
	expect(ev, person)
}

// speaks reports whether a client address may stand in for that of the remote-access egress: it places somebody, or it
// hides him in its turn.
func (o *origin) speaks(machine bool) bool {
	if o.platform {
		return false
	}
	countries, _ := o.place()
	return o.mask(machine) != "" || !countries.Empty()
}

// service is the verdict on a platform's own call. It is placed by the region of the endpoint, unless the service logs
// every call in one region.
func service(ev *access.Event) {
	l := &ev.Location
	l.Verdict, l.Candidates = access.LocationService, access.AllCountries
	c, ok := access.RegionCountry(ev.Source.Region)
	switch {
	case ev.Source.Region == "":
		l.Reason = "no-region"
	case access.GlobalService(ev.Source.Service, ev.Source.Region):
		l.Reason = "global-service"
	case !ok:
		l.Reason = "unknown-region"
	default:
		l.Candidates, l.Confidence = access.SetOf(c), access.ConfidenceMedium
	}
}

func decide(l *access.Location, t *tally, reason string) {
	switch {
	case t.conflict():
		l.Verdict, l.Candidates = access.LocationConflict, t.named
		l.Reason = clashReasons[t.clash[0]][t.clash[1]]
	case t.agree():
		l.Verdict, l.Candidates, l.Confidence = access.LocationAgree, t.common, access.ConfidenceHigh
	case t.counts > 0:
		l.Verdict, l.Candidates, l.Confidence = access.LocationSingle, t.common, access.ConfidenceMedium
		if l.AddressOnly && l.Contested {
			l.Confidence = access.ConfidenceLow
		}
	default:
		l.Verdict, l.Candidates, l.Reason = access.LocationUnknown, access.AllCountries, reason
		if reason == "" {
			l.Reason = reasonNotInDatabase
		}
	}
}

// clashReasons names the two kinds of evidence of a conflict: "declared-or-address".
var clashReasons = func() (words [access.EvidenceRegion][access.EvidenceRegion]string) {
	for a := range words {
		for b := range words[a] {
			words[a][b] = access.EvidenceKind(a).String() + "-or-" + access.EvidenceKind(b).String()
		}
	}
	return words
}()

// isMachine reports whether the actor is a service of its own accord: source and roster agree on that as far as they
// speak, and nobody acts through it. An actor of unknown kind may be a person.
func isMachine(ev *access.Event) bool {
	if via, given := ev.TextsOf(access.FieldActorVia); given && len(via) > 0 {
		return false
	}
	known := false
	for _, kind := range [2]access.ActorKind{ev.Actor.Kind, ev.Actor.KindRef} {
		switch kind {
		case access.ActorUnknown:
		case access.ActorService, access.ActorSystem:
			known = true
		default:
			return false
		}
	}
	return known
}

// record keeps all evidence, whether it counts or not.
func record(ev *access.Event, person *Person, o, client *origin, machine bool) {
	l := &ev.Location
	l.AddEvidence(access.EvidenceDeclared, ev.Declared.Physical)
	for _, from := range [2]*origin{o, client} {
		if from == nil {
			continue
		}
		if from.site != nil {
			l.AddEvidence(access.EvidencePrefix, access.PlaceOf(from.site.Country))
		} else {
			l.AddEvidence(access.EvidencePrefix, access.PlaceOf(from.cloud))
		}
		l.AddEvidence(access.EvidenceAddress, from.geo[0])
		l.AddEvidence(access.EvidenceAddressSecond, from.geo[1])
	}
	l.AddEvidence(access.EvidenceDevice, ev.Presence.Device)
	l.AddEvidence(access.EvidenceBadge, ev.Presence.Badge)
	if o.platform && machine && !access.GlobalService(ev.Source.Service, ev.Source.Region) {
		c, _ := access.RegionCountry(ev.Source.Region)
		l.AddEvidence(access.EvidenceRegion, access.PlaceOf(c))
	}
	l.AddEvidence(access.EvidenceOffice, ev.Declared.Office)
	if person != nil {
		l.AddEvidence(access.EvidenceOffice, access.PlaceOf(person.Office))
		l.AddEvidence(access.EvidenceRoster, access.PlaceOf(person.Home))
	}
}

// expect compares the finding with where office and home say that the actor should be.
func expect(ev *access.Event, person *Person) {
	should := access.SetOf(ev.Actor.HomeCountry, ev.Actor.HomeCountryRef)
	if ev.Declared.Office.Known() {
		should = should.Union(ev.Declared.Office.Countries())
	}
	if person != nil {
		should.Add(person.Office)
	}
	l := &ev.Location
	switch {
	case should.Empty() || l.Candidates.All():
	case l.Candidates.Within(&should):
		l.Expected = access.ExpectedHome
	case l.Candidates.Disjoint(&should):
		l.Expected = access.ExpectedAway
	}
}
