package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"borderwatch/rules/engine"
	"borderwatch/schemas/access"
	"borderwatch/schemas/casework"
)

// What a request can be refused for.
var (
	ErrForbidden = errors.New("your roles do not allow this")
	ErrNotFound  = errors.New("there is no such thing, or it is older than what is kept")
	ErrInvalid   = errors.New("not acceptable")
	ErrConflict  = errors.New("not in this state")
)

// CaseStore tells what alerts add up to. Both methods only read and may be repeated.
type CaseStore interface {
	CaseFacts(ctx context.Context, f casework.CaseFilter, now time.Time) ([]casework.Facts, error)
	Growth(ctx context.Context, since map[string]time.Time, now time.Time) ([]casework.Growth, error)
}

// AlertStore lists alerts and what else an actor did. Both methods only read.
type AlertStore interface {
	AlertRows(ctx context.Context, f casework.AlertFilter) ([]casework.Alert, error)
	Timeline(ctx context.Context, actor string, from, to time.Time, limit int) ([]casework.Moment, error)
}

// ChartStore counts alerts over time by verdict, severity, country or rule.
type ChartStore interface {
	AlertsOverTime(ctx context.Context, dimension string, since time.Time, bucket time.Duration, limit int) ([]casework.Point, error)
}

// Journal keeps what people did. InsertAction is durable when it returns and may be repeated with the same id; nothing that
// is in it ever changes. ActionsOn lists what was done, refused attempts left out, in the order in which it was done.
type Journal interface {
	InsertAction(ctx context.Context, a casework.Action) error
	ActionsOn(ctx context.Context, subjects []string) ([]casework.Action, error)
}

// ActionLog lists what people did, the latest first, refused attempts among it.
type ActionLog interface {
	Actions(ctx context.Context, since time.Time, limit int) ([]casework.Action, error)
}

// NoticeStore lists what no single event shows, and how fresh feeds are.
type NoticeStore interface {
	NoticeRows(ctx context.Context, kind string, since time.Time, limit int) ([]casework.Notice, error)
	Feeds(ctx context.Context, since, now time.Time) ([]casework.FeedState, error)
}

// ProofStore finds the receipts of batches and counts what could not be read.
type ProofStore interface {
	BatchProof(ctx context.Context, batch string) (casework.Proof, bool, error)
	DeadLetterCounts(ctx context.Context, since time.Time, limit int) ([]casework.DeadLetterCount, error)
}

// Witness is the evidence log. Record makes a leaf of an action and returns its index; it may be repeated, at the price of a
// second leaf. Checkpoint returns the newest signed checkpoint.
type Witness interface {
	Record(ctx context.Context, a casework.Action) (int64, error)
	Checkpoint(ctx context.Context) ([]byte, error)
}

// Judgement is what an alert was judged by: the event as it was stored and the rules as they were then.
type Judgement struct {
	Event  *access.Event
	Engine *engine.Engine
	Text   string // the rule as written, "" for folded unknowns
}

// Judge finds what an alert was judged by.
type Judge interface {
	Judgement(ctx context.Context, a *casework.Alert) (Judgement, error)
}

// Bundles tells which bundle judged which partition from where on.
type Bundles interface {
	InForce(ctx context.Context) ([]casework.InForce, error)
}

// Parts are what a service stands on. Witness and Judge may be nil: then no leaf is made, and an alert is not explained
// condition by condition.
type Parts struct {
	Cases   CaseStore
	Alerts  AlertStore
	Charts  ChartStore
	Journal Journal
	Actions ActionLog
	Notices NoticeStore
	Proofs  ProofStore
	Bundles Bundles
	Witness Witness
	Judge   Judge
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now
	NewID   func() string    // 32 random hexadecimal digits
	Partner Access           // what the partner's page says of his own account
}

// Service does what people ask for. It is safe for concurrent use.
type Service struct {
	p      Parts
	recent recentFacts
}

// New returns a service. It asks nothing of its parts.
func New(p Parts) *Service {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Service{p: p}
}

// permit refuses what the person's roles do not allow, and records the attempt.
func (s *Service) permit(ctx context.Context, p Person, op Operation, subject string) error {
	if Allowed(p, op) {
		return nil
	}
	a := s.action(p, string(op), subject, "")
	a.Done = false
	if err := s.p.Journal.InsertAction(ctx, a); err != nil {
		s.p.Log.Error("a refused attempt could not be recorded", "who", p.Name, "operation", op, "error", err)
	}
	return fmt.Errorf("%s: %w", op, ErrForbidden)
}

func (s *Service) action(p Person, what, subject, detail string) casework.Action {
	return casework.Action{
		ID: s.p.NewID(), Time: s.p.Now().UTC().Truncate(time.Millisecond), Who: p.Name, Roles: p.words(), Channel: p.Channel,
		Action: what, Subject: subject, Done: true, Detail: detail, LedgerIndex: -1,
	}
}

// witnessPatience is how long an action waits for its leaf. Without it the action is recorded all the same, and its row says
// that there is no leaf.
const witnessPatience = 5 * time.Second

// record keeps an action in the evidence log, where one is reachable, and in the journal. What cannot be kept in the journal
// is not done.
func (s *Service) record(ctx context.Context, a casework.Action) error {
	if s.p.Witness != nil {
		limited, cancel := context.WithTimeout(ctx, witnessPatience)
		defer cancel()
		index, err := s.p.Witness.Record(limited, a)
		if err != nil {
			s.p.Log.Warn("an action has no leaf in the evidence log", "action", a.Action, "subject", a.Subject, "error", err)
		} else {
			a.LedgerIndex = index
		}
	}
	if err := s.p.Journal.InsertAction(ctx, a); err != nil {
		return fmt.Errorf("record %s: %w", a.Action, err)
	}
	return nil
}

// note records what only reads, in the journal alone.
func (s *Service) note(ctx context.Context, a casework.Action) error {
	if err := s.p.Journal.InsertAction(ctx, a); err != nil {
		return fmt.Errorf("record %s: %w", a.Action, err)
	}
	return nil
}

// SignedIn records that somebody signed in or out, or failed to. what is sign_in, sign_out, token_made or token_revoked.
func (s *Service) SignedIn(ctx context.Context, p Person, what, subject string, done bool) error {
	a := s.action(p, what, subject, "")
	a.Done = done
	if !done {
		return s.note(ctx, a) // strangers cannot make the evidence log grow
	}
	return s.record(ctx, a)
}

// validID refuses what is not an id of a case or an alert.
func validID(id string) error {
	if len(id) != 32 {
		return fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%q: %w", id, ErrNotFound)
		}
	}
	return nil
}
