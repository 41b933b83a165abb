package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"borderwatch/schemas/casework"
)

const actionColumns = "lower(hex(action_id)) AS id, time, who, roles, channel, action, subject, done, detail, ledger_index"

// NewActionID returns a random id.
func NewActionID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// InsertAction stores an action once, however often it is called with the same id.
func (s *Store) InsertAction(ctx context.Context, a casework.Action) error {
	id, err := hex.DecodeString(a.ID)
	if err != nil || len(id) != 16 {
		return fmt.Errorf("action id %q is not 32 hexadecimal digits", a.ID)
	}
	return s.insertRow(ctx, "actions", "action_id, time, who, roles, channel, action, subject, done, detail, ledger_index", a.ID,
		id, a.Time.UTC(), a.Who, a.Roles, a.Channel, a.Action, a.Subject, a.Done, a.Detail, a.LedgerIndex)
}

// ActionsOn lists what was done to subjects, refused attempts left out, in order, at most 10,000.
func (s *Store) ActionsOn(ctx context.Context, subjects []string) ([]casework.Action, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	var out []casework.Action
	err := s.ask(ctx, &out, "SELECT "+actionColumns+" FROM %s.actions WHERE subject IN (SELECT arrayJoin($1)) AND done ORDER BY time, action_id LIMIT 10000", subjects)
	return out, err
}

// Actions lists what people did, the latest first.
func (s *Store) Actions(ctx context.Context, since time.Time, limit int) ([]casework.Action, error) {
	var out []casework.Action
	err := s.ask(ctx, &out, "SELECT "+actionColumns+" FROM %s.actions WHERE time >= $1 ORDER BY time DESC, action_id LIMIT $2", since.UTC(), limit)
	return out, err
}

// Pulse is a number that changes whenever an alert of the last hour arrived or somebody did something.
func (s *Store) Pulse(ctx context.Context, now time.Time) (uint64, error) {
	var rows []struct {
		Pulse uint64 `ch:"pulse"`
	}
	err := s.ask(ctx, &rows, `SELECT cityHash64(
		(SELECT (sum(alerts), max(stored_at)) FROM %[1]s.batches WHERE stored_at > $1 - toIntervalHour(1) AND alerts > 0),
		(SELECT (count(), max(time)) FROM %[1]s.actions WHERE time > $1 - toIntervalHour(1) AND action NOT IN ('read_alert', 'sign_in'))) AS pulse`, now.UTC())
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].Pulse, nil
}
