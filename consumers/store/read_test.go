package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// judgedBy writes down everything that a rule can ask of an event, and what a verdict and its identities are made of.
func judgedBy(ev *access.Event) map[string]string {
	place := ev.Location
	clear(place.Evidence[place.EvidenceCount:]) // what the event was before it was drawn
	said := map[string]string{
		"position": fmt.Sprint(ev.Kafka), "location": fmt.Sprintf("%+v", place), "network": fmt.Sprintf("%+v", ev.Network),
		"scope": ev.Source.Scope, "address": ev.Source.Address, "declared": fmt.Sprint(ev.Declared), "presence": fmt.Sprint(ev.Presence),
		"approval": fmt.Sprintf("%+v", ev.Approval), "outcome": ev.Outcome.String(), "items": fmt.Sprint(len(ev.Data.Items)),
	}
	for item := range ev.Data.Items {
		for f := access.FieldNone + 1; f < access.FieldCount; f++ {
			said[fmt.Sprintf("%s[%d]", f, item)] = says(ev, f, item)
		}
	}
	return said
}

func says(ev *access.Event, f access.Field, item int) string {
	switch f.Info().Type {
	case access.Text, access.Address:
		value, reference := ev.TextOf(f, item)
		return value + " / " + reference
	case access.Texts:
		list, given := ev.TextsOf(f)
		return safeList(list, given)
	case access.Word:
		value, reference := ev.WordOf(f, item)
		return fmt.Sprint(value, reference)
	case access.Words:
		s := ev.WordsOf(f, item)
		return fmt.Sprint(s.Members(), s.HasUnknown(), s.Missing())
	case access.Nation, access.Region, access.Nations:
		value, reference := ev.NationOf(f, item)
		return fmt.Sprint(value, reference, ev.CandidatesOf(f, item))
	}
	n, given := ev.IntegerOf(f)
	return fmt.Sprint(n, given)
}

// TestReadBack stores events with every field drawn at random and reads them back: whatever a rule can ask of them has
// the same answer, and the alerts are those that were stored.
func TestReadBack(t *testing.T) {
	shared(t).migrated(t, "bw_read")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const n, first = 5000, 100
	events, alerts := map[int64]map[string]string{}, map[int64][]alert.Item{}
	block := store.NewBlock()
	block.Begin(testBatch(3, first))
	for i := range int64(n) {
		ev, v := randomEvent(r, first+i), &alert.Verdict{}
		ev.Kafka.Partition = 3
		switch i {
		case 0:
			ev, v = fullEvent(first), fullVerdict(1)
			ev.Kafka.Partition = 3
		case 1:
			ev = emptyEvent(first + 1)
			ev.Kafka.Partition, ev.Kafka.Timestamp = 3, -1
		default:
			if r.IntN(3) == 0 {
				v = fullVerdict(byte(i))
			}
		}
		content, _ := ev.ContentDigest(nil)
		block.AppendEvent(ev, content, v)
		said := judgedBy(ev)
		said["content"] = fmt.Sprint(content)
		events[first+i], alerts[first+i] = said, v.Alerts
	}
	block.Seal(store.Seal{Last: first + n - 1})
	s := open(t, shared(t).options("bw_read"))
	if err := s.Insert(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	windows, err := s.Windows(t.Context(), store.Span{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(windows) != 6 { // offsets 100 to 5099 in thousands
		t.Errorf("%d windows: %+v", len(windows), windows)
	}
	reader := s.NewReader()
	for _, w := range windows {
		readBack(t, reader, w, events, alerts)
	}
	if len(events) > 0 {
		t.Errorf("%d events were not read", len(events))
	}
}

func readBack(t *testing.T, reader *store.Reader, w store.Window, events map[int64]map[string]string, alerts map[int64][]alert.Item) {
	t.Helper()
	err := reader.Read(t.Context(), w, store.Span{}, true, func(e *store.StoredEvent) error {
		offset := e.Event.Kafka.Offset
		said := judgedBy(&e.Event)
		said["content"] = fmt.Sprint(e.Content)
		for name, want := range events[offset] {
			if said[name] != want {
				t.Errorf("offset %d: %s is %q, was %q", offset, name, said[name], want)
			}
		}
		delete(events, offset)
		var want []store.StoredAlert
		for _, a := range alerts[offset] {
			want = append(want, store.StoredAlert{ID: a.ID, RuleID: a.RuleID, Outcome: a.Outcome, Severity: a.Severity, Shadow: a.Shadow, DataItem: a.DataItem})
		}
		byID := func(list []store.StoredAlert) map[access.Digest]store.StoredAlert {
			m := map[access.Digest]store.StoredAlert{}
			for _, a := range list {
				m[a.ID] = a
			}
			return m
		}
		if !reflect.DeepEqual(byID(e.Alerts), byID(want)) {
			t.Errorf("offset %d: alerts %+v, want %+v", offset, e.Alerts, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReadWhatCounts reads what the views show: no batch without a receipt, none that a repair replaced, and of a span
// what lies in it.
func TestReadWhatCounts(t *testing.T) {
	shared(t).migrated(t, "bw_read_counts")
	s := open(t, shared(t).options("bw_read_counts"))
	ctx := context.Background()
	for _, b := range []*store.Block{filled(0, 0, 10), filled(1, 0, 10)} {
		if err := s.Insert(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	steps, err := s.Steps(filled(2, 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps[:len(steps)-1] {
		if err := step.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	repair := store.NewBlock()
	batch := testBatch(0, 0)
	batch.Attempt = 1
	fill(repair, batch, 10)
	if err := s.Insert(ctx, repair); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		span store.Span
		want int
	}{
		{"all", store.Span{}, 19},
		{"from the event's own time", store.Span{From: testTime - 1500, Until: testTime - 1499}, 19},
		{"before", store.Span{Until: testTime - 1500}, 0},
		{"after", store.Span{From: testTime - 1499}, 0},
	} {
		windows, err := s.Windows(ctx, test.span, 1000)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for _, w := range windows {
			if err := s.NewReader().Read(ctx, w, test.span, false, func(*store.StoredEvent) error { read++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if read != test.want {
			t.Errorf("%s: %d events, want %d", test.name, read, test.want)
		}
	}
	places, err := s.Places(ctx, "e-1-5")
	if err != nil || len(places) != 1 || places[0].Partition != 1 || places[0].Offset != 5 {
		t.Errorf("event: %+v, %v", places, err)
	}
	places, err = s.Places(ctx, "01010000000000000000000000000000")
	if err != nil || len(places) != 1 || places[0].Partition != 1 || places[0].Offset != 0 {
		t.Errorf("alert: %+v, %v", places, err)
	}
}
