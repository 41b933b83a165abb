package traffic_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"borderwatch/cmd/borderwatch/traffic"
)

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// world is the test company, with a few addresses in countries. They are documentation addresses: what a location
// database would say of them plays no part here.
func world(t testing.TB) *traffic.World {
	t.Helper()
	w, err := traffic.Collect(os.DirFS("testdata/bundle"))
	if err != nil {
		t.Fatal(err)
	}
	w.Public = make(map[string][]netip.Prefix)
	for i, c := range w.Countries() {
		w.Public[c] = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(128 + 4*i)}), 30)}
	}
	return w
}

func generator(t testing.TB, o traffic.Options) *traffic.Generator {
	t.Helper()
	g, err := traffic.New(world(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// stream makes n records and returns them whole.
func stream(t testing.TB, n int, o traffic.Options) []byte {
	t.Helper()
	var all bytes.Buffer
	var r traffic.Record
	g := generator(t, o)
	for range n {
		g.Next(&r)
		all.WriteString(r.Feed + " " + r.Time.String() + " " + string(r.Label) + " " + string(r.Key) + " ")
		all.Write(r.Value)
		all.WriteByte('\n')
	}
	return all.Bytes()
}

func TestSameSeedSameBytes(t *testing.T) {
	o := traffic.Options{Seed: 7, Start: start, Rate: 50, CloudTrailShare: 0.2, PlantedShare: 0.3}
	first := stream(t, 2000, o)
	if !bytes.Equal(first, stream(t, 2000, o)) {
		t.Error("the same options gave other bytes")
	}
	o.Seed = 8
	if bytes.Equal(first, stream(t, 2000, o)) {
		t.Error("another seed gave the same bytes")
	}
}

func TestRecordsAreJSONWithDistinctIDs(t *testing.T) {
	g := generator(t, traffic.Options{Seed: 1, Start: start, Rate: 100, CloudTrailShare: 0.2, PlantedShare: 0.2})
	ids := make(map[string]bool)
	var r traffic.Record
	for i := range 5000 {
		g.Next(&r)
		var fields map[string]any
		if err := json.Unmarshal(r.Value, &fields); err != nil {
			t.Fatalf("record %d: %v in %s", i, err, r.Value)
		}
		id := fields["event_id"]
		if r.Feed == traffic.FeedCloudTrail {
			id = fields["eventID"]
		}
		if id != r.EventID {
			t.Fatalf("record %d: id %v, told as %s", i, id, r.EventID)
		}
		if ids[r.EventID] && r.Label != traffic.Copy && r.Label != traffic.ReusedID {
			t.Fatalf("record %d: id %s a second time", i, r.EventID)
		}
		ids[r.EventID] = true
		if want := start.Add(time.Duration(i) * 10 * time.Millisecond); !r.Time.Equal(want) {
			t.Fatalf("record %d: time %v, want %v", i, r.Time, want)
		}
	}
}

// TestPlants states what makes each planted case what it is.
func TestPlants(t *testing.T) {
	in := func(name string, want ...string) func(map[string]any) bool {
		return func(e map[string]any) bool { s, _ := e[name].(string); return slices.Contains(want, s) }
	}
	absent := func(name string) func(map[string]any) bool {
		return func(e map[string]any) bool { _, ok := e[name]; return !ok }
	}
	addressIn := func(prefixes ...string) func(map[string]any) bool {
		return func(e map[string]any) bool {
			ip, err := netip.ParseAddr(e["source.ip"].(string))
			return err == nil && slices.ContainsFunc(prefixes, func(p string) bool { return netip.MustParsePrefix(p).Contains(ip) })
		}
	}
	abroad := in("declared.physical_country", "CN", "RU", "VE")
	wants := map[traffic.Label][]func(map[string]any) bool{
		traffic.ForbiddenCountry:     {abroad, in("outcome", "success"), in("data.dataset", "eu.users.contact")},
		traffic.DeniedAttempt:        {abroad, in("outcome", "denied"), in("gateway.decision", "blocked")},
		traffic.GatewayBypassed:      {abroad, in("gateway.decision", "bypassed")},
		traffic.ApprovedException:    {in("actor.id", "u-9"), in("declared.physical_country", "SG"), in("data.dataset", "eu.users.contact")},
		traffic.LocationConflict:     {in("declared.physical_country", "DE")},
		traffic.Masked:               {addressIn("203.0.113.0/25", "203.0.113.200/32"), absent("declared.physical_country"), absent("location.evidence")},
		traffic.UnknownLocation:      {absent("source.ip"), absent("declared.physical_country"), absent("location.evidence")},
		traffic.MissingApproval:      {absent("approval.id"), absent("approval.scope"), in("actor.id", "u-7")},
		traffic.BulkExport:           {in("action", "export"), func(e map[string]any) bool { return e["data.records"].(float64) >= 1000 }},
		traffic.NoSecondFactor:       {func(e map[string]any) bool { return e["session.mfa"] == false }},
		traffic.Anonymous:            {in("actor.kind", "anonymous"), in("data.dataset", "eu.users.contact")},
		traffic.OnLeave:              {in("actor.id", "u-8")},
		traffic.CountryOfConcern:     {abroad, in("actor.id", "u-3"), in("data.dataset", "us.users.health")},
		traffic.ExpiredApproval:      {in("actor.id", "u-7"), func(e map[string]any) bool { return e["approval.valid_until"].(string) < e["time"].(string) }},
		traffic.ForbiddenReplication: {in("actor.kind", "service"), in("action", "replicate", "copy"), in("dest.country", "CN", "RU", "VE")},
		traffic.ServiceAbroad:        {in("actor.id", "svc-etl-1"), absent("declared.physical_country")},
		traffic.CoveredPerson:        {in("actor.id", "u-6"), in("data.dataset", "us.users.health")},
		traffic.Transfer:             {in("actor.id", "u-4"), in("actor.employer_country", "PH")},
		traffic.FormerEmployee:       {in("actor.id", "u-5")},
		traffic.LostField:            {absent("data.subject_regions"), absent("data.classes"), in("data.dataset", "landing.eu.users.contact"), in("actor.id", "u-4")},
		traffic.Copy:                 {in("schema", "bw/access/v1")},
		traffic.ReusedID:             {in("schema", "bw/access/v1")},
	}
	g := generator(t, traffic.Options{Seed: 3, Start: start, Rate: 100, PlantedShare: 1})
	seen := make(map[traffic.Label]int)
	var r traffic.Record
	for range 3000 {
		g.Next(&r)
		seen[r.Label]++
		var e map[string]any
		if err := json.Unmarshal(r.Value, &e); err != nil {
			t.Fatal(err)
		}
		for i, ok := range wants[r.Label] {
			if !ok(e) {
				t.Errorf("%s, condition %d does not hold: %s", r.Label, i, r.Value)
			}
		}
	}
	for label := range wants {
		if seen[label] == 0 {
			t.Errorf("no %s was planted", label)
		}
	}
	if len(seen) != len(wants) {
		t.Errorf("planted %v", seen)
	}
}

func TestExceptionEnds(t *testing.T) {
	g := generator(t, traffic.Options{Seed: 1, Start: start.AddDate(0, 2, 0), Rate: 100, PlantedShare: 1})
	var r traffic.Record
	for range 1000 {
		g.Next(&r)
		if r.Label == traffic.ApprovedException {
			t.Fatal("an exception that is over is planted as approved")
		}
	}
}

// TestHarmless states what no event without a label does.
func TestHarmless(t *testing.T) {
	g := generator(t, traffic.Options{Seed: 5, Start: start, Rate: 100})
	kinds := make(map[string]int)
	var r traffic.Record
	for range 5000 {
		g.Next(&r)
		var e struct {
			Actor    string   `json:"actor.id"`
			Kind     string   `json:"actor.kind"`
			Physical string   `json:"declared.physical_country"`
			Home     string   `json:"actor.home_country"`
			Office   string   `json:"declared.office_country"`
			Regions  []string `json:"data.subject_regions"`
			Classes  []string `json:"data.classes"`
			Approval string   `json:"approval.id"`
			Dest     string   `json:"dest.country"`
		}
		if err := json.Unmarshal(r.Value, &e); err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
		restricted := slices.Contains(e.Classes, "restricted") || slices.Contains(e.Classes, "sensitive")
		switch {
		case r.Label != "", e.Dest != "",
			e.Actor == "u-5" || e.Actor == "u-6" || e.Actor == "u-8" || e.Actor == "u-9",
			e.Kind == "employee" && e.Physical != e.Home && e.Physical != e.Office,
			e.Home == "PH" && slices.Contains(e.Regions, "EU"),
			e.Home == "US" && slices.Contains(e.Regions, "EU"),
			restricted && e.Kind == "employee" && e.Approval == "":
			t.Fatalf("not harmless: %q %s", r.Label, r.Value)
		}
	}
	for _, kind := range []string{"employee", "contractor", "vendor", "service", "subject"} {
		if kinds[kind] == 0 {
			t.Errorf("nothing by a %s: %v", kind, kinds)
		}
	}
}

func TestStamperMakesDistinctEvents(t *testing.T) {
	o := traffic.Options{Seed: 9, Start: start, Rate: 2000, PlantedShare: 0.05}
	s, err := traffic.NewStamper(world(t), o, 100)
	if err != nil {
		t.Fatal(err)
	}
	ids, size := make(map[string]bool), 0
	for i := range 5000 {
		value, at := s.Append(nil)
		size += len(value)
		var e struct {
			ID   string    `json:"event_id"`
			Time time.Time `json:"time"`
		}
		if err := json.Unmarshal(value, &e); err != nil {
			t.Fatalf("%v in %s", err, value)
		}
		want := start.Add(time.Duration(i/2) * time.Millisecond)
		if ids[e.ID] || !e.Time.Equal(want) || !at.Equal(want) {
			t.Fatalf("event %d: %+v at %v, want %v", i, e, at, want)
		}
		ids[e.ID] = true
	}
	t.Logf("%d bytes an event", size/5000)
}

func TestWorldWithoutPeopleIsRefused(t *testing.T) {
	_, err := traffic.Collect(os.DirFS(t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "no people in its roster") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkNext(b *testing.B) {
	g := generator(b, traffic.Options{Seed: 1, Start: start, Rate: 1000, PlantedShare: 0.05})
	var r traffic.Record
	bytes := 0
	for b.Loop() {
		g.Next(&r)
		bytes += len(r.Value)
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "B/event")
}

func BenchmarkStamper(b *testing.B) {
	s, err := traffic.NewStamper(world(b), traffic.Options{Seed: 1, Start: start, Rate: 100_000, PlantedShare: 0.05}, 4096)
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	bytes := 0
	for b.Loop() {
		buf, _ = s.Append(buf[:0])
		bytes += len(buf)
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "B/event")
}
