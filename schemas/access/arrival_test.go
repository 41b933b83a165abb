package access_test

import (
	"testing"

	"borderwatch/schemas/access"
)

func TestArrival(t *testing.T) {
	const day = access.ArrivalTolerance
	now := 1_780_000_000_000 * access.Millis(1)
	for _, tt := range []struct {
		name       string
		own, kafka access.Millis
		want       access.Arrival
	}{
		{"at once", now, now, access.ArrivalPrompt},
		{"a day late to the millisecond", now - day, now, access.ArrivalPrompt},
		{"a millisecond more", now - day - 1, now, access.ArrivalLate},
		{"dated back to the beginning", access.MinTime, now, access.ArrivalLate},
		{"a day ahead to the millisecond", now + day, now, access.ArrivalPrompt},
		{"dated ahead", now + day + 1, now, access.ArrivalEarly},
		{"dated to the end", access.MaxTime, now, access.ArrivalEarly},
		{"a record without a timestamp", now, -1, access.ArrivalUnknown},
		{"a record without a timestamp dated to the beginning", 0, -1, access.ArrivalUnknown},
		{"the timestamp 1970", now, 0, access.ArrivalEarly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := access.Event{Time: tt.own, Kafka: access.Position{Timestamp: tt.kafka}}
			if got := ev.Arrival(); got != tt.want {
				t.Errorf("arrival is %s, want %s", got, tt.want)
			}
			if word, _ := ev.WordOf(access.FieldArrival, 0); word != uint8(tt.want) || ev.Missing(access.FieldArrival, 0) != (tt.want == 0) {
				t.Errorf("source.arrival reads as %d, want %d", word, tt.want)
			}
		})
	}
}

func TestCopyTo(t *testing.T) {
	var ev, dst access.Event
	ev.Reset()
	ev.Actor.Groups, ev.Actor.Via = append(ev.Actor.Groups, "a"), append(ev.Actor.Via, "x")
	ev.Data.Items[0].Dataset = "one"
	for range 2 { // the second time into slices that are there
		ev.CopyTo(&dst)
		dst.Actor.Groups[0], dst.Actor.Via[0], dst.Data.Items[0].Dataset = "b", "y", "two"
		dst.AddItem()
		if ev.Actor.Groups[0] != "a" || ev.Actor.Via[0] != "x" || ev.Data.Items[0].Dataset != "one" || len(ev.Data.Items) != 1 {
			t.Fatalf("a change of the copy changed the event: %+v", ev)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { ev.CopyTo(&dst) }); allocs > 0 {
		t.Errorf("copying into slices that are there allocates %g times", allocs)
	}
}
