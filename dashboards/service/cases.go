package service

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"borderwatch/schemas/casework"
)

// Bounds of lists.
const (
	MaxListed    = 200  // cases or alerts that a list shows
	maxLookedAt  = 2000 // cases whose state is worked out for a list
	DefaultSince = 7 * 24 * time.Hour
	MaxSince     = 400 * 24 * time.Hour
	caseLookback = MaxSince // how far back a single case or alert is looked for
)

// CaseQuery chooses cases for a list.
type CaseQuery struct {
	Since    time.Duration // back from now; 0: DefaultSince
	State    State         // "" for those that somebody has to look at
	All      bool          // quiet ones too
	Mine     bool          // those that the person has taken
	Severity string
	Rule     string
	Actor    string
	Country  string
	Dataset  string
	Kind     string
}

// CaseList is a bounded list of cases.
type CaseList struct {
	Cases  []Case  `json:"cases"`
	Graded []Tally `json:"by_severity"` // of all that match, the gravest first
	Found  int     `json:"found"`       // that match, of those looked at
	More   bool    `json:"more"`        // some that match are not listed
	Capped bool    `json:"capped"`      // more cases exist in this time than were looked at: choose a shorter one or a filter
}

// Tally is a number of cases with a severity.
type Tally struct {
	Severity string `json:"severity"`
	Cases    int    `json:"cases"`
}

// Cases lists cases, the gravest and then the latest first.
func (s *Service) Cases(ctx context.Context, p Person, q CaseQuery) (CaseList, error) {
	if err := s.permit(ctx, p, ListCases, ""); err != nil {
		return CaseList{}, err
	}
	now := s.p.Now()
	facts, err := s.recent.caseFacts(ctx, s.p.Cases, q.filter(now), now)
	if err != nil {
		return CaseList{}, err
	}
	list := CaseList{Cases: []Case{}, Capped: len(facts) > maxLookedAt}
	cases, err := s.workedOn(ctx, facts[:min(len(facts), maxLookedAt)], now)
	if err != nil {
		return CaseList{}, err
	}
	counts := map[string]int{}
	for i := range cases {
		if !q.wants(&cases[i], p) {
			continue
		}
		list.Found++
		counts[cases[i].Severity]++
		if len(list.Cases) < MaxListed {
			list.Cases = append(list.Cases, cases[i])
		}
	}
	for _, severity := range slices.Backward(severities[1:]) {
		list.Graded = append(list.Graded, Tally{severity, counts[severity]})
	}
	list.More = list.Found > len(list.Cases)
	return list, nil
}

func (q *CaseQuery) filter(now time.Time) casework.CaseFilter {
	return casework.CaseFilter{
		Since: now.Add(-bounded(q.Since)), Severity: q.Severity, Rule: q.Rule, Actor: q.Actor, Country: q.Country, Dataset: q.Dataset,
		Kind: q.Kind, Limit: maxLookedAt + 1,
	}
}

func bounded(since time.Duration) time.Duration {
	if since <= 0 {
		return DefaultSince
	}
	return min(since, MaxSince)
}

func (q *CaseQuery) wants(c *Case, p Person) bool {
	switch {
	case q.Mine && c.Owner != p.Name:
		return false
	case q.State != "":
		return c.State == q.State
	}
	return q.All || !c.Quiet()
}

// workedOn adds to facts what people did.
func (s *Service) workedOn(ctx context.Context, facts []casework.Facts, now time.Time) ([]Case, error) {
	cases, ids := make([]Case, len(facts)), make([]string, len(facts))
	for i := range facts {
		cases[i].Facts, ids[i] = facts[i], facts[i].ID
	}
	actions, err := s.p.Journal.ActionsOn(ctx, ids)
	if err != nil {
		return nil, err
	}
	by := make(map[string][]casework.Action, len(ids))
	for _, a := range actions {
		by[a.Subject] = append(by[a.Subject], a)
	}
	quiet := map[string]time.Time{}
	for i := range cases {
		cases[i].fold(by[cases[i].ID])
		if cases[i].Quiet() {
			quiet[cases[i].ID] = cases[i].quietSince
		}
	}
	grown := map[string]casework.Growth{}
	if len(quiet) > 0 {
		list, err := s.p.Cases.Growth(ctx, quiet, now)
		if err != nil {
			return nil, err
		}
		for _, g := range list {
			grown[g.ID] = g
		}
	}
	for i := range cases {
		cases[i].wake(grown[cases[i].ID], now)
	}
	return cases, nil
}

// Case returns one case with everything that was done. When somebody of the security team looks at it for the first time,
// that is recorded: it starts the clock of Art. 33.
func (s *Service) Case(ctx context.Context, p Person, id string) (Case, error) {
	if err := s.permit(ctx, p, ReadCase, id); err != nil {
		return Case{}, err
	}
	c, err := s.oneCase(ctx, id)
	if err != nil {
		return Case{}, err
	}
	return c, s.see(ctx, p, &c)
}

func (s *Service) oneCase(ctx context.Context, id string) (Case, error) {
	if err := validID(id); err != nil {
		return Case{}, err
	}
	now := s.p.Now()
	facts, err := s.p.Cases.CaseFacts(ctx, casework.CaseFilter{Since: now.Add(-caseLookback), ID: id, Limit: 1}, now)
	if err != nil {
		return Case{}, err
	}
	if len(facts) == 0 {
		return Case{}, fmt.Errorf("case %s: %w", id, ErrNotFound)
	}
	cases, err := s.workedOn(ctx, facts, now)
	if err != nil {
		return Case{}, err
	}
	return cases[0], nil
}

// see starts the clock. A script with a token is no person, and the partner is not the controller.
func (s *Service) see(ctx context.Context, p Person, c *Case) error {
	controller := p.Has(Viewer) || p.Has(Analyst) || p.Has(Author) || p.Has(Approver) || p.Has(Operator)
	if !c.Seen.IsZero() || p.Channel != Page || !controller {
		return nil
	}
	a := s.action(p, string(seen), c.ID, "")
	if err := s.record(ctx, a); err != nil {
		return err
	}
	c.see(Step{Time: a.Time, Who: a.Who})
	return nil
}

// Take makes the person the one who works on the case.
func (s *Service) Take(ctx context.Context, p Person, id string) error {
	return s.step(ctx, p, TakeCase, id, Detail{}, func(c *Case) error {
		if c.Owner == p.Name && c.State == Taken {
			return fmt.Errorf("%w: you have taken it already", ErrConflict)
		}
		return nil
	})
}

// Comment adds a text to the case.
func (s *Service) Comment(ctx context.Context, p Person, id, text string) error {
	if err := checkText("text", text); err != nil {
		return err
	}
	return s.step(ctx, p, CommentCase, id, Detail{Text: text}, nil)
}

// Close ends the work on a case, with a reason. An alert that was found later than the person looked opens it again; looked is
// when the latest alert was found that the person saw, zero for all that are there.
func (s *Service) Close(ctx context.Context, p Person, id, reason string, looked time.Time) error {
	if err := checkText("reason", reason); err != nil {
		return err
	}
	return s.step(ctx, p, CloseCase, id, Detail{Text: reason, Seen: looked}, func(c *Case) error {
		if c.State == Closed {
			return fmt.Errorf("%w: it is closed", ErrConflict)
		}
		return nil
	})
}

// Reopen takes a case up again that is closed, acknowledged or about to be.
func (s *Service) Reopen(ctx context.Context, p Person, id, reason string) error {
	if err := checkText("reason", reason); err != nil {
		return err
	}
	return s.step(ctx, p, ReopenCase, id, Detail{Text: reason}, func(c *Case) error {
		if !c.Quiet() && c.State != Waiting {
			return fmt.Errorf("%w: it is open", ErrConflict)
		}
		return nil
	})
}

// Acknowledgement says why a case may be quiet, and for how long.
type Acknowledgement struct {
	Reason string    `json:"reason"`
	Ticket string    `json:"ticket"`
	Until  time.Time `json:"until"`
}

func (a *Acknowledgement) check(now time.Time) error {
	if err := checkText("reason", a.Reason); err != nil {
		return err
	}
	if err := checkText("ticket", a.Ticket); err != nil {
		return err
	}
	if !a.Until.After(now) || a.Until.After(now.Add(MaxAcknowledged)) {
		return fmt.Errorf("%w: until must lie within the next 30 days", ErrInvalid)
	}
	return nil
}

// Acknowledge makes a case quiet for a time; one that is high or critical when another person confirms it. Alerts and
// verdicts do not change. It speaks again by itself, see Case.
func (s *Service) Acknowledge(ctx context.Context, p Person, id string, a Acknowledgement) error {
	if err := s.permit(ctx, p, AcknowledgeCase, id); err != nil {
		return err
	}
	if err := a.check(s.p.Now()); err != nil {
		return err
	}
	c, err := s.oneCase(ctx, id)
	if err != nil {
		return err
	}
	if c.State == Closed {
		return fmt.Errorf("%w: it is closed", ErrConflict)
	}
	return s.keep(ctx, p, AcknowledgeCase, id, Detail{
		Text: a.Reason, Ticket: a.Ticket, Until: a.Until.UTC().Truncate(time.Second),
		Seen: c.Arrived, Severity: c.Severity, Rate: c.Day, Datasets: c.Datasets, Classes: c.Classes,
	})
}

// Confirm is the second person's yes to an acknowledgement.
func (s *Service) Confirm(ctx context.Context, p Person, id string) error {
	return s.step(ctx, p, ConfirmCase, id, Detail{}, func(c *Case) error {
		switch {
		case c.State != Waiting:
			return fmt.Errorf("%w: no acknowledgement waits for a second person", ErrConflict)
		case c.acknowledgement.Who == p.Name:
			return fmt.Errorf("%w: whoever acknowledged it cannot confirm it too", ErrConflict)
		}
		return nil
	})
}

// step records one step where the case is in a state that allows it.
func (s *Service) step(ctx context.Context, p Person, op Operation, id string, d Detail, allowed func(*Case) error) error {
	if err := s.permit(ctx, p, op, id); err != nil {
		return err
	}
	c, err := s.oneCase(ctx, id)
	if err != nil {
		return err
	}
	if allowed != nil {
		if err := allowed(&c); err != nil {
			return err
		}
	}
	// Times at which alerts were found are the store's: what opens a case again does not depend on this machine's clock.
	if (op == CloseCase || op == ConfirmCase) && (d.Seen.IsZero() || d.Seen.After(c.Arrived)) {
		d.Seen = c.Arrived
	}
	return s.keep(ctx, p, op, id, d)
}

func (s *Service) keep(ctx context.Context, p Person, op Operation, id string, d Detail) error {
	detail, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.record(ctx, s.action(p, string(op), id, string(detail)))
}

const maxText = 4000

func checkText(field, text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("%w: %s is required", ErrInvalid, field)
	case len(text) > maxText || !utf8.ValidString(text):
		return fmt.Errorf("%w: %s is no text of at most %d bytes", ErrInvalid, field, maxText)
	}
	return nil
}

// Similar lists further cases of the same actor or, where a case has none, of the same rules.
func (s *Service) Similar(ctx context.Context, p Person, c *Case) ([]Case, error) {
	q := CaseQuery{Since: 30 * 24 * time.Hour, All: true, Actor: c.ActorID}
	if c.ActorID == "" && len(c.Rules) > 0 {
		q.Rule = c.Rules[0]
	}
	list, err := s.Cases(ctx, p, q)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(list.Cases, func(o Case) bool { return o.ID == c.ID })
	return others[:min(len(others), 10)], nil
}
