package backtest_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"borderwatch/consumers/backtest"
	"borderwatch/consumers/bundle"
	"borderwatch/rules/impact"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

const files = `format: borderwatch/roster/v1
people:
  - {id: u-1, kind: employee, home_country: DE, until: 2026-11-09}
  - {id: u-1, kind: contractor, home_country: IN, from: 2026-11-10}
services:
  - {id: svc-1, home_country: DE}
---
format: borderwatch/rule/v1
id: T-1
title: Contractors
status: active
severity: high
owner: security
why: Somebody must know.
respond: Ask.
when: {actor.kind: contractor}
---
format: borderwatch/rule/v1
id: T-2
title: Services outside Germany
status: active
severity: low
owner: security
why: Somebody must know.
respond: Ask.
when: {actor.kind: service, location.country not: DE}
`

func load(t *testing.T, text string) *bundle.Bundle {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Load(bundle.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func at(t *testing.T, text string) access.Millis {
	t.Helper()
	m, ok := access.ParseTime(text)
	if !ok {
		t.Fatal(text)
	}
	return m
}

// TestJudgeLateEvents: an event whose own time and arrival lie days apart comes out as a worker judged it, also where rows
// do not hold what the worker had: the region of the endpoint that was called.
func TestJudgeLateEvents(t *testing.T) {
	b := load(t, files)
	for _, test := range []struct {
		name, actor, address, region string
		want                         alert.Outcome
	}{
		{"the roster changed in between", "u-1", "", "", alert.Unknown},
		{"a platform's own call abroad", "svc-1", "backup.amazonaws.com", "us-east-2", alert.Alert},
		{"a platform's own call at home", "svc-1", "backup.amazonaws.com", "eu-central-1", alert.None},
	} {
		var ev, arrived access.Event
		ev.Reset()
		ev.ID, ev.Time, ev.Actor.ID, ev.Action = "e-1", at(t, "2026-11-05T09:00:00Z"), test.actor, access.ActionRead
		ev.Data.Items[0].Dataset = "users"
		ev.Source.Address, ev.Source.Region, ev.Source.Scope = test.address, test.region, "s"
		ev.Kafka.Timestamp = at(t, "2026-11-20T09:00:00Z")
		content, _ := ev.ContentDigest(nil)
		ev.CopyTo(&arrived)
		worker := b.Enricher.NewWorker()
		worker.Enrich(&ev)
		worker.EnrichAt(&arrived, ev.Kafka.Timestamp)
		var worked alert.Verdict
		b.Engine.EvaluateLate(&ev, &arrived, content, &worked)
		if worked.Outcome != test.want {
			t.Fatalf("%s: a worker says %s, want %s", test.name, worked.Outcome, test.want)
		}
		ev.Source.Region = ""
		before := ev
		got, _ := backtest.NewJudge(b, backtest.AsStored).Judge(&ev, content)
		if !reflect.DeepEqual(got.Alerts, worked.Alerts) || got.Outcome != worked.Outcome {
			t.Errorf("%s: judged again %s %+v, a worker %s %+v", test.name, got.Outcome, got.Alerts, worked.Outcome, worked.Alerts)
		}
		if !reflect.DeepEqual(ev, before) {
			t.Errorf("%s: judging changed the event", test.name)
		}
	}
}

// TestFileReadsEachLine leaves out what no worker could read, counts copies once, and says what it left out.
func TestFileReadsEachLine(t *testing.T) {
	const good = `{"schema":"bw/access/v1","event_id":"e-1","time":"2026-11-20T09:00:00Z","source.feed":"f","actor.id":"u-1","action":"read","data":{"dataset":"users"}}`
	run := backtest.Run{New: load(t, files), Options: impact.Options{Rows: 5}}
	total, lines, err := run.File(t.Context(), strings.NewReader(good+"\n\n{}\n"+good+"\n[]"), "native")
	if err != nil {
		t.Fatal(err)
	}
	report := run.Report(total, impact.Events{}, impact.Judged{By: impact.ByNothing})
	if lines.Refused != 2 || lines.First == nil || !strings.HasPrefix(lines.First.Error(), "line 3: ") {
		t.Errorf("%d lines left out: %v", lines.Refused, lines.First)
	}
	if report.Events.Read != 2 || report.Events.Copies != 1 || report.Alerts.Changes != (impact.Counts{Appear: 1}) {
		t.Errorf("%+v, %+v", report.Events, report.Alerts)
	}
	if _, _, err := run.File(t.Context(), strings.NewReader(good), "natve"); err == nil {
		t.Error("an unknown adapter is taken")
	}
}
