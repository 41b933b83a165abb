// Package clickhouse holds the tables, views, roles and grants of borderwatch in ClickHouse, and brings a server to them.
//
// The statements are numbered templates (NNN_name.sql): the same files make plain tables on one node and replicated ones
// on a cluster. Vocabularies come from schemas/access and schemas/alert, so that a table cannot drift from the code.
package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"text/template"
)

//go:embed *.sql
var files embed.FS

// Database is the name of the database that people and tools rely on.
const Database = "bw"

// Version is the number of the newest migration in this build.
const Version = 6

// RowVersion is the migration that last changed the rows of batches; leaves, receipts and deduplication tokens carry it.
const RowVersion = 3

// Layout says what the statements are written for. The zero value is one node and the database bw.
type Layout struct {
	// Database is bw unless a test wants its own.
	Database string
	// Cluster makes every statement run ON CLUSTER and the tables replicated. It is a name of system.clusters.
	Cluster string
	// ReplicaPath is where a replicated table keeps its state in Keeper, before the table's name. Default
	// /clickhouse/tables/{shard}/<database>.
	ReplicaPath string
}

func (l Layout) database() string {
	if l.Database == "" {
		return Database
	}
	return l.Database
}

// on is the clause that spreads a statement over the cluster.
func (l Layout) on() string {
	if l.Cluster == "" {
		return ""
	}
	return " ON CLUSTER " + quote(l.Cluster)
}

func (l Layout) engine(table string) string {
	if l.Cluster == "" {
		return "MergeTree"
	}
	path := l.ReplicaPath
	if path == "" {
		path = "/clickhouse/tables/{shard}/" + l.database()
	}
	return fmt.Sprintf("ReplicatedMergeTree(%s, '{replica}')", quote(path+"/"+table))
}

func quote(s string) string { return "'" + escapes.Replace(s) + "'" }

var escapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// pinned are the settings of every table. Their defaults move between versions, or are not those of evidence:
// deduplication by token over at least 100,000 blocks or a week, parts on disk before an insert is acknowledged, merged
// parts on disk before their sources go, one file per small part (a part of a hundred files costs more to sync than to
// write), no statistics.
var pinned = strings.Join([]string{
	"index_granularity = 8192",
	"index_granularity_bytes = 10485760",
	"min_bytes_for_wide_part = 268435456",
	// Blocks arrive sorted and large, so merging early rewrites rows for little: with the default of 5, merges took more
	// than half of the server's time.
	"merge_selector_base = 16",
	"min_parts_to_merge_at_once = 16",
	"non_replicated_deduplication_window = 200000",
	"replicated_deduplication_window = 200000",
	"replicated_deduplication_window_seconds = 604800",
	"fsync_after_insert = 1",
	"fsync_part_directory = 1",
	"min_rows_to_fsync_after_merge = 1",
	"auto_statistics_types = ''",
}, ", ")

// migration is one numbered file.
type migration struct {
	Version  int
	Name     string // 001_tables
	Checksum string // sha256 of the file, hex
	text     string
}

// migrations lists the files in order. Names are checked by a test, so an error here is a broken build.
func migrations() ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	out := make([]migration, 0, len(names))
	for i, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		version, err := strconv.Atoi(strings.SplitN(name, "_", 2)[0])
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %03d", name, i+1)
		}
		sum := sha256.Sum256(text)
		out = append(out, migration{version, strings.TrimSuffix(name, ".sql"), hex.EncodeToString(sum[:]), string(text)})
	}
	return out, nil
}

// statements renders the file for a layout, one statement each, without comments between them.
func (m migration) statements(l Layout) ([]string, error) {
	t, err := template.New(m.Name).Funcs(functions).Parse(m.text)
	if err != nil {
		return nil, fmt.Errorf("migration %s: %w", m.Name, err)
	}
	var b bytes.Buffer
	t = t.Funcs(template.FuncMap{"visible": func() string { return visible(l.database()) }})
	if err := t.Execute(&b, page{l}); err != nil {
		return nil, fmt.Errorf("migration %s: %w", m.Name, err)
	}
	return split(b.String()), nil
}

// page is what a template sees.
type page struct{ layout Layout }

// DB is the database.
func (p page) DB() string { return p.layout.database() }

// On is the ON CLUSTER clause.
func (p page) On() string { return p.layout.on() }

// Pinned are the table settings.
func (p page) Pinned() string { return pinned }

// Engine is the engine of a table.
func (p page) Engine(table string) string { return p.layout.engine(table) }

// split cuts a file at the semicolons that end a line and drops comment lines.
func split(text string) []string {
	var out []string
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		b.WriteString(line)
		if strings.HasSuffix(strings.TrimRight(line, "\r\n"), ";") {
			out = append(out, strings.TrimSuffix(strings.TrimSpace(b.String()), ";"))
			b.Reset()
		}
	}
	if rest := strings.TrimSpace(b.String()); rest != "" {
		out = append(out, rest)
	}
	return out
}

// Statements lists all statements of all migrations for a layout, for those who run them by hand.
func Statements(l Layout) ([]string, error) {
	list, err := migrations()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range list {
		statements, err := m.statements(l)
		if err != nil {
			return nil, err
		}
		out = append(out, statements...)
	}
	return out, nil
}
