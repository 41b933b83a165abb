package store

import (
	"context"
	"time"

	"borderwatch/schemas/casework"
)

const alertRowWords = `lower(hex(alert_id)) AS id, lower(hex(case_id)) AS case, toString(case_kind) AS kind, time, r.stored_at AS detected, rule_id,
	toString(outcome) AS outcome_word, toString(severity) AS severity_word, shadow,
	if(empty(rules), [], splitByChar(' ', rules)) AS rule_list, if(empty(missing), [], splitByChar(' ', missing)) AS missing_list,
	if(empty(exceptions), [], splitByChar('\0', exceptions)) AS exception_list, why, feed, event_id, lower(hex(content)) AS content_hex, actor_id,
	toString(actor_kind) AS actor_kind_word, actor_employer_entity, actor_employer_country, session_id, source_ip, location_country,
	toString(location_verdict) AS location_verdict_word, location_reason, toString(location_expected) AS expected,
	toString(location_confidence) AS confidence, if(empty(location_evidence), [], splitByChar(' ', location_evidence)) AS evidence,
	network_asn, network_org, toString(network_kind) AS network_kind_word, toString(action) AS action_word,
	toString(access_outcome) AS access_outcome_word, data_item, dataset, system, subject_regions, classes, categories, toString(form) AS form_word,
	storage_country, records, dest_country, dest_entity, approval_id, ticket_id, bundle, source, topic, partition, offset, lower(hex(a.batch_id)) AS batch`

// AlertRows lists alerts, the latest events first, each alert once: of its copies the one that was judged most severely.
func (s *Store) AlertRows(ctx context.Context, f casework.AlertFilter) ([]casework.Alert, error) {
	c := &conditions{args: []any{f.Since.UTC()}, text: []string{lateBatches}}
	c.add("alert_id = toFixedString(unhex(?), 16)", f.ID)
	c.add("case_id = toFixedString(unhex(?), 16)", f.Case)
	c.add("rule_id = ?", f.Rule)
	c.add("actor_id = ?", f.Actor)
	c.add("location_country = ?", f.Country)
	c.add("outcome = ?", f.Outcome)
	switch f.Shadow {
	case "yes":
		c.text = append(c.text, "shadow")
	case "no":
		c.text = append(c.text, "NOT shadow")
	}
	if !f.Before.IsZero() {
		c.always("time < ?", f.Before.UTC())
	}
	limit := c.argument(f.Limit)
	var out []casework.Alert
	err := s.ask(ctx, &out, `SELECT `+alertRowWords+` FROM %[1]s.alert_rows AS a`+found+` WHERE `+c.String()+`
		ORDER BY time DESC, alert_id, outcome DESC, severity DESC LIMIT 1 BY alert_id LIMIT `+limit+bounded, c.args...)
	return out, err
}

// Timeline lists the accesses of an actor between two times of events, the latest first. Rows whose batch is older than from
// by more than a day are not looked at.
func (s *Store) Timeline(ctx context.Context, actor string, from, to time.Time, limit int) ([]casework.Moment, error) {
	var out []casework.Moment
	err := s.ask(ctx, &out, `SELECT time, toString(action) AS action_word, toString(outcome) AS outcome_word, dataset, location_country,
			toString(location_verdict) AS location_verdict_word, source_ip, toString(verdict) AS verdict_word, toString(severity) AS severity_word, event_id
		FROM %[1]s.event_rows WHERE actor_id = $1 AND time >= $2 AND time <= $3 AND batch_time >= $2 - toIntervalDay(1) AND `+visibleRows+`
		ORDER BY time DESC, event_id LIMIT 1 BY scope, event_id, content LIMIT $4`+bounded, actor, from.UTC(), to.UTC(), limit)
	return out, err
}

// Dimensions are what AlertsOverTime can tell alerts apart by.
var Dimensions = map[string]string{
	"verdict": "toString(outcome)", "severity": "toString(severity)", "country": "location_country", "rule": "rule_id",
}

// AlertsOverTime counts alerts, shadow ones left out, by bucket of the times at which they were found and by one of Dimensions.
func (s *Store) AlertsOverTime(ctx context.Context, dimension string, since time.Time, bucket time.Duration, limit int) ([]casework.Point, error) {
	var out []casework.Point
	err := s.ask(ctx, &out, `SELECT toDateTime64(toStartOfInterval(r.stored_at, toIntervalSecond($2)), 3, 'UTC') AS bucket, `+Dimensions[dimension]+` AS series,
			uniqExact(alert_id) AS alerts
		FROM %[1]s.alert_rows AS a`+found+` WHERE `+lateBatches+` AND NOT shadow
		GROUP BY bucket, series ORDER BY bucket, alerts DESC LIMIT $3`+bounded, since.UTC(), uint64(bucket.Seconds()), limit)
	return out, err
}
