package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"borderwatch/rules/engine"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
	"borderwatch/schemas/casework"
)

// AlertQuery chooses alerts for a list.
type AlertQuery struct {
	Since   time.Duration // back from now; 0: DefaultSince
	Case    string
	Rule    string
	Actor   string
	Country string
	Outcome string // alert, unknown, error or suppressed
	Shadow  bool   // those of shadow rules, and no others
	Before  time.Time
	Limit   int // 0: MaxListed
}

// AlertList is a bounded list of alerts.
type AlertList struct {
	Alerts []casework.Alert `json:"alerts"`
	Next   time.Time        `json:"next_before,omitzero"` // where there are more: Before of the next list
}

// Alerts lists single alerts, the latest first.
func (s *Service) Alerts(ctx context.Context, p Person, q AlertQuery) (AlertList, error) {
	if err := s.permit(ctx, p, ListAlerts, q.Case); err != nil {
		return AlertList{}, err
	}
	return s.alerts(ctx, q)
}

// maxExported bounds one file.
const maxExported = 10_000

// Export lists alerts for a file, and records who took how many of what.
func (s *Service) Export(ctx context.Context, p Person, q AlertQuery) ([]casework.Alert, error) {
	if err := s.permit(ctx, p, ExportAlerts, q.Case); err != nil {
		return nil, err
	}
	q.Limit = maxExported
	list, err := s.alerts(ctx, q)
	if err != nil {
		return nil, err
	}
	detail := fmt.Sprintf(`{"text":"%d alerts"}`, len(list.Alerts))
	return list.Alerts, s.record(ctx, s.action(p, string(ExportAlerts), q.Case, detail))
}

func (s *Service) alerts(ctx context.Context, q AlertQuery) (AlertList, error) {
	f := casework.AlertFilter{
		Since: s.p.Now().Add(-bounded(q.Since)), Case: q.Case, Rule: q.Rule, Actor: q.Actor, Country: q.Country, Outcome: q.Outcome,
		Shadow: "no", Before: q.Before, Limit: q.Limit,
	}
	if q.Case != "" {
		if err := validID(q.Case); err != nil {
			return AlertList{}, err
		}
		f.Since = s.p.Now().Add(-caseLookback)
	}
	if q.Shadow {
		f.Shadow = "yes"
	}
	if f.Limit <= 0 || f.Limit > maxExported {
		f.Limit = MaxListed
	}
	limit := f.Limit
	f.Limit++
	rows, err := s.p.Alerts.AlertRows(ctx, f)
	if err != nil {
		return AlertList{}, err
	}
	list := AlertList{Alerts: rows[:min(len(rows), limit)]}
	if len(rows) > limit {
		list.Next = rows[limit-1].Time
	}
	if list.Alerts == nil {
		list.Alerts = []casework.Alert{}
	}
	return list, nil
}

// AlertPage is an alert with everything that explains it.
type AlertPage struct {
	casework.Alert
	Evidence    []Evidence        `json:"evidence"`
	Explanation *Explanation      `json:"explanation,omitempty"`
	NotShown    string            `json:"explanation_missing,omitempty"` // why there is no explanation
	Timeline    []casework.Moment `json:"timeline"`                      // the actor's accesses of some days before and one after
	Proof       *Proof            `json:"proof,omitempty"`
}

// Evidence is one thing that speaks for a place.
type Evidence struct {
	Kind        string `json:"kind"`
	Place       string `json:"place"`
	Expectation bool   `json:"expectation"` // says where the actor should be, not where he is
	Agrees      bool   `json:"agrees"`      // the place is among the countries that stay open
}

// Explanation is how a rule judged the event, condition by condition.
type Explanation struct {
	Rule       string      `json:"rule"`
	Title      string      `json:"title"`
	Why        string      `json:"why"`
	Respond    string      `json:"respond"`
	Owner      string      `json:"owner"`
	Law        []string    `json:"law"`
	Text       string      `json:"text"` // as written
	Outcome    string      `json:"outcome"`
	Severity   string      `json:"severity"`
	Conditions []Condition `json:"conditions"`
	Exceptions []Exception `json:"exceptions"`
	Same       bool        `json:"same"` // judging again gave what is stored
}

// Condition is one line of a rule and its answer.
type Condition struct {
	Text    string `json:"condition"`
	Event   string `json:"event"`  // what the event says
	Answer  string `json:"answer"` // true, false or unknown
	Branch  int    `json:"branch"` // of any; 0 for a line that must hold
	Implied bool   `json:"implied"`
}

// Exception is one exception to the rule, and why it applies or not.
type Exception struct {
	ID         string      `json:"id"`
	Applies    bool        `json:"applies"`
	InForce    bool        `json:"in_force"`
	PlaceShown bool        `json:"place_shown"`
	Conditions []Condition `json:"conditions"`
}

// Proof says what of the alert's batch is in the evidence log.
type Proof struct {
	casework.Proof
	Origin  string `json:"log"`     // name of the log, "" where it cannot be reached
	Size    uint64 `json:"size"`    // of the newest checkpoint
	Covered bool   `json:"covered"` // the batch's leaf is under that checkpoint
}

// The stretch of an actor's timeline.
const (
	timelineBefore = 7 * 24 * time.Hour
	timelineAfter  = 24 * time.Hour
	maxTimeline    = 500
)

// Alert returns one alert with everything that explains it.
func (s *Service) Alert(ctx context.Context, p Person, id string) (AlertPage, error) {
	if err := s.permit(ctx, p, ReadAlert, id); err != nil {
		return AlertPage{}, err
	}
	if err := validID(id); err != nil {
		return AlertPage{}, err
	}
	rows, err := s.p.Alerts.AlertRows(ctx, casework.AlertFilter{Since: s.p.Now().Add(-caseLookback), ID: id, Limit: 1})
	if err != nil {
		return AlertPage{}, err
	}
	if len(rows) == 0 {
		return AlertPage{}, fmt.Errorf("alert %s: %w", id, ErrNotFound)
	}
	page := AlertPage{Alert: rows[0], Evidence: evidence(&rows[0])}
	s.explain(ctx, &page)
	a := &page.Alert
	page.Timeline, err = s.p.Alerts.Timeline(ctx, a.ActorID, a.Time.Add(-timelineBefore), a.Time.Add(timelineAfter), maxTimeline)
	if err != nil {
		return AlertPage{}, err
	}
	if err := s.prove(ctx, &page); err != nil {
		return AlertPage{}, err
	}
	return page, s.note(ctx, s.action(p, string(ReadAlert), id, ""))
}

func evidence(a *casework.Alert) []Evidence {
	open := strings.Split(a.Country, "|")
	out := []Evidence{}
	for _, word := range a.Evidence {
		kind, place, _ := strings.Cut(word, "=")
		out = append(out, Evidence{
			Kind: kind, Place: place, Agrees: a.Country != "any" && slices.Contains(open, place),
			Expectation: kind == access.EvidenceOffice.String() || kind == access.EvidenceRoster.String(),
		})
	}
	return out
}

// explain judges the stored event again, by the bundle that judged it. That it cannot is said on the page and keeps nothing
// else from being shown.
func (s *Service) explain(ctx context.Context, page *AlertPage) {
	if s.p.Judge == nil {
		page.NotShown = "this console has no access to the bundles"
		return
	}
	j, err := s.p.Judge.Judgement(ctx, &page.Alert)
	if err != nil {
		page.NotShown = err.Error()
		return
	}
	// Folded unknowns are explained by the first rule that they are about.
	rule := page.RuleID
	if rule == alert.UnknownRule && len(page.Rules) > 0 {
		rule = page.Rules[0]
	}
	x, ok := j.Engine.Explain(j.Event, rule)
	if !ok {
		page.NotShown = "the bundle has no rule " + rule + " in force"
		return
	}
	page.Explanation = newExplanation(&x, j)
	page.Explanation.Same = page.RuleID == alert.UnknownRule || x.Outcome.String() == page.Outcome
}

func newExplanation(x *engine.Explanation, j Judgement) *Explanation {
	e := &Explanation{
		Rule: x.RuleID, Text: j.Text, Outcome: x.Outcome.String(), Severity: x.Severity.String(), Conditions: conditions(x.Conditions),
		Exceptions: []Exception{}, Law: []string{},
	}
	for _, r := range j.Engine.Rules() {
		if r.ID == x.RuleID {
			e.Title, e.Why, e.Respond, e.Owner, e.Law = r.Title, r.Why, r.Respond, r.Owner, r.Law
		}
	}
	for _, ex := range x.Exceptions {
		e.Exceptions = append(e.Exceptions, Exception{ex.ID, ex.Applies, ex.InForce, ex.PlaceShown, conditions(ex.Conditions)})
	}
	return e
}

func conditions(list []engine.Explained) []Condition {
	out := make([]Condition, len(list))
	for i, c := range list {
		out[i] = Condition{c.Condition, c.Value, c.Truth.String(), c.Branch, c.Implied}
	}
	return out
}

// prove finds the batch's leaf, and the checkpoint over it where the log can be reached.
func (s *Service) prove(ctx context.Context, page *AlertPage) error {
	receipt, ok, err := s.p.Proofs.BatchProof(ctx, page.Batch)
	if err != nil || !ok {
		return err
	}
	page.Proof = &Proof{Proof: receipt}
	if s.p.Witness == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, witnessPatience)
	defer cancel()
	text, err := s.p.Witness.Checkpoint(limited)
	if err != nil {
		s.p.Log.Warn("the evidence log cannot be reached", "error", err)
		return nil
	}
	page.Proof.Origin, page.Proof.Size, err = checkpoint(text)
	page.Proof.Covered = receipt.LedgerIndex < page.Proof.Size
	return err
}

// checkpoint reads origin and size of a signed checkpoint (C2SP tlog-checkpoint). The signature is the verifier's affair.
func checkpoint(text []byte) (origin string, size uint64, err error) {
	lines := strings.SplitN(string(text), "\n", 3)
	if len(lines) < 3 {
		return "", 0, errors.New("the evidence log's checkpoint has no size")
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &size); err != nil {
		return "", 0, fmt.Errorf("the evidence log's checkpoint has no size: %w", err)
	}
	return lines[0], size, nil
}
