package access

import (
	"math/bits"
	"strings"
)

// Country is an ISO 3166-1 country (or XK); the zero value is unknown.
type Country uint8

// CountryUnknown is no country.
const CountryUnknown Country = 0

// CountryCount is the number of countries; a Country is between 1 and CountryCount.
const CountryCount = len(countryTable)

// countryIndex maps the two letters of a code to the Country.
var countryIndex = func() (index [26 * 26]Country) {
	for i, row := range countryTable {
		index[letters(row.code)] = Country(i + 1)
	}
	return index
}()

func letters(code string) int { return int(code[0]-'A')*26 + int(code[1]-'A') }

// String returns the alpha-2 code, "unknown" for the zero value.
func (c Country) String() string {
	if c == 0 || int(c) > len(countryTable) {
		return "unknown"
	}
	return countryTable[c-1].code
}

// Name returns the English short name, "unknown" for the zero value.
func (c Country) Name() string {
	if c == 0 || int(c) > len(countryTable) {
		return "unknown"
	}
	return countryTable[c-1].name
}

// ParseCountry reads an upper-case alpha-2 code. UK is read as GB, which sources write although ISO reserves it.
// It refuses everything else, EU, EL and names among it.
func ParseCountry(code string) (Country, bool) {
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		return 0, false
	}
	if code == "UK" {
		code = "GB"
	}
	c := countryIndex[letters(code)]
	return c, c != 0
}

// CountryNamed reads an English short name ("United States"), as some sources write instead of a code. Case is ignored.
func CountryNamed(name string) (Country, bool) {
	if alias, ok := countryAliases[strings.ToLower(name)]; ok {
		return ParseCountry(alias)
	}
	for i, row := range countryTable {
		if strings.EqualFold(row.name, name) {
			return Country(i + 1), true
		}
	}
	return 0, false
}

var countryAliases = map[string]string{
	"united states of america": "US", "russian federation": "RU", "republic of korea": "KR", "korea, republic of": "KR",
	"iran, islamic republic of": "IR", "viet nam": "VN", "the netherlands": "NL", "czech republic": "CZ", "czechia": "CZ",
	"türkiye": "TR", "turkey": "TR", "hong kong sar china": "HK", "macau": "MO", "macao": "MO", "great britain": "GB",
	"syrian arab republic": "SY", "moldova, republic of": "MD", "taiwan, province of china": "TW",
}

// CountrySet is a set of countries.
type CountrySet [4]uint64

// AllCountries is every country.
var AllCountries = func() (s CountrySet) {
	for c := 1; c <= CountryCount; c++ {
		s.Add(Country(c))
	}
	return s
}()

// SetOf returns the set of the given countries; unknown adds nothing.
func SetOf(countries ...Country) (s CountrySet) {
	for _, c := range countries {
		s.Add(c)
	}
	return s
}

// Add puts c into the set; unknown adds nothing.
func (s *CountrySet) Add(c Country) {
	if c != 0 {
		s[c>>6] |= 1 << (c & 63)
	}
}

// Has reports whether c is in the set.
func (s *CountrySet) Has(c Country) bool { return s[c>>6]&(1<<(c&63)) != 0 }

// Union returns the countries of either set.
func (s CountrySet) Union(o CountrySet) CountrySet {
	return CountrySet{s[0] | o[0], s[1] | o[1], s[2] | o[2], s[3] | o[3]}
}

// Intersect returns the countries in both sets.
func (s CountrySet) Intersect(o CountrySet) CountrySet {
	return CountrySet{s[0] & o[0], s[1] & o[1], s[2] & o[2], s[3] & o[3]}
}

// Within reports whether every country of s is in o; true for an empty s.
func (s *CountrySet) Within(o *CountrySet) bool {
	return s[0]&^o[0]|s[1]&^o[1]|s[2]&^o[2]|s[3]&^o[3] == 0
}

// Disjoint reports whether no country is in both.
func (s *CountrySet) Disjoint(o *CountrySet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] == 0
}

// Len counts the countries.
func (s *CountrySet) Len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}

// Empty reports whether the set holds no country.
func (s *CountrySet) Empty() bool { return s[0]|s[1]|s[2]|s[3] == 0 }

// All reports whether every country is in the set.
func (s *CountrySet) All() bool { return *s == AllCountries }

// Countries lists the members in code order.
func (s *CountrySet) Countries() []Country {
	out := make([]Country, 0, s.Len())
	for c := 1; c <= CountryCount; c++ {
		if s.Has(Country(c)) {
			out = append(out, Country(c))
		}
	}
	return out
}

// String is "any" for all countries, "none" for the empty set, else the codes joined with "|": "CN|DE".
func (s CountrySet) String() string {
	switch {
	case s.All():
		return "any"
	case s.Empty():
		return "none"
	}
	var b strings.Builder
	for _, c := range s.Countries() {
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		b.WriteString(c.String())
	}
	return b.String()
}

// regionSet is a bit set of regions.
type regionSet uint8

const (
	inAFR regionSet = 1 << iota
	inANT
	inASI
	inEUR
	inNAM
	inOCE
	inSAM
)

// regionCodes are the three-letter region codes that Access Transparency writes for a country it will not name.
var regionCodes = [...]string{"AFR", "ANT", "ASI", "EUR", "NAM", "OCE", "SAM", "ANY"}

// Place is what a source declares: a country, a region code, or nothing. Values 1 to CountryCount are countries.
type Place uint16

const firstRegion Place = 256

// PlaceOf turns a country into a Place.
func PlaceOf(c Country) Place { return Place(c) }

// ParsePlace reads an alpha-2 code, a region code (ASI EUR OCE AFR NAM SAM ANT ANY), an English country name, or one of
// the words that mean nothing is known ("", "??", "unknown", "ANY" keeps its own value but leaves every country open).
func ParsePlace(s string) (Place, bool) {
	if s == "" || s == "??" || s == "unknown" {
		return 0, true
	}
	if c, ok := ParseCountry(s); ok {
		return Place(c), true
	}
	for i, code := range regionCodes {
		if s == code {
			return firstRegion + Place(i), true
		}
	}
	if len(s) > 3 {
		c, ok := CountryNamed(s)
		return Place(c), ok
	}
	return 0, false
}

// Country returns the one country the place names, CountryUnknown for a region or nothing.
func (p Place) Country() Country {
	if p < firstRegion {
		return Country(p)
	}
	return CountryUnknown
}

// IsRegion reports whether the place is a region code.
func (p Place) IsRegion() bool { return p >= firstRegion }

// Known reports whether the place narrows anything down: neither absent nor ANY.
func (p Place) Known() bool { return p != 0 && p != firstRegion+Place(len(regionCodes)-1) }

// Countries returns what the place leaves open: one country, a region's countries, or all.
func (p Place) Countries() CountrySet {
	switch {
	case !p.Known():
		return AllCountries
	case p < firstRegion:
		return SetOf(Country(p))
	}
	return regionCountries[p-firstRegion]
}

var regionCountries = func() (sets [len(regionCodes) - 1]CountrySet) {
	for i, row := range countryTable {
		for r := range sets {
			if row.regions&(1<<r) != 0 {
				sets[r].Add(Country(i + 1))
			}
		}
	}
	return sets
}()

// String returns the code, "unknown" for the zero value.
func (p Place) String() string {
	if p >= firstRegion && int(p-firstRegion) < len(regionCodes) {
		return regionCodes[p-firstRegion]
	}
	return p.Country().String()
}
