package clickhouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Role is what one kind of account may do. Grants are whole statements without TO: in production they are granted to a
// role of that name, and the embedded server reads them from its users file.
type Role struct {
	Name   string
	About  string
	Grants []string
	// Revoked are rights that earlier builds granted, whole statements without FROM.
	Revoked []string
	// Settings are pinned for every account of the role; Limits bound what it may change.
	Settings map[string]string
	Limits   map[string]Limit
}

// Limit bounds one setting. Fixed means that it may not be changed at all. To most limits of ClickHouse 0 means none, so a
// Max without a Min bounds nothing.
type Limit struct {
	Min, Max string
	Fixed    bool
}

// reading are the tables and views that tell what happened, without the bytes of records.
var reading = []string{"event_rows", "alert_rows", "receipts", "activations", "bundles", "bundle_parts", "notices",
	"schema_migrations", "events", "distinct_events", "alerts", "cases", "dead_letters", "coverage", "batches", "batch_findings",
	"notice_cases", "feed_sequences", "actions", "tombstones"}

// deadLetterFacts are the columns of dead_letter_rows that hold no bytes of the record.
const deadLetterFacts = "source, topic, partition, offset, batch_id, batch_time, kafka_time, feed, code, reason, field, position, size"

// Roles lists the roles with the least that each needs.
func Roles(l Layout) []Role {
	db := l.database()
	return []Role{ingest(db), api(db), migrate(l), partner(db), partnerVerify(db), erase(db)}
}

// ingest writes, and reads back what it needs for a takeover. It cannot change or delete a row.
func ingest(db string) Role {
	grants := []string{}
	for _, t := range []string{"event_rows", "raw_rows", "alert_rows", "dead_letter_rows", "receipts", "bundles",
		"bundle_parts", "activations", "notices"} {
		grants = append(grants, fmt.Sprintf("GRANT SELECT, INSERT ON %s.%s", db, t))
	}
	grants = append(grants, selects(db, "alerts", "batches", "schema_migrations")...)
	grants = append(grants, fmt.Sprintf("GRANT SYSTEM SYNC REPLICA ON %s.*", db))
	return Role{Name: "bw_ingest", About: "ingest workers", Grants: grants}
}

// erase replaces rows by tombstones. No other account can delete a row, and this one can write none but tombstones.
func erase(db string) Role {
	grants := selects(db, "receipts", "batches", "schema_migrations", "tombstones")
	for _, t := range []string{"event_rows", "raw_rows", "alert_rows", "dead_letter_rows"} {
		grants = append(grants, fmt.Sprintf("GRANT SELECT, ALTER DELETE ON %s.%s", db, t))
	}
	grants = append(grants, fmt.Sprintf("GRANT INSERT ON %s.tombstones", db))
	return Role{Name: "bw_erase", About: "borderwatch erase", Grants: grants}
}

// api reads for the console, dead letters with their bytes among it, and writes nothing but what people did there.
func api(db string) Role {
	grants := append(selects(db, reading...), selects(db, "dead_letter_rows")...)
	grants = append(grants, fmt.Sprintf("GRANT INSERT ON %s.actions", db))
	return Role{Name: "bw_api", About: "console and API", Grants: grants,
		Settings: map[string]string{"max_execution_time": "120", "max_memory_usage": "4000000000"},
		Limits:   map[string]Limit{"max_execution_time": {Min: "1", Max: "120"}, "max_memory_usage": {Min: "1", Max: "4000000000"}}}
}

// rewordable are the columns whose type a migration changes, by table: vocabularies, which gain words, and those that
// 003_evidence.sql comments anew. Changing a type may rewrite values, so the right is for these columns alone.
var rewordable = map[string]string{
	"event_rows": "actor_kind, actor_covered_person, actor_employment, session_mfa, location_verdict, location_expected, " +
		"location_confidence, network_kind, action, outcome, form, approval_state, mechanism, gateway_decision, verdict, severity",
	"alert_rows": "case_kind, outcome, severity, actor_kind, location_verdict, location_expected, location_confidence, " +
		"network_kind, action, access_outcome, form, gateway_decision",
	"notices":  "severity",
	"receipts": "input_digest, judged_digest",
}

// migrate changes the schema. It inserts no row other than the record of migrations, and deletes and updates none. It
// reads what the views show, since ClickHouse lets nobody make a view of what he may not read; the bytes of records are in
// no view. A migration that needs another kind of ALTER adds it here.
func migrate(l Layout) Role {
	db := l.database()
	grants := []string{
		"GRANT TABLE ENGINE ON MergeTree",
		"GRANT CREATE DATABASE ON " + db + ".*",
		"GRANT CREATE TABLE, CREATE VIEW, ALTER ADD COLUMN, ALTER ADD INDEX ON " + db + ".*",
		"GRANT DROP VIEW ON " + db + ".batch_findings",
		"GRANT SHOW COLUMNS ON " + db + ".*",
		"GRANT SELECT, INSERT ON " + db + ".schema_migrations",
		"GRANT SELECT ON system.columns",
	}
	for _, table := range slices.Sorted(maps.Keys(rewordable)) {
		grants = append(grants, fmt.Sprintf("GRANT ALTER MODIFY COLUMN(%s) ON %s.%s", rewordable[table], db, table))
	}
	grants = append(grants, selects(db, "event_rows", "alert_rows", "receipts", "notices", "events", "distinct_events", "alerts", "cases", "batches", "tombstones")...)
	grants = append(grants, fmt.Sprintf("GRANT SELECT(%s) ON %s.dead_letter_rows", deadLetterFacts, db))
	if l.Cluster != "" {
		grants = append(grants, "GRANT CLUSTER ON *.*", "GRANT TABLE ENGINE ON ReplicatedMergeTree")
	}
	return Role{Name: "bw_migrate", About: "borderwatch migrate", Grants: grants,
		Revoked: []string{"REVOKE ALTER TABLE, DROP VIEW ON " + db + ".*"}}
}

// partner is the independent partner's account for questions: everything but the bytes of records, no function that
// reaches a file, an address or another server.
func partner(db string) Role {
	grants := append(selects(db, reading...), fmt.Sprintf("GRANT SELECT(%s) ON %s.dead_letter_rows", deadLetterFacts, db))
	return Role{Name: "bw_partner", About: "independent partner, questions", Grants: grants,
		Settings: partnerSettings, Limits: partnerLimits}
}

// partnerVerify is the partner's account for the verifier, which reads the bytes of records as well. Each use is recorded.
func partnerVerify(db string) Role {
	grants := append(selects(db, reading...), selects(db, "raw_rows", "dead_letter_rows")...)
	grants = append(grants, "GRANT SHOW ROW POLICIES ON "+db+".*") // they can hide rows from the other accounts
	return Role{Name: "bw_partner_verify", About: "independent partner, verifier", Grants: grants,
		Settings: partnerSettings, Limits: partnerLimits}
}

// A client in Go sends max_execution_time with every deadline, which readonly = 1 would refuse; 2 allows settings within
// limits and nothing that writes.
var (
	partnerSettings = map[string]string{"readonly": "2", "max_execution_time": "300", "max_memory_usage": "4000000000"}
	partnerLimits   = map[string]Limit{
		"max_execution_time":      {Min: "1", Max: "3600"},
		"max_memory_usage":        {Min: "1", Max: "8000000000"},
		"max_threads":             {Max: "8"},
		"allow_ddl":               {Fixed: true},
		"log_queries":             {Fixed: true},
		"log_queries_probability": {Fixed: true},
	}
)

func selects(db string, tables ...string) []string {
	out := make([]string, len(tables))
	for i, t := range tables {
		out[i] = fmt.Sprintf("GRANT SELECT ON %s.%s", db, t)
	}
	return out
}

// RoleStatements creates the roles, their settings profiles and their grants. They can be repeated. Accounts are the
// operator's to create: CREATE USER partner IDENTIFIED … DEFAULT ROLE bw_partner SETTINGS PROFILE bw_partner.
func RoleStatements(l Layout) []string {
	var out []string
	for _, r := range Roles(l) {
		out = append(out, fmt.Sprintf("CREATE ROLE IF NOT EXISTS %s%s", r.Name, l.on()))
		if profile := r.profile(); profile != "" {
			out = append(out, fmt.Sprintf("CREATE SETTINGS PROFILE OR REPLACE %[1]s%[2]s SETTINGS %[3]s TO %[1]s", r.Name, l.on(), profile))
		}
		for _, revoke := range r.Revoked {
			out = append(out, fmt.Sprintf("%s FROM %s", strings.Replace(revoke, "REVOKE", "REVOKE"+l.on(), 1), r.Name))
		}
		for _, g := range r.Grants {
			out = append(out, fmt.Sprintf("%s TO %s", strings.Replace(g, "GRANT", "GRANT"+l.on(), 1), r.Name))
		}
	}
	return out
}

// profile lists the settings of a role with their limits.
func (r Role) profile() string {
	names := slices.Sorted(maps.Keys(r.Settings))
	for _, name := range slices.Sorted(maps.Keys(r.Limits)) {
		if _, ok := r.Settings[name]; !ok {
			names = append(names, name)
		}
	}
	for i, name := range names {
		if value, ok := r.Settings[name]; ok {
			names[i] += " = " + value
		}
		limit := r.Limits[name]
		if limit.Min != "" {
			names[i] += " MIN " + limit.Min
		}
		if limit.Max != "" {
			names[i] += " MAX " + limit.Max
		}
		if limit.Fixed {
			names[i] += " READONLY"
		}
	}
	return strings.Join(names, ", ")
}
