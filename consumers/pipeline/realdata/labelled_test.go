package realdata_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"borderwatch/schemas/access"
)

// The classes of what a label of 2015 and today's finding have to do with each other. Two files cannot show why a block
// of addresses is elsewhere after eleven years; blocks were sold and leased all over the world in that time, within a
// continent mostly by one provider.
const (
	sameCountry  = "agree"
	hidden       = "masked"
	noFinding    = "unknown"
	noCountry    = "differ: the label is no country (EU, AP)"
	territory    = "differ: a territory or border counted differently"
	movedNear    = "differ: another country of the continent"
	movedFar     = "differ: another continent"
	severalFound = "differ: several countries are left open"
)

// territories are pairs of codes that databases give to the same ground.
var territories = strings.Fields("UA-RU AL-XK RS-XK FR-RE FR-GP FR-MQ FR-GF FR-YT FR-NC FR-PF CN-HK CN-MO CN-TW GB-JE GB-GG GB-IM GB-GI US-PR US-GU US-VI DK-GL DK-FO FI-AX NL-CW NL-AW NL-SX NL-BQ")

// TestLabelledCountries compares the place of a person at each of 2,904 addresses with the country that another
// database gave it in 2015, by the whole bundle.
func TestLabelledCountries(t *testing.T) {
	b := loadBundle(t)
	rows := labelled(t)
	if len(rows) != 2904 {
		t.Errorf("%d labelled addresses, want 2,904", len(rows))
	}
	classes, reasons, pairs := map[string]int{}, map[string]int{}, map[string]int{}
	for _, row := range rows {
		var ev access.Event
		ev.Reset()
		ev.Source.Address, ev.Actor.Kind = row[0], access.ActorEmployee
		b.Enricher.Enrich(&ev)
		class := classOf(row[1], &ev.Location)
		classes[class]++
		switch {
		case class == hidden || class == noFinding:
			reasons[ev.Location.Verdict.String()+" "+ev.Location.Reason]++
		case class != sameCountry:
			pairs[row[1]+" then, "+ev.Location.Candidates.String()+" now"]++
		}
	}
	for _, c := range byCount(classes) {
		t.Logf("%5d  %5.1f %%  %s", classes[c], share(classes[c], len(rows)), c)
	}
	for _, r := range byCount(reasons) {
		t.Logf("%5d  %s: %s", reasons[r], r, cure(r[strings.IndexByte(r, ' ')+1:]))
	}
	most := byCount(pairs)
	for _, p := range most[:min(12, len(most))] {
		t.Logf("%5d  %s", pairs[p], p)
	}
	if total(classes) != len(rows) {
		t.Errorf("%d of %d addresses have a class", total(classes), len(rows))
	}
	if s := share(classes[hidden], len(rows)); s > 5 {
		t.Errorf("%.1f %% are masked, at most 5 are wanted", s)
	}
	if s := share(classes[sameCountry], len(rows)); s < 85 {
		t.Errorf("only %.1f %% agree", s)
	}
}

func classOf(label string, l *access.Location) string {
	then, known := access.ParseCountry(label)
	switch {
	case l.Verdict == access.LocationMasked:
		return hidden
	case l.Verdict != access.LocationSingle:
		return noFinding
	case !known:
		return noCountry
	case l.Candidates == access.SetOf(then):
		return sameCountry
	case l.Candidates.Len() != 1:
		return severalFound
	}
	now := l.Candidates.Countries()[0]
	for _, pair := range territories {
		if pair == then.String()+"-"+now.String() || pair == now.String()+"-"+then.String() {
			return territory
		}
	}
	for _, code := range []string{"EUR", "ASI", "NAM", "SAM", "AFR", "OCE"} {
		region, _ := access.ParsePlace(code)
		if countries := region.Countries(); countries.Has(then) && countries.Has(now) {
			return movedNear
		}
	}
	return movedFar
}

// regionCities are the cities by which the cloud calls its regions, as its published prefixes spell them.
var regionCities = map[string]string{
	"us-east-1": "Ashburn", "us-east-2": "Columbus", "us-west-1": "San Francisco", "us-west-2": "Boardman", "ca-central-1": "Montreal",
	"ca-west-1": "Calgary", "mx-central-1": "Querétaro", "sa-east-1": "Sao Paulo", "eu-central-1": "Frankfurt am Main", "eu-central-2": "Zurich",
	"eu-west-1": "Dublin", "eu-west-2": "London", "eu-west-3": "Paris", "eu-north-1": "Stockholm", "eu-south-1": "Milan", "eu-south-2": "Zaragoza",
	"eusc-de-east-1": "Berlin", "af-south-1": "Cape Town", "il-central-1": "Tel Aviv-Yafo", "me-south-1": "Al Manamah", "me-central-1": "Dubai",
	"ap-south-1": "Mumbai", "ap-south-2": "Hyderabad", "ap-east-1": "Hong Kong", "ap-east-2": "Taipei", "ap-northeast-1": "Tokyo",
	"ap-northeast-2": "Seoul", "ap-northeast-3": "Osaka", "ap-southeast-1": "Singapore", "ap-southeast-2": "Sydney", "ap-southeast-3": "Jakarta",
	"ap-southeast-4": "Melbourne", "ap-southeast-5": "Kuala Lumpur", "ap-southeast-6": "Auckland", "ap-southeast-7": "Bangkok",
	"cn-north-1": "Beijing", "cn-northwest-1": "Yinchuan",
}

// TestRegionsAgainstPublishedPrefixes: the table of regions puts each region into the country in which the cloud itself
// says that its prefixes of that city lie.
func TestRegionsAgainstPublishedPrefixes(t *testing.T) {
	cities := map[string]string{}
	for _, p := range publishedPrefixes(t) {
		cities[p.city] = p.country
	}
	for region, city := range regionCities {
		if c, _ := access.RegionCountry(region); c.String() != cities[city] {
			t.Errorf("%s is in %s, the cloud's prefixes in %s are in %q", region, c, city, cities[city])
		}
	}
	t.Logf("%d regions agree with the published prefixes of their cities", len(regionCities))
}

type prefix struct {
	prefix        netip.Prefix
	country, city string
}

func publishedPrefixes(t testing.TB) []prefix {
	t.Helper()
	var out []prefix
	for lines := bufio.NewScanner(bytes.NewReader(read(t, glob(t, "geo/aws-geofeed.txt")[0]))); lines.Scan(); {
		columns := strings.Split(lines.Text(), ",")
		if len(columns) < 4 || strings.HasPrefix(columns[0], "#") {
			continue
		}
		p, err := netip.ParsePrefix(columns[0])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, prefix{p, columns[1], columns[3]})
	}
	if len(out) < 10_000 {
		t.Fatalf("only %d published prefixes", len(out))
	}
	return out
}

// TestPublishedPrefixesPlaceServices: a service account is placed by the country of the published prefix, whatever a
// location database says, and a person at the same address is masked. A stolen role abroad is away from its home.
func TestPublishedPrefixesPlaceServices(t *testing.T) {
	b := loadBundle(t)
	counts, home := map[string]int{}, "DE"
	for _, p := range publishedPrefixes(t) {
		var ev access.Event
		ev.Reset()
		ev.Source.Address, ev.Actor.Kind, ev.Actor.HomeCountry = p.prefix.Addr().String(), access.ActorService, countryOf(t, home)
		b.Enricher.Enrich(&ev)
		l := ev.Location
		switch {
		case l.Verdict == access.LocationMasked && l.Reason != "hosting":
			counts["masked: "+l.Reason]++ // somebody runs a VPN or Tor exit there
		case l.Verdict == access.LocationSingle && l.Candidates.String() == p.country:
			counts["placed"]++
			if away := l.Expected == access.ExpectedAway; away != (p.country != home) {
				t.Errorf("%s in %s: expected is %s", p.prefix, p.country, l.Expected)
			}
		default:
			counts[fmt.Sprintf("wrong: %s %s", l.Verdict, l.Reason)]++
		}
		ev.Actor.Kind = access.ActorEmployee
		b.Enricher.Enrich(&ev)
		if ev.Location.Verdict != access.LocationMasked {
			t.Errorf("a person at %s is placed in %s (%s)", p.prefix, ev.Location.Candidates, ev.Location.Verdict)
		}
	}
	t.Logf("%v", counts)
	for what, n := range counts {
		if strings.HasPrefix(what, "wrong") && n > total(counts)/1000 {
			t.Errorf("%d prefixes %s", n, what)
		}
	}
}

func countryOf(t testing.TB, code string) access.Country {
	t.Helper()
	c, ok := access.ParseCountry(code)
	if !ok {
		t.Fatalf("no country %q", code)
	}
	return c
}
