package traffic_test

import (
	"testing"

	"borderwatch/cmd/borderwatch/traffic"
	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
)

// decoders has the real decoder of each feed.
func decoders(t *testing.T) map[string]decode.Decoder {
	t.Helper()
	byFeed := make(map[string]decode.Decoder)
	for feed, adapter := range map[string]string{traffic.FeedNative: decode.Native, traffic.FeedCloudTrail: decode.CloudTrail} {
		d, err := decode.New(adapter, decode.Feed{Name: feed})
		if err != nil {
			t.Fatal(err)
		}
		byFeed[feed] = d
	}
	return byFeed
}

// TestRecordsAreDecoded holds the traffic against the real decoders: nothing of it is malformed or unknown to them.
func TestRecordsAreDecoded(t *testing.T) {
	decoders := decoders(t)
	g := generator(t, traffic.Options{Seed: 11, Start: start, Rate: 100, CloudTrailShare: 0.2, PlantedShare: 0.4})
	var r traffic.Record
	var ev access.Event
	for i := range 5000 {
		g.Next(&r)
		d := decoders[r.Feed]
		ev.Reset()
		if err := d.Decode(&decode.Record{Key: r.Key, Value: r.Value}, &ev); err != nil {
			t.Fatalf("record %d: %v in %s", i, err, r.Value)
		}
		if extra := d.Extra(); r.Feed == traffic.FeedNative && extra != 0 {
			t.Fatalf("record %d: %d members that the format does not know: %s", i, extra, r.Value)
		}
		delivered := r.Label == traffic.Copy || r.Label == traffic.ReusedID // later than the event's own time
		if ev.ID != r.EventID || r.Feed == traffic.FeedNative && !delivered && ev.Time.AsTime() != r.Time {
			t.Fatalf("record %d: read as %s at %v: %s", i, ev.ID, ev.Time, r.Value)
		}
	}
}
