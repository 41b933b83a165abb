package enrich_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"borderwatch/consumers/enrich"
	"borderwatch/schemas/access"
)

func TestNoAllocationPerEvent(t *testing.T) {
	w := newEnricher(t, referenceYAML).NewWorker()
	ev := newEvent()
	n := 0
	for name, address := range map[string]string{"hit": publicDE, "list": publicDE + ", 10.0.0.1, 10.0.0.2", "platform": "cloudtrail.amazonaws.com", "egress": egress} {
		allocations := testing.AllocsPerRun(100, func() {
			ev.Reset()
			ev.Time, ev.Actor.ID, ev.Source.Address, ev.Presence.ClientAddress = noon, "u-1", address, publicRO
			ev.Data.Items[0].Dataset = "eu.users.contact"
			w.Enrich(ev)
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
	addresses := make([]string, 200)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("11.%d.2.1", i)
	}
	if allocations := testing.AllocsPerRun(100, func() {
		ev.Source.Address = addresses[n%len(addresses)]
		n++
		w.Enrich(ev)
	}); allocations != 0 {
		t.Errorf("an address never met: %v allocations", allocations)
	}
}

// TestConcurrentUse judges the same events in several goroutines; run it with -race.
func TestConcurrentUse(t *testing.T) {
	e := newEnricher(t, referenceYAML)
	addresses := []string{publicDE, publicCN, torExit, officeDE, egress, "AWS Internal", publicDE + "," + publicCN}
	want := make([]access.Location, len(addresses))
	for i, address := range addresses {
		want[i] = located(e, address)
	}
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for n := range 500 {
				if got := located(e, addresses[n%len(addresses)]); got != want[n%len(addresses)] {
					t.Errorf("%s: %+v", addresses[n%len(addresses)], got)
				}
			}
		})
	}
	done.Wait()
}

func located(e *enrich.Enricher, address string) access.Location {
	ev := newEvent()
	ev.Source.Address = address
	e.Enrich(ev)
	return ev.Location
}

// TestEveryReasonIsExplained collects the reasons of all addresses of the truth table.
func TestEveryReasonIsExplained(t *testing.T) {
	explained := map[string]bool{}
	for _, r := range enrich.Reasons() {
		if r.Word == "" || r.Meaning == "" || explained[r.Word] {
			t.Errorf("%+v", r)
		}
		explained[r.Word] = true
	}
	e := newEnricher(t)
	for _, row := range addresses {
		for _, actor := range actors {
			ev := newEvent()
			ev.Actor.Kind, ev.Source.Address, ev.Source.Region, ev.Source.Service = actor.kind, row.address, row.region, row.service
			e.Enrich(ev)
			l := &ev.Location
			if l.Reason != "" && !explained[l.Reason] && !strings.Contains(l.Reason, "-or-") {
				t.Errorf("%s: nobody explains %q", row.name, l.Reason)
			}
		}
	}
}
