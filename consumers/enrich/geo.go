package enrich

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"borderwatch/schemas/access"
)

// Database is a location database in MaxMind's format. The zero value is none; a Name without Data is one that could
// not be read, with Err saying why.
type Database struct {
	Name string
	Data []byte
	Err  error
}

// GeoInfo describes a location database in use.
type GeoInfo struct {
	Name      string // as configured
	Type      string // database_type of its metadata
	Built     time.Time
	SHA256    string // of the file, hexadecimal
	Networks  int
	Countries bool // it places addresses
	ASNs      bool // it names their networks
	Problem   string
}

// geo looks up addresses in one database. Its records are decoded once, when it is opened: an address costs a walk of
// the tree and one map look-up.
type geo struct {
	info    GeoInfo
	reader  *maxminddb.Reader // nil where there is no usable database
	records map[uintptr]geoRecord
}

type geoRecord struct {
	place access.Place
	asn   uint32
	org   string
}

// maxGeoRecords bounds the distinct records of a database; the largest city databases have about a million.
const maxGeoRecords = 8 << 20

// openGeo reads a whole database. One that is missing or damaged places nobody, and says so: an address is then
// unknown, not the absence of a finding.
func openGeo(db Database) (g *geo, problem *Problem) {
	g = &geo{info: GeoInfo{Name: db.Name}}
	if db.Name == "" && len(db.Data) == 0 {
		return g, nil
	}
	err := db.Err
	if err == nil {
		sum := sha256.Sum256(db.Data)
		g.info.SHA256 = hex.EncodeToString(sum[:])
		err = g.load(db.Data)
	}
	if err == nil && !g.info.Countries && !g.info.ASNs {
		err = fmt.Errorf("it is a %s database and holds neither countries nor networks", g.info.Type)
	}
	if err != nil {
		g.reader, g.records = nil, nil
		g.info.Problem = err.Error()
		return g, &Problem{Path: db.Name, Severity: Error, Message: "location database: " + err.Error(),
			Hint: "until it is replaced, places that rest on an address are unknown"}
	}
	return g, nil
}

func (g *geo) load(data []byte) (err error) {
	defer func() { // the file is foreign input and the library is not ours
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	if len(data) == 0 {
		return errors.New("the file is missing or empty")
	}
	g.reader, err = maxminddb.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("not a MaxMind database: %w", err)
	}
	if err := checkTree(data, g.reader.Metadata.NodeCount, g.reader.Metadata.RecordSize); err != nil {
		return err
	}
	g.info.Type = g.reader.Metadata.DatabaseType
	g.info.Built = g.reader.Metadata.BuildTime().UTC()
	g.records = make(map[uintptr]geoRecord, 512)
	for result := range g.reader.Networks() {
		if err := g.record(result); err != nil {
			return fmt.Errorf("damaged near %s: %w", result.Prefix(), err)
		}
		g.info.Networks++
	}
	return nil
}

func (g *geo) record(result maxminddb.Result) error {
	if err := result.Err(); err != nil {
		return err
	}
	if _, known := g.records[result.Offset()]; known {
		return nil
	}
	if len(g.records) == maxGeoRecords {
		return fmt.Errorf("more than %d distinct records", maxGeoRecords)
	}
	var fields map[string]any
	if err := result.Decode(&fields); err != nil {
		return err
	}
	r := geoRecord{place: recordPlace(fields)}
	r.asn, r.org = recordNetwork(fields)
	g.records[result.Offset()] = r
	g.info.Countries = g.info.Countries || r.place != 0
	g.info.ASNs = g.info.ASNs || r.asn != 0
	return nil
}

func (g *geo) find(ip netip.Addr) geoRecord {
	if g.reader == nil {
		return geoRecord{}
	}
	result := g.reader.Lookup(ip)
	if !result.Found() {
		return geoRecord{}
	}
	return g.records[result.Offset()]
}

// recordPlace reads country.iso_code, or a flat country_code or country. The registered country of a network is no
// evidence of where it is used and is not read.
func recordPlace(fields map[string]any) access.Place {
	if c, ok := fields["country"].(map[string]any); ok {
		code, _ := c["iso_code"].(string)
		return geoPlace(code)
	}
	for _, key := range []string{"country_code", "country"} {
		if code, ok := fields[key].(string); ok && code != "" {
			return geoPlace(code)
		}
	}
	return 0
}

// geoPlace reads a database's code. EU means somewhere in Europe; AN (the Netherlands Antilles, dissolved in 2010) one
// of BQ, CW and SX, which share a region; AP (Asia/Pacific) spans two regions and narrows nothing.
func geoPlace(code string) access.Place {
	code = strings.ToUpper(code)
	switch code {
	case "EU":
		code = "EUR"
	case "AN":
		code = "NAM"
	}
	if len(code) > 3 {
		return 0
	}
	p, _ := access.ParsePlace(code)
	return p
}

// recordNetwork reads the autonomous system: MaxMind's names, or the flat asn and as_name ("AS64500" or a number).
func recordNetwork(fields map[string]any) (asn uint32, org string) {
	for _, key := range []string{"autonomous_system_number", "asn"} {
		switch v := fields[key].(type) {
		case uint64:
			asn = uint32(v)
		case uint32:
			asn = v
		case string:
			n, _ := strconv.ParseUint(strings.TrimPrefix(v, "AS"), 10, 32)
			asn = uint32(n)
		}
		if asn != 0 {
			break
		}
	}
	for _, key := range []string{"autonomous_system_organization", "as_name", "as_organization"} {
		if s, ok := fields[key].(string); ok && s != "" {
			return asn, s
		}
	}
	return asn, ""
}
