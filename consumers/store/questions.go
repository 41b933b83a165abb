package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"borderwatch/schemas/access"
)

// The questions below find what no single event shows. Each is put to rows of whole batches, whose batch times and ledger
// indexes are in the ledger, so that the same rows give the same answer whenever and by whomever they are asked. An
// answer belongs to a stretch of batch times.

// Stretch is a stretch of batch times that questions are asked about: [From, To).
type Stretch struct {
	From, To time.Time
	Window   time.Duration // answers are cut at multiples of it
	Lookback time.Duration // how far before From rows are compared with those of the stretch
}

func (s *Stretch) args() []any {
	return []any{s.From.UTC(), s.To.UTC(), uint64(s.Window.Seconds()), uint64(s.Lookback.Seconds())}
}

// The pieces that the questions share: $1 to $4 are the arguments of a Stretch, %[1]s is the database.
const (
	visibleRows = "batch_id IN (SELECT batch_id FROM %[1]s.batches)"
	windowOf    = "toDateTime64(toStartOfInterval(%s, toIntervalSecond($3)), 3, 'UTC')"
	since       = "batch_time >= $1 - toIntervalSecond($4) AND batch_time < $2"
	// bounded keeps a question that meets many rows from taking the memory that inserts need.
	bounded = " SETTINGS max_bytes_before_external_group_by = 500000000, max_bytes_before_external_sort = 500000000"
)

// Reuse says that identities of a scope came again with other content.
type Reuse struct {
	Window      time.Time `ch:"window"`
	Scope       string    `ch:"scope"`
	Identities  uint64    `ch:"identities"`
	Example     string    `ch:"example"` // an event id
	LedgerIndex uint64    `ch:"ledger_index"`
}

// ReusedIdentities finds event ids that came with a content other than before, in the order of the ledger.
func (s *Store) ReusedIdentities(ctx context.Context, stretch Stretch) ([]Reuse, error) {
	const identity = "cityHash64(scope, event_id)"
	contents := `SELECT scope, event_id, content, min((b.ledger_index, e.offset)) AS at, argMin(e.batch_time, (b.ledger_index, e.offset)) AS since,
			row_number() OVER (PARTITION BY scope, event_id ORDER BY at, content) AS nth
		FROM %[1]s.event_rows AS e INNER JOIN %[1]s.batches AS b ON b.batch_id = e.batch_id
		WHERE e.batch_time >= $1 - toIntervalSecond($4) AND e.batch_time < $2 AND ` + identity + ` IN (
			SELECT ` + identity + ` AS h FROM %[1]s.event_rows WHERE ` + since + ` AND ` + visibleRows + ` AND h IN (
				SELECT ` + identity + ` FROM %[1]s.event_rows WHERE batch_time >= $1 AND batch_time < $2)
			GROUP BY h HAVING min(content) != max(content))
		GROUP BY scope, event_id, content`
	var out []Reuse
	err := s.ask(ctx, &out, `SELECT `+fmt.Sprintf(windowOf, "since")+` AS window, scope, uniqExact(event_id) AS identities,
			argMin(event_id, at) AS example, min(tupleElement(at, 1)) AS ledger_index
		FROM (`+contents+`) WHERE nth > 1 AND since >= $1 GROUP BY window, scope ORDER BY window, scope`+bounded, stretch.args()...)
	return out, err
}

// SequenceBreak says that numbers of a feed are missing, or stand on several events.
type SequenceBreak struct {
	Window      time.Time `ch:"window"`
	Source      string    `ch:"source"`
	Topic       string    `ch:"topic"`
	Feed        string    `ch:"feed"`
	Missing     uint64    `ch:"missing"`
	From        int64     `ch:"gap_from"` // of the first gap
	To          int64     `ch:"gap_to"`
	Repeated    uint64    `ch:"repeated"`
	Repeat      int64     `ch:"repeat"` // an example
	LedgerIndex uint64    `ch:"ledger_index"`
}

// SequenceBreaks finds gaps and repeats in source.seq. A number counts as missing where it is neither before the end of
// the stretch nor within grace after it, and a lower one is within the lookback: partitions do not advance together.
func (s *Store) SequenceBreaks(ctx context.Context, stretch Stretch, grace time.Duration) ([]SequenceBreak, error) {
	numbers := `SELECT e.source AS source, e.topic AS topic, feed, seq, uniqExact(scope, event_id, content) AS events,
			min((b.ledger_index, e.offset)) AS first, argMin(e.batch_time, (b.ledger_index, e.offset)) AS first_time,
			max(e.batch_time) AS last_time
		FROM %[1]s.event_rows AS e INNER JOIN %[1]s.batches AS b ON b.batch_id = e.batch_id
		WHERE seq >= 0 AND e.batch_time >= $1 - toIntervalSecond($4) AND e.batch_time < $2 + toIntervalSecond($5)
		GROUP BY source, topic, feed, seq`
	ordered := `SELECT *, lagInFrame(seq, 1, seq - 1) OVER (PARTITION BY source, topic, feed ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before,
			seq - before > 1 AND first_time >= $1 AND first_time < $2 AS gap, events > 1 AND last_time >= $1 AND last_time < $2 AS again,
			if(gap, first_time, last_time) AS at FROM (` + numbers + `)`
	var out []SequenceBreak
	err := s.ask(ctx, &out, `SELECT `+fmt.Sprintf(windowOf, "at")+` AS window, source, topic, feed,
			toUInt64(sumIf(seq - before - 1, gap)) AS missing, argMinIf(before + 1, seq, gap) AS gap_from, argMinIf(seq - 1, seq, gap) AS gap_to,
			countIf(again) AS repeated, minIf(seq, again) AS repeat, min(tupleElement(first, 1)) AS ledger_index
		FROM (`+ordered+`) WHERE gap OR again GROUP BY window, source, topic, feed ORDER BY window, source, topic, feed`+bounded,
		append(stretch.args(), uint64(grace.Seconds()))...)
	return out, err
}

// Backfill says that late or early events raised alerts of a rule.
type Backfill struct {
	Window      time.Time `ch:"window"`
	RuleID      string    `ch:"rule_id"`
	Severity    string    `ch:"severity"` // the highest
	Alerts      uint64    `ch:"alerts"`
	Feeds       []string  `ch:"feeds"` // at most 10
	Earliest    time.Time `ch:"earliest"`
	Latest      time.Time `ch:"latest"`
	LedgerIndex uint64    `ch:"ledger_index"`
}

// Backfills counts, by rule, the alerts of events whose own time lies farther from Kafka's than access.ArrivalTolerance.
func (s *Store) Backfills(ctx context.Context, stretch Stretch) ([]Backfill, error) {
	lag := "toUnixTimestamp64Milli(a.kafka_time) - toUnixTimestamp64Milli(a.time)"
	var out []Backfill
	err := s.ask(ctx, &out, `SELECT `+fmt.Sprintf(windowOf, "a.batch_time")+` AS window, rule_id, toString(max(a.severity)) AS severity,
			uniqExact(alert_id) AS alerts, arraySort(groupUniqArray(10)(toString(feed))) AS feeds, min(a.time) AS earliest, max(a.time) AS latest,
			min(b.ledger_index) AS ledger_index
		FROM %[1]s.alert_rows AS a INNER JOIN %[1]s.batches AS b ON b.batch_id = a.batch_id
		WHERE a.batch_time >= $1 AND a.batch_time < $2 AND a.outcome IN ('unknown', 'alert', 'error') AND NOT shadow AND abs(`+lag+`) > $4
		GROUP BY window, rule_id ORDER BY window, rule_id`+bounded,
		stretch.From.UTC(), stretch.To.UTC(), uint64(stretch.Window.Seconds()), int64(access.ArrivalTolerance))
	return out, err
}

// Crossing says when an exception suppressed one alert more than it was approved for.
type Crossing struct {
	Time        time.Time `ch:"time"` // batch time of that alert
	EventID     string    `ch:"event_id"`
	LedgerIndex uint64    `ch:"ledger_index"`
}

// Crossed finds where an exception crossed its limit, in the order of the ledger; false where it has not. Copies of an
// alert count once. from is the first day of the exception, before which nothing is read.
func (s *Store) Crossed(ctx context.Context, exception string, limit int64, from time.Time) (Crossing, bool, error) {
	early := from.Add(-2 * time.Duration(access.ArrivalTolerance) * time.Millisecond) // events may come before their time
	if early.Before(time.Unix(0, 0)) {
		early = time.Unix(0, 0)
	}
	var out []Crossing
	err := s.ask(ctx, &out, `SELECT since AS time, id AS event_id, tupleElement(at, 1) AS ledger_index FROM (
			SELECT min((b.ledger_index, a.offset)) AS at, argMin(a.batch_time, (b.ledger_index, a.offset)) AS since, any(a.event_id) AS id
			FROM %[1]s.alert_rows AS a INNER JOIN %[1]s.batches AS b ON b.batch_id = a.batch_id
			WHERE a.outcome = 'suppressed' AND NOT shadow AND a.batch_time >= $1
				AND arrayExists(x -> startsWith(x, $2), splitByChar('\0', a.exceptions))
			GROUP BY alert_id
		) ORDER BY at LIMIT 1 OFFSET $3`+bounded, early.UTC(), exception+"=", limit)
	if err != nil || len(out) == 0 {
		return Crossing{}, false, err
	}
	return out[0], true, nil
}

// Records selects the records of a feed, read or not: those of its topic, by the header that tells feeds apart.
type Records struct {
	Topic string
	// Header and Value select; where Header is empty, the records with none of Others.
	Header, Value string
	Others        [][2]string
}

// Silence is a stretch in which nothing came.
type Silence struct {
	Last time.Time `ch:"last"` // when the record before it came; 1970-01-01 where there is none
	Next time.Time `ch:"next"` // when the next came, or until when nothing had
}

// Silences finds stretches longer than limit without a record, of which the end lies in [from, until). Everything that had
// reached Kafka before until has to be stored. What was before a feed's first record is no silence. A record's time is Kafka's, or the batch's where Kafka's lies ahead of it.
func (s *Store) Silences(ctx context.Context, r Records, limit time.Duration, from, until time.Time) ([]Silence, error) {
	where, args := r.where([]any{r.Topic, uint64(max(limit, time.Second).Seconds()), from.Add(-limit).UTC(), until.UTC(), from.UTC(), limit.Milliseconds()})
	const came = "if(toUnixTimestamp64Milli(kafka_time) = 0, batch_time, least(kafka_time, batch_time))"
	last := "(SELECT max(" + came + ") FROM %[1]s.raw_rows WHERE " + where + " AND batch_time < $3)"
	var out []Silence
	err := s.ask(ctx, &out, `SELECT last, next FROM (
			SELECT last, leadInFrame(first, 1, $4) OVER (ORDER BY first ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next FROM (
				SELECT min(t) AS first, max(t) AS last FROM (
					SELECT `+came+` AS t FROM %[1]s.raw_rows WHERE `+where+` AND batch_time >= $3 AND t < $4
					UNION ALL SELECT `+last+` AS t)
				GROUP BY toStartOfInterval(t, toIntervalSecond($2))))
		WHERE dateDiff('millisecond', last, next) > $6 AND next >= $5 AND (toUnixTimestamp64Milli(last) > 0 OR next = $4) ORDER BY last`, args...)
	return out, err
}

// where is the condition for the rows of r, with its arguments behind those that are there.
func (r *Records) where(args []any) (string, []any) {
	condition := "topic = $1 AND " + visibleRows
	has := func(header [2]string) string {
		args = append(args, header[0], header[1])
		return fmt.Sprintf("arrayExists((k, v) -> k = $%d AND trimBoth(v) = $%d, header_keys, header_values)", len(args)-1, len(args))
	}
	if r.Header != "" {
		return condition + " AND " + has([2]string{r.Header, r.Value}), args
	}
	var others []string
	for _, o := range r.Others {
		others = append(others, "NOT "+has(o))
	}
	return strings.Join(append([]string{condition}, others...), " AND "), args
}
