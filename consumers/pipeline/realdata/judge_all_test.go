package realdata_test

import (
	"slices"
	"testing"

	"borderwatch/schemas/access"
)

// TestEveryRecord decodes, places and judges all records. A record is stored exactly if an independent reader finds no
// reason to refuse it, and a refusal names one of the reasons that reader finds.
func TestEveryRecord(t *testing.T) {
	b := loadBundle(t)
	var all []*tally
	for _, s := range sets {
		records := s.records(t)
		if len(records) != s.published {
			t.Errorf("%s: %d records were read, its source counts %d", s.name, len(records), s.published)
		}
		c := newTally(s.name)
		judge(t, b, s.name, s, records, func(j judged) {
			c.add(j)
			checkRefusal(t, s, j)
			if j.refusal == nil {
				checkPlace(t, s, j)
			}
		})
		if c.stored+total(c.refused) != len(records) || total(c.verdicts) != c.stored || total(c.outcomes) != c.stored {
			t.Errorf("%s: %d stored with %d places and %d outcomes, %d refused, of %d", s.name, c.stored, total(c.verdicts), total(c.outcomes), total(c.refused), len(records))
		}
		all = append(all, c)
	}
	t.Logf("location verdicts on real records, location database and address lists of today:\n%s", summary(all))
}

func checkRefusal(t *testing.T, s set, j judged) {
	t.Helper()
	want := problems(t, s.adapter, j.raw)
	switch {
	case j.refusal == nil && len(want) > 0:
		t.Errorf("%s: stored, although %v\n%.200s", s.name, want, j.raw)
	case j.refusal != nil && !slices.Contains(want, problem{string(j.refusal.Code), j.refusal.Field}):
		t.Errorf("%s: refused for %v, true reasons are %v\n%.200s", s.name, j.refusal, want, j.raw)
	}
}

// checkPlace holds the finding against what must be true of every finding.
func checkPlace(t *testing.T, s set, j judged) {
	t.Helper()
	place := &j.event.Location
	n := place.Candidates.Len()
	ok := false
	switch place.Verdict {
	case access.LocationMasked, access.LocationUnknown:
		ok = place.Candidates.All() && place.Reason != ""
	case access.LocationAgree:
		ok = n == 1
	case access.LocationService:
		ok = n == 1 || place.Candidates.All() && place.Reason != ""
	case access.LocationConflict:
		ok = n >= 2 && place.Reason != ""
	case access.LocationSingle:
		ok = n >= 1 && !place.Candidates.All()
	}
	if !ok {
		t.Errorf("%s: %s (%s) leaves %d countries", s.name, place.Verdict, place.Reason, n)
	}
}
