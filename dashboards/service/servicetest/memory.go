// Package servicetest keeps cases, alerts and actions in memory, for tests of what stands on package service.
package servicetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"borderwatch/dashboards/service"
	"borderwatch/schemas/casework"
)

// Memory implements every store of package service. Its answers are those of ClickHouse for what tests put in.
type Memory struct {
	mu      sync.Mutex
	clock   time.Time
	alerts  []casework.Alert
	actions []casework.Action
	leaves  []casework.Action
	ids     int

	NoticeList []casework.Notice
	// Broken makes every question fail, and Silent the evidence log.
	Broken, Silent bool
}

// ErrBroken is what a Broken memory answers.
var ErrBroken = errors.New("the store is broken on purpose")

// New returns an empty memory at a time.
func New(now time.Time) *Memory { return &Memory{clock: now} }

// Parts are a service's, all of them this memory.
func (m *Memory) Parts() service.Parts {
	return service.Parts{
		Cases: m, Alerts: m, Charts: m, Journal: m, Actions: m, Notices: m, Proofs: m, Bundles: m, Witness: m,
		Log: slog.New(slog.DiscardHandler), Now: m.Now, NewID: m.newID,
	}
}

// Now is the memory's time.
func (m *Memory) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock
}

// Pass moves the time on.
func (m *Memory) Pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = m.clock.Add(d)
}

func (m *Memory) newID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids++
	return fmt.Sprintf("%032x", m.ids)
}

// ID is the id of the nth case or alert.
func ID(n int) string { return fmt.Sprintf("%032x", 0xa0000+n) }

// Add stores an alert that is found now. What is empty gets a value that real alerts have.
func (m *Memory) Add(a casework.Alert) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.ID == "" {
		a.ID = ID(1000 + len(m.alerts))
	}
	a.Time, a.Detected = m.clock, m.clock
	for _, d := range []struct {
		field *string
		value string
	}{
		{&a.CaseID, ID(1)}, {&a.CaseKind, "policy"}, {&a.RuleID, "EU-101"}, {&a.Outcome, "alert"}, {&a.Severity, "critical"}, {&a.ActorID, "u-1042"},
		{&a.Country, "CN"}, {&a.LocationVerdict, "agree"}, {&a.Dataset, "eu.users.contact"}, {&a.Classes, "restricted"}, {&a.Regions, "EU"},
		{&a.Feed, "core"}, {&a.Why, "u-1042 (employee) read eu.users.contact [restricted, EU] from China (agree)"}, {&a.Batch, ID(2)},
		{&a.Action, "read"}, {&a.AccessOutcome, "success"}, {&a.EventID, "e-1"}, {&a.ActorKind, "employee"}, {&a.SourceIP, "192.0.2.7"},
		{&a.NetworkKind, "unknown"}, {&a.Expected, "away"}, {&a.Confidence, "high"}, {&a.Form, "identified"}, {&a.System, "core"}, {&a.Topic, "access-events"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if a.Evidence == nil {
		a.Evidence = []string{"address=CN", "badge=CN", "roster=DE"}
	}
	m.alerts = append(m.alerts, a)
}

// Done lists what was recorded.
func (m *Memory) Done() []casework.Action {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.actions)
}

// Leaves lists what was recorded in the evidence log.
func (m *Memory) Leaves() []casework.Action {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.leaves)
}

func (m *Memory) begin() (func(), error) {
	m.mu.Lock()
	if m.Broken {
		m.mu.Unlock()
		return nil, ErrBroken
	}
	return m.mu.Unlock, nil
}

// CaseFacts implements service.CaseStore.
func (m *Memory) CaseFacts(_ context.Context, f casework.CaseFilter, now time.Time) ([]casework.Facts, error) {
	end, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	cases := map[string]*casework.Facts{}
	for i := range m.alerts {
		a := &m.alerts[i]
		if a.Detected.Before(f.Since) || a.Shadow || a.Outcome == "suppressed" || f.ID != "" && a.CaseID != f.ID || f.Rule != "" && a.RuleID != f.Rule || f.Actor != "" && a.ActorID != f.Actor {
			continue
		}
		c := cases[a.CaseID]
		if c == nil {
			c = &casework.Facts{ID: a.CaseID, Kind: a.CaseKind, ActorID: a.ActorID, Actors: 1, First: a.Time, Detected: a.Detected}
			cases[a.CaseID] = c
		}
		grow(c, a, now)
	}
	var out []casework.Facts
	for _, c := range cases {
		if f.Severity == "" || c.Severity == f.Severity {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b casework.Facts) int { return strings.Compare(a.ID, b.ID) })
	return out[:min(len(out), f.Limit)], nil
}

func grow(c *casework.Facts, a *casework.Alert, now time.Time) {
	c.Severity, c.Why = a.Severity, a.Why
	c.Rules, c.Countries, c.Datasets = with(c.Rules, a.RuleID), with(c.Countries, a.Country), with(c.Datasets, a.Dataset)
	c.Classes, c.Feeds, c.Systems = with(c.Classes, a.Classes), with(c.Feeds, a.Feed), with(c.Systems, a.System)
	c.Last, c.Arrived = a.Time, a.Detected
	c.Alerts++
	if now.Sub(a.Detected) < time.Hour {
		c.Hour++
	}
	if now.Sub(a.Detected) < 24*time.Hour {
		c.Day++
	}
}

func with(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}

// Growth implements service.CaseStore.
func (m *Memory) Growth(_ context.Context, since map[string]time.Time, now time.Time) ([]casework.Growth, error) {
	end, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	var out []casework.Growth
	for id, from := range since {
		g := casework.Growth{ID: id}
		for _, a := range m.alerts {
			if a.CaseID != id || !a.Detected.After(from) {
				continue
			}
			g.Alerts++
			if now.Sub(a.Detected) < 24*time.Hour {
				g.Day++
			}
			g.Datasets, g.Classes = with(g.Datasets, a.Dataset), with(g.Classes, a.Classes)
		}
		out = append(out, g)
	}
	return out, nil
}

// AlertRows implements service.AlertStore.
func (m *Memory) AlertRows(_ context.Context, f casework.AlertFilter) ([]casework.Alert, error) {
	end, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	var out []casework.Alert
	for _, a := range slices.Backward(m.alerts) {
		switch {
		case a.Detected.Before(f.Since), f.ID != "" && a.ID != f.ID, f.Case != "" && a.CaseID != f.Case, f.Outcome != "" && a.Outcome != f.Outcome,
			f.Rule != "" && a.RuleID != f.Rule, f.Actor != "" && a.ActorID != f.Actor, f.Shadow == "yes" && !a.Shadow, f.Shadow == "no" && a.Shadow:
			continue
		}
		out = append(out, a)
	}
	return out[:min(len(out), f.Limit)], nil
}

// Timeline implements service.AlertStore.
func (m *Memory) Timeline(_ context.Context, actor string, _, _ time.Time, limit int) ([]casework.Moment, error) {
	end, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	var out []casework.Moment
	for _, a := range slices.Backward(m.alerts) {
		if a.ActorID == actor {
			out = append(out, casework.Moment{Time: a.Time, Action: a.Action, Outcome: a.AccessOutcome, Dataset: a.Dataset, Country: a.Country, LocationVerdict: a.LocationVerdict,
				SourceIP: a.SourceIP, Verdict: a.Outcome, Severity: a.Severity, EventID: a.EventID})
		}
	}
	return out[:min(len(out), limit)], nil
}

// AlertsOverTime implements service.ChartStore.
func (m *Memory) AlertsOverTime(_ context.Context, dimension string, _ time.Time, bucket time.Duration, _ int) ([]casework.Point, error) {
	end, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	counts := map[casework.Point]uint64{}
	for _, a := range m.alerts {
		series := map[string]string{"verdict": a.Outcome, "severity": a.Severity, "country": a.Country, "rule": a.RuleID}[dimension]
		counts[casework.Point{Bucket: a.Detected.Truncate(bucket), Series: series}]++
	}
	var out []casework.Point
	for p, n := range counts {
		p.Alerts = n
		out = append(out, p)
	}
	return out, nil
}

// InsertAction implements service.Journal.
func (m *Memory) InsertAction(_ context.Context, a casework.Action) error {
	end, err := m.begin()
	if err != nil {
		return err
	}
	defer end()
	m.actions = append(m.actions, a)
	return nil
}

// ActionsOn implements service.Journal.
func (m *Memory) ActionsOn(_ context.Context, subjects []string) ([]casework.Action, error) {
	end, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	var out []casework.Action
	for _, a := range m.actions {
		if a.Done && slices.Contains(subjects, a.Subject) {
			out = append(out, a)
		}
	}
	return out, nil
}

// Actions implements service.ActionLog.
func (m *Memory) Actions(_ context.Context, _ time.Time, limit int) ([]casework.Action, error) {
	list := m.Done()
	slices.Reverse(list)
	return list[:min(len(list), limit)], nil
}

// NoticeRows implements service.NoticeStore.
func (m *Memory) NoticeRows(context.Context, string, time.Time, int) ([]casework.Notice, error) {
	return m.NoticeList, nil
}

// Feeds implements service.NoticeStore.
func (m *Memory) Feeds(context.Context, time.Time, time.Time) ([]casework.FeedState, error) {
	return []casework.FeedState{{Feed: "core", Topic: "access-events", Events: 12, Newest: m.Now(), Stored: m.Now()}}, nil
}

// BatchProof implements service.ProofStore.
func (m *Memory) BatchProof(_ context.Context, batch string) (casework.Proof, bool, error) {
	return casework.Proof{Batch: batch, Topic: "access-events", Last: 9, LedgerIndex: 3, Worker: "w", Time: m.Now()}, true, nil
}

// DeadLetterCounts implements service.ProofStore.
func (m *Memory) DeadLetterCounts(context.Context, time.Time, int) ([]casework.DeadLetterCount, error) {
	return []casework.DeadLetterCount{{Feed: "core", Code: "not_json", Records: 2, Last: m.Now(), Example: "not JSON"}}, nil
}

// InForce implements service.Bundles.
func (m *Memory) InForce(context.Context) ([]casework.InForce, error) {
	return []casework.InForce{{Topic: "access-events", Bundle: strings.Repeat("ab", 32), Since: m.Now()}}, nil
}

// Record implements service.Witness.
func (m *Memory) Record(_ context.Context, a casework.Action) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Silent {
		return 0, ErrBroken
	}
	m.leaves = append(m.leaves, a)
	return int64(len(m.leaves)), nil
}

// Checkpoint implements service.Witness.
func (m *Memory) Checkpoint(context.Context) ([]byte, error) {
	if m.Silent {
		return nil, ErrBroken
	}
	return []byte("ledger.example.com/test\n12\nAAAA\n\n— ledger.example.com/test AAAA\n"), nil
}

// Pulse implements console.Pulse.
func (m *Memory) Pulse(context.Context, time.Time) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(len(m.alerts)*1000 + len(m.actions)), nil
}
