package enrich_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/enrich"
	"borderwatch/schemas/access"
)

// sharedData finds the folder of real input beside the repository; the test is skipped where it is absent.
func sharedData(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			data := filepath.Join(dir, "..", "shared", "data")
			if _, statErr := os.Stat(data); statErr == nil {
				return data
			}
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Skip("SKIPPED: no real input at ../shared/data")
	return ""
}

// locationDatabase reads the mmdb file that BORDERWATCH_GEOIP names, else the demo database.
func locationDatabase(t testing.TB) enrich.Database {
	t.Helper()
	name := os.Getenv("BORDERWATCH_GEOIP")
	if name == "" {
		name = embeddedtest.GeoIP(t)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return enrich.Database{Name: filepath.Base(name), Data: data}
}

// BenchmarkEnrich completes events of 5,000 people and 300 data sets. hits is the share of events whose address the
// worker has met lately.
func BenchmarkEnrich(b *testing.B) {
	var y strings.Builder
	y.WriteString("format: borderwatch/entities/v1\nentities: [{id: es-de, country: DE, role: processor}]\n---\n")
	y.WriteString("format: borderwatch/roster/v1\npeople:\n")
	for i := range 5000 {
		fmt.Fprintf(&y, "  - {id: u-%d, kind: employee, employer: es-de, home_country: DE, groups: [analysts], covered_person: no, employment: {from: 2020-01-01}}\n", i)
	}
	y.WriteString("---\nformat: borderwatch/catalogue/v1\ndatasets:\n")
	for i := range 300 {
		fmt.Fprintf(&y, "  - {pattern: eu.users.t%d*, system: hive, subject_regions: [EU], classes: [restricted], storage_country: DE}\n", i)
	}
	e := newEnricher(b, y.String())
	r := rand.New(rand.NewPCG(1, 2))
	for _, hits := range []int{100, 0} {
		events := make([]access.Event, 8192)
		for i := range events {
			ev := &events[i]
			ev.Reset()
			ev.Time, ev.Actor.ID, ev.Actor.Kind = noon, fmt.Sprintf("u-%d", r.IntN(5000)), access.ActorEmployee
			ev.Data.Items[0].Dataset = fmt.Sprintf("eu.users.t%d.contact", r.IntN(300))
			ev.Source.Address = fmt.Sprintf("11.0.%d.%d", r.IntN(7), i%256)
			if hits == 0 {
				ev.Source.Address = fmt.Sprintf("%d.%d.%d.%d", 11+r.IntN(90), r.IntN(256), r.IntN(256), r.IntN(256))
			}
			ev.Declared.Physical = place(b, "DE")
		}
		b.Run(fmt.Sprintf("hits=%d%%", hits), func(b *testing.B) {
			w := e.NewWorker()
			b.ReportAllocs()
			for i := range b.N {
				w.Enrich(&events[i&8191])
			}
		})
	}
}

// BenchmarkAddress looks up addresses that no worker has met, in a real database.
func BenchmarkAddress(b *testing.B) {
	e, problems := enrich.New(nil, nil, locationDatabase(b), enrich.Database{})
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	r := rand.New(rand.NewPCG(1, 2))
	addresses := make([]string, 1<<16)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(223), r.IntN(256), r.IntN(256), r.IntN(256))
	}
	b.ReportAllocs()
	for i := range b.N {
		e.WhereIs(addresses[i&(1<<16-1)], noon)
	}
}

func BenchmarkOpenDatabase(b *testing.B) {
	db := locationDatabase(b)
	b.ReportAllocs()
	for range b.N {
		if _, problems := enrich.New(nil, nil, db, enrich.Database{}); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

// BenchmarkOpenRoster reads a roster of 100,000 people.
func BenchmarkOpenRoster(b *testing.B) {
	var y strings.Builder
	y.WriteString("format: borderwatch/roster/v1\npeople:\n")
	for i := range 100_000 {
		fmt.Fprintf(&y, "  - {id: u-%d, kind: employee, home_country: DE, groups: [analysts], covered_person: no, employment: {from: 2020-01-01}}\n", i)
	}
	docs := []enrich.Document{{Path: "roster.yaml", Data: []byte(y.String())}}
	b.ReportAllocs()
	for range b.N {
		if e, problems := enrich.New(docs, nil, enrich.Database{}, enrich.Database{}); e == nil {
			b.Fatal(problems)
		}
	}
}
