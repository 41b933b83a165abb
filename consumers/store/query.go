package store

import (
	"context"
	"fmt"
	"time"
)

// Alert is one alert as people see it: words, not codes.
type Alert struct {
	ID              string    `ch:"alert_id"`
	Time            time.Time `ch:"time"`
	RuleID          string    `ch:"rule_id"`
	Outcome         string    `ch:"outcome"`
	Severity        string    `ch:"severity"`
	Shadow          bool      `ch:"shadow"`
	ActorID         string    `ch:"actor_id"`
	ActorKind       string    `ch:"actor_kind"`
	SourceIP        string    `ch:"source_ip"`
	Country         string    `ch:"location_country"` // candidates joined with |, or any
	LocationVerdict string    `ch:"location_verdict"`
	LocationReason  string    `ch:"location_reason"`
	Action          string    `ch:"action"`
	AccessOutcome   string    `ch:"access_outcome"`
	Dataset         string    `ch:"dataset"`
	System          string    `ch:"system"`
	DestCountry     string    `ch:"dest_country"`
	Why             string    `ch:"why"`
	Rules           []string  `ch:"rules"`
	Missing         []string  `ch:"missing"`
	CaseID          string    `ch:"case_id"`
	CaseKind        string    `ch:"case_kind"`
	EventID         string    `ch:"event_id"`
	Scope           string    `ch:"scope"`
	Feed            string    `ch:"feed"`
	Bundle          string    `ch:"bundle"`
	Topic           string    `ch:"topic"`
	Partition       int32     `ch:"partition"`
	Offset          int64     `ch:"offset"`
	KafkaTime       time.Time `ch:"kafka_time"`
}

const alertColumns = `time, rule_id, toString(outcome) AS outcome, toString(severity) AS severity, shadow, actor_id,
	toString(actor_kind) AS actor_kind, source_ip, location_country, toString(location_verdict) AS location_verdict, location_reason,
	toString(action) AS action, toString(access_outcome) AS access_outcome, dataset, system, dest_country, why, toString(case_kind) AS case_kind,
	event_id, scope, feed, bundle, topic, partition, offset, kafka_time`

const alertRowColumns = `lower(hex(alert_id)) AS alert_id, lower(hex(case_id)) AS case_id,
	if(empty(rules), [], splitByChar(' ', rules)) AS rules, if(empty(missing), [], splitByChar(' ', missing)) AS missing, ` + alertColumns

// Case is what a person works on.
type Case struct {
	ID        string    `ch:"case_id"`
	Kind      string    `ch:"kind"` // policy or gap
	Severity  string    `ch:"severity"`
	Rules     []string  `ch:"rules"`
	ActorID   string    `ch:"actor_id"` // "" for a gap case
	Actors    uint64    `ch:"actors"`
	Countries []string  `ch:"countries"` // at most 20
	Feeds     []string  `ch:"feeds"`
	Systems   []string  `ch:"systems"`
	Datasets  []string  `ch:"datasets"`
	FirstSeen time.Time `ch:"first_seen"`
	LastSeen  time.Time `ch:"last_seen"`
	Alerts    uint64    `ch:"alerts"`
	Events    uint64    `ch:"events"`
	Why       string    `ch:"why"`
}

// Cases lists the cases that were seen since a time, the most severe and then the latest first.
func (s *Store) Cases(ctx context.Context, since time.Time, limit int) ([]Case, error) {
	var out []Case
	err := s.ask(ctx, &out, `SELECT case_id, toString(kind) AS kind, toString(c.severity) AS severity, rules, actor_id, actors, countries, feeds,
		systems, datasets, first_seen, last_seen, alerts, events, why
		FROM %s.cases AS c WHERE last_seen >= $1 ORDER BY c.severity DESC, last_seen DESC, case_id LIMIT $2`, since.UTC(), limit)
	return out, err
}

// AlertsOfCase lists the alerts of a case, the latest first.
func (s *Store) AlertsOfCase(ctx context.Context, caseID string, limit int) ([]Alert, error) {
	var out []Alert
	err := s.ask(ctx, &out, "SELECT alert_id, case_id, rules, missing, "+alertColumns+
		" FROM %s.alerts WHERE case_id = $1 ORDER BY time DESC, alert_id LIMIT $2", caseID, limit)
	return out, err
}

// Coverage is what one feed leaves open about one data set, as shares from 0 to 1 of its events.
type Coverage struct {
	Feed        string             `ch:"feed"`
	Dataset     string             `ch:"dataset"`
	Events      uint64             `ch:"events"`
	Unjudged    float64            `ch:"unjudged"` // verdict unknown
	Verdicts    map[string]float64 `ch:"verdicts"` // by location verdict
	Missing     map[string]float64 `ch:"missing"`  // by field; fields that are never missing are left out
	Contradicts float64            `ch:"contradicted"`
	Reasons     []string           `ch:"reasons"` // the most frequent reasons of the location verdict
}

// Coverage lists feeds and data sets by number of events.
func (s *Store) Coverage(ctx context.Context, limit int) ([]Coverage, error) {
	var out []Coverage
	err := s.ask(ctx, &out, `SELECT feed, dataset, events, unjudged, contradicted, reasons, map('agree', location_agree, 'single', location_single,
		'conflict', location_conflict, 'masked', location_masked, 'service', location_service, 'unknown', location_unknown) AS verdicts,
		CAST(c.missing, 'Map(String, Float64)') AS missing FROM %s.coverage AS c ORDER BY events DESC, feed, dataset LIMIT $1`, limit)
	return out, err
}

// ask runs one question within the query timeout.
func (s *Store) ask(ctx context.Context, dest any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	if err := s.conn.Select(ctx, dest, fmt.Sprintf(query, s.opt.Database), args...); err != nil {
		return fmt.Errorf("ask ClickHouse: %w", err)
	}
	return nil
}

// InForce is a stretch of one partition that one bundle judged.
type InForce struct {
	Source    string    `ch:"source"`
	Topic     string    `ch:"topic"`
	Partition int32     `ch:"partition"`
	From      int64     `ch:"from_offset"`
	Bundle    string    `ch:"bundle"`
	Since     time.Time `ch:"since"` // batch time of the first batch, the server's where its receipt is not there
}

// InForce lists what judged which partition from where on, by partition and offset. A bundle that goes on after a restart is
// there once.
func (s *Store) InForce(ctx context.Context) ([]InForce, error) {
	var rows []InForce
	err := s.ask(ctx, &rows, `SELECT source, topic, partition, from_offset, argMin(a.bundle, a.ledger_index) AS bundle,
		if(max(r.batch_time) > toDateTime64(0, 3, 'UTC'), max(r.batch_time), min(a.stored_at)) AS since
		FROM %[1]s.activations AS a
		LEFT JOIN %[1]s.batches AS r ON r.source = a.source AND r.topic = a.topic AND r.partition = a.partition AND r.first_offset = a.from_offset
		GROUP BY source, topic, partition, from_offset ORDER BY source, topic, partition, from_offset`)
	if err != nil {
		return nil, err
	}
	out := rows[:0]
	for _, row := range rows {
		last := len(out) - 1
		if last >= 0 && out[last].Source == row.Source && out[last].Topic == row.Topic && out[last].Partition == row.Partition && out[last].Bundle == row.Bundle {
			continue
		}
		out = append(out, row)
	}
	return out, nil
}

// Refusal is a bundle that a worker refused.
type Refusal struct {
	Time time.Time `ch:"time"`
	Text string    `ch:"why"`
}

// Refusals lists bundles that workers refused, the latest first.
func (s *Store) Refusals(ctx context.Context, limit int) ([]Refusal, error) {
	var out []Refusal
	err := s.ask(ctx, &out, `SELECT min(time) AS time, why FROM %s.notices WHERE kind = 'refused_bundle' GROUP BY why ORDER BY time DESC LIMIT $1`, limit)
	return out, err
}
