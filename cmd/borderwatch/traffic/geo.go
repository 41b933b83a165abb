package traffic

import (
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// The addresses drawn of one country: few enough to look like a company's people, spread over its providers.
const (
	prefixesPerCountry = 24
	shortestPrefix     = 20 // larger blocks are often a carrier's or a cloud's
	longestPrefix      = 24
)

// PublicAddresses reads a location database and returns, for each of the countries, a few IPv4 prefixes that it places
// there: the same ones for the same file.
func PublicAddresses(mmdb string, countries []string) (map[string][]netip.Prefix, error) {
	db, err := maxminddb.Open(mmdb)
	if err != nil {
		return nil, fmt.Errorf("traffic: location database: %w", err)
	}
	defer db.Close()
	wanted := make(map[string]bool, len(countries))
	for _, c := range countries {
		wanted[c] = true
	}
	found := make(map[string][]netip.Prefix)
	seen := make(map[string]int)
	for network := range db.NetworksWithin(netip.MustParsePrefix("0.0.0.0/0")) {
		prefix := network.Prefix()
		if prefix.Bits() < shortestPrefix || prefix.Bits() > longestPrefix {
			continue
		}
		country, err := countryOf(network)
		if err != nil {
			return nil, fmt.Errorf("traffic: location database: %v: %w", prefix, err)
		}
		if !wanted[country] {
			continue
		}
		// Keep every 16th: the first ones in a row are one provider's.
		if seen[country]++; seen[country]%16 == 1 && len(found[country]) < prefixesPerCountry {
			found[country] = append(found[country], prefix)
		}
	}
	return found, nil
}

// countryOf reads either shape of record: country.iso_code or a flat country_code.
func countryOf(network maxminddb.Result) (country string, err error) {
	if err := network.DecodePath(&country, "country", "iso_code"); err != nil {
		return "", err
	}
	if country == "" {
		err = network.DecodePath(&country, "country_code")
	}
	return country, err
}
