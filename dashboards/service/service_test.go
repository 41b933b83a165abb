package service_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"borderwatch/dashboards/service"
	"borderwatch/dashboards/service/servicetest"
	"borderwatch/schemas/casework"
)

var (
	noon  = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	anna  = service.Person{Name: "anna", Roles: []service.Role{service.Analyst}, Channel: service.Page}
	bert  = service.Person{Name: "bert", Roles: []service.Role{service.Analyst}, Channel: service.Page}
	guest = service.Person{Name: "guest", Roles: []service.Role{service.Viewer}, Channel: service.Page}
)

func open(t *testing.T) (*service.Service, *servicetest.Memory) {
	t.Helper()
	m := servicetest.New(noon)
	m.Add(casework.Alert{})
	return service.New(m.Parts()), m
}

func one(t *testing.T, s *service.Service, id string) service.Case {
	t.Helper()
	script := bert
	script.Channel = service.API // which does not start the clock
	c, err := s.Case(t.Context(), script, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWorkOnACase goes through the steps of a person's day.
func TestWorkOnACase(t *testing.T) {
	s, m := open(t)
	ctx, id := t.Context(), servicetest.ID(1)
	if c := one(t, s, id); c.State != service.Open || !c.Seen.IsZero() {
		t.Errorf("a new case is %s, seen %v", c.State, c.Seen)
	}
	m.Pass(time.Minute)
	if c, err := s.Case(ctx, anna, id); err != nil || c.Seen != noon.Add(time.Minute) || c.NotifyBy != c.Seen.Add(72*time.Hour) {
		t.Errorf("seen %v, to notify by %v, %v", c.Seen, c.NotifyBy, err)
	}
	m.Pass(time.Minute)
	must(t, s.Take(ctx, anna, id))
	must(t, s.Comment(ctx, bert, id, "called the manager"))
	if c := one(t, s, id); c.State != service.Taken || c.Owner != "anna" || len(c.Steps) != 2 || c.Seen != noon.Add(time.Minute) {
		t.Errorf("after two steps: %+v", c)
	}
	if err := s.Take(ctx, anna, id); !errors.Is(err, service.ErrConflict) {
		t.Errorf("taken twice: %v", err)
	}
	must(t, s.Close(ctx, anna, id, "a test account", time.Time{}))
	if c := one(t, s, id); c.State != service.Closed {
		t.Errorf("closed: %s", c.State)
	}
	m.Pass(time.Hour)
	m.Add(casework.Alert{})
	if c := one(t, s, id); c.State != service.Taken || !strings.Contains(c.Again, "went on after it was closed") {
		t.Errorf("it went on: %s, %q", c.State, c.Again)
	}
	for _, a := range m.Done() {
		if a.LedgerIndex < 0 {
			t.Errorf("%s has no leaf", a.Action)
		}
	}
}

// TestPartnerAndScriptsDoNotStartTheClock: Art. 33 is about when the controller knows.
func TestPartnerAndScriptsDoNotStartTheClock(t *testing.T) {
	s, _ := open(t)
	partner := service.Person{Name: "p", Roles: []service.Role{service.Partner}, Channel: service.Page}
	if c, err := s.Case(t.Context(), partner, servicetest.ID(1)); err != nil || !c.Seen.IsZero() {
		t.Errorf("the partner's look: %v, %v", c.Seen, err)
	}
	if c := one(t, s, servicetest.ID(1)); !c.Seen.IsZero() {
		t.Errorf("a script's look: %v", c.Seen)
	}
}

// TestAcknowledge: one person for what is less than high, two from there on; what it needs, and how it ends.
func TestAcknowledge(t *testing.T) {
	s, m := open(t)
	ctx, id := t.Context(), servicetest.ID(1)
	week := service.Acknowledgement{Reason: "known VPN", Ticket: "SEC-1", Until: noon.Add(7 * 24 * time.Hour)}
	for name, bad := range map[string]service.Acknowledgement{
		"no reason": {Ticket: "T", Until: week.Until}, "no ticket": {Reason: "r", Until: week.Until}, "in the past": {Reason: "r", Ticket: "T", Until: noon},
		"too long": {Reason: "r", Ticket: "T", Until: noon.Add(30*24*time.Hour + time.Second)},
	} {
		if err := s.Acknowledge(ctx, anna, id, bad); !errors.Is(err, service.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, s.Acknowledge(ctx, anna, id, week))
	if c := one(t, s, id); c.State != service.Waiting {
		t.Fatalf("critical and acknowledged by one: %s", c.State)
	}
	if err := s.Confirm(ctx, anna, id); !errors.Is(err, service.ErrConflict) {
		t.Errorf("confirmed by the same person: %v", err)
	}
	must(t, s.Confirm(ctx, bert, id))
	if c := one(t, s, id); c.State != service.Acknowledged {
		t.Fatalf("confirmed: %s", c.State)
	}
	m.Add(casework.Alert{CaseID: servicetest.ID(5), Severity: "medium"})
	must(t, s.Acknowledge(ctx, anna, servicetest.ID(5), week))
	if c := one(t, s, servicetest.ID(5)); c.State != service.Acknowledged {
		t.Errorf("medium, by one: %s", c.State)
	}
}

// TestAcknowledgedSpeaksAgain tries what semantics 19 lists, and what it does not.
func TestAcknowledgedSpeaksAgain(t *testing.T) {
	for _, test := range []struct {
		name string
		then func(*servicetest.Memory)
		want string // "" where it stays quiet
	}{
		{"the same again", func(m *servicetest.Memory) { m.Add(casework.Alert{Severity: "medium"}) }, ""},
		{"twice the rate", func(m *servicetest.Memory) {
			m.Add(casework.Alert{Severity: "medium"})
			m.Add(casework.Alert{Severity: "medium"})
		}, "2 alerts in a day, acknowledged were 1"},
		{"as many in two days", func(m *servicetest.Memory) {
			m.Add(casework.Alert{Severity: "medium"})
			m.Pass(25 * time.Hour)
			m.Add(casework.Alert{Severity: "medium"})
		}, ""},
		{"a data set", func(m *servicetest.Memory) { m.Add(casework.Alert{Severity: "medium", Dataset: "eu.payments"}) }, "a new data set: eu.payments"},
		{"a class", func(m *servicetest.Memory) { m.Add(casework.Alert{Severity: "medium", Classes: "restricted,secret"}) }, "a new class of data: secret"},
		{"graver", func(m *servicetest.Memory) { m.Add(casework.Alert{Severity: "high"}) }, "the severity rose from medium to high"},
		{"just before the end", func(m *servicetest.Memory) { m.Pass(7*24*time.Hour - 2*time.Minute) }, ""},
		{"the end", func(m *servicetest.Memory) { m.Pass(7 * 24 * time.Hour) }, "the acknowledgement ended"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := servicetest.New(noon)
			m.Add(casework.Alert{Severity: "medium"})
			s := service.New(m.Parts())
			must(t, s.Acknowledge(t.Context(), anna, servicetest.ID(1), service.Acknowledgement{Reason: "r", Ticket: "T", Until: noon.Add(7 * 24 * time.Hour)}))
			m.Pass(time.Minute)
			test.then(m)
			c := one(t, s, servicetest.ID(1))
			if c.Again != test.want || c.Quiet() != (test.want == "") {
				t.Errorf("state %s, again %q, want %q", c.State, c.Again, test.want)
			}
		})
	}
}

// TestCloseWhatWasSeen: an alert that came while a person wrote the reason opens the case again.
func TestCloseWhatWasSeen(t *testing.T) {
	s, m := open(t)
	looked := one(t, s, servicetest.ID(1)).Arrived
	m.Pass(time.Minute)
	m.Add(casework.Alert{})
	m.Pass(time.Minute)
	must(t, s.Close(t.Context(), anna, servicetest.ID(1), "done", looked))
	if c := one(t, s, servicetest.ID(1)); c.State != service.Open || !strings.Contains(c.Again, "new alerts: 1") {
		t.Errorf("%s, %q", c.State, c.Again)
	}
	must(t, s.Close(t.Context(), anna, servicetest.ID(1), "done", noon.Add(time.Hour))) // a clock that is ahead
	m.Add(casework.Alert{})
	if c := one(t, s, servicetest.ID(1)); c.State != service.Open {
		t.Errorf("closed into the future: %s", c.State)
	}
}

// TestReopen takes a quiet case up by hand.
func TestReopen(t *testing.T) {
	s, _ := open(t)
	ctx, id := t.Context(), servicetest.ID(1)
	if err := s.Reopen(ctx, anna, id, "r"); !errors.Is(err, service.ErrConflict) {
		t.Errorf("an open case: %v", err)
	}
	must(t, s.Close(ctx, anna, id, "done", time.Time{}))
	if err := s.Close(ctx, anna, id, "done", time.Time{}); !errors.Is(err, service.ErrConflict) {
		t.Errorf("closed twice: %v", err)
	}
	must(t, s.Reopen(ctx, anna, id, "not done"))
	if c := one(t, s, id); c.State != service.Open {
		t.Errorf("reopened: %s", c.State)
	}
}

// TestLists: quiet cases are left out unless asked for.
func TestLists(t *testing.T) {
	s, m := open(t)
	m.Add(casework.Alert{CaseID: servicetest.ID(2), ActorID: "u-2"})
	m.Add(casework.Alert{CaseID: servicetest.ID(3), Shadow: true})
	must(t, s.Close(t.Context(), anna, servicetest.ID(1), "done", time.Time{}))
	must(t, s.Take(t.Context(), bert, servicetest.ID(2)))
	for _, test := range []struct {
		query service.CaseQuery
		want  int
	}{
		{service.CaseQuery{}, 1}, {service.CaseQuery{All: true}, 2}, {service.CaseQuery{State: service.Closed}, 1}, {service.CaseQuery{Mine: true, All: true}, 0},
		{service.CaseQuery{All: true, Actor: "u-2"}, 1},
	} {
		list, err := s.Cases(t.Context(), anna, test.query)
		if err != nil || len(list.Cases) != test.want || list.Found != test.want {
			t.Errorf("%+v: %d cases of %d, %v; want %d", test.query, len(list.Cases), list.Found, err, test.want)
		}
	}
	shadow, err := s.Alerts(t.Context(), anna, service.AlertQuery{Shadow: true})
	if err != nil || len(shadow.Alerts) != 1 {
		t.Errorf("shadow: %d, %v", len(shadow.Alerts), err)
	}
}

// TestListsAreSharedForASecond: the same question within a second is not asked twice, and another question is.
func TestListsAreSharedForASecond(t *testing.T) {
	s, m := open(t)
	count := func(q service.CaseQuery) int {
		t.Helper()
		list, err := s.Cases(t.Context(), anna, q)
		must(t, err)
		return len(list.Cases)
	}
	if count(service.CaseQuery{}) != 1 {
		t.Fatal("no case")
	}
	m.Add(casework.Alert{CaseID: servicetest.ID(2), ActorID: "u-2"})
	if n := count(service.CaseQuery{}); n != 1 {
		t.Errorf("at once again: %d cases", n)
	}
	if n := count(service.CaseQuery{Actor: "u-2"}); n != 1 {
		t.Errorf("another question: %d cases", n)
	}
	must(t, s.Close(t.Context(), anna, servicetest.ID(1), "done", time.Time{}))
	if n := count(service.CaseQuery{}); n != 0 {
		t.Errorf("what was done does not show at once: %d cases", n)
	}
	m.Pass(time.Second)
	if n := count(service.CaseQuery{}); n != 1 {
		t.Errorf("a second later: %d cases", n)
	}
}

// TestRefusalsAreRecorded, without a leaf: whoever may not do something cannot make the log grow.
func TestRefusalsAreRecorded(t *testing.T) {
	s, m := open(t)
	if err := s.Close(t.Context(), guest, servicetest.ID(1), "r", time.Time{}); !errors.Is(err, service.ErrForbidden) {
		t.Fatalf("a viewer closes: %v", err)
	}
	done := m.Done()
	if len(done) != 1 || done[0].Done || done[0].Who != "guest" || done[0].Action != "close" || done[0].Subject != servicetest.ID(1) || len(m.Leaves()) != 0 {
		t.Errorf("recorded %+v, %d leaves", done, len(m.Leaves()))
	}
	if c := one(t, s, servicetest.ID(1)); c.State != service.Open {
		t.Errorf("a refused step counts: %s", c.State)
	}
}

// TestWithoutEvidenceLog works on and says that there is no leaf; without a journal nothing is done.
func TestWithoutEvidenceLog(t *testing.T) {
	s, m := open(t)
	m.Silent = true
	must(t, s.Take(t.Context(), anna, servicetest.ID(1)))
	if done := m.Done(); done[0].LedgerIndex != -1 {
		t.Errorf("leaf %d of a log that is silent", done[0].LedgerIndex)
	}
	m.Broken = true
	if _, err := s.Export(t.Context(), anna, service.AlertQuery{}); !errors.Is(err, servicetest.ErrBroken) {
		t.Errorf("an export that is not recorded: %v", err)
	}
}

// TestIDs refuses what is no id before the store is asked.
func TestIDs(t *testing.T) {
	s, _ := open(t)
	for _, id := range []string{"", "x", strings.Repeat("g", 32), strings.Repeat("A", 32), servicetest.ID(99)} {
		if _, err := s.Case(t.Context(), anna, id); !errors.Is(err, service.ErrNotFound) {
			t.Errorf("case %q: %v", id, err)
		}
		if _, err := s.Alert(t.Context(), anna, id); !errors.Is(err, service.ErrNotFound) {
			t.Errorf("alert %q: %v", id, err)
		}
	}
}

// TestPermissionsAreWhole: every operation has somebody who may, and the partner may change nothing.
func TestPermissionsAreWhole(t *testing.T) {
	partner := service.Person{Roles: []service.Role{service.Partner}}
	for _, op := range service.Operations() {
		if len(service.RolesFor(op)) == 0 {
			t.Errorf("nobody may %s", op)
		}
		if service.Allowed(service.Person{}, op) {
			t.Errorf("somebody without a role may %s", op)
		}
	}
	for _, op := range []service.Operation{service.TakeCase, service.CommentCase, service.AcknowledgeCase, service.ConfirmCase, service.CloseCase, service.ReopenCase} {
		if service.Allowed(partner, op) {
			t.Errorf("the partner may %s", op)
		}
	}
}
