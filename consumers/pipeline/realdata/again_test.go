package realdata_test

import (
	"reflect"
	"testing"

	"borderwatch/consumers/backtest"
	"borderwatch/consumers/store"
	"borderwatch/schemas/alert"
)

// judgedAgain reads every stored event back and judges it by the same bundle: the verdicts and the ids of all alerts are
// those that the worker stored.
func (d *delivery) judgedAgain(t *testing.T) {
	s := d.rows()
	windows, err := s.Windows(t.Context(), store.Span{}, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	judge, reader := backtest.NewJudge(d.bundles.Current(), backtest.AsStored), s.NewReader()
	events, alerts, late, differ := 0, 0, 0, 0
	for _, w := range windows {
		err := reader.Read(t.Context(), w, store.Span{}, true, func(e *store.StoredEvent) error {
			v, _ := judge.Judge(&e.Event, e.Content)
			events++
			alerts += len(e.Alerts)
			if e.Event.Arrival().String() == "late" {
				late++
			}
			got := storedForm(v)
			if v.Outcome == e.Outcome && v.Severity == e.Severity && (len(got)+len(e.Alerts) == 0 || reflect.DeepEqual(got, e.Alerts)) {
				return nil
			}
			if differ++; differ <= 10 {
				t.Errorf("%s %s[%d]@%d: %s %s %+v, stored %s %s %+v", e.Event.Source.Feed, w.Topic, w.Partition, e.Event.Kafka.Offset,
					v.Outcome, v.Severity, got, e.Outcome, e.Severity, e.Alerts)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := d.number("SELECT count() FROM bw.events"); uint64(events) != want {
		t.Errorf("%d events were read, there are %d", events, want)
	}
	t.Logf("%d events (%d late) with %d alerts judged again, %d differ", events, late, alerts, differ)
}

func storedForm(v *alert.Verdict) (list []store.StoredAlert) {
	for i := range v.Alerts {
		a := &v.Alerts[i]
		list = append(list, store.StoredAlert{ID: a.ID, RuleID: a.RuleID, Outcome: a.Outcome, Severity: a.Severity, Shadow: a.Shadow, DataItem: a.DataItem})
	}
	return list
}
