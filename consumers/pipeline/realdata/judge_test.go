package realdata_test

import (
	"errors"
	"testing"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// judged is one record after decoding, enriching and judging. It is valid until the next one.
type judged struct {
	raw     []byte
	refusal *decode.Malformed // nil for a record that is stored
	event   *access.Event
	content access.Digest
	verdict *alert.Verdict
}

// judge does with every record of a set what the pipeline does between fetch and insert, as if each had arrived at once.
func judge(t testing.TB, b *bundle.Bundle, feed string, s set, records [][]byte, visit func(judged)) {
	t.Helper()
	judgeArriving(t, b, feed, s, records, func(ev *access.Event) access.Millis { return ev.Time }, visit)
}

// judgeArriving does the same with records that reached Kafka at the time that arrived says.
func judgeArriving(t testing.TB, b *bundle.Bundle, feed string, s set, records [][]byte, arrived func(*access.Event) access.Millis, visit func(judged)) {
	t.Helper()
	d, err := decode.New(s.adapter, decode.Feed{Name: feed, Scope: s.scope})
	if err != nil {
		t.Fatal(err)
	}
	var ev, late access.Event
	worker := b.Enricher.NewWorker()
	var verdict alert.Verdict
	for _, raw := range records {
		ev.Reset()
		j := judged{raw: raw, event: &ev, verdict: &verdict}
		if err := d.Decode(&decode.Record{Value: raw}, &ev); err != nil {
			if !errors.As(err, &j.refusal) {
				t.Fatalf("%s: %v", s.name, err)
			}
			visit(j)
			continue
		}
		ev.Kafka.Timestamp = arrived(&ev)
		j.content, _ = ev.ContentDigest(nil)
		ev.CopyTo(&late)
		worker.Enrich(&ev)
		if ev.Arrival() == access.ArrivalPrompt {
			b.Engine.Evaluate(&ev, j.content, &verdict)
		} else {
			worker.EnrichAt(&late, ev.Kafka.Timestamp)
			b.Engine.EvaluateLate(&ev, &late, j.content, &verdict)
		}
		visit(j)
	}
}

// open lists the alerts that open cases: those of active rules, alerts and unknowns.
func (j *judged) open() []alert.Item {
	var out []alert.Item
	for _, a := range j.verdict.Alerts {
		if !a.Shadow && a.Outcome != alert.Suppressed {
			out = append(out, a)
		}
	}
	return out
}
