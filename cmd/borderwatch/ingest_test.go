package main

import (
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
)

// TestIngest runs production workers as processes, against the embedded broker and against Apache Kafka.
func TestIngest(t *testing.T) {
	s := newSite(t)
	s.migrate(t)
	t.Run("embedded broker", func(t *testing.T) {
		as := s.fakeCluster(t)
		t.Run("PLAIN", func(t *testing.T) { s.backfill(t, as(embedded.Plain), ownLedger(t)) })
		t.Run("SCRAM-SHA-256", func(t *testing.T) { s.backfill(t, as(embedded.ScramSHA256), ownLedger(t)) })
		t.Run("SCRAM-SHA-512", func(t *testing.T) { s.backfill(t, as(embedded.ScramSHA512), s.sharedLedger(t)) })
		t.Run("two workers", func(t *testing.T) { s.pair(t, as(embedded.ScramSHA512)) })
		t.Run("SIGTERM", func(t *testing.T) { s.stopped(t, as(embedded.Plain)) })
	})
	t.Run("Apache Kafka", func(t *testing.T) {
		c := s.realCluster(t)(embedded.ScramSHA512)
		t.Run("own ledger", func(t *testing.T) { s.backfill(t, c, ownLedger(t)) })
		t.Run("shared ledger", func(t *testing.T) { s.backfill(t, c, s.sharedLedger(t)) })
		t.Run("two workers", func(t *testing.T) { s.pair(t, c) })
	})
}

// backfill stores a lane until the worker has caught up, and again, when nothing is left to store.
func (s *site) backfill(t *testing.T, c *cluster, ledger settings) {
	l := newLane(t, c)
	l.produce(t, 600)
	file := s.file(t, s.config(c, l), ledger)
	ingest(t, file, "--until-caught-up").wantExit(exitOK)
	l.complete(t, s)
	l.published(t)
	ingest(t, file, "--until-caught-up").wantExit(exitOK)
	l.complete(t, s)
	l.published(t)
	l.produce(t, 60)
	ingest(t, file, "--until-caught-up").wantExit(exitOK)
	l.complete(t, s)
	l.published(t)
}

// pair has two workers share the partitions, first while records arrive, then for what is left.
func (s *site) pair(t *testing.T, c *cluster) {
	l := newLane(t, c)
	file := s.file(t, s.config(c, l), s.sharedLedger(t))
	first, second := ingest(t, file), ingest(t, file)
	// Both have the last generation's part: half of each topic, so neither works alone.
	part := `msg="partitions assigned" generation=\d+ partitions="map\[[^\n]*(?:events|trails):map\[\d:\{[^}]*\} \d:\{[^}]*\}\][^:\n]*(:)map\[\d:\{[^}]*\} \d:\{[^}]*\}\]\]"`
	first.out.await(t, part)
	second.out.await(t, part)
	for range 5 {
		l.produce(t, 100)
	}
	l.await(t, s)
	first.terminate(exitOK)
	l.produce(t, 100)
	l.await(t, s) // the second has taken over
	second.terminate(exitOK)
	l.complete(t, s)
	l.produce(t, 400)
	first, second = ingest(t, file, "--until-caught-up"), ingest(t, file, "--until-caught-up")
	first.wantExit(exitOK)
	second.wantExit(exitOK)
	l.complete(t, s)
}

// await waits until as many records are stored as were produced.
func (l *lane) await(t *testing.T, s *site) {
	t.Helper()
	until(t, "everything is stored", func() bool {
		events, letters := l.stored(t, s)
		return events >= len(l.ids) && letters >= len(l.broken)
	})
}

// stopped ends workers by SIGTERM while records flow. The next goes on, and nothing is lost or doubled.
func (s *site) stopped(t *testing.T, c *cluster) {
	l := newLane(t, c)
	file := s.file(t, s.config(c, l), ownLedger(t))
	for range 2 {
		before, _ := l.stored(t, s)
		p := ingest(t, file)
		until(t, "a first batch is stored", func() bool {
			l.produce(t, 50)
			now, _ := l.stored(t, s)
			return now > before
		})
		l.produce(t, 500)
		if took := p.terminate(exitOK); took > 10*time.Second {
			t.Errorf("a worker went on for %v after SIGTERM", took)
		}
		if out := p.out.String(); strings.Contains(out, "level=ERROR") || strings.Contains(out, "borderwatch: ") {
			t.Errorf("an orderly stop is told as an error:\n%s", out)
		}
	}
	ingest(t, file, "--until-caught-up").wantExit(exitOK)
	l.complete(t, s)
}
