package store

import (
	"context"
	"fmt"
)

// RawMonth counts the records of a month of batch times, 202611.
func (s *Store) RawMonth(ctx context.Context, month uint32) (uint64, error) {
	return s.countMonth(ctx, "raw_rows", month, "1")
}

// HeldIn counts what a hold is on in a month: events that match everything that is given, and all dead letters, which may
// be about anybody.
func (s *Store) HeldIn(ctx context.Context, month uint32, actors, datasets, classes []string) (uint64, error) {
	events, err := s.countMonth(ctx, "event_rows", month, "(empty($2) OR has($2, toString(actor_id))) AND (empty($3) OR has($3, toString(dataset))) "+
		"AND (empty($4) OR hasAny($4, splitByChar(',', toString(classes))))", orEmpty(actors), orEmpty(datasets), orEmpty(classes))
	if err != nil {
		return 0, err
	}
	letters, err := s.countMonth(ctx, "dead_letter_rows", month, "1")
	return events + letters, err
}

// orEmpty keeps an empty list from being sent as a list of nothing.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (s *Store) countMonth(ctx context.Context, table string, month uint32, where string, args ...any) (uint64, error) {
	var rows []struct {
		N uint64 `ch:"n"`
	}
	query := "SELECT count() AS n FROM %s." + table + " WHERE toYYYYMM(batch_time) = $1 AND " + where
	if err := s.ask(ctx, &rows, query, append([]any{month}, args...)...); err != nil {
		return 0, err
	}
	return rows[0].N, nil
}

// DropRawMonth drops the records of a month of batch times. Events, alerts and dead letters stay.
func (s *Store) DropRawMonth(ctx context.Context, month uint32) error {
	ctx, cancel := context.WithTimeout(ctx, eraseTimeout)
	defer cancel()
	if err := s.conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s.raw_rows DROP PARTITION %d", s.opt.Database, month)); err != nil {
		return fmt.Errorf("drop the records of %d: %w", month, err)
	}
	return nil
}
