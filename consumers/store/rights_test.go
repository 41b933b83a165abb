package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	schema "borderwatch/schemas/clickhouse"
)

const (
	readOnly     = 164
	accessDenied = 497
	outOfLimits  = 452
	notAView     = 80
	noSuchTables = 636 // merge() sees only what the account may read
)

// TestRights asks the real server, as each account, for what it needs and for what it must not get.
func TestRights(t *testing.T) {
	server := withRoles(t)
	// The schema itself is made with the rights of the account for it.
	if err := schema.Migrate(t.Context(), server.as("bw_migrate").dial(t), schema.Options{Layout: schema.Layout{Database: rightsDB}}); err != nil {
		t.Fatal(err)
	}
	if err := open(t, server.options(rightsDB)).Insert(t.Context(), filled(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	views := []string{"events", "distinct_events", "alerts", "cases", "dead_letters", "coverage", "batches", "batch_findings"}
	for _, account := range []string{"bw_partner", "bw_partner_verify", "bw_api"} {
		conn := server.as(account).dial(t)
		for _, v := range views {
			if _, err := conn.Query(t.Context(), "SELECT * FROM bw."+v+" LIMIT 1"); err != nil {
				t.Errorf("%s cannot read %s: %v", account, v, err)
			}
		}
	}
	for _, test := range []struct {
		account, query string
		codes          []int32 // nil: allowed
	}{
		{"bw_partner", "SELECT * FROM bw.raw_rows", []int32{accessDenied}},
		{"bw_partner", "SELECT value FROM bw.dead_letter_rows", []int32{accessDenied}},
		{"bw_partner", "SELECT reason FROM bw.dead_letter_rows", nil},
		{"bw_partner", "SELECT * FROM remote('127.0.0.1:9000', system.one)", []int32{accessDenied}},
		{"bw_partner", "SELECT * FROM url('http://127.0.0.1/', CSV, 'a String')", []int32{accessDenied}},
		{"bw_partner", "SELECT * FROM file('x.csv', CSV, 'a String')", []int32{accessDenied}},
		{"bw_partner", "SELECT * FROM s3('https://bucket-of-nobody.s3.amazonaws.com/key', CSV, 'a String')", []int32{accessDenied}},
		{"bw_partner", "SELECT * FROM executable('x', CSV, 'a String', (SELECT 'x' AS a))", []int32{accessDenied, readOnly}},
		{"bw_partner", "SELECT * FROM merge('bw', 'raw_rows')", []int32{accessDenied, noSuchTables}},
		{"bw_partner", "SELECT * FROM mergeTreeIndex('bw', 'raw_rows')", []int32{accessDenied}},
		{"bw_partner", "SELECT * FROM system.users", []int32{accessDenied}},
		{"bw_partner", "INSERT INTO bw.receipts (topic) VALUES ('x')", []int32{accessDenied, readOnly}},
		{"bw_partner", "CREATE TABLE bw.x (a Int8) ENGINE = Memory", []int32{accessDenied, readOnly}},
		{"bw_partner", "CREATE TEMPORARY TABLE x (a Int8)", []int32{accessDenied, readOnly}},
		{"bw_partner", "ALTER TABLE bw.event_rows DELETE WHERE 1", []int32{accessDenied, readOnly}},
		{"bw_partner", "DROP TABLE bw.event_rows", []int32{accessDenied, readOnly}},
		{"bw_partner", "TRUNCATE TABLE bw.event_rows", []int32{accessDenied, readOnly}},
		{"bw_partner", "KILL QUERY WHERE user != currentUser()", []int32{accessDenied, readOnly}},
		{"bw_partner", "SYSTEM FLUSH LOGS", []int32{accessDenied, readOnly}},
		{"bw_partner", "SELECT 1 SETTINGS readonly = 0", []int32{readOnly, outOfLimits}},
		{"bw_partner", "SELECT 1 SETTINGS max_memory_usage = 90000000000", []int32{outOfLimits}},
		{"bw_partner", "SELECT 1 SETTINGS max_execution_time = 100000", []int32{outOfLimits}},
		{"bw_partner", "SELECT 1 SETTINGS max_execution_time = 600", nil},
		{"bw_partner", "SELECT 1 SETTINGS max_memory_usage = 0", []int32{outOfLimits}}, // 0 is no limit
		{"bw_partner", "SELECT 1 SETTINGS max_execution_time = 0", []int32{outOfLimits}},
		{"bw_partner_verify", "SELECT 1 SETTINGS max_memory_usage = 0", []int32{outOfLimits}},
		{"bw_partner_verify", "SELECT 1 SETTINGS max_execution_time = 0", []int32{outOfLimits}},
		{"bw_partner", "SELECT 1 SETTINGS log_queries = 0", []int32{outOfLimits}},
		{"bw_partner_verify", "SELECT value FROM bw.raw_rows", nil},
		{"bw_partner_verify", "SELECT value FROM bw.dead_letter_rows", nil},
		{"bw_partner_verify", "INSERT INTO bw.receipts (topic) VALUES ('x')", []int32{accessDenied, readOnly}},
		{"bw_partner_verify", "SELECT * FROM url('http://127.0.0.1/', CSV, 'a String')", []int32{accessDenied}},
		{"bw_api", "SELECT value FROM bw.dead_letter_rows", nil},
		{"bw_api", "SELECT value FROM bw.raw_rows", []int32{accessDenied}},
		{"bw_api", "SELECT 1 SETTINGS max_memory_usage = 0", []int32{outOfLimits}},
		{"bw_api", "SELECT 1 SETTINGS max_execution_time = 0", []int32{outOfLimits}},
		{"bw_api", "SELECT 1 SETTINGS max_execution_time = 60", nil},
		{"bw_api", "SELECT throwIf(getSetting('max_memory_usage') = 0 OR getSetting('max_execution_time') = 0)", nil},
		{"bw_api", "INSERT INTO bw.receipts (topic) VALUES ('x')", []int32{accessDenied, readOnly}},
		{"bw_ingest", "ALTER TABLE bw.event_rows DELETE WHERE 1", []int32{accessDenied}},
		{"bw_ingest", "ALTER TABLE bw.event_rows UPDATE severity = 'low' WHERE 1", []int32{accessDenied}},
		{"bw_ingest", "DELETE FROM bw.alert_rows WHERE 1", []int32{accessDenied}},
		{"bw_ingest", "DROP TABLE bw.event_rows", []int32{accessDenied}},
		{"bw_ingest", "TRUNCATE TABLE bw.receipts", []int32{accessDenied}},
		{"bw_migrate", "SELECT * FROM bw.raw_rows", []int32{accessDenied}},
		{"bw_migrate", "INSERT INTO bw.receipts (topic) VALUES ('x')", []int32{accessDenied}},
		{"bw_migrate", "DROP TABLE bw.event_rows", []int32{accessDenied}},
		{"bw_migrate", "DROP VIEW bw.event_rows", []int32{notAView}},
		{"bw_migrate", "DETACH VIEW bw.event_rows", []int32{notAView}},
		{"bw_migrate", "DROP VIEW bw.alerts", []int32{accessDenied}},
		{"bw_migrate", "CREATE OR REPLACE TABLE bw.event_rows (a Int8) ENGINE = MergeTree ORDER BY a", []int32{accessDenied}},
		{"bw_migrate", "RENAME TABLE bw.event_rows TO bw.x", []int32{accessDenied}},
		{"bw_migrate", "TRUNCATE TABLE bw.receipts", []int32{accessDenied}},
		{"bw_migrate", "DELETE FROM bw.alert_rows WHERE 1", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows DELETE WHERE 1", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.schema_migrations DELETE WHERE 1", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows UPDATE severity = 'low' WHERE 1", []int32{accessDenied}},
		{"bw_migrate", "UPDATE bw.event_rows SET severity = 'low' WHERE 1", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows DROP PARTITION tuple(1)", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows DETACH PARTITION ALL", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows DROP COLUMN severity", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows CLEAR COLUMN severity IN PARTITION tuple(1)", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows RENAME COLUMN severity TO x", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.raw_rows MODIFY COLUMN value String TTL toDateTime(batch_time)", []int32{accessDenied}},
		{"bw_migrate", "ALTER TABLE bw.event_rows MODIFY TTL toDateTime(batch_time)", []int32{accessDenied}},
		{"bw_migrate", "OPTIMIZE TABLE bw.event_rows FINAL DEDUPLICATE", []int32{accessDenied}},
		{"bw_migrate", "CREATE MATERIALIZED VIEW bw.x TO bw.notices AS SELECT * FROM bw.notices", []int32{accessDenied}},
	} {
		err := server.as(test.account).dial(t).Exec(t.Context(), test.query)
		if test.codes == nil {
			if err != nil {
				t.Errorf("%s: %s: %v", test.account, test.query, err)
			}
			continue
		}
		var e *clickhouse.Exception
		if !errors.As(err, &e) {
			t.Errorf("%s: %s: %v, want code %v", test.account, test.query, err, test.codes)
			continue
		}
		refused := false
		for _, code := range test.codes {
			refused = refused || e.Code == code
		}
		if !refused {
			t.Errorf("%s: %s: code %d (%.120s), want one of %v", test.account, test.query, e.Code, e.Message, test.codes)
		}
	}
}

// stopper migrates as far as version last, as a build of that time did.
type stopper struct {
	driver.Conn
	last, recorded int
}

var errStopped = errors.New("far enough")

func (s *stopper) Exec(ctx context.Context, query string, args ...any) error {
	if s.recorded == s.last {
		return errStopped
	}
	if strings.HasPrefix(query, "INSERT INTO bw.schema_migrations") {
		s.recorded++
	}
	return s.Conn.Exec(ctx, query, args...)
}

// TestMigrateFromEveryVersion brings databases of every earlier build, with a word fewer in each vocabulary, to this one's
// with the rights of the account for it.
func TestMigrateFromEveryVersion(t *testing.T) {
	server := withRoles(t)
	admin, migrate := server.dial(t), server.as("bw_migrate").dial(t)
	opt := schema.Options{Layout: schema.Layout{Database: rightsDB}}
	for version := 1; version <= schema.Version; version++ {
		if err := schema.Migrate(t.Context(), &stopper{Conn: admin, last: version}, opt); err != nil && !errors.Is(err, errStopped) {
			t.Fatalf("version %d: %v", version, err)
		}
		narrow(t, admin)
		if err := schema.Migrate(t.Context(), migrate, opt); err != nil {
			t.Errorf("from version %d: %v", version, err)
		}
		if err := schema.CheckSchema(t.Context(), migrate, opt.Layout); err != nil {
			t.Errorf("from version %d: %v", version, err)
		}
		if err := admin.Exec(t.Context(), "DROP DATABASE bw SYNC"); err != nil {
			t.Fatal(err)
		}
	}
}

// narrow takes the last word from every vocabulary of the tables.
func narrow(t *testing.T, conn driver.Conn) {
	t.Helper()
	var columns []struct {
		Table string `ch:"table"`
		Name  string `ch:"name"`
		Type  string `ch:"type"`
	}
	if err := conn.Select(t.Context(), &columns, "SELECT table, name, type FROM system.columns WHERE database = 'bw' "+
		"AND type LIKE 'Enum8(%' AND table IN (SELECT name FROM system.tables WHERE database = 'bw' AND engine = 'MergeTree')"); err != nil {
		t.Fatal(err)
	}
	if len(columns) == 0 {
		t.Fatal("no vocabulary found")
	}
	for _, c := range columns {
		fewer := c.Type[:strings.LastIndex(c.Type, ",")] + ")"
		if err := conn.Exec(t.Context(), "ALTER TABLE bw."+c.Table+" MODIFY COLUMN "+c.Name+" "+fewer); err != nil {
			t.Fatalf("%s.%s: %v", c.Table, c.Name, err)
		}
	}
}

// TestLeastRightsSuffice runs what each program does under its own account.
func TestLeastRightsSuffice(t *testing.T) {
	server := withRoles(t)
	// The schema itself is made with the rights of the account for it.
	if err := schema.Migrate(t.Context(), server.as("bw_migrate").dial(t), schema.Options{Layout: schema.Layout{Database: rightsDB}}); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := schema.Migrate(ctx, server.as("bw_migrate").dial(t), schema.Options{}); err != nil {
		t.Errorf("migrate: %v", err)
	}
	s := open(t, server.as("bw_ingest").options(rightsDB))
	if err := s.Check(ctx); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := s.Insert(ctx, filled(0, 0, 10)); err != nil {
		t.Errorf("insert: %v", err)
	}
	if _, err := s.Look(ctx, store.Range{Source: testSource, Topic: testTopic, Last: 9}); err != nil {
		t.Errorf("look: %v", err)
	}
	if last, err := s.LastReceipt(ctx, testSource, testTopic, 0); err != nil || last != 9 {
		t.Errorf("last receipt: %d, %v", last, err)
	}
	if err := s.InsertNotice(ctx, store.Notice{Kind: "k"}); err != nil {
		t.Errorf("notice: %v", err)
	}
	for name, question := range map[string]func() error{
		"newest":     func() error { _, _, err := s.NewestBatch(ctx); return err },
		"identities": func() error { _, err := s.ReusedIdentities(ctx, hour); return err },
		"sequences":  func() error { _, err := s.SequenceBreaks(ctx, hour, time.Minute); return err },
		"backfills":  func() error { _, err := s.Backfills(ctx, hour); return err },
		"crossed":    func() error { _, _, err := s.Crossed(ctx, "EX-1", 1, noon); return err },
		"silences": func() error {
			_, err := s.Silences(ctx, store.Records{Topic: "t"}, time.Minute, noon, noon)
			return err
		},
		"known": func() error { _, err := s.KnownNotices(ctx, []access.Digest{{1}}); return err },
	} {
		if err := question(); err != nil {
			t.Errorf("question about %s: %v", name, err)
		}
	}
	if err := s.InsertBundle(ctx, "d", "m", map[string][]byte{"p": nil}); err != nil {
		t.Errorf("bundle: %v", err)
	}
	if alerts, _, err := s.AlertsSince(ctx, store.Cursor{}, 10); err != nil || len(alerts) != 3 {
		t.Errorf("alerts since: %d, %v", len(alerts), err)
	}
	api := open(t, server.as("bw_api").options(rightsDB))
	if _, err := api.DeadLetters(ctx, "", "", 10); err != nil {
		t.Errorf("dead letters: %v", err)
	}
	if _, err := api.Coverage(ctx, 10); err != nil {
		t.Errorf("coverage: %v", err)
	}
}

// TestRoleStatementsParse lets the server read the statements that an embedded one cannot run.
func TestRoleStatementsParse(t *testing.T) {
	conn := shared(t).dial(t)
	for _, l := range []schema.Layout{{}, {Cluster: "prod"}} {
		for _, statement := range schema.RoleStatements(l) {
			var formatted string
			if err := conn.QueryRow(t.Context(), "SELECT formatQuery($1)", statement).Scan(&formatted); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
			if (l.Cluster != "") != strings.Contains(formatted, "ON CLUSTER") {
				t.Errorf("cluster %q: %s", l.Cluster, formatted)
			}
		}
	}
}
