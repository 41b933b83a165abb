package store

import (
	"context"
	"time"

	"borderwatch/schemas/casework"
)

// NoticeRows lists notices since a time, the latest first; kind "" lists all kinds.
func (s *Store) NoticeRows(ctx context.Context, kind string, since time.Time, limit int) ([]casework.Notice, error) {
	c := &conditions{}
	c.always("time >= ?", since.UTC())
	c.add("kind = ?", kind)
	n := c.argument(limit)
	var out []casework.Notice
	err := s.ask(ctx, &out, "SELECT kind, subject, toString(severity) AS severity_word, time, why FROM %s.notices WHERE "+c.String()+
		" ORDER BY time DESC LIMIT 1 BY notice_id LIMIT "+n, c.args...)
	return out, err
}

// Feeds lists feeds by name, by events that were stored since a time.
func (s *Store) Feeds(ctx context.Context, since, now time.Time) ([]casework.FeedState, error) {
	var out []casework.FeedState
	err := s.ask(ctx, &out, `SELECT feed, topic, count() AS events, countIf(r.stored_at > $2 - toIntervalHour(1)) AS hour, max(a.kafka_time) AS newest,
			max(r.stored_at) AS stored, countIf(verdict = 'unknown') AS unjudged, quantile(0.5)(dateDiff('millisecond', a.kafka_time, r.stored_at)) / 1000 AS delay
		FROM %[1]s.event_rows AS a`+found+` WHERE `+lateBatches+` GROUP BY feed, topic ORDER BY feed, topic LIMIT 500`, since.UTC(), now.UTC())
	return out, err
}

// DeadLetterCounts counts refused records since a time, the most frequent reason first.
func (s *Store) DeadLetterCounts(ctx context.Context, since time.Time, limit int) ([]casework.DeadLetterCount, error) {
	var out []casework.DeadLetterCount
	err := s.ask(ctx, &out, `SELECT feed, code, count() AS records, max(d.kafka_time) AS last, any(reason) AS example
		FROM %[1]s.dead_letters AS d WHERE batch_time >= $1 GROUP BY feed, code ORDER BY records DESC, feed, code LIMIT $2`, since.UTC(), limit)
	return out, err
}

// BatchProof returns the receipt of a batch, false where there is none.
func (s *Store) BatchProof(ctx context.Context, batch string) (casework.Proof, bool, error) {
	var out []casework.Proof
	err := s.ask(ctx, &out, `SELECT lower(hex(batch_id)) AS batch, topic, partition, first_offset, last_offset, ledger_index, worker, batch_time,
		lower(hex(input_digest)) AS input FROM %s.receipts WHERE batch_id = toFixedString(unhex($1), 16) LIMIT 1`, batch)
	if err != nil || len(out) == 0 {
		return casework.Proof{}, false, err
	}
	return out[0], true, nil
}
