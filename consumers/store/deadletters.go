package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// StoredDeadLetter is a record that could not be read, with its bytes.
type StoredDeadLetter struct {
	Source       string    `ch:"source"`
	Topic        string    `ch:"topic"`
	Partition    int32     `ch:"partition"`
	Offset       int64     `ch:"offset"`
	KafkaTime    time.Time `ch:"kafka_time"`
	Feed         string    `ch:"feed"`
	Code         string    `ch:"code"`
	Reason       string    `ch:"reason"`
	Field        string    `ch:"field"`
	Position     int64     `ch:"position"` // byte offset in Value, -1 where unknown
	Key          string    `ch:"key"`
	Value        string    `ch:"value"`
	HeaderKeys   []string  `ch:"header_keys"`
	HeaderValues []string  `ch:"header_values"`
	Nulls        uint32    `ch:"nulls"`
}

// Record returns the record as it was on the wire, where null is nil.
func (d *StoredDeadLetter) Record() (key, value []byte, headers []Header) {
	bytes := func(s string, null uint32) []byte {
		if d.Nulls&null != 0 {
			return nil
		}
		return []byte(s)
	}
	for i := range d.HeaderKeys {
		headers = append(headers, Header{Key: []byte(d.HeaderKeys[i]), Value: bytes(d.HeaderValues[i], nullHeader<<i)})
	}
	return bytes(d.Key, nullKey), bytes(d.Value, nullValue), headers
}

const letterColumns = `source, topic, partition, offset, kafka_time, feed, code, reason, field, position, key, value, header_keys, header_values, nulls`

// DeadLetters lists the latest dead letters. A topic or code of "" means any.
func (s *Store) DeadLetters(ctx context.Context, topic, code string, limit int) ([]StoredDeadLetter, error) {
	var out []StoredDeadLetter
	err := s.ask(ctx, &out, "SELECT "+letterColumns+` FROM %[1]s.dead_letter_rows WHERE ($1 = '' OR topic = $1) AND ($2 = '' OR code = $2)
		AND batch_id IN (SELECT batch_id FROM %[1]s.batches)
		ORDER BY batch_time DESC, topic, partition, offset DESC LIMIT 1 BY source, topic, partition, offset LIMIT $3`, topic, code, limit)
	return out, err
}

// DeadLettersAt lists the dead letters of a position: one, unless the topic was made again and counts from 0 once more.
func (s *Store) DeadLettersAt(ctx context.Context, topic string, partition int32, offset int64) ([]StoredDeadLetter, error) {
	var out []StoredDeadLetter
	err := s.ask(ctx, &out, "SELECT "+letterColumns+` FROM %[1]s.dead_letter_rows WHERE topic = $1 AND partition = $2 AND offset = $3
		AND batch_id IN (SELECT batch_id FROM %[1]s.batches) ORDER BY source LIMIT 1 BY source`, topic, partition, offset)
	return out, err
}

// The kinds of notice about a dead letter that is produced again. The first is stored before the record is produced, the
// second once it is acknowledged: the first without the second means that nobody knows.
const (
	NoticeRedriveBegun = "redrive_begun"
	NoticeRedriven     = "redriven"
)

// Place is a position in Kafka. As text it is topic/partition/offset.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
}

func (p Place) String() string { return fmt.Sprintf("%s/%d/%d", p.Topic, p.Partition, p.Offset) }

// parsePlace reads what String wrote; topics have no slash.
func parsePlace(text string) (Place, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return Place{}, fmt.Errorf("%q is not topic/partition/offset", text)
	}
	partition, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil {
		return Place{}, fmt.Errorf("partition of %q: %w", text, err)
	}
	offset, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return Place{}, fmt.Errorf("offset of %q: %w", text, err)
	}
	return Place{parts[0], int32(partition), offset}, nil
}

// Fate is what became of a dead letter.
type Fate struct {
	Begun    int // redrives that were begun
	Redriven []Redriven
}

// Redriven is one redrive that was acknowledged.
type Redriven struct {
	Time time.Time
	To   Place
	Text string // who did it and why
	// Stored and Refused say what a worker made of the record; both are false where none has read it yet.
	Stored, Refused bool
}

// Lost reports redrives of which nobody knows whether the record was produced.
func (f *Fate) Lost() int { return max(f.Begun-len(f.Redriven), 0) }

// Fate tells what became of a dead letter.
func (s *Store) Fate(ctx context.Context, d *StoredDeadLetter) (Fate, error) {
	var rows []struct {
		Kind    string    `ch:"kind"`
		Subject string    `ch:"subject"`
		Time    time.Time `ch:"time"`
		Why     string    `ch:"why"`
	}
	err := s.ask(ctx, &rows, `SELECT kind, subject, time, why FROM %s.notices WHERE kind IN ($1, $2) AND source = $3 AND topic = $4
		AND partition = $5 AND first_offset = $6 ORDER BY time, subject LIMIT 1 BY notice_id`,
		NoticeRedriveBegun, NoticeRedriven, d.Source, d.Topic, d.Partition, d.Offset)
	if err != nil {
		return Fate{}, err
	}
	var fate Fate
	for _, row := range rows {
		if row.Kind == NoticeRedriveBegun {
			fate.Begun++
			continue
		}
		to, err := parsePlace(row.Subject)
		if err != nil {
			return Fate{}, fmt.Errorf("notice of the redrive of %s/%d/%d: %w", d.Topic, d.Partition, d.Offset, err)
		}
		r := Redriven{Time: row.Time, To: to, Text: row.Why}
		if r.Stored, r.Refused, err = s.readAt(ctx, d.Source, to); err != nil {
			return Fate{}, err
		}
		fate.Redriven = append(fate.Redriven, r)
	}
	return fate, nil
}

// readAt tells whether workers stored the record at a place as an event or as a dead letter.
func (s *Store) readAt(ctx context.Context, source string, p Place) (event, letter bool, err error) {
	var rows []struct {
		Event  bool `ch:"event"`
		Letter bool `ch:"letter"`
	}
	const at = " WHERE source = $1 AND topic = $2 AND partition = $3 AND offset = $4 AND batch_id IN (SELECT batch_id FROM %[1]s.batches))"
	err = s.ask(ctx, &rows, "SELECT exists(SELECT 1 FROM %[1]s.event_rows"+at+" AS event, exists(SELECT 1 FROM %[1]s.dead_letter_rows"+at+" AS letter",
		source, p.Topic, p.Partition, p.Offset)
	if err != nil || len(rows) != 1 {
		return false, false, err
	}
	return rows[0].Event, rows[0].Letter, nil
}
