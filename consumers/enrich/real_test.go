package enrich_test

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"borderwatch/consumers/enrich"
	"borderwatch/schemas/access"
)

// publicLists are the address lists of the real input, as an operator would name them.
const publicLists = `
format: borderwatch/networks/v1
lists:
  - {name: Tor exits, file: tor.txt, kind: tor}
  - {name: VPN, file: x4bnet-vpn-ipv4.txt, kind: vpn}
  - {name: VPN, file: x4bnet-vpn-ipv6.txt, kind: vpn}
  - {name: Private Relay, file: ipranges-apple-proxy-ipv4_merged.txt, kind: relay}
  - {name: Private Relay, file: ipranges-apple-proxy-ipv6_merged.txt, kind: relay}
  - {name: hosting, file: x4bnet-datacenter-ipv4.txt, kind: hosting}
  - {name: hosting, file: x4bnet-datacenter-ipv6.txt, kind: hosting}
  - {name: AWS, file: aws.csv, kind: cloud}
  - {name: Google, file: ipranges-google-ipv4_merged.txt, kind: hosting}
  - {name: Microsoft, file: ipranges-microsoft-ipv4_merged.txt, kind: hosting}
  - {name: Oracle, file: ipranges-oracle-ipv4_merged.txt, kind: hosting}
`

func realLists(t testing.TB, data string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(data, "netlists", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Skip("SKIPPED: no address lists in the real input")
	}
	for _, name := range append(names, filepath.Join(data, "geo", "aws-geofeed.txt")) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = b
	}
	files["aws.csv"] = files["aws-geofeed.txt"]
	delete(files, "aws-geofeed.txt")
	files["tor.txt"] = torList(t, filepath.Join(data, "netlists", "tor-exits.csv"))
	return files
}

// torList takes the address column of the Tor project's list: fingerprint, address, port.
func torList(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if columns := strings.Split(lines.Text(), ", "); len(columns) == 3 && columns[1] != "ipaddr" {
			b.WriteString(columns[1] + "\n")
		}
	}
	return []byte(b.String())
}

// TestLabelledAddresses places real people's addresses, whose country in 2015 another database knew, with a database of
// today. Addresses change hands in eleven years, so agreement is a share.
func TestLabelledAddresses(t *testing.T) {
	data := sharedData(t)
	e, problems := enrich.New([]enrich.Document{{Path: "networks.yaml", Data: []byte(publicLists)}}, realLists(t, data), locationDatabase(t), enrich.Database{})
	if e == nil {
		t.Fatal(problems)
	}
	f, err := os.Open(filepath.Join(data, "geo", "wiki-2015-ip-country.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	count, masks, pairs, classes := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, row := range rows {
		ev := newEvent()
		ev.Actor.Kind, ev.Source.Address = access.ActorEmployee, row[0]
		e.Enrich(ev)
		l := &ev.Location
		want, known := access.ParseCountry(row[1])
		switch {
		case l.Verdict == access.LocationMasked:
			count["masked"]++
			masks[l.Reason]++
		case l.Verdict != access.LocationSingle:
			count["unknown"]++
			masks[l.Reason]++
		case known && l.Candidates.Has(want):
			count["agree"]++
		case !known:
			count["label is no country"]++
		default:
			count["differ"]++
			pairs[row[1]+" then, "+l.Candidates.String()+" now"]++
			classes[difference(want, l.Candidates)]++
		}
	}
	total := len(rows)
	share := func(n int) float64 { return 100 * float64(n) / float64(total) }
	t.Logf("%d addresses: agree %d (%.1f %%), differ %d (%.1f %%), masked %d (%.1f %%), unknown %d (%.1f %%), label without country %d",
		total, count["agree"], share(count["agree"]), count["differ"], share(count["differ"]), count["masked"], share(count["masked"]),
		count["unknown"], share(count["unknown"]), count["label is no country"])
	t.Logf("masked or unknown by reason: %v", masks)
	t.Logf("differences by class: %v", classes)
	t.Logf("the most frequent differences: %s", strings.Join(most(pairs, 12), "; "))
	if got := count["agree"] + count["differ"] + count["masked"] + count["unknown"] + count["label is no country"]; got != total {
		t.Errorf("%d of %d addresses have a finding", got, total)
	}
	if share(count["masked"]) > 5 {
		t.Errorf("%.1f %% are masked, more than 5 %%", share(count["masked"]))
	}
	if share(count["agree"]) < 80 {
		t.Errorf("only %.1f %% agree", share(count["agree"]))
	}
}

// difference classes a changed country. Blocks of addresses were sold all over the world in these years; a block that
// stays on its continent was mostly moved within one provider; and some codes changed with borders and statistics.
func difference(then access.Country, now access.CountrySet) string {
	switch pair := then.String() + now.String(); pair {
	case "UARU", "RUUA", "ALXK", "RSXK", "FRRE", "FRGP", "FRMQ", "FRGF", "CNHK", "GBJE", "GBGG", "GBIM", "USPR":
		return "border or territory counted differently"
	}
	for _, code := range []string{"EUR", "ASI", "NAM", "SAM", "AFR", "OCE"} {
		region, _ := access.ParsePlace(code)
		countries := region.Countries()
		if countries.Has(then) && now.Within(&countries) {
			return "moved within a continent"
		}
	}
	return "moved to another continent"
}

func most(counts map[string]int, n int) []string {
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if counts[keys[i]] != counts[keys[j]] {
			return counts[keys[i]] > counts[keys[j]]
		}
		return keys[i] < keys[j]
	})
	var out []string
	for _, k := range keys[:min(n, len(keys))] {
		out = append(out, fmt.Sprintf("%s: %d", k, counts[k]))
	}
	return out
}

// TestCloudPrefixes places a service account in each published AWS prefix: the cloud's word counts, not the database's.
func TestCloudPrefixes(t *testing.T) {
	data := sharedData(t)
	e, problems := enrich.New([]enrich.Document{{Path: "networks.yaml", Data: []byte(publicLists)}}, realLists(t, data), enrich.Database{}, enrich.Database{})
	if e == nil {
		t.Fatal(problems)
	}
	f, err := os.Open(filepath.Join(data, "geo", "aws-geofeed.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	placed, wrong := 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		columns := strings.Split(lines.Text(), ",")
		if len(columns) < 2 || strings.HasPrefix(columns[0], "#") {
			continue
		}
		address, _, _ := strings.Cut(columns[0], "/")
		ev := newEvent()
		ev.Actor.Kind, ev.Source.Address = access.ActorService, address
		e.Enrich(ev)
		switch l := &ev.Location; {
		case l.Verdict == access.LocationSingle && l.Candidates.String() == columns[1]:
			placed++
		case l.Verdict != access.LocationMasked: // a VPN or Tor exit runs there
			wrong++
		}
	}
	t.Logf("%d first addresses of published prefixes are placed, %d wrongly", placed, wrong)
	if placed < 10_000 || wrong > placed/100 {
		t.Errorf("placed %d, wrong %d", placed, wrong)
	}
}
