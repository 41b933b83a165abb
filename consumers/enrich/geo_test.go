package enrich_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borderwatch/consumers/enrich"
	"borderwatch/consumers/enrich/enrichtest"
	"borderwatch/schemas/access"
)

func TestDatabaseCodes(t *testing.T) {
	for code, want := range map[string]string{
		"DE": "single DE", "de": "single DE", "XK": "single XK", "UK": "single GB",
		"AP": "unknown any", "A1": "unknown any", "ZZ": "unknown any", "Germany": "unknown any",
		"EU": "single of EUR", "AN": "single of NAM",
	} {
		for _, nested := range []bool{true, false} {
			db := enrich.Database{Name: "x.mmdb", Data: enrichtest.Database(map[string]enrichtest.Record{
				"11.0.0.0/24": {Country: code, Nested: nested}, "11.0.1.0/24": {Country: "SE"}})}
			e, problems := enrich.New(nil, nil, db, enrich.Database{})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			ev := newEvent()
			ev.Actor.Kind, ev.Source.Address = access.ActorEmployee, "11.0.0.1"
			e.Enrich(ev)
			got := ev.Location.Verdict.String() + " " + ev.Location.Candidates.String()
			if region, ok := strings.CutPrefix(want, "single of "); ok {
				want = "single " + place(t, region).Countries().String()
			}
			if got != want {
				t.Errorf("%s: %s, want %s", code, got, want)
			}
		}
	}
}

// TestUnusableDatabase: a database that is missing or damaged leaves addresses unknown, and says so.
func TestUnusableDatabase(t *testing.T) {
	good := enrichtest.Database(map[string]enrichtest.Record{"11.0.2.0/24": {Country: "DE"}})
	damaged := bytes.Clone(good)
	damaged[len(damaged)-300] ^= 0xff // somewhere in the data
	for i := range damaged[:len(damaged)/2] {
		damaged[i] ^= 0x55
	}
	for name, db := range map[string]enrich.Database{
		"missing":   {Name: "x.mmdb", Err: errors.New("open x.mmdb: no such file")},
		"empty":     {Name: "x.mmdb"},
		"no mmdb":   {Name: "x.mmdb", Data: []byte(strings.Repeat("PK\x03\x04", 1000))},
		"truncated": {Name: "x.mmdb", Data: good[:len(good)/2]},
		"damaged":   {Name: "x.mmdb", Data: damaged},
		"no places": {Name: "x.mmdb", Data: enrichtest.Database(map[string]enrichtest.Record{"11.0.2.0/24": {}})},
	} {
		e, problems := enrich.New(nil, nil, db, enrich.Database{})
		if e == nil || len(problems) != 1 || problems[0].Severity != enrich.Error || problems[0].Path != "x.mmdb" {
			t.Errorf("%s: %v", name, problems)
			continue
		}
		if info := e.Geo(); len(info) != 1 || info[0].Problem == "" {
			t.Errorf("%s: %+v", name, info)
		}
		ev := newEvent()
		ev.Actor.Kind, ev.Source.Address = access.ActorEmployee, publicDE
		e.Enrich(ev)
		if l := &ev.Location; l.Verdict != access.LocationUnknown || l.Reason != "no-database" {
			t.Errorf("%s: %s (%s)", name, l.Verdict, l.Reason)
		}
	}
}

// TestTreesWithoutEnd: a few crafted nodes can stand for 2^128 networks, or for a walk that never ends.
func TestTreesWithoutEnd(t *testing.T) {
	good := enrichtest.Database(map[string]enrichtest.Record{"2400::/120": {Country: "DE"}})
	for name, next := range map[string]func(node uint32) uint32{
		"has a cycle":        func(node uint32) uint32 { return node / 2 },
		"more than 67108864": func(node uint32) uint32 { return node + 1 },
	} {
		data := bytes.Clone(good)
		for node := range uint32(119) {
			binary.BigEndian.PutUint32(data[node*8:], next(node))
			binary.BigEndian.PutUint32(data[node*8+4:], next(node))
		}
		_, problems := enrich.New(nil, nil, enrich.Database{Name: "x.mmdb", Data: data}, enrich.Database{})
		if len(problems) != 1 || !strings.Contains(problems[0].Message, name) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestGeoInfo(t *testing.T) {
	first, second := databases()
	e, _ := enrich.New(nil, nil, first, second)
	infos := e.Geo()
	if len(infos) != 2 {
		t.Fatalf("%+v", infos)
	}
	sum := sha256.Sum256(first.Data)
	got := infos[0]
	if got.Name != "first.mmdb" || got.Type != "Test-Country" || got.SHA256 != hex.EncodeToString(sum[:]) || got.Networks != 10 ||
		!got.Countries || !got.ASNs || got.Built.Unix() != 1_700_000_000 {
		t.Errorf("%+v", got)
	}
	ev := newEvent()
	ev.Source.Address = publicDE
	e.Enrich(ev)
	if ev.Network.ASN != 64500 || ev.Network.Org != "Example Net" {
		t.Errorf("%+v", ev.Network)
	}
}

// TestVendorDatabases opens the test files that MaxMind publishes.
func TestVendorDatabases(t *testing.T) {
	dir := filepath.Join(sharedData(t), "geo", "maxmind-test")
	for name, usable := range map[string]bool{"GeoLite2-Country-Test.mmdb": true, "GeoLite2-ASN-Test.mmdb": true, "GeoIP2-Anonymous-IP-Test.mmdb": false} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		e, problems := enrich.New(nil, nil, enrich.Database{Name: name, Data: data}, enrich.Database{})
		if e == nil || usable != (len(problems) == 0) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func FuzzDatabase(f *testing.F) {
	first, second := databases()
	f.Add(first.Data, uint16(0), byte(0))
	f.Add(second.Data, uint16(17), byte(0xff))
	f.Add(first.Data[:len(first.Data)-40], uint16(3), byte(1))
	f.Add([]byte("\xab\xcd\xefMaxMind.com"), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at uint16, flip byte) {
		data = bytes.Clone(data)
		if int(at) < len(data) {
			data[at] ^= flip
		}
		e, problems := enrich.New(nil, nil, enrich.Database{Name: "x.mmdb", Data: data}, enrich.Database{})
		if e == nil {
			t.Fatal(problems)
		}
		for _, address := range []string{publicDE, publicRO, unplaced, "::1", "255.255.255.255"} {
			ev := newEvent()
			ev.Source.Address = address
			e.Enrich(ev)
		}
	})
}
