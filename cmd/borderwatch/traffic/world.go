// Package traffic makes realistic data-access events from a seed: people and services of a made-up company at work, a
// small share of them doing what a rule forbids. The same world, seed and start give the same bytes.
package traffic

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// World is who and what the traffic is about. The order of every list is part of what a seed means.
type World struct {
	People     []Person
	Services   []Service
	Datasets   []Dataset
	Approvals  []Approval
	Exceptions []Exception
	Sites      []Site
	// Anonymisers are addresses of public VPNs, Tor and proxies.
	Anonymisers []netip.Prefix
	// Public are addresses by country, as a location database knows them. Where it is empty, nobody works from home
	// and a place abroad is shown by the declared country alone.
	Public map[string][]netip.Prefix
}

// Person is an employee, contractor or vendor's worker.
type Person struct {
	ID, Kind        string
	Home, Office    string // countries, alpha-2; Office is "" for those without
	Employer        string // entity
	EmployerCountry string
	Groups          []string
	Covered         bool // a covered person (28 CFR 202)
	Unexamined      bool // nobody has said whether
	Listed          Days // the days of the roster entry
	Employed        Days
	Leave           []Days
}

// onLeave reports whether the person is away at t.
func (p *Person) onLeave(t time.Time) bool {
	return slices.ContainsFunc(p.Leave, func(d Days) bool { return d.Holds(t) })
}

// works reports whether the person is employed and at work at t.
func (p *Person) works(t time.Time) bool {
	return p.Listed.Holds(t) && p.Employed.Holds(t) && !p.onLeave(t)
}

// Service is a service account.
type Service struct {
	ID, Kind string
	Country  string // where its workload runs
	Employer string
}

// Dataset is a table, bucket or topic.
type Dataset struct {
	Name, System                 string
	Storage                      string // country, alpha-2
	Regions, Classes, Categories []string
	Form                         string
	Exporter                     string // entity that answers for the data
}

// Approval lets actors open data sets.
type Approval struct {
	ID, Scope, Ticket string
	Actors, Datasets  []string // a data set may end in *
	Valid             Days
}

// Exception allows one actor what a rule forbids.
type Exception struct {
	ID, Actor, Country, Dataset string
	Valid                       Days
}

// Site is one of the company's own networks: office, workload, egress or nat.
type Site struct {
	Kind, Country string
	Prefixes      []netip.Prefix
}

// Days is a range of UTC days: the zero From and End are open.
type Days struct {
	From, End time.Time // the first instant, and the first one after it
}

// Holds reports whether t lies in the days.
func (d Days) Holds(t time.Time) bool {
	return !t.Before(d.From) && (d.End.IsZero() || t.Before(d.End))
}

func has(words []string, w string) bool { return slices.Contains(words, w) }

// sensitive reports whether policy cares who opens the data set.
func (d *Dataset) sensitive() bool {
	return has(d.Classes, "restricted") || has(d.Classes, "sensitive")
}

// only reports whether the data is about the people of one region alone, or public.
func (d *Dataset) only(region string) bool {
	if len(d.Classes) == 1 && d.Classes[0] == "public" {
		return true
	}
	return len(d.Regions) == 1 && d.Regions[0] == region && len(d.Classes) > 0
}

// indexes lists the data sets that are so.
func (w *World) indexes(is func(*Dataset) bool) (found []int) {
	for i := range w.Datasets {
		if is(&w.Datasets[i]) {
			found = append(found, i)
		}
	}
	return found
}

// approval finds one that lets the actor open the data set at t, nil where there is none.
func (w *World) approval(actor, dataset string, t time.Time) *Approval {
	for i := range w.Approvals {
		a := &w.Approvals[i]
		if a.Valid.Holds(t) && has(a.Actors, actor) && slices.ContainsFunc(a.Datasets, func(p string) bool { return covers(p, dataset) }) {
			return a
		}
	}
	return nil
}

// covers reports whether a pattern, exact or a prefix with a trailing *, stands for name.
func covers(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// networks lists the prefixes of the sites of a kind in a country; any country for "".
func (w *World) networks(kind, country string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range w.Sites {
		if s.Kind == kind && (country == "" || s.Country == country) {
			all = append(all, s.Prefixes...)
		}
	}
	return all
}

// Countries lists the countries that Public should have addresses of.
func (w *World) Countries() []string {
	countries := append([]string{}, forbidden...)
	countries = append(countries, subjectCountries...)
	for _, p := range w.People {
		countries = append(countries, p.Home, p.Office)
	}
	for _, x := range w.Exceptions {
		countries = append(countries, x.Country)
	}
	slices.Sort(countries)
	return slices.DeleteFunc(slices.Compact(countries), func(c string) bool { return c == "" })
}

// check names what is missing to draw traffic from the world.
func (w *World) check() error {
	for _, need := range []struct {
		what string
		n    int
	}{{"people in its roster", len(w.People)}, {"services in its roster", len(w.Services)}, {"data sets in its catalogue", len(w.Datasets)}} {
		if need.n == 0 {
			return fmt.Errorf("traffic: the bundle has no %s", need.what)
		}
	}
	return nil
}
