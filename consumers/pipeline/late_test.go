package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestDatedBack has an account of somebody who left in October report accesses in November: as they are, dated back to
// when he was employed, and dated ahead. A worker dies over them, and the next comes to the same verdicts.
func TestDatedBack(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 1, nil)
	arrival := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	tests := []struct {
		name, time, verdict, matched string
	}{
		{"at once", "2026-11-20T08:59:00Z", "alert", "BASE-301:alert:%"},
		{"within a day", "2026-11-19T09:00:00Z", "alert", "BASE-301:alert:%"},
		{"into his employment", "2026-10-20T09:00:00Z", "alert", "%BASE-301:unknown:%source.arrival%BASE-312:alert:%"},
		{"ahead", "2027-01-20T09:00:00Z", "alert", "BASE-301:alert:%BASE-312:alert:%"},
	}
	for i, tt := range tests {
		m := message{value: fmt.Appendf(nil, `{"schema":"bw/access/v1","event_id":"dated-%d","time":%q,"source":{"feed":"crm"},"actor":{"id":"u-1077","kind":"employee"},`+
			`"action":"read","outcome":"success","location":{"evidence":[{"kind":"badge","country":"DE"},{"kind":"device","country":"DE"}]},`+
			`"data":{"dataset":"profiles","system":"warehouse","subject_regions":["EU"],"classes":["personal"],"categories":["contact"]}}`, i, tt.time)}
		record := &kgo.Record{Topic: l.topic, Value: m.value, Timestamp: arrival}
		if err := l.other.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
		l.enter(m, record)
	}
	l.crashAt("event_rows", 1)
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	for i, tt := range tests {
		n := l.scalar("SELECT count() FROM %[1]s.events WHERE topic = $1 AND event_id = $2 AND verdict = $3 AND arrayStringConcat(matched, ' ') LIKE $4",
			l.topic, fmt.Sprint("dated-", i), tt.verdict, tt.matched)
		if n != 1 {
			t.Errorf("%s: no verdict %s with rules like %s", tt.name, tt.verdict, tt.matched)
		}
	}
	if n := l.scalar("SELECT count() FROM %[1]s.cases WHERE has(rules, 'BASE-312')"); n != 2 {
		t.Errorf("%d cases of late and early events, want one each", n)
	}
}
