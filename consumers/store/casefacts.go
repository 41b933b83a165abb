package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"borderwatch/schemas/casework"
)

// openingAlerts are the rows that make a case: suppressed and shadow alerts open none.
const openingAlerts = "outcome IN ('unknown', 'alert', 'error') AND NOT shadow"

// conditions collects conditions and their arguments.
type conditions struct {
	text []string
	args []any
}

// add appends a condition in which ? stands for the value; nothing where the value is empty.
func (c *conditions) add(condition, value string) {
	if value != "" {
		c.always(condition, value)
	}
}

func (c *conditions) always(condition string, value any) {
	c.args = append(c.args, value)
	c.text = append(c.text, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(c.args))))
}

// argument adds a value and returns what stands for it.
func (c *conditions) argument(value any) string {
	c.args = append(c.args, value)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *conditions) String() string { return strings.Join(c.text, " AND ") }

// found joins alerts with the receipts of batches that count and were stored since $1: the server's time of storing is when
// an alert was found. A batch is stored at most lateBatches after its batch time, which bounds what is read.
const (
	found       = " INNER JOIN (SELECT batch_id, stored_at FROM %[1]s.batches WHERE stored_at >= $1) AS r ON r.batch_id = a.batch_id "
	lateBatches = "batch_time >= $1 - toIntervalDay(30)"
)

func caseConditions(f *casework.CaseFilter) *conditions {
	c := &conditions{args: []any{f.Since.UTC()}, text: []string{lateBatches}}
	c.add("case_id = toFixedString(unhex(?), 16)", f.ID)
	c.add("rule_id = ?", f.Rule)
	c.add("actor_id = ?", f.Actor)
	c.add("location_country = ?", f.Country)
	c.add("dataset = ?", f.Dataset)
	c.add("case_kind = ?", f.Kind)
	return c
}

// CaseFacts lists cases by severity, then by the latest arrival. now is what the last hour and day end at.
func (s *Store) CaseFacts(ctx context.Context, f casework.CaseFilter, now time.Time) ([]casework.Facts, error) {
	c := caseConditions(&f)
	having := &conditions{args: c.args}
	having.add("severity = ?", f.Severity)
	if len(having.text) == 0 {
		having.text = []string{"1"}
	}
	at, limit := having.argument(now.UTC()), having.argument(f.Limit)
	var out []casework.Facts
	err := s.ask(ctx, &out, `SELECT lower(hex(case_id)) AS id, toString(any(a.case_kind)) AS kind, toString(max(a.severity)) AS severity,
			arraySort(groupUniqArray(20)(a.rule_id)) AS rules, if(kind = 'gap', '', any(a.actor_id)) AS actor, uniqExact(a.actor_id) AS actors,
			arraySort(groupUniqArray(20)(a.location_country)) AS countries, arraySort(groupUniqArray(20)(a.feed)) AS feeds,
			arraySort(groupUniqArray(20)(a.system)) AS systems, arraySort(groupUniqArray(20)(a.dataset)) AS datasets,
			arraySort(groupUniqArray(20)(a.classes)) AS classes, min(a.time) AS first, max(a.time) AS last, min(r.stored_at) AS detected,
			max(r.stored_at) AS arrived, uniqExact(a.alert_id) AS alerts,
			uniqExactIf(a.alert_id, r.stored_at > `+at+` - toIntervalHour(1)) AS hour,
			uniqExactIf(a.alert_id, r.stored_at > `+at+` - toIntervalHour(24)) AS day, argMax(a.why, (a.severity, a.time, a.alert_id)) AS why
		FROM %[1]s.alert_rows AS a`+found+`
		WHERE `+lateBatches+` AND `+openingAlerts+` AND case_id IN (SELECT case_id FROM %[1]s.alert_rows WHERE `+c.String()+` AND `+openingAlerts+`)
		GROUP BY case_id HAVING `+having.String()+` ORDER BY max(a.severity) DESC, arrived DESC, id LIMIT `+limit+bounded, having.args...)
	return out, err
}

// Growth tells what was found for cases after the time given for each; a case to which nothing came is left out.
func (s *Store) Growth(ctx context.Context, since map[string]time.Time, now time.Time) ([]casework.Growth, error) {
	if len(since) == 0 {
		return nil, nil
	}
	ids, times, least := make([]string, 0, len(since)), make([]int64, 0, len(since)), now
	for id, t := range since {
		ids, times = append(ids, id), append(times, t.UnixMilli())
		if t.Before(least) {
			least = t
		}
	}
	var out []casework.Growth
	err := s.ask(ctx, &out, `SELECT lower(hex(case_id)) AS id, uniqExact(a.alert_id) AS alerts,
			uniqExactIf(a.alert_id, r.stored_at > $4 - toIntervalHour(24)) AS day,
			groupUniqArray(100)(a.dataset) AS datasets, groupUniqArray(100)(a.classes) AS classes
		FROM %[1]s.alert_rows AS a`+found+`
		WHERE `+lateBatches+` AND `+openingAlerts+` AND case_id IN (SELECT toFixedString(unhex(arrayJoin($2)), 16))
			AND toUnixTimestamp64Milli(r.stored_at) > arrayElement($3, indexOf($2, lower(hex(case_id))))
		GROUP BY case_id`, least.UTC(), ids, times, now.UTC())
	return out, err
}
