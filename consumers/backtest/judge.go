// Package backtest judges stored events again, by the code that judged them when they arrived, and tells what another
// bundle would have found. Its package impact compares and counts; this one reads, completes and judges.
package backtest

import (
	"slices"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/enrich"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// References says by which reference files events are completed.
type References uint8

// The references.
const (
	AsStored References = iota // as they were when the event arrived: rules are compared, and nothing else
	Anew                       // those of the bundle that judges: what a changed roster, catalogue or network file does
)

// Judge judges events by one bundle. It belongs to one goroutine.
type Judge struct {
	bundle     *bundle.Bundle
	references References
	worker     *enrich.Worker
	hasGeo     bool
	own        access.Event // completed anew as of its own time
	arrived    access.Event // completed as of its arrival
	verdict    alert.Verdict
}

// NewJudge returns a judge.
func NewJudge(b *bundle.Bundle, references References) *Judge {
	return &Judge{bundle: b, references: references, worker: b.Enricher.NewWorker(), hasGeo: slices.ContainsFunc(b.Enricher.Geo(), places)}
}

func places(g enrich.GeoInfo) bool { return g.Countries && g.Problem == "" }

// Judge judges an event and leaves it as it is. It returns the verdict and the event as it was judged, both valid until the
// next call.
//
// A row holds an event as of its own time. A late or early one is judged as of its arrival too (engine.EvaluateLate): for
// that it is completed again by the bundle's files as of then. Where its place rests on a location database and the bundle has
// none, the place stays. With the files that completed it in the first place this gives what was found then.
func (j *Judge) Judge(ev *access.Event, content access.Digest) (*alert.Verdict, *access.Event) {
	if j.references == Anew {
		ev.CopyTo(&j.own)
		j.complete(&j.own, ev.Time)
		ev = &j.own
	}
	if arrival := ev.Arrival(); arrival != access.ArrivalLate && arrival != access.ArrivalEarly {
		j.bundle.Engine.Evaluate(ev, content, &j.verdict)
		return &j.verdict, ev
	}
	ev.CopyTo(&j.arrived)
	j.complete(&j.arrived, ev.Kafka.Timestamp)
	j.bundle.Engine.EvaluateLate(ev, &j.arrived, content, &j.verdict)
	return &j.verdict, ev
}

func (j *Judge) complete(ev *access.Event, at access.Millis) {
	place, network := ev.Location, ev.Network
	if ev.Source.Region == "" {
		ev.Source.Region = regionOf(&place)
	}
	j.worker.EnrichAt(ev, at)
	if !j.hasGeo && fromDatabase(&place) {
		ev.Location, ev.Network = place, network
	}
}

// fromDatabase reports whether a location database had a say in a place.
func fromDatabase(place *access.Location) bool {
	for _, e := range place.Evidence[:place.EvidenceCount] {
		if e.Kind == access.EvidenceAddress || e.Kind == access.EvidenceAddressSecond {
			return true
		}
	}
	return false
}

// regionOf is a region of the country in which the called endpoint lay, as the evidence has it.
func regionOf(place *access.Location) string {
	for _, e := range place.Evidence[:place.EvidenceCount] {
		if e.Kind == access.EvidenceRegion {
			return access.CountryRegion(e.Place.Country())
		}
	}
	return ""
}
