package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Span bounds events by their own time: From inclusive, Until exclusive, 0 where open.
type Span struct{ From, Until access.Millis }

// where is the condition, with a leading AND, "" where all events are meant.
func (s Span) where() (w string) {
	if s.From > 0 {
		w += fmt.Sprintf(" AND time >= fromUnixTimestamp64Milli(%d)", s.From)
	}
	if s.Until > 0 {
		w += fmt.Sprintf(" AND time < fromUnixTimestamp64Milli(%d)", s.Until)
	}
	return w
}

// Window is a run of offsets of one partition that is read at once.
type Window struct {
	Source      string `ch:"source"`
	Topic       string `ch:"topic"`
	Partition   int32  `ch:"partition"`
	First       int64  `ch:"first"` // offsets, both inclusive
	Last        int64  `ch:"last"`
	Events      uint64 `ch:"events"`
	AlertsFound uint64 `ch:"found"` // alerts of these events
}

// Windows cuts the events of a span into windows of at most rows offsets, by source, topic, partition and offset.
func (s *Store) Windows(ctx context.Context, span Span, rows int) ([]Window, error) {
	var out []Window
	err := s.ask(ctx, &out, `SELECT source, topic, partition, min(e.offset) AS first, max(e.offset) AS last, count() AS events, sum(e.alerts) AS found
		FROM %[1]s.event_rows AS e WHERE batch_id IN (SELECT batch_id FROM %[1]s.batches)`+span.where()+`
		GROUP BY source, topic, partition, intDiv(e.offset, `+strconv.Itoa(rows)+`) ORDER BY source, topic, partition, first`)
	return out, err
}

// Reader reads stored events back, block by block into memory that it uses again. It belongs to one goroutine.
type Reader struct {
	store  *Store
	events *eventColumns
	found  foundAlerts
	event  StoredEvent
}

// NewReader returns a reader. It opens no connection before it reads.
func (s *Store) NewReader() *Reader { return &Reader{store: s, events: newEventColumns()} }

// Read calls visit for every event of a window that lies in the span, in no order, with the alerts of that time where
// they are asked for. The event is valid until visit returns, whose error ends the reading.
func (r *Reader) Read(ctx context.Context, w Window, span Span, alerts bool, visit func(*StoredEvent) error) error {
	client, host, err := r.store.reading(ctx)
	if err != nil {
		return err
	}
	if err := r.read(ctx, client, w, span, alerts && w.AlertsFound > 0, visit); err != nil {
		return errors.Join(fmt.Errorf("offsets %d to %d of %s[%d]: %w", w.First, w.Last, w.Topic, w.Partition, err), ignoreClosed(client.Close()))
	}
	r.store.wire.put(host, client)
	return nil
}

func (r *Reader) read(ctx context.Context, client *ch.Client, w Window, span Span, alerts bool, visit func(*StoredEvent) error) error {
	r.found.reset()
	if alerts {
		if err := r.found.read(ctx, r.store, client, w); err != nil {
			return fmt.Errorf("alerts: %w", err)
		}
	}
	at := access.Position{Source: w.Source, Topic: w.Topic, Partition: w.Partition}
	return r.store.blocks(ctx, client, &r.events.columns, "event_rows", w.where(r.store.opt.Database)+span.where(), func(rows int) error {
		for row := range rows {
			if err := r.events.event(row, &at, &r.event); err != nil {
				return fmt.Errorf("offset %d: %w", r.event.Event.Kafka.Offset, err)
			}
			r.event.Alerts = r.found.at(r.event.Event.Kafka.Offset)
			if err := visit(&r.event); err != nil {
				return err
			}
		}
		return nil
	})
}

// where selects the rows of the window that count, as the views do; only the receipts of the window are looked at.
func (w *Window) where(db string) string {
	partition := fmt.Sprintf("source = %s AND topic = %s AND partition = %d", literal(w.Source), literal(w.Topic), w.Partition)
	batches := fmt.Sprintf("FROM %s.receipts WHERE %s AND first_offset <= %d AND last_offset >= %d", db, partition, w.Last, w.First)
	return fmt.Sprintf("%s AND offset BETWEEN %d AND %d AND batch_id IN (SELECT batch_id %[4]s) AND batch_id NOT IN (SELECT arrayJoin(supersedes) %[4]s AND notEmpty(supersedes))",
		partition, w.First, w.Last, batches)
}

// literal quotes a text for a query.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// reading returns a connection for a question, of the first host that answers.
func (s *Store) reading(ctx context.Context) (client *ch.Client, host string, err error) {
	for _, host = range s.opt.Hosts {
		if client, err = s.wire.client(ctx, host); err == nil {
			return client, host, nil
		}
	}
	return nil, "", fmt.Errorf("clickhouse %s: %w", host, err)
}

// blocks asks for columns and calls each for every block.
func (s *Store) blocks(ctx context.Context, client *ch.Client, c *columns, table, where string, each func(rows int) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	return client.Do(ctx, ch.Query{
		Body:     fmt.Sprintf("SELECT %s FROM %s.%s WHERE %s", strings.Join(c.names, ", "), s.opt.Database, table, where),
		Result:   c.results,
		Settings: []ch.Setting{{Key: "max_execution_time", Value: strconv.Itoa(int(s.opt.QueryTimeout / time.Second)), Important: true}},
		OnResult: func(_ context.Context, block proto.Block) error { return each(block.Rows) },
	})
}

// foundAlerts are the alerts of a window, by offset.
type foundAlerts struct {
	columns *alertFacts
	list    []foundAlert
	alerts  []StoredAlert
	start   map[int64]run
}

type foundAlert struct {
	offset int64
	StoredAlert
}

// run are the alerts of one offset, by index.
type run struct{ from, to int32 }

// alertFacts are the columns of alert_rows that say what was found.
type alertFacts struct {
	columns
	offset, id, outcome, severity, shadow, item *values
	rule                                        *words[string]
}

func newAlertFacts() *alertFacts {
	c := &alertFacts{}
	c.offset, c.id, c.rule = c.int64("offset"), c.digest("alert_id"), c.word("rule_id")
	c.outcome, c.severity = c.enum("outcome", "verdict"), c.enum("severity", "severity")
	c.shadow, c.item = c.bool("shadow"), c.values("data_item", "UInt16", 2)
	return c
}

func (f *foundAlerts) reset() {
	f.list, f.alerts = f.list[:0], f.alerts[:0]
	clear(f.start)
}

func (f *foundAlerts) read(ctx context.Context, s *Store, client *ch.Client, w Window) error {
	if f.columns == nil {
		f.columns, f.start = newAlertFacts(), make(map[int64]run)
	}
	c := f.columns
	err := s.blocks(ctx, client, &c.columns, "alert_rows", w.where(s.opt.Database), func(rows int) error {
		for i := range rows {
			f.list = append(f.list, foundAlert{c.offset.int64(i), StoredAlert{ID: c.id.digest(i), RuleID: *c.rule.at(i),
				Outcome: alert.Outcome(c.outcome.byte(i)), Severity: alert.Severity(c.severity.byte(i)), Shadow: c.shadow.bool(i), DataItem: int(c.item.uint16(i))}})
		}
		return nil
	})
	slices.SortFunc(f.list, compareFound)
	for i, a := range f.list {
		f.alerts = append(f.alerts, a.StoredAlert)
		if i == 0 || f.list[i-1].offset != a.offset {
			f.start[a.offset] = run{int32(i), int32(i)}
		}
		at := f.start[a.offset]
		f.start[a.offset] = run{at.from, int32(i + 1)}
	}
	return err
}

func compareFound(a, b foundAlert) int {
	switch {
	case a.offset != b.offset:
		return int(max(-1, min(1, a.offset-b.offset)))
	case a.RuleID != b.RuleID:
		return strings.Compare(a.RuleID, b.RuleID)
	case a.Shadow != b.Shadow && b.Shadow:
		return -1
	}
	return 0
}

// at returns the alerts of an offset.
func (f *foundAlerts) at(offset int64) []StoredAlert {
	at := f.start[offset]
	return f.alerts[at.from:at.to]
}

// Places lists where the copies of an event lie, by its event id or the id of one of its alerts (32 hexadecimal digits),
// by source, topic, partition and offset, at most 100.
func (s *Store) Places(ctx context.Context, id string) ([]EventPlace, error) {
	var out []EventPlace
	const columns = "SELECT source, topic, partition, offset, lower(hex(content)) AS content FROM %[1]s."
	const visible = " AND batch_id IN (SELECT batch_id FROM %[1]s.batches) ORDER BY source, topic, partition, offset LIMIT 100"
	if len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" {
		if err := s.ask(ctx, &out, columns+"alert_rows WHERE alert_id = toFixedString(unhex($1), 16)"+visible, id); err != nil || len(out) > 0 {
			return out, err
		}
	}
	err := s.ask(ctx, &out, columns+"event_rows WHERE event_id = $1"+visible, id)
	return out, err
}

// EventPlace is where one copy of an event lies.
type EventPlace struct {
	Source    string `ch:"source"`
	Topic     string `ch:"topic"`
	Partition int32  `ch:"partition"`
	Offset    int64  `ch:"offset"`
	Content   string `ch:"content"` // digest of what the source said, hexadecimal
}

// Window is the one offset.
func (p *EventPlace) Window() Window {
	return Window{Source: p.Source, Topic: p.Topic, Partition: p.Partition, First: p.Offset, Last: p.Offset, Events: 1, AlertsFound: 1}
}
