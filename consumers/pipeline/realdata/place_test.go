package realdata_test

import (
	"bufio"
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/schemas/access"
)

// reader answers the same question as the enricher about a public address in the plainest way: is it in one of the files
// of networks that hide people, and if not, which country does the location database name?
type reader struct {
	listed map[netip.Prefix]bool
	db     *maxminddb.Reader
}

func newReader(t testing.TB, lists string) *reader {
	t.Helper()
	r := &reader{listed: map[netip.Prefix]bool{}}
	files, err := os.ReadDir(lists)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for lines := bufio.NewScanner(bytes.NewReader(read(t, filepath.Join(lists, f.Name())))); lines.Scan(); {
			text, _, _ := bytes.Cut(lines.Bytes(), []byte{','})
			if p, err := netip.ParsePrefix(string(text)); err == nil {
				r.listed[p] = true
			} else if a, err := netip.ParseAddr(string(text)); err == nil {
				r.listed[netip.PrefixFrom(a, a.BitLen())] = true
			}
		}
	}
	if r.db, err = maxminddb.Open(embeddedtest.GeoIP(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	return r
}

// place returns what a person's place at an address must be: verdict and countries.
func (r *reader) place(t testing.TB, text string) (access.LocationVerdict, string) {
	t.Helper()
	address, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	for bits := address.BitLen(); bits > 0; bits-- {
		p, err := address.Prefix(bits)
		if err != nil {
			t.Fatal(err)
		}
		if r.listed[p] {
			return access.LocationMasked, "any"
		}
	}
	var record struct {
		Country string `maxminddb:"country_code"`
	}
	if err := r.db.Lookup(address).Decode(&record); err != nil {
		t.Fatal(err)
	}
	if _, ok := access.ParseCountry(record.Country); !ok {
		return access.LocationUnknown, "any"
	}
	return access.LocationSingle, record.Country
}

// TestPlacesAgainstPlainReading holds every place that rests on an address alone against the plain reader.
func TestPlacesAgainstPlainReading(t *testing.T) {
	source := bundleSource(t)
	b, err := bundle.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t, filepath.Join(source.Dir, "public"))
	checked, countries := map[string]bool{}, map[string]bool{}
	for _, s := range sets {
		if s.name != "edits" && s.name != "web" && s.name != "bucket" {
			continue
		}
		judge(t, b, s.name, s, s.records(t), func(j judged) {
			address := j.event.Source.Address
			if address == "" || checked[address] {
				return
			}
			checked[string([]byte(address))] = true // the event's text lasts until the next record
			verdict, country := r.place(t, address)
			l := &j.event.Location
			if l.Verdict != verdict || l.Candidates.String() != country {
				t.Errorf("%s: %s in %s, a plain reading gives %s in %s", address, l.Verdict, l.Candidates, verdict, country)
			}
			countries[country] = true
		})
	}
	t.Logf("%d addresses in %d countries agree with a plain reading", len(checked), len(countries)-1)
	if len(checked) < 4000 {
		t.Errorf("only %d addresses were checked", len(checked))
	}
}
