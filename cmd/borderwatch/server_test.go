package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

// TestServerScripts runs commands against a real ClickHouse and an embedded broker. $CLICKHOUSE and $BROKER are their
// addresses. The accounts are those of the roles, with exactly their grants on the database bw, and the administrator
// test_admin; all have the password "test".
func TestServerScripts(t *testing.T) {
	users := []embedded.User{{Name: embeddedtest.Admin, Password: embeddedtest.Password, Admin: true}}
	for _, r := range schema.Roles(schema.Layout{}) {
		u := embedded.User{Name: r.Name, Password: embeddedtest.Password, Grants: r.Grants, Settings: r.Settings,
			Constraints: map[string]embedded.Constraint{}}
		for name, l := range r.Limits {
			u.Constraints[name] = embedded.Constraint{Min: l.Min, Max: l.Max, ReadOnly: l.Fixed}
		}
		users = append(users, u)
	}
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Users: users})
	guidePath, err := filepath.Abs("../../rules/README.md")
	if err != nil {
		t.Fatal(err)
	}
	broker := embeddedtest.Broker(t, embedded.BrokerConfig{Topics: []embedded.Topic{{Name: "letters", Partitions: 1}, {Name: "covered", Partitions: 1}, {Name: "guided", Partitions: 1}, {Name: "backtested", Partitions: 1}, {Name: "erased", Partitions: 1}}})
	t.Run("printed statements", func(t *testing.T) { runPrinted(t, server) })
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "server"),
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"produce": produce, "expand": expand, "guide": guide,
			"producenow": produceNow, "forge": forge, "tamper": func(ts *testscript.TestScript, neg bool, args []string) { tamperServer(ts, server, neg, args) },
			"ask": func(ts *testscript.TestScript, neg bool, args []string) { askServer(ts, server, neg, args) }},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("CLICKHOUSE", server.Addr())
			e.Setenv("GUIDE", guidePath)
			e.Setenv("BROKER", broker.Addrs()[0])
			return nil
		},
	})
}

// runPrinted runs what migrate --print writes, and has the server parse what its accounts, kept in files, cannot take.
func runPrinted(t *testing.T, server *embeddedtest.ClickHouse) {
	var script bytes.Buffer
	if err := schema.WriteScript(&script, schema.Options{Layout: schema.Layout{Database: "bw_printed"}, Roles: true}); err != nil {
		t.Fatal(err)
	}
	conn := server.Open(t, "default")
	parsed := 0
	for statement := range strings.SplitSeq(script.String(), ";\n") {
		lines := strings.Split(strings.TrimSpace(statement), "\n")
		text := strings.TrimPrefix(lines[len(lines)-1], "-- ")
		if regexp.MustCompile(`^(CREATE (ROLE|USER|SETTINGS PROFILE)|GRANT|REVOKE)`).MatchString(text) {
			var formatted string
			if err := conn.QueryRow(t.Context(), "SELECT formatQuery($1)", text).Scan(&formatted); err != nil {
				t.Errorf("%s: %v", text, err)
			}
			parsed++
		} else if text != "" {
			if err := conn.Exec(t.Context(), statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	}
	if parsed < 2*len(schema.Roles(schema.Layout{})) {
		t.Errorf("only %d statements about accounts", parsed)
	}
	if err := schema.CheckSchema(t.Context(), conn, schema.Layout{Database: "bw_printed"}); err != nil {
		t.Error(err)
	}
}

// produce writes each line of a file to partition 0 of a topic: produce letters records.ndjson.
func produce(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: produce topic file")
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("BROKER")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ts.Check(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for line := range bytes.Lines([]byte(ts.ReadFile(args[1]))) {
		record := &kgo.Record{
			Topic: args[0], Key: []byte("k"), Value: bytes.TrimSuffix(line, []byte("\n")),
			Headers:   []kgo.RecordHeader{{Key: "trace", Value: []byte("t-1")}},
			Timestamp: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC),
		}
		ts.Check(client.ProduceSync(ctx, record).FirstErr())
	}
}

// askServer compares the answer to a question, one line a row, its column line, with a file: ask "SELECT … AS line" want.text.
func askServer(ts *testscript.TestScript, server *embeddedtest.ClickHouse, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ask question file")
	}
	conn, err := store.Dial(store.Options{Hosts: []string{server.Addr()}, User: embeddedtest.Admin, Password: embeddedtest.Password})
	ts.Check(err)
	defer conn.Close()
	var rows []struct {
		Line string `ch:"line"`
	}
	ts.Check(conn.Select(context.Background(), &rows, args[0]))
	got := ""
	for _, row := range rows {
		got += row.Line + "\n"
	}
	if want := ts.ReadFile(args[1]); got != want {
		ts.Fatalf("%s\n%swant\n%s", args[0], got, want)
	}
}

// tamperServer changes rows as somebody with all rights.
func tamperServer(ts *testscript.TestScript, server *embeddedtest.ClickHouse, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tamper statement")
	}
	conn, err := store.Dial(store.Options{Hosts: []string{server.Addr()}, User: embeddedtest.Admin, Password: embeddedtest.Password})
	ts.Check(err)
	defer conn.Close()
	ts.Check(conn.Exec(context.Background(), args[0]))
}

// expand replaces $CLICKHOUSE and $BROKER in files.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}
