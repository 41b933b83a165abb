package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borderwatch/consumers/ledger"
	schema "borderwatch/schemas/clickhouse"
)

// tampering is what somebody with all rights does, and the finding that has to come of it.
type tampering struct {
	name   string
	sql    []string                                // on the database; see fill for what is replaced
	do     func(r *rig, t *testing.T) []string     // on the log: returns the flags of the run
	tables []string                                // that sql changes
	undo   []string                                // what else to undo
	want   string                                  // kind of the finding
	at     func(tg *targets) (int32, int64, int64) // offsets that its range covers and, but for its batch, no more
	where  string                                  // where it is about no offsets: part of its place
}

// spot is an offset and the batch that it is in.
type spot struct {
	partition   int32
	offset      int64
	first, last int64 // of the batch
	index       uint64
}

// targets are the rows that are tampered with.
type targets struct {
	alerted, quiet, letter, neighbour spot
	second                            spot // of the batch after alerted's
	gap                               spot
	end                               [partitions]int64 // last offset
	change                            spot              // first batch of the second bundle
}

// The places of findings.
var (
	atAlerted = func(g *targets) (int32, int64, int64) { return g.alerted.partition, g.alerted.offset, g.alerted.offset }
	atQuiet   = func(g *targets) (int32, int64, int64) { return g.quiet.partition, g.quiet.offset, g.quiet.offset }
	atLetter  = func(g *targets) (int32, int64, int64) { return g.letter.partition, g.letter.offset, g.letter.offset }
	atBatch   = func(g *targets) (int32, int64, int64) { return g.alerted.partition, g.alerted.first, g.alerted.last }
	atGap     = func(g *targets) (int32, int64, int64) { return g.gap.partition, g.gap.first, g.gap.last }
	atChange  = func(g *targets) (int32, int64, int64) { return g.change.partition, g.change.first, g.change.first }
	beyond    = func(g *targets) (int32, int64, int64) { return 0, g.end[0] + 5, g.end[0] + 5 }
	elsewhere = func(g *targets) (int32, int64, int64) { return 7, g.alerted.offset, g.alerted.offset }
	newest    = func(g *targets) (int32, int64, int64) { return 1, g.end[1], g.end[1] }
)

func TestTamper(t *testing.T) {
	r := newRig(t)
	g := r.targets()
	r.save()
	r.copyTo(filteredDB)
	for _, k := range tamperings() {
		t.Run(k.name, func(t *testing.T) { r.tamper(t, g, &k) })
	}
	t.Run("evidence", r.evidence)
	t.Run("nothing", r.clean)
	t.Run("nothing, again and again", r.cleanRuns)
	t.Run("drop events before Kafka", r.dropBeforeKafka)
}

// dropBeforeKafka is a source that numbers three events and sends none of them. It comes last, since it stays.
func (r *rig) dropBeforeKafka(t *testing.T) {
	r.seq += 3
	log, archive, bundles, shut := r.open()
	r.produce(0, 30)
	r.work(log, archive, bundles)
	shut()
	want := fmt.Sprintf("feed crm of access: source.seq %d to %d never came", r.seq-r.numbered(30)-2, r.seq-r.numbered(30))
	if code, out := r.verify(t, r.all()...); code != exitFinding || !strings.Contains(out, "FINDING sequence_gap "+want) {
		t.Errorf("exit %d, want %s\n%s", code, want, out)
	}
}

// tamper does it, lets the partner check, and undoes it.
func (r *rig) tamper(t *testing.T, g *targets, k *tampering) {
	defer r.restore(t, k)
	for _, statement := range k.sql {
		r.exec(t, g.fill(r, statement))
	}
	args := r.all("--json")
	if k.do != nil {
		args = append(k.do(r, t), "--json")
	}
	code, out := r.verify(t, args...)
	var report struct{ Findings []Finding }
	if err := json.Unmarshal([]byte(strings.SplitAfter(out, "\n")[0]), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != exitFinding {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if !k.found(g, report.Findings) {
		for _, f := range report.Findings {
			t.Logf("%s %s: %s", f.Kind, f.Where, f.Text)
		}
		t.Errorf("no finding %s there", k.want)
	}
}

func (k *tampering) found(g *targets, findings []Finding) bool {
	for _, f := range findings {
		if f.Kind != k.want {
			continue
		}
		if k.at == nil {
			return strings.Contains(f.Where, k.where)
		}
		partition, first, last := k.at(g)
		if f.Range != nil && f.Range.Partition == partition && f.Range.First <= first && f.Range.Last >= last && f.Range.Last-f.Range.First < 100 {
			return true
		}
	}
	return false
}

// targets looks for rows that are worth tampering with.
func (r *rig) targets() *targets {
	g := &targets{
		alerted:   r.spot("SELECT partition, offset FROM {db}.event_rows WHERE partition = 0 AND alerts > 0 AND offset > 50 ORDER BY offset LIMIT 1"),
		quiet:     r.spot("SELECT partition, offset FROM {db}.event_rows WHERE partition = 1 AND alerts = 0 AND offset > 5 ORDER BY offset LIMIT 1"),
		letter:    r.spot("SELECT partition, offset FROM {db}.dead_letter_rows WHERE partition = 1 ORDER BY offset LIMIT 1"),
		neighbour: r.spot("SELECT partition, offset FROM {db}.event_rows WHERE partition = 1 AND offset > 20 ORDER BY offset LIMIT 1"),
		change:    r.spot("SELECT partition, from_offset FROM {db}.activations WHERE partition = 1 ORDER BY from_offset DESC LIMIT 1"),
	}
	for _, e := range r.entries() {
		span := ledger.Span{}
		switch leaf := e.Leaf.(type) {
		case ledger.Gap:
			span = leaf.Span()
			g.gap = spot{span.Key.Partition, span.First, span.First, span.Last, e.Index}
		case ledger.Batch:
			span = leaf.Span()
			if span.Key.Partition == g.alerted.partition && span.First == g.alerted.last+1 {
				g.second = spot{span.Key.Partition, span.First, span.First, span.Last, e.Index}
			}
		default:
			continue
		}
		g.end[span.Key.Partition] = max(g.end[span.Key.Partition], span.Last)
	}
	return g
}

func (r *rig) spot(query string) (s spot) {
	r.must(r.conn.QueryRow(r.t.Context(), strings.ReplaceAll(query, "{db}", r.database)).Scan(&s.partition, &s.offset))
	for _, e := range r.entries() {
		if b, ok := e.Leaf.(ledger.Batch); ok && b.Partition == s.partition && b.First <= s.offset && b.Last >= s.offset {
			s.first, s.last, s.index = b.First, b.Last, e.Index
		}
	}
	return s
}

// fill replaces the names of places: {alerted}, {quiet}, {letter} and {neighbour} are conditions for one offset.
func (g *targets) fill(r *rig, statement string) string {
	at := func(s spot) string { return fmt.Sprintf("partition = %d AND offset = %d", s.partition, s.offset) }
	return strings.NewReplacer("{db}", r.database, "{alerted}", at(g.alerted), "{quiet}", at(g.quiet), "{letter}", at(g.letter), "{neighbour}", at(g.neighbour),
		"{batch}", fmt.Sprintf("partition = %d AND first_offset = %d", g.alerted.partition, g.alerted.first),
		"{gap}", fmt.Sprint(g.gap.first), "{beyond}", fmt.Sprint(g.end[0]+5), "{last0}", fmt.Sprint(g.end[0]),
		"{sync}", " SETTINGS mutations_sync = 2", "{again}", " SETTINGS insert_deduplicate = 0").Replace(statement)
}

func (r *rig) exec(t testing.TB, statement string) {
	t.Helper()
	if err := r.conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

var savedTables = []string{"event_rows", "alert_rows", "raw_rows", "dead_letter_rows", "receipts", "bundles", "bundle_parts", "activations", "notices"}

// save keeps what is stored.
func (r *rig) save() {
	for _, table := range savedTables {
		r.exec(r.t, fmt.Sprintf("CREATE TABLE %[1]s.saved_%[2]s AS %[1]s.%[2]s", r.database, table))
		r.exec(r.t, fmt.Sprintf("INSERT INTO %[1]s.saved_%[2]s SELECT * FROM %[1]s.%[2]s", r.database, table))
	}
}

// makeViews makes the views again that are not there.
func (r *rig) makeViews(t testing.TB) {
	statements, err := schema.Statements(schema.Layout{Database: r.database})
	r.must(err)
	for _, statement := range statements {
		if strings.HasPrefix(statement, "CREATE VIEW") {
			r.exec(t, statement)
		}
	}
}

// copyTo copies everything that is stored to another database.
func (r *rig) copyTo(database string) {
	r.must(r.conn.Exec(r.t.Context(), "CREATE DATABASE IF NOT EXISTS "+database))
	r.must(schema.Migrate(r.t.Context(), r.conn, schema.Options{Layout: schema.Layout{Database: database}}))
	for _, table := range savedTables {
		r.exec(r.t, fmt.Sprintf("INSERT INTO %s.%s SELECT * FROM %s.%[2]s", database, table, r.database))
	}
}

func (r *rig) restore(t testing.TB, k *tampering) {
	for _, statement := range k.undo {
		r.exec(t, strings.ReplaceAll(statement, "{db}", r.database))
	}
	if len(k.undo) > 0 {
		r.makeViews(t)
	}
	for _, table := range k.tables {
		r.exec(t, fmt.Sprintf("TRUNCATE TABLE %s.%s", r.database, table))
		r.exec(t, fmt.Sprintf("INSERT INTO %[1]s.%[2]s SELECT * FROM %[1]s.saved_%[2]s SETTINGS insert_deduplicate = 0", r.database, table))
	}
}

// update is an edit of one column of one row.
func update(table, column, value, where string) []string {
	return []string{fmt.Sprintf("ALTER TABLE {db}.%s UPDATE %s = %s WHERE %s{sync}", table, column, value, where)}
}

func remove(table, where string) []string {
	return []string{fmt.Sprintf("ALTER TABLE {db}.%s DELETE WHERE %s{sync}", table, where)}
}

// tamperings are all kinds.
func tamperings() (list []tampering) {
	edit := func(table, column, value, where, want string, at func(*targets) (int32, int64, int64)) {
		list = append(list, tampering{name: "edit " + table + "." + column, sql: update(table, column, value, where), tables: []string{table}, want: want, at: at})
	}
	for _, c := range [][2]string{
		{"actor_id", "'u-9999'"}, {"dataset", "'none'"}, {"verdict", "'none'"}, {"severity", "'low'"}, {"alerts", "0"}, {"time", "time + 1"}, {"seq", "seq + 1"},
		{"kafka_time", "kafka_time + 1"}, {"location_country", "'DE'"}, {"location_contested", "NOT location_contested"}, {"records", "7"}, {"matched", "''"},
		{"content", "unhex('00000000000000000000000000000000')"}, {"source_ip", "'192.0.2.77'"}, {"feed", "'other'"},
	} {
		edit("event_rows", c[0], c[1], "{alerted}", "events_differ", atAlerted)
	}
	edit("event_rows", "bundle", "repeat('0', 64)", "{alerted}", "events_mislabelled", atAlerted)
	edit("event_rows", "batch_id", "unhex('00000000000000000000000000000000')", "{alerted}", "events_foreign", atAlerted)
	edit("event_rows", "salt", "unhex('00000000000000000000000000000000')", "{alerted}", "events", atBatch)
	edit("alert_rows", "severity", "'low'", "{alerted}", "alerts_differ", atAlerted)
	edit("alert_rows", "shadow", "true", "{alerted}", "alerts_differ", atAlerted)
	edit("alert_rows", "why", "'a test'", "{alerted}", "alerts_differ", atAlerted)
	edit("alert_rows", "case_id", "unhex('00000000000000000000000000000000')", "{alerted}", "alerts_differ", atAlerted)
	edit("alert_rows", "bundle", "repeat('0', 64)", "{alerted}", "alerts_mislabelled", atAlerted)
	edit("raw_rows", "value", "replaceOne(value, 'read', 'list')", "{alerted}", "events_differ", atAlerted)
	edit("raw_rows", "key", "'u-1'", "{alerted}", "records", atBatch)
	edit("raw_rows", "header_keys", "['x']", "{alerted}", "records", atBatch)
	edit("raw_rows", "nulls", "1", "{alerted}", "records", atBatch)
	edit("dead_letter_rows", "reason", "'too large'", "{letter}", "dead_letters_differ", atLetter)
	edit("dead_letter_rows", "value", "''", "{letter}", "dead_letters_differ", atLetter)
	edit("receipts", "events", "events + 1", "{batch}", "receipt_differs", atBatch)
	edit("receipts", "input_digest", "unhex(repeat('0', 64))", "{batch}", "receipt_differs", atBatch)
	edit("receipts", "ledger_index", "ledger_index + 1", "{batch}", "receipt", atBatch)
	list = append(list, rowTamperings()...)
	list = append(list, schemaTamperings()...)
	return append(list, logTamperings()...)
}

// rowTamperings remove, add and move rows.
func rowTamperings() []tampering {
	move := func(table, where, replace string) string {
		return fmt.Sprintf("INSERT INTO {db}.%[1]s SELECT * REPLACE (%[3]s) FROM (SELECT * FROM {db}.saved_%[1]s WHERE %[2]s){again}", table, where, replace)
	}
	double := func(table, where string) []string {
		return []string{fmt.Sprintf("INSERT INTO {db}.%[1]s SELECT * FROM {db}.saved_%[1]s WHERE %[2]s{again}", table, where)}
	}
	swap := []string{fmt.Sprintf("ALTER TABLE {db}.alert_rows DELETE WHERE %s OR %s{sync}", "{alerted}", "{neighbour}"),
		move("alert_rows", "{alerted}", "offset + 1 AS offset")}
	erase := update("event_rows", "actor_id", "'', event_id = '', source_ip = '', session_id = '', justification = ''", "{quiet}")
	return []tampering{
		{name: "suppress an alert", sql: remove("alert_rows", "{alerted}"), tables: []string{"alert_rows"}, want: "alerts_differ", at: atAlerted},
		{name: "suppress an alert and the verdict", sql: append(remove("alert_rows", "{alerted}"), update("event_rows", "verdict", "'none', severity = 'info', alerts = 0, matched = ''", "{alerted}")...),
			tables: []string{"alert_rows", "event_rows"}, want: "alerts_differ", at: atAlerted},
		{name: "invent an alert", sql: []string{move("alert_rows", "{alerted}", "'EU-999' AS rule_id")}, tables: []string{"alert_rows"}, want: "alerts_differ", at: atAlerted},
		{name: "delete an event", sql: remove("event_rows", "{quiet}"), tables: []string{"event_rows"}, want: "events_differ", at: atQuiet},
		{name: "delete a record", sql: remove("raw_rows", "{quiet}"), tables: []string{"raw_rows"}, want: "records", at: atQuiet},
		{name: "delete an access everywhere", sql: append(append(remove("raw_rows", "{quiet}"), remove("event_rows", "{quiet}")...), remove("alert_rows", "{quiet}")...),
			tables: []string{"raw_rows", "event_rows", "alert_rows"}, want: "records", at: atQuiet},
		{name: "blank a person without an erasure leaf", sql: erase, tables: []string{"event_rows"}, want: "events_differ", at: atQuiet},
		{name: "delete a dead letter", sql: remove("dead_letter_rows", "{letter}"), tables: []string{"dead_letter_rows"}, want: "dead_letters_differ", at: atLetter},
		{name: "double an event", sql: double("event_rows", "{alerted}"), tables: []string{"event_rows"}, want: "events_differ", at: atAlerted},
		{name: "double a record", sql: double("raw_rows", "{alerted}"), tables: []string{"raw_rows"}, want: "records", at: atBatch},
		{name: "double an alert", sql: double("alert_rows", "{alerted}"), tables: []string{"alert_rows"}, want: "alerts_differ", at: atAlerted},
		{name: "insert an event of another batch", sql: []string{move("event_rows", "{neighbour}", "0 AS partition")}, tables: []string{"event_rows"}, want: "events_foreign",
			at: func(g *targets) (int32, int64, int64) { return 0, g.neighbour.offset, g.neighbour.offset }},
		{name: "insert an event beyond the log", sql: []string{move("event_rows", "{alerted}", "toInt64({beyond}) AS offset")}, tables: []string{"event_rows"}, want: "events_without_leaf", at: beyond},
		{name: "insert a record where offsets are lost", sql: []string{move("raw_rows", "{alerted}", "toInt64({gap}) AS offset")}, tables: []string{"raw_rows"}, want: "records_without_leaf", at: atGap},
		{name: "insert an alert of an unknown partition", sql: []string{move("alert_rows", "{alerted}", "toInt32(7) AS partition")}, tables: []string{"alert_rows"}, want: "alerts_without_leaf", at: elsewhere},
		{name: "insert a dead letter of another topic", sql: []string{move("dead_letter_rows", "{letter}", "'other' AS topic")}, tables: []string{"dead_letter_rows"}, want: "dead_letters_without_leaf", at: atLetter},
		{name: "move an event to another offset", sql: append(remove("event_rows", "{alerted}"), move("event_rows", "{alerted}", "offset + 1 AS offset")), tables: []string{"event_rows"}, want: "events_differ", at: atAlerted},
		{name: "move alerts to another event", sql: swap, tables: []string{"alert_rows"}, want: "alerts_differ", at: atAlerted},
		{name: "swap two records", sql: append(remove("raw_rows", "({alerted}) OR ({neighbour})"), move("raw_rows", "{alerted}", "toInt32(1) AS partition, (SELECT offset FROM {db}.saved_raw_rows WHERE {neighbour}) AS offset"),
			move("raw_rows", "{neighbour}", "toInt32(0) AS partition, (SELECT offset FROM {db}.saved_raw_rows WHERE {alerted}) AS offset")), tables: []string{"raw_rows"}, want: "records", at: atAlerted},
		{name: "drop a partition of the events", sql: []string{"ALTER TABLE {db}.event_rows DROP PARTITION tuple(toYYYYMM(now()))"}, tables: []string{"event_rows"}, want: "events", at: atBatch},
		{name: "truncate the alerts", sql: []string{"TRUNCATE TABLE {db}.alert_rows"}, tables: []string{"alert_rows"}, want: "alerts", at: atBatch},
		{name: "truncate the records", sql: []string{"TRUNCATE TABLE {db}.raw_rows"}, tables: []string{"raw_rows"}, want: "records", at: atBatch},
		{name: "delete a receipt", sql: remove("receipts", "{batch}"), tables: []string{"receipts"}, want: "receipt", at: atBatch},
		{name: "double a receipt", sql: double("receipts", "{batch}"), tables: []string{"receipts"}, want: "receipt_doubled", at: atBatch},
		{name: "repair a batch that needs none", sql: []string{move("receipts", "{batch}", "1 AS attempt, unhex('00000000000000000000000000000000') AS batch_id, [batch_id] AS supersedes")},
			tables: []string{"receipts"}, want: "receipt_differs", at: atBatch},
		{name: "invent a receipt", sql: []string{move("receipts", "{batch}", "first_offset + 1000 AS first_offset, last_offset + 1000 AS last_offset")}, tables: []string{"receipts"}, want: "receipt_without_leaf",
			at: func(g *targets) (int32, int64, int64) { return 0, g.alerted.first + 1000, g.alerted.last + 1000 }},
		{name: "edit an activation", sql: update("activations", "bundle", "repeat('0', 64)", "1"), tables: []string{"activations"}, want: "activation", at: atChange},
		{name: "delete the activations", sql: []string{"TRUNCATE TABLE {db}.activations"}, tables: []string{"activations"}, want: "activation_missing", at: atChange},
		{name: "delete the notices", sql: []string{"TRUNCATE TABLE {db}.notices"}, tables: []string{"notices"}, want: "notice_missing", at: atGap},
		{name: "edit a notice", sql: update("notices", "subject", "'nothing'", "kind = 'gap'"), tables: []string{"notices"}, want: "notice", at: atGap},
		{name: "play a notice down", sql: update("notices", "severity", "'low'", "kind = 'gap'"), tables: []string{"notices"}, want: "notice", at: atGap},
		{name: "swap a rule quietly", sql: update("bundle_parts", "content", "replaceAll(content, 'severity: high', 'severity: low')", "content LIKE '%severity: high%'"), tables: []string{"bundle_parts"}, want: "bundle", at: atBatch},
		{name: "delete a part of the bundle", sql: remove("bundle_parts", "content LIKE '%borderwatch/rule/v1%'"), tables: []string{"bundle_parts"}, want: "bundle", at: atBatch},
		{name: "swap the manifest of a bundle", sql: update("bundles", "manifest", "(SELECT max(manifest) FROM {db}.saved_bundles)", "manifest = (SELECT min(manifest) FROM {db}.saved_bundles)"),
			tables: []string{"bundles"}, want: "bundle"},
	}
}

// schemaTamperings make the database show something else than it has.
func schemaTamperings() []tampering {
	as := func(user string) func(r *rig, t *testing.T) []string {
		return func(r *rig, t *testing.T) []string {
			return append(r.all(), "--config", r.writeConfig(filteredDB, user))
		}
	}
	return []tampering{
		{name: "hide alerts from this account by a row policy", do: as(filteredUser), want: "alerts", at: atBatch},
		{name: "hide alerts from other accounts by a row policy", do: as(verifyUser), want: "row_policy", where: "alert_rows"},
		{name: "replace a view", sql: []string{"CREATE OR REPLACE VIEW {db}.dead_letters SQL SECURITY INVOKER AS SELECT kafka_time, source, topic, partition, offset FROM {db}.dead_letter_rows WHERE code != 'syntax'"},
			undo: []string{"DROP VIEW {db}.dead_letters"}, want: "view", where: "dead_letters"},
		{name: "replace a view that hides", sql: []string{"CREATE OR REPLACE VIEW {db}.batches SQL SECURITY INVOKER AS SELECT * FROM {db}.receipts WHERE first_offset > 0"},
			undo: []string{"DROP VIEW {db}.batches"}, want: "view_hides", at: nil, where: "/0 "},
		{name: "run a view with another's rights", sql: []string{"ALTER TABLE {db}.cases MODIFY SQL SECURITY DEFINER DEFINER = test_admin"}, undo: []string{"DROP VIEW {db}.cases"}, want: "view", where: "cases"},
		{name: "replace a table by a view", sql: []string{"RENAME TABLE {db}.activations TO {db}.hidden", "CREATE VIEW {db}.activations AS SELECT * FROM {db}.hidden"},
			undo: []string{"DROP VIEW {db}.activations", "RENAME TABLE {db}.hidden TO {db}.activations"}, want: "table", where: "activations"},
	}
}

// logTamperings are what the operator can do with the log, most of them with its key.
func logTamperings() []tampering {
	flags := func(r *rig, dir string, more ...string) []string { return append(r.all(more...), "--ledger", dir) }
	kept := func(r *rig, t *testing.T) string {
		state := filepath.Join(t.TempDir(), "state.json")
		if code, out := r.verify(t, r.all("--state", state)...); code != exitOK {
			t.Fatalf("exit %d\n%s", code, out)
		}
		return state
	}
	forged := func(do func(f *forgery, g *targets)) func(r *rig, t *testing.T) []string {
		return func(r *rig, _ *testing.T) []string {
			f := r.forge()
			do(f, r.targets())
			return flags(r, f.write())
		}
	}
	edited := func(name string, do func(data []byte) []byte) func(r *rig, t *testing.T) []string {
		return func(r *rig, t *testing.T) []string {
			dir := r.forge().write()
			files, err := filepath.Glob(filepath.Join(dir, name))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v, %v", name, files, err)
			}
			data, err := os.ReadFile(files[0])
			r.must(err)
			if data = do(data); data == nil {
				r.must(os.Remove(files[0]))
			} else {
				r.must(os.WriteFile(files[0], data, 0o600))
			}
			return flags(r, dir)
		}
	}
	flip := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	return []tampering{
		{name: "flip a bit of a leaf", do: edited("tile/entries/000.p/*", flip), want: "log_root", where: "log indices"},
		{name: "rewrite a tile", do: edited("tile/0/000.p/*", flip), want: "tile", where: "log indices 0 to"},
		{name: "delete a tile", do: edited("tile/0/000.p/*", func([]byte) []byte { return nil }), want: "tile", where: "log indices 0 to"},
		{name: "truncate the log's entries", do: edited("tile/entries/000.p/*", func(d []byte) []byte { return d[:len(d)/2] }), want: "log_truncated", where: "log indices 0 to"},
		{name: "edit the checkpoint", do: edited("checkpoint", func(d []byte) []byte { return []byte(strings.Replace(string(d), "\n", "\n1", 1)) }), want: "signature", where: "checkpoint"},
		{name: "sign with another key", do: func(r *rig, t *testing.T) []string {
			f := r.forge()
			f.signer = otherSigner(t, f.origin)
			return flags(r, f.write())
		}, want: "signature", where: "checkpoint"},
		{name: "roll the log back", do: func(r *rig, t *testing.T) []string { return flags(r, r.first, "--state", kept(r, t)) }, want: "rolled_back", where: "log indices"},
		{name: "roll the log back, seen without a state", do: func(r *rig, _ *testing.T) []string { return flags(r, r.first) }, want: "receipt_without_leaf", at: newest},
		{name: "fork the log", do: func(r *rig, t *testing.T) []string {
			f := r.forge()
			f.change(r.targets().alerted.index, func(b ledger.Batch) ledger.Leaf { b.AlertsRoot = b.EventsRoot; return b })
			f.texts = append(f.texts, ledger.Admin{Action: "note", Subject: "x", By: "y", Note: "z", Time: r.entries()[0].Leaf.(ledger.Startup).Time}.Marshal())
			return flags(r, f.write(), "--state", kept(r, t))
		}, want: "forked", where: "log indices 0 to"},
		{name: "fork the log at the same size", do: func(r *rig, t *testing.T) []string {
			f := r.forge()
			f.change(r.targets().alerted.index, func(b ledger.Batch) ledger.Leaf { b.AlertsRoot = b.EventsRoot; return b })
			return flags(r, f.write(), "--state", kept(r, t))
		}, want: "forked", where: "log indices 0 to"},
		{name: "delete two neighbouring leaves", do: forged(func(f *forgery, g *targets) {
			var texts [][]byte
			for i, text := range f.texts {
				if uint64(i) != g.alerted.index && uint64(i) != g.second.index {
					texts = append(texts, text)
				}
			}
			f.texts = texts
		}), want: "range", at: func(g *targets) (int32, int64, int64) { return 0, g.alerted.first, g.second.last }},
		{name: "overlap two leaves", do: forged(func(f *forgery, g *targets) {
			f.change(g.second.index, func(b ledger.Batch) ledger.Leaf { b.First--; b.Compacted++; return b })
		}), want: "range", at: func(g *targets) (int32, int64, int64) { return 0, g.second.first - 1, g.second.first - 1 }},
		{name: "name a wrong bundle in a leaf", do: forged(func(f *forgery, g *targets) {
			f.change(g.alerted.index, func(b ledger.Batch) ledger.Leaf { b.Bundle = strings.Repeat("0", 64); return b })
		}), want: "bundle_unannounced", at: atBatch},
		{name: "name the other bundle in a leaf", do: forged(func(f *forgery, g *targets) {
			other := ""
			f.change(g.change.index, func(b ledger.Batch) ledger.Leaf { other = b.Bundle; return b })
			f.change(g.alerted.index, func(b ledger.Batch) ledger.Leaf { b.Bundle = other; return b })
		}), want: "events_mislabelled", at: atBatch},
		{name: "count an event less in a leaf", do: forged(func(f *forgery, g *targets) {
			f.change(g.alerted.index, func(b ledger.Batch) ledger.Leaf { b.Events--; b.Compacted++; return b })
		}), want: "receipt_differs", at: atBatch},
		{name: "call stored offsets lost", do: forged(func(f *forgery, g *targets) {
			f.change(g.alerted.index, func(b ledger.Batch) ledger.Leaf {
				return ledger.Gap{Source: b.Source, Topic: b.Topic, Partition: b.Partition, First: b.First, Last: b.Last, Reason: "deleted", BatchTime: b.BatchTime, Prev: b.Prev}
			})
		}), want: "events_without_leaf", at: atBatch},
		{name: "run a build that nobody accepted", do: func(r *rig, t *testing.T) []string {
			file := filepath.Join(t.TempDir(), "builds")
			r.must(os.WriteFile(file, []byte("# accepted\n"+strings.Repeat("0", 64)+" v1\n"), 0o600))
			return r.all("--builds", file)
		}, want: "build", where: "ingest/worker"},
		{name: "keep the log from the witness", do: func(r *rig, t *testing.T) []string { return r.all("--witness", r.witness(t)) }, want: "cosignature", where: "checkpoint"},
		{name: "stop a feed", do: func(r *rig, _ *testing.T) []string { return r.all("--silent-after", "1ns") }, want: "feed_silent", where: "feed crm"},
	}
}
