package main

import (
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
)

// TestIngest runs production workers as processes, against the embedded broker and against Apache Kafka. Most of its time
// passes with waiting for consumer groups, hence in parallel.
func TestIngest(t *testing.T) {
	s := newSite(t)
	s.migrate(t)
	t.Run("embedded broker", func(t *testing.T) {
		t.Parallel()
		as := s.fakeCluster(t)
		parallel(t, "PLAIN", func(t *testing.T) { s.backfill(t, as(embedded.Plain), ownLedger(t)) })
		parallel(t, "SCRAM-SHA-256", func(t *testing.T) { s.backfill(t, as(embedded.ScramSHA256), ownLedger(t)) })
		parallel(t, "SCRAM-SHA-512", func(t *testing.T) { s.backfill(t, as(embedded.ScramSHA512), s.ledgerOf(t)) })
		parallel(t, "two workers", func(t *testing.T) { s.pair(t, as(embedded.ScramSHA512)) })
		parallel(t, "SIGTERM", func(t *testing.T) { s.stopped(t, as(embedded.Plain)) })
		parallel(t, "SIGTERM too early", func(t *testing.T) { s.interrupted(t, as(embedded.Plain)) })
	})
	t.Run("Apache Kafka", func(t *testing.T) {
		t.Parallel()
		c := s.realCluster(t)(embedded.ScramSHA512)
		parallel(t, "one worker", func(t *testing.T) { s.backfill(t, c, ownLedger(t)) })
		parallel(t, "two workers", func(t *testing.T) { s.pair(t, c) })
	})
}

func parallel(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { t.Parallel(); test(t) })
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
}

// halfOfEach matches a worker's log once it has two partitions of each topic, half of what there is.
const halfOfEach = `msg="partitions assigned" generation=\d+ partitions="map\[\S+:map\[\d:\{[^}]*\} \d:\{[^}]*\}\] \S+:map\[\d:\{[^}]*\} \d:\{[^}]*\}\](\])"`

// pair has two workers share the partitions while records arrive, and one take over when the other leaves.
func (s *site) pair(t *testing.T, c *cluster) {
	l := newLane(t, c)
	shared, gate := s.sharedLedger(t)
	file := s.file(t, s.config(c, l), shared)
	first, second := ingest(t, file), ingest(t, file)
	first.out.await(t, halfOfEach)
	second.out.await(t, halfOfEach)
	for range 5 {
		l.produce(t, 100)
	}
	l.await(t, s)
	first.terminate(exitOK)
	l.produce(t, 100)
	l.await(t, s)
	second.terminate(exitOK)
	l.complete(t, s)

	// Each ends when everything is stored, though it stores only a part of it. Neither stores anything before the group
	// has given each its part; a short insert_timeout makes them give up on it in time.
	l.produce(t, 200)
	gate.closed.Store(true)
	first, second = ingest(t, file, impatient...), ingest(t, file, impatient...)
	first.out.await(t, halfOfEach)
	second.out.await(t, halfOfEach)
	gate.closed.Store(false)
	first.wantExit(exitOK)
	second.wantExit(exitOK)
	l.complete(t, s)
}

// impatient makes a worker that has to stop wait for a second only for what it is doing.
var impatient = []string{"--until-caught-up", "--set", "clickhouse.insert_timeout=1s", "--set", "kafka.rebalance_timeout=11s"}

// await waits until as many records are stored as were produced.
func (l *lane) await(t *testing.T, s *site) {
	t.Helper()
	until(t, "everything is stored", func() bool {
		events, letters := l.stored(t, s)
		return events >= len(l.ids) && letters >= len(l.broken)
	})
}

// ledgerOf is a shared ledger without delay.
func (s *site) ledgerOf(t *testing.T) settings {
	shared, _ := s.sharedLedger(t)
	return shared
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

// interrupted ends a worker by SIGTERM before it has caught up, which a script must be able to tell.
func (s *site) interrupted(t *testing.T, c *cluster) {
	l := newLane(t, c)
	l.produce(t, 600)
	shared, gate := s.sharedLedger(t)
	file := s.file(t, s.config(c, l), shared)
	gate.closed.Store(true)
	p := ingest(t, file, impatient...)
	p.out.await(t, `msg="partitions (assigned)`)
	p.terminate(exitInterrupted)
	if !strings.Contains(p.out.String(), "stopped before everything was stored") {
		t.Errorf("it does not say that it was too early:\n%s", p.out)
	}
	gate.closed.Store(false)
	ingest(t, file, "--until-caught-up").wantExit(exitOK)
	l.complete(t, s)
}
