package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// Options say which traffic to make.
type Options struct {
	Seed  uint64
	Start time.Time // time of the first event; finer parts than milliseconds are cut off
	Rate  float64   // events a second: how fast the events' times advance
	// First is how many records were made before by the same seed and start: ids and times go on from there.
	First uint64
	// CloudTrailShare is the share of records, 0 to 1, that are CloudTrail records of a second feed.
	CloudTrailShare float64
	// PlantedShare is the share of records, 0 to 1, that somebody should look at.
	PlantedShare float64
}

// DefaultPlantedShare leaves 95 of 100 events harmless.
const DefaultPlantedShare = 0.05

// The feeds that a record can belong to.
const (
	FeedNative     = "native"
	FeedCloudTrail = "cloudtrail"
)

// Record is one record of the traffic.
type Record struct {
	Feed    string // FeedNative or FeedCloudTrail
	Key     []byte // the actor, so that one actor's events stay in order
	Value   []byte
	Time    time.Time
	EventID string
	Label   Label // what was planted, "" for a harmless event
}

// Generator makes records one after the other. It is not safe for concurrent use.
type Generator struct {
	world   *World
	options Options
	rng     *rand.Rand
	salt    uint64
	count   uint64

	workers []*Person           // who may be seen at ordinary work
	near    map[string][]int    // by region: data sets that its own people open without a second thought
	guarded map[string][]int    // by region: its restricted data sets, or the sensitive ones where it has none
	bulk    []int               // data about people in the US that 28 CFR 202 cares about
	buckets []int               // public data, which the CloudTrail feed reads
	ways    map[string]networks // by country
	egress  []netip.Prefix
	plants  []plant
	weight  int // sum of the plants' weights

	e       event
	earlier event // a native event that a copy or a reuse of its id can follow; its id is 0 while there is none
	marks   marks // of the last native record
}

// networks are the ways in which somebody in a country is online.
type networks struct {
	office, workload, public []netip.Prefix
}

// New returns a generator over world, which must not change afterwards.
func New(world *World, o Options) (*Generator, error) {
	if err := world.check(); err != nil {
		return nil, err
	}
	if o.Rate <= 0 || o.CloudTrailShare < 0 || o.CloudTrailShare > 1 || o.PlantedShare < 0 || o.PlantedShare > 1 {
		return nil, fmt.Errorf("traffic: rate %v must be positive, shares %v and %v between 0 and 1", o.Rate, o.CloudTrailShare, o.PlantedShare)
	}
	o.Start = o.Start.UTC().Truncate(time.Millisecond)
	g := &Generator{
		world: world, options: o, count: o.First,
		rng:  rand.New(rand.NewPCG(o.Seed, o.First)),
		salt: mix(o.Seed ^ uint64(o.Start.UnixMilli())),
		near: make(map[string][]int), guarded: make(map[string][]int), ways: make(map[string]networks),
		egress: world.networks("egress", ""),
	}
	g.index()
	g.plants = g.possible()
	for _, p := range g.plants {
		g.weight += p.weight
	}
	return g, nil
}

// index looks everything up once that an event is drawn from.
func (g *Generator) index() {
	w := g.world
	for i := range w.People {
		if p := &w.People[i]; !p.Covered && !p.Unexamined && !g.excepted(p.ID) {
			g.workers = append(g.workers, p)
		}
	}
	g.buckets = w.indexes(func(d *Dataset) bool { return len(d.Classes) == 1 && d.Classes[0] == "public" })
	g.bulk = w.indexes(func(d *Dataset) bool {
		return has(d.Regions, "US") && slices.ContainsFunc(d.Categories, func(c string) bool { return has(usCategories, c) })
	})
	for _, region := range regions {
		g.near[region] = w.indexes(func(d *Dataset) bool { return d.only(region) })
		g.guarded[region] = w.indexes(func(d *Dataset) bool { return has(d.Classes, "restricted") && has(d.Regions, region) })
		if len(g.guarded[region]) == 0 {
			g.guarded[region] = w.indexes(func(d *Dataset) bool { return d.sensitive() && has(d.Regions, region) })
		}
	}
	for _, c := range append(w.Countries(), g.serviceCountries()...) {
		g.ways[c] = networks{w.networks("office", c), w.networks("workload", c), w.Public[c]}
	}
}

// usCategories are the sensitive personal data of 28 CFR 202.249 and government-related data.
var usCategories = []string{"genomic", "epigenomic", "proteomic", "transcriptomic", "biometric", "geolocation", "health",
	"financial", "identifiers", "government_related"}

func (g *Generator) serviceCountries() (countries []string) {
	for _, s := range g.world.Services {
		countries = append(countries, s.Country)
	}
	return countries
}

func (g *Generator) excepted(actor string) bool {
	for _, x := range g.world.Exceptions {
		if x.Actor == actor {
			return true
		}
	}
	return false
}

// mix is the finaliser of SplitMix64: a bijection, so that distinct counts give distinct ids.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Next makes the next record. It overwrites r and reuses its slices.
func (g *Generator) Next(r *Record) {
	id, at := mix(g.salt+g.count), g.options.timeOf(g.count)
	g.e = event{id: id, time: at, subjects: -1, records: -1, bytes: -1}
	g.count++
	r.Time, r.Label = at, ""
	if g.weight > 0 && g.rng.Float64() < g.options.PlantedShare {
		p := g.choosePlant()
		r.Label = p.label
		p.apply(g)
		g.native(r)
		return
	}
	if g.rng.Float64() < g.options.CloudTrailShare {
		g.cloudTrail(r, id)
		return
	}
	g.harmless()
	if g.earlier.id == 0 || g.rng.IntN(64) == 0 {
		g.earlier = g.e
	}
	g.native(r)
}

// timeOf is when the record of a count happens.
func (o *Options) timeOf(count uint64) time.Time {
	elapsed := time.Duration(math.Round(float64(count) / o.Rate * float64(time.Second)))
	return o.Start.Add(elapsed).Truncate(time.Millisecond)
}

func (g *Generator) native(r *Record) {
	r.Feed, r.EventID = FeedNative, eventID(g.e.id)
	r.Key = append(r.Key[:0], g.e.actor...)
	r.Value, g.marks = g.e.appendJSON(r.Value[:0])
}

func (g *Generator) choosePlant() *plant {
	n := g.rng.IntN(g.weight)
	for i := range g.plants {
		if n -= g.plants[i].weight; n < 0 {
			return &g.plants[i]
		}
	}
	return &g.plants[len(g.plants)-1]
}

// session is a random session id.
func (g *Generator) session() string { return string(appendID([]byte("s-"), g.rng.Uint64())) }

func (g *Generator) pick(list []string) string { return list[g.rng.IntN(len(list))] }

func (g *Generator) dataset(indexes []int) *Dataset {
	return &g.world.Datasets[indexes[g.rng.IntN(len(indexes))]]
}

// addressOf gives an actor one of three addresses of his own in the prefixes, "" where there are none.
func (g *Generator) addressOf(actor string, prefixes []netip.Prefix) string {
	if len(prefixes) == 0 {
		return ""
	}
	own := fnv(actor)
	p := prefixes[own%uint64(len(prefixes))]
	return hostIn(p, uint32(own>>32)+uint32(g.rng.IntN(3))).String()
}

// fnv is FNV-1a of 64 bits, mixed so that all bits can be used.
func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}
