package traffic_test

import (
	"io/fs"
	"os"
	"path"
	"testing"

	"borderwatch/cmd/borderwatch/traffic"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// geoIPEnv names a location database to judge by as well: without one nobody works from home and some cases, which
// need addresses abroad, are not planted.
const geoIPEnv = "BORDERWATCH_TEST_GEOIP"

// shipped is the bundle of the shipped packs and the example company.
func shipped(t *testing.T) *bundle.Bundle {
	t.Helper()
	var parts []bundle.Part
	if name := os.Getenv(geoIPEnv); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, bundle.Part{Role: "geoip", Path: path.Base(name), Data: data})
	}
	for prefix, files := range map[string]fs.FS{"packs": packs.Files, "examples": examples.Files} {
		err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := fs.ReadFile(files, name)
			parts = append(parts, bundle.Part{Role: "file", Path: path.Join(prefix, name), Data: data})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := bundle.Compile(parts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestShippedRulesSeeWhatIsPlanted judges the traffic of the example company by the shipped packs: harmless events
// stay quiet and each planted case comes out as what it is, by one of its rules.
func TestShippedRulesSeeWhatIsPlanted(t *testing.T) {
	type want struct {
		outcome alert.Outcome
		rules   []string // one of them must have matched
	}
	wants := map[traffic.Label]want{
		traffic.ForbiddenCountry:     {alert.Alert, []string{"EU-101", "EU-103"}},
		traffic.DeniedAttempt:        {alert.Alert, []string{"EU-101", "EU-103"}},
		traffic.GatewayBypassed:      {alert.Alert, []string{"EU-107"}},
		traffic.ApprovedException:    {alert.Suppressed, []string{"EU-101"}},
		traffic.Masked:               {alert.Alert, []string{"BASE-304", "BASE-305"}},
		traffic.UnknownLocation:      {alert.Alert, []string{"BASE-307"}},
		traffic.MissingApproval:      {alert.Alert, []string{"EU-111", "EU-114"}},
		traffic.ExpiredApproval:      {alert.Alert, []string{"EU-111", "EU-114"}},
		traffic.BulkExport:           {alert.Alert, []string{"EU-112"}},
		traffic.NoSecondFactor:       {alert.Alert, []string{"BASE-303"}},
		traffic.Anonymous:            {alert.Alert, []string{"EU-115"}},
		traffic.OnLeave:              {alert.Alert, []string{"BASE-302"}},
		traffic.ForbiddenReplication: {alert.Alert, []string{"EU-104", "EU-105"}},
		traffic.CoveredPerson:        {alert.Alert, []string{"US-201", "US-202"}},
		traffic.CountryOfConcern:     {alert.Alert, []string{"US-203"}},
		traffic.Transfer:             {alert.Alert, []string{"EU-102"}},
		traffic.FormerEmployee:       {alert.Alert, []string{"BASE-301"}},
		traffic.LostField:            {alert.Unknown, nil},
	}
	world, err := traffic.Collect(examples.Files)
	if err != nil {
		t.Fatal(err)
	}
	if name := os.Getenv(geoIPEnv); name != "" {
		if world.Public, err = traffic.PublicAddresses(name, world.Countries()); err != nil {
			t.Fatal(err)
		}
		wants[traffic.LocationConflict] = want{alert.Alert, []string{"BASE-306"}}
		wants[traffic.ServiceAbroad] = want{alert.Alert, []string{"BASE-309"}}
	}
	g, err := traffic.New(world, traffic.Options{Seed: 1, Start: start, Rate: 100, PlantedShare: 0.4, CloudTrailShare: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	decoders := decoders(t)
	b := shipped(t)
	var (
		r       traffic.Record
		ev      access.Event
		verdict alert.Verdict
		scratch []byte
		seen    = make(map[traffic.Label]int)
		wrong   = make(map[traffic.Label]int)
	)
	for range 6000 {
		g.Next(&r)
		ev.Reset()
		if err := decoders[r.Feed].Decode(&decode.Record{Value: r.Value}, &ev); err != nil {
			t.Fatal(err)
		}
		ev.Kafka.Timestamp = access.Millis(r.Time.UnixMilli())
		var content access.Digest
		content, scratch = ev.ContentDigest(scratch)
		b.Enricher.Enrich(&ev)
		verdict.Reset()
		b.Engine.Evaluate(&ev, content, &verdict)
		seen[r.Label]++
		w, known := wants[r.Label]
		if !known && r.Label != "" {
			continue // Copy and ReusedID are judged like the event they repeat
		}
		if verdict.Outcome == w.outcome && matchedOne(&verdict, w.rules) {
			continue
		}
		if wrong[r.Label]++; wrong[r.Label] <= 3 {
			t.Errorf("%q: outcome %v, matched %v, location %v %v %v, want %v by one of %v: %s",
				r.Label, verdict.Outcome, verdict.Matched, ev.Location.Verdict, ev.Location.Candidates, ev.Location.Reason, w.outcome, w.rules, r.Value)
		}
	}
	for label := range wants {
		if seen[label] == 0 {
			t.Errorf("no %s was planted", label)
		}
	}
	t.Logf("planted %v", seen)
	if len(wrong) > 0 {
		t.Logf("wrong %v", wrong)
	}
}

// matchedOne reports whether one of the rules is among the matched; true for no rules.
func matchedOne(v *alert.Verdict, rules []string) bool {
	if len(rules) == 0 {
		return true
	}
	for _, m := range v.Matched {
		for _, id := range rules {
			if m.RuleID == id && m.Outcome != alert.None {
				return true
			}
		}
	}
	return false
}
