package traffic_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"borderwatch/cmd/borderwatch/traffic"
)

// testDatabase is MaxMind's own test database, kept outside the repository.
func testDatabase(t *testing.T) string {
	t.Helper()
	name := filepath.Join("..", "..", "..", "..", "shared", "data", "geo", "maxmind-test", "GeoLite2-Country-Test.mmdb")
	if _, err := os.Stat(name); err != nil {
		t.Skipf("NOT TESTED with a real location database: %v", err)
	}
	return name
}

func TestPublicAddressesAreOfTheirCountry(t *testing.T) {
	name := testDatabase(t)
	countries := []string{"GB", "SE", "US", "CN"}
	found, err := traffic.PublicAddresses(name, countries)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no addresses at all")
	}
	again, err := traffic.PublicAddresses(name, countries)
	if err != nil || !reflect.DeepEqual(found, again) {
		t.Errorf("a second reading gave other addresses: %v", err)
	}
	db, err := maxminddb.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for country, prefixes := range found {
		for _, p := range prefixes {
			for _, ip := range []netip.Addr{p.Addr(), p.Addr().Next()} {
				var code string
				if err := db.Lookup(ip).DecodePath(&code, "country", "iso_code"); err != nil || code != country {
					t.Errorf("%v is drawn as %s, the database says %q, %v", ip, country, code, err)
				}
			}
		}
	}
}

func TestDatabaseThatIsNone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "broken.mmdb")
	if err := os.WriteFile(name, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := traffic.PublicAddresses(name, []string{"DE"}); err == nil {
		t.Error("a broken file was read")
	}
}
