package notice_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/notice"
	"borderwatch/consumers/store"
	"borderwatch/rules/engine"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
	schema "borderwatch/schemas/clickhouse"
)

func TestMain(m *testing.M) { embeddedtest.Main(m) }

// archive is a migrated database of its own.
type archive struct {
	t     *testing.T
	name  string
	conn  driver.Conn
	store *store.Store
	next  int64 // offset
	index uint64
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	server := embeddedtest.SharedClickHouse(t)
	a := &archive{t: t, name: server.Database(t), conn: server.Open(t, "default")}
	if err := schema.Migrate(t.Context(), a.conn, schema.Options{Layout: schema.Layout{Database: a.name}}); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.store, err = store.New(store.Options{Hosts: []string{server.Addr()}, Database: a.name, User: embeddedtest.Admin, Password: embeddedtest.Password}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.store.Close() })
	return a
}

// batch stores events as one batch; change makes each what the test wants.
func (a *archive) batch(at time.Time, n int, change func(i int, ev *access.Event, v *alert.Verdict)) {
	a.t.Helper()
	a.index++
	b := store.NewBlock()
	b.Begin(store.Batch{Source: "kafka:test/1", Topic: "access", First: a.next, BatchTime: millis(at), Bundle: "b"})
	for i := range n {
		var ev access.Event
		var v alert.Verdict
		ev.Reset()
		ev.ID, ev.Time = fmt.Sprint("e-", a.next), millis(at)
		ev.Source.Feed, ev.Source.Scope = "crm", "staff"
		ev.Location.Candidates = access.AllCountries
		ev.Kafka = access.Position{Source: "kafka:test/1", Topic: "access", Offset: a.next, Timestamp: millis(at)}
		change(i, &ev, &v)
		content, _ := ev.ContentDigest(nil)
		b.AppendEvent(&ev, content, &v)
		b.AppendRaw(a.next, ev.Kafka.Timestamp, nil, []byte("{}"), nil)
		a.next++
	}
	b.Seal(store.Seal{Last: a.next - 1, LedgerIndex: a.index})
	if err := a.store.Insert(a.t.Context(), b); err != nil {
		a.t.Fatal(err)
	}
}

func millis(t time.Time) access.Millis { return access.Millis(t.UnixMilli()) }

// outcome is a verdict with one alert.
func outcome(o alert.Outcome, rule string, id byte, exceptions ...alert.Exception) alert.Verdict {
	return alert.Verdict{Outcome: o, Severity: alert.High, Alerts: []alert.Item{
		{ID: access.Digest{id}, RuleID: rule, Outcome: o, Severity: alert.High, Rules: []string{rule}, Exceptions: exceptions},
	}}
}

// runner is what one process has.
type runner struct {
	*notice.Runner
	registry *prometheus.Registry
	log      *strings.Builder
}

func (a *archive) runner(until time.Time) *runner {
	r := &runner{registry: prometheus.NewRegistry(), log: &strings.Builder{}}
	r.Runner = notice.New(notice.Config{
		Feeds: []notice.Feed{{Name: "crm", Records: store.Records{Topic: "access"}, SilentAfter: time.Hour}},
	}, notice.Parts{
		Store: a.store, Metrics: notice.NewMetrics(r.registry), Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Limits: func() []engine.Limit {
			return []engine.Limit{{Exception: "EX-1", Matches: 2}, {Exception: "EX-2", Matches: 2}}
		},
		Leads:       func() bool { return true },
		StoredUntil: func(context.Context) (time.Time, error) { return until, nil },
	})
	return r
}

func (r *runner) ask(t *testing.T, now time.Time) {
	t.Helper()
	if err := r.Ask(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

// counted is the value of notices_total by kind.
func counted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "borderwatch_notices_total" {
			for _, m := range f.Metric {
				out[m.Label[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

// stored is every row of the table: id, kind and subject.
func (a *archive) stored() (rows []string) {
	a.t.Helper()
	result, err := a.conn.Query(a.t.Context(), "SELECT concat(lower(hex(notice_id)), ' ', kind, ' ', subject) FROM "+a.name+".notices")
	if err != nil {
		a.t.Fatal(err)
	}
	defer result.Close()
	for result.Next() {
		var row string
		if err := result.Scan(&row); err != nil {
			a.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := result.Err(); err != nil {
		a.t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

// noon begins a window and lies in the middle of a day.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// history has one finding of every kind.
func (a *archive) history() {
	a.batch(noon, 8, func(i int, ev *access.Event, v *alert.Verdict) {
		ev.Source.Seq = int64(i)
		switch i {
		case 4:
			ev.Source.Seq = access.Unknown
		case 5:
			ev.Source.Seq = 3 // which the fourth event has
		case 6:
			ev.ID, ev.Source.Seq = "e-0", 7 // with another content than the first event, and without 6
			ev.Actor.ID = "u-2"
		case 7:
			ev.Source.Seq, ev.Time = 8, millis(noon.AddDate(0, -1, 0))
			*v = outcome(alert.Alert, "BASE-312", 99)
		}
		if i < 3 {
			*v = outcome(alert.Suppressed, "EU-101", byte(i), alert.Exception{ID: "EX-1", Ticket: "T-1"})
		}
	})
	a.batch(noon.Add(2*time.Hour), 1, func(_ int, ev *access.Event, _ *alert.Verdict) { ev.Source.Seq = 9 })
}

var everyKind = []string{
	"backfill rule BASE-312", "identity_reused scope staff", "max_matches exception EX-1, at most 2",
	"sequence_gap feed crm of topic access", "sequence_repeat feed crm of topic access", "silent_feed feed crm of topic access",
}

func TestEveryKindIsFoundOnce(t *testing.T) {
	a := newArchive(t)
	a.history()
	now := noon.Add(150 * time.Minute)
	first := a.runner(now)
	first.ask(t, now)
	first.ask(t, now.Add(time.Minute))
	found := a.stored()
	var kinds []string
	for _, row := range found {
		kinds = append(kinds, row[33:])
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, everyKind) {
		t.Fatalf("found\n%s\nwant\n%s", strings.Join(kinds, "\n"), strings.Join(everyKind, "\n"))
	}
	for kind, n := range counted(t, first.registry) {
		if n != 1 {
			t.Errorf("notices_total of %s is %g, want 1", kind, n)
		}
	}

	// Another worker leads; it starts from the lookback and knows what is there.
	second := a.runner(now)
	second.ask(t, now.Add(7*time.Minute))
	if again := a.stored(); !slices.Equal(again, found) {
		t.Errorf("another worker made of\n%s\nthis\n%s", strings.Join(found, "\n"), strings.Join(again, "\n"))
	}
	for kind, n := range counted(t, second.registry) {
		if n != 0 {
			t.Errorf("another worker counted %g of %s again", n, kind)
		}
	}
}

// What is asked years later, of the rows alone, gives the very notices of then: the ids do not depend on when the
// questions were asked, nor on how often.
func TestNoticesFollowFromTheRows(t *testing.T) {
	a := newArchive(t)
	a.history()
	for now := noon.Add(time.Minute); now.Before(noon.Add(3 * time.Hour)); now = now.Add(17 * time.Minute) {
		a.runner(now).ask(t, now) // a worker that dies after each round
	}
	then := a.stored()
	if err := a.conn.Exec(t.Context(), "TRUNCATE TABLE "+a.name+".notices"); err != nil {
		t.Fatal(err)
	}
	later := noon.AddDate(2, 0, 0)
	a.runner(noon.Add(171*time.Minute)).ask(t, later)
	if again := a.stored(); !slices.Equal(again, then) || len(then) == 0 {
		t.Errorf("later came\n%s\nthen came\n%s", strings.Join(again, "\n"), strings.Join(then, "\n"))
	}
}

func TestNoticesTell(t *testing.T) {
	a := newArchive(t)
	a.history()
	now := noon.Add(150 * time.Minute)
	r := a.runner(now)
	r.ask(t, now)
	for _, want := range []string{
		`1 event id of scope staff came again with other content, \"e-0\" among them.`,
		`Exception EX-1 suppressed more than the 2 alerts it was approved for; event \"e-2\" was the first beyond.`,
		`3 numbers are missing of feed crm, first 4 to 6: accesses may have happened`,
		`1 number stands on more than one event of feed crm, such as 3:`,
		`Feed crm delivered nothing for over 1h0m0s after 2026-11-20T12:00:00Z`,
		`Late or early events of crm raised alerts of rule BASE-312, 1 when this was found: accesses of 2026-10-20 to 2026-10-20, reported on 2026-11-20.`,
	} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("nobody says %q in\n%s", want, r.log)
		}
	}
	var cases uint64
	if err := a.conn.QueryRow(t.Context(), "SELECT count() FROM "+a.name+".notice_cases WHERE notices = 1 AND severity >= 'medium' AND case_id != ''").Scan(&cases); err != nil || cases != uint64(len(everyKind)) {
		t.Errorf("%d cases, %v, want one of each kind", cases, err)
	}
	if asked := gauge(t, r.registry, "borderwatch_notices_asked_timestamp_seconds"); asked == 0 {
		t.Error("notices_asked_timestamp_seconds did not move")
	}
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// A feed is silent only where everything up to then is stored: a worker that is behind knows nothing.
func TestSilenceNeedsAllRecords(t *testing.T) {
	a := newArchive(t)
	a.batch(noon, 1, func(int, *access.Event, *alert.Verdict) {})
	behind := a.runner(time.Time{})
	behind.ask(t, noon.Add(5*time.Hour))
	if rows := a.stored(); len(rows) != 0 {
		t.Errorf("a worker that is behind found %v", rows)
	}
	inTime := a.runner(noon.Add(time.Hour))
	inTime.ask(t, noon.Add(time.Hour))
	if rows := a.stored(); len(rows) != 0 {
		t.Errorf("silent after exactly the time that is allowed: %v", rows)
	}
	late := a.runner(noon.Add(61 * time.Minute))
	late.ask(t, noon.Add(61*time.Minute))
	if rows := a.stored(); len(rows) != 1 {
		t.Errorf("stored are %v, want one notice", rows)
	}
}

// A round that fails is counted and asked again; the end of the context is no error.
func TestRunGoesOnAfterAFailure(t *testing.T) {
	a := newArchive(t)
	a.history()
	registry := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rounds := 0
	r := notice.New(notice.Config{Every: 5 * time.Millisecond}, notice.Parts{
		Store: a.store, Metrics: notice.NewMetrics(registry), Log: slog.New(slog.DiscardHandler),
		Limits: func() []engine.Limit { return nil },
		Leads:  func() bool { return true },
		StoredUntil: func(context.Context) (time.Time, error) {
			if rounds++; rounds == 1 {
				return time.Time{}, fmt.Errorf("the broker does not answer")
			}
			if rounds > 2 {
				cancel()
			}
			return time.Time{}, nil
		},
	})
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if n := gauge(t, registry, "borderwatch_notice_failures_total"); n != 1 {
		t.Errorf("notice_failures_total is %g, want 1", n)
	}
	if n := len(counted(t, registry)); n != len(everyKind) {
		t.Errorf("%d series of notices_total from the start, want %d", n, len(everyKind))
	}
}
