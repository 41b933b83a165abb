package enrich

import (
	"hash/maphash"
	"strings"

	"borderwatch/schemas/access"
)

// Worker enriches events for one goroutine. It remembers what the bundle says of the addresses it met; what it
// remembers never changes a result.
type Worker struct {
	enricher *Enricher
	seed     maphash.Seed
	slots    []slot
}

const (
	cacheSlots  = 1 << 12
	cacheKeyMax = 47 // the longest IPv6 address with port
)

// slot is one remembered address. The key is a copy: the event's strings do not outlive their record.
type slot struct {
	key    [cacheKeyMax]byte
	length uint8
	used   bool
	facts  facts
}

// facts are what the bundle says of an address at any time.
type facts struct {
	form   form
	site   int32 // index of the longest prefix of the operator's, -1 where there is none
	kind   access.NetworkKind
	cloud  access.Country
	geo    [2]access.Place
	asn    uint32
	org    string
	reason string
}

// NewWorker returns a Worker; it holds about 600 KB.
func (e *Enricher) NewWorker() *Worker {
	return &Worker{enricher: e, seed: maphash.MakeSeed(), slots: make([]slot, cacheSlots)}
}

// origin returns what an address says at t.
func (w *Worker) origin(address string, t access.Millis) origin {
	if len(address) > maxListBytes {
		return origin{reason: reasonInvalid, addressed: true}
	}
	f := w.facts(address)
	if f.form == formList {
		return w.listOrigin(address, t)
	}
	return w.enricher.originOf(f, t)
}

// facts looks an address up, in the cache if it is short enough. The result is valid until the next call.
func (w *Worker) facts(address string) *facts {
	if len(address) > cacheKeyMax {
		f := w.enricher.lookUp(address)
		return &f
	}
	s := &w.slots[maphash.String(w.seed, address)&(cacheSlots-1)]
	if s.length == uint8(len(address)) && string(s.key[:s.length]) == address && s.used {
		return &s.facts
	}
	s.facts = w.enricher.lookUp(address)
	s.length, s.used = uint8(copy(s.key[:], address)), true
	return &s.facts
}

func (e *Enricher) lookUp(address string) facts {
	ip, form, reason := parseAddress(address)
	f := facts{form: form, site: -1, reason: reason}
	if form != formIP {
		if form == formPlatform {
			f.kind = access.NetworkService
		}
		return f
	}
	f.site = e.sites.find(ip)
	f.kind, f.cloud = e.lists.find(ip)
	if f.reason = special(ip); f.reason != "" {
		return f
	}
	for i, g := range e.geo {
		r := g.find(ip)
		f.geo[i] = r.place
		if f.asn == 0 {
			f.asn, f.org = r.asn, r.org
		}
	}
	if f.reason = ""; e.geo[0].reader == nil && e.geo[1].reader == nil {
		f.reason = reasonNoDatabase
	}
	return f
}

// originOf resolves facts at t: the operator's entries are dated.
func (e *Enricher) originOf(f *facts, t access.Millis) origin {
	o := origin{platform: f.form == formPlatform, kind: f.kind, cloud: f.cloud, geo: f.geo, reason: f.reason,
		asn: f.asn, org: f.org, addressed: f.form != formNone}
	if f.site < 0 {
		return o
	}
	if o.site = e.sites.at(f.site, t); o.site != nil {
		o.kind, o.reason = o.site.Kind.network(), ""
	}
	return o
}

// The limits of a list of addresses.
const (
	maxListElements = 16
	maxListBytes    = 1024
)

// listOrigin judges a list of addresses such as a forwarding header carries. Whoever sends a request can write its
// first elements, so no element is trusted to be the client: private ones are passed over, one that hides hides all,
// and the rest must agree in one country; else the list places nobody.
func (w *Worker) listOrigin(list string, t access.Millis) (found origin) {
	found.reason = reasonNoAddress
	for n := 0; list != ""; n++ {
		var element string
		element, list = cutList(list)
		o := w.enricher.originOf(w.facts(element), t)
		switch {
		case n == maxListElements, o.reason == reasonInvalid:
			return origin{reason: reasonInvalid, addressed: true}
		case o.platform:
			return origin{reason: reasonMixed, addressed: true}
		case o.reason != "" && o.mask(false) == "":
			if !found.addressed && found.reason == reasonNoAddress {
				found.reason = o.reason
			}
		case !found.addressed:
			found = o
		case !found.merge(&o):
			return origin{reason: reasonMixed, addressed: true}
		}
	}
	return found
}

// cutList takes the first element off a comma-separated list.
func cutList(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, ",")
	return strings.TrimSpace(first), rest
}

// merge joins a further address of a list, false where the two are not in one country.
func (o *origin) merge(next *origin) bool {
	switch {
	case o.mask(true) != "":
		return true
	case next.mask(true) != "":
		*o = *next
		return true
	}
	a, _ := o.place()
	b, _ := next.place()
	if a != b || a.Empty() {
		return false
	}
	if o.mask(false) == "" && next.mask(false) != "" {
		*o = *next
	}
	return true
}
