package dashboards_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/decode"
	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
	schema "borderwatch/schemas/clickhouse"
)

const (
	reader         = "grafana" // the account of the provisioned data source
	readerPassword = "test-only-reader"
)

// TestSecurityQueries runs every SQL query of the dashboards on a real server, as an account with the rights that the
// data source has, over data in which every panel must find something.
func TestSecurityQueries(t *testing.T) {
	server := startServer(t)
	fill(t, server)
	conn := server.OpenAs(t, schema.Database, reader, readerPassword)
	queries := 0
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if q.RawSQL == "" {
					continue
				}
				queries++
				t.Run(p.Title, func(t *testing.T) { ask(t, conn, p, q.RawSQL) })
			}
		}
	}
	if queries < 10 {
		t.Errorf("only %d queries were found", queries)
	}
}

// ask runs a query and checks that it finds rows and, for a chart over time, gives a time and a number.
func ask(t *testing.T, conn driver.Conn, p panel, sql string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rows, err := conn.Query(ctx, expand(t, sql))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types := rows.ColumnTypes()
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Error("found nothing")
	}
	if p.Type != "timeseries" {
		return
	}
	last := types[len(types)-1].DatabaseTypeName()
	if first := types[0].DatabaseTypeName(); !strings.HasPrefix(first, "DateTime") || !strings.HasPrefix(last, "UInt") {
		t.Errorf("a chart over time needs a time first and a number last, got %s and %s", first, last)
	}
}

var macro = regexp.MustCompile(`\$__(\w+)\(([^)]*)\)`)

// expand replaces the data source's macros as its documentation describes them.
func expand(t *testing.T, sql string) string {
	t.Helper()
	from, to := occurred.Add(-time.Hour).Unix(), occurred.Add(time.Hour).Unix()
	out := macro.ReplaceAllStringFunc(sql, func(call string) string {
		m := macro.FindStringSubmatch(call)
		switch name, column := m[1], m[2]; name {
		case "timeFilter":
			return fmt.Sprintf("%[1]s >= toDateTime(%[2]d) AND %[1]s <= toDateTime(%[3]d)", column, from, to)
		case "timeInterval":
			return fmt.Sprintf("toStartOfInterval(toDateTime(%s), INTERVAL 60 second)", column)
		}
		t.Errorf("macro %s is not known to this test", call)
		return call
	})
	if strings.Contains(out, "$") {
		t.Errorf("a variable is left in %q", out)
	}
	return out
}

// startServer has an administrator and the reader, whose rights are those of the role bw_api.
func startServer(t *testing.T) *embeddedtest.ClickHouse {
	t.Helper()
	users := []embedded.User{{Name: embeddedtest.Admin, Password: embeddedtest.Password, Admin: true}}
	for _, role := range schema.Roles(schema.Layout{}) {
		if role.Name != "bw_api" {
			continue
		}
		limits := map[string]embedded.Constraint{}
		for name, l := range role.Limits {
			limits[name] = embedded.Constraint{Min: l.Min, Max: l.Max, ReadOnly: l.Fixed}
		}
		users = append(users, embedded.User{Name: reader, Password: readerPassword, Grants: role.Grants,
			Settings: maps.Clone(role.Settings), Constraints: limits})
	}
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Users: users})
	if err := schema.Migrate(t.Context(), server.Open(t, "default"), schema.Options{}); err != nil {
		t.Fatal(err)
	}
	return server
}

// occurred is when everything of the test happened.
var occurred = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// fill stores an event with an alert and one that an exception let pass, a dead letter and a notice.
func fill(t *testing.T, server *embeddedtest.ClickHouse) {
	t.Helper()
	s, err := store.New(store.Options{Hosts: []string{server.Addr()}, User: embeddedtest.Admin, Password: embeddedtest.Password})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := access.Millis(occurred.UnixMilli())
	block := store.NewBlock()
	block.Begin(store.Batch{Source: "kafka:test/1", Topic: "access-events", BatchTime: now, Bundle: strings.Repeat("0", 64)})
	appendJudged(t, block, 0, alert.Item{ID: access.Digest{1}, RuleID: "EU-101", Outcome: alert.Alert, Severity: alert.Critical,
		Rules: []string{"EU-101"}, Why: "u-1042 read eu.users.contact from China", Case: access.Digest{1}})
	appendJudged(t, block, 1, alert.Item{ID: access.Digest{2}, RuleID: "EU-101", Outcome: alert.Suppressed, Severity: alert.Critical,
		Rules: []string{"EU-101"}, Exceptions: []alert.Exception{{ID: "EX-2026-014", Ticket: "DPO-5521"}}, Why: "excepted"})
	block.AppendDeadLetter(store.DeadLetter{Offset: 2, Timestamp: now, Feed: "crm", Code: "syntax", Reason: "no JSON", Value: []byte("x")})
	block.Seal(store.Seal{Last: 2, LedgerIndex: 1, Worker: "test"})
	if err := s.Insert(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	notice := store.Notice{Kind: store.NoticeGap, Severity: alert.Critical, Subject: "access-events[0]", Time: occurred, Text: "offsets 3 to 9 are gone"}
	if err := s.InsertNotice(t.Context(), notice); err != nil {
		t.Fatal(err)
	}
}

func appendJudged(t *testing.T, block *store.Block, offset int64, item alert.Item) {
	t.Helper()
	decoder, err := decode.New(decode.Native, decode.Feed{Name: "crm"})
	if err != nil {
		t.Fatal(err)
	}
	value := fmt.Appendf(nil, `{"schema":"bw/access/v1","event_id":"e-%d","time":%q,"source.feed":"crm","source.ip":"203.0.113.7",`+
		`"actor.id":"u-1042","actor.kind":"employee","action":"read","data.dataset":"eu.users.contact",`+
		`"data.classes":["restricted"],"data.subject_regions":["EU"]}`, offset, occurred.Format(time.RFC3339))
	record := decode.Record{Value: value, Timestamp: access.Millis(occurred.UnixMilli())}
	var event access.Event
	event.Reset()
	if err := decoder.Decode(&record, &event); err != nil {
		t.Fatal(err)
	}
	event.Kafka.Topic, event.Kafka.Offset, event.Kafka.Timestamp = "access-events", offset, record.Timestamp
	content, _ := event.ContentDigest(nil)
	verdict := alert.Verdict{Outcome: item.Outcome, Severity: item.Severity, Alerts: []alert.Item{item},
		Matched: []alert.Match{{RuleID: item.RuleID, Outcome: item.Outcome, Severity: item.Severity}}}
	block.AppendEvent(&event, content, &verdict)
}
