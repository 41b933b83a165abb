package embedded_test

import (
	"net/netip"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"borderwatch/consumers/embedded/embeddedtest"
)

func TestGeoIPDatabase(t *testing.T) {
	db, err := maxminddb.Open(embeddedtest.GeoIP(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct{ addr, country string }{
		{"193.0.6.139", "NL"},    // the European address registry in Amsterdam
		{"2001:67c:2e8::", "NL"}, // the same
	} {
		var record struct {
			CountryCode string `maxminddb:"country_code"`
		}
		if err := db.Lookup(netip.MustParseAddr(c.addr)).Decode(&record); err != nil {
			t.Fatal(err)
		}
		if record.CountryCode != c.country {
			t.Errorf("%s is in %q, want %q", c.addr, record.CountryCode, c.country)
		}
	}
}
