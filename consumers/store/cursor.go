package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Cursor says how far a reader of alerts is: the next offset of every partition. It is JSON, and its zero value is the
// beginning.
type Cursor struct {
	next map[string]int64 // by source/topic/partition
}

// MarshalJSON writes the offsets by partition.
func (c Cursor) MarshalJSON() ([]byte, error) { return json.Marshal(c.next) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Cursor) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &c.next) }

type pendingReceipt struct {
	Key    string `ch:"key"`
	First  int64  `ch:"first_offset"`
	Last   int64  `ch:"last_offset"`
	Alerts uint32 `ch:"alerts"`
	Batch  string `ch:"batch"`
}

// AlertsSince returns the alerts that became visible after the cursor, in the order of their offsets per partition, and
// the cursor behind them. Each batch is returned whole and once, so limit may be passed by one batch. It follows the
// unbroken run of receipts: a batch that was stored ahead of an earlier one waits for that, so nothing is jumped over.
//
// An alert is returned once per copy of its event; readers that notify look at its ID.
func (s *Store) AlertsSince(ctx context.Context, c Cursor, limit int) ([]Alert, Cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	pending, err := s.pending(ctx, c)
	if err != nil {
		return nil, c, err
	}
	next := Cursor{maps.Clone(c.next)}
	if next.next == nil {
		next.next = make(map[string]int64)
	}
	var batches []string
	found := 0
	for _, r := range pending {
		at, known := next.next[r.Key]
		if found >= limit {
			break
		}
		if known && r.First > at {
			continue // an earlier batch has no receipt yet
		}
		next.next[r.Key] = max(at, r.Last+1)
		if r.Alerts > 0 {
			batches = append(batches, r.Batch)
			found += int(r.Alerts)
		}
	}
	if len(batches) == 0 {
		return nil, next, nil
	}
	alerts, err := s.alertsOf(ctx, batches)
	if err != nil {
		return nil, c, err
	}
	return alerts, next, nil
}

// pending lists the receipts, and the gaps with a notice, that the cursor has not passed.
func (s *Store) pending(ctx context.Context, c Cursor) ([]pendingReceipt, error) {
	keys := slices.Sorted(maps.Keys(c.next))
	offsets := make([]int64, len(keys))
	for i, k := range keys {
		offsets[i] = c.next[k]
	}
	const key = "concat(source, '/', topic, '/', toString(partition))"
	passed := "last_offset >= if(indexOf($1, key) = 0, -1, arrayElement($2, indexOf($1, key)))"
	if len(keys) == 0 {
		passed = "1"
	}
	query := fmt.Sprintf(`SELECT key, first_offset, last_offset, alerts, batch FROM (
			SELECT %[2]s AS key, first_offset, last_offset, alerts, lower(hex(batch_id)) AS batch FROM %[1]s.batches
			UNION ALL
			SELECT %[2]s AS key, first_offset, last_offset, 0 AS alerts, '' AS batch FROM %[1]s.notices WHERE kind = '%[4]s'
		) WHERE %[3]s ORDER BY key, first_offset LIMIT %[5]d`, s.opt.Database, key, passed, NoticeGap, MaxReceipts)
	var args []any
	if len(keys) > 0 {
		args = []any{keys, offsets}
	}
	var out []pendingReceipt
	if err := s.conn.Select(ctx, &out, query, args...); err != nil {
		return nil, fmt.Errorf("receipts after the cursor: %w", err)
	}
	return out, nil
}

func (s *Store) alertsOf(ctx context.Context, batches []string) ([]Alert, error) {
	var out []Alert
	query := fmt.Sprintf(`SELECT %s FROM %s.alert_rows WHERE batch_id IN (SELECT toFixedString(unhex(arrayJoin($1)), 16))
		ORDER BY source, topic, partition, offset, rule_id`, alertRowColumns, s.opt.Database)
	if err := s.conn.Select(ctx, &out, query, batches); err != nil {
		return nil, fmt.Errorf("alerts after the cursor: %w", err)
	}
	return out, nil
}
