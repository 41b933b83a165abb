package realdata_test

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
)

// publicLists names the address lists beside the example company's own.
const publicLists = `# Public address lists of one day.
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
  - {name: Google, file: ipranges-google-ipv6_merged.txt, kind: hosting}
  - {name: Microsoft, file: ipranges-microsoft-ipv4_merged.txt, kind: hosting}
  - {name: Microsoft, file: ipranges-microsoft-ipv6_merged.txt, kind: hosting}
  - {name: Oracle, file: ipranges-oracle-ipv4_merged.txt, kind: hosting}
`

// bundleSource is the shipped rules, the example company's files, the public lists and a location database of today.
func bundleSource(t testing.TB) bundle.Source {
	t.Helper()
	dir := t.TempDir()
	for name, files := range map[string]fs.FS{"packs": packs.Files, "example": examples.Files} {
		if err := os.CopyFS(filepath.Join(dir, name), files); err != nil {
			t.Fatal(err)
		}
	}
	lists := filepath.Join(dir, "public")
	if err := os.Mkdir(lists, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(lists, "networks.yaml"), []byte(publicLists))
	for line := range strings.Lines(publicLists) {
		_, rest, _ := strings.Cut(line, "file: ")
		if name, _, ok := strings.Cut(rest, ","); ok {
			write(t, filepath.Join(lists, name), addressList(t, name))
		}
	}
	return bundle.Source{Dir: dir, GeoIP: embeddedtest.GeoIP(t)}
}

func loadBundle(t testing.TB) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Load(bundleSource(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func addressList(t testing.TB, name string) []byte {
	t.Helper()
	switch name {
	case "tor.txt":
		return torExits(read(t, glob(t, "netlists/tor-exits.csv")[0]))
	case "aws.csv":
		return read(t, glob(t, "geo/aws-geofeed.txt")[0])
	}
	return read(t, glob(t, "netlists/"+name)[0])
}

// torExits takes the address column of fingerprint, address, port.
func torExits(table []byte) []byte {
	var b bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		if columns := strings.Split(lines.Text(), ", "); len(columns) == 3 && columns[1] != "ipaddr" {
			b.WriteString(columns[1] + "\n")
		}
	}
	return b.Bytes()
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
