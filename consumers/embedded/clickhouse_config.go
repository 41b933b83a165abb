package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"text/template"
)

// User is an account of the embedded ClickHouse. It exists in the server's
// configuration alone: CREATE USER does not work there.
type User struct {
	Name     string // letters, digits and underscores
	Password string // not empty
	// Admin may do everything; Grants must then be empty.
	Admin bool
	// Grants are whole statements without TO: "GRANT SELECT ON bw.*".
	Grants []string
	// Settings are the account's profile, name to value: "readonly": "2".
	Settings map[string]string
	// Constraints limit what the account may change of its settings.
	Constraints map[string]Constraint
	// Filters are row policies. A table without a filter for a user who has
	// one elsewhere is not limited.
	Filters []RowFilter
}

// Constraint limits one setting. The zero value limits nothing.
type Constraint struct {
	Min, Max string
	ReadOnly bool // may not be changed at all
}

// RowFilter shows a user only the rows of a table that meet Condition.
type RowFilter struct {
	Database, Table, Condition string
}

var (
	nameRE     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	passwordRE = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
)

func (u User) validate() error {
	if !nameRE.MatchString(u.Name) {
		return fmt.Errorf("ClickHouse user %q: a name has letters, digits and underscores", u.Name)
	}
	if u.Name == "default" || u.Name == supervisorName {
		return fmt.Errorf("ClickHouse user %q is used by the server itself", u.Name)
	}
	if u.Password == "" {
		return fmt.Errorf("ClickHouse user %q has no password", u.Name)
	}
	if u.Admin != (len(u.Grants) == 0) {
		return fmt.Errorf("ClickHouse user %q: either Admin or Grants", u.Name)
	}
	return u.validateNames()
}

// validateNames checks what becomes names of XML elements.
func (u User) validateNames() error {
	for name := range u.Settings {
		if !nameRE.MatchString(name) {
			return fmt.Errorf("ClickHouse user %q: %q is not the name of a setting", u.Name, name)
		}
	}
	for name := range u.Constraints {
		if !nameRE.MatchString(name) {
			return fmt.Errorf("ClickHouse user %q: %q is not the name of a setting", u.Name, name)
		}
	}
	for _, f := range u.Filters {
		if !nameRE.MatchString(f.Database) || !nameRE.MatchString(f.Table) {
			return fmt.Errorf("ClickHouse user %q: row filter on %s.%s: not the name of a table", u.Name, f.Database, f.Table)
		}
	}
	return nil
}

// filterTree returns the filters by database and table, for the template.
func (u User) filterTree() map[string]map[string]string {
	tree := make(map[string]map[string]string)
	for _, f := range u.Filters {
		if tree[f.Database] == nil {
			tree[f.Database] = make(map[string]string)
		}
		tree[f.Database][f.Table] = f.Condition
	}
	return tree
}

func validateUsers(users []User) error {
	var errs []error
	for i, u := range users {
		errs = append(errs, u.validate())
		if slices.ContainsFunc(users[:i], func(v User) bool { return v.Name == u.Name }) {
			errs = append(errs, fmt.Errorf("ClickHouse user %q is there twice", u.Name))
		}
	}
	return errors.Join(errs...)
}

// allocatorEnv has the engine keep freed memory for half a minute and ask for huge
// pages. By its defaults it gives every buffer of 64 MB back at once, and a third
// of its processor time went into the kernel clearing pages for the next block.
// memory_worker_decay_adjustment_period_ms keeps the server from undoing it.
const allocatorEnv = "JE_MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:30000,muzzy_decay_ms:0,lg_extent_max_active_fit:16,thp:always"

// serverConfig leaves room for the rest of borderwatch on two cores: small
// caches, few background threads, and of the system's own tables the query log
// alone. A merge pool of 2 threads × 2 keeps up with inserts of 250,000 rows; the
// three number_of_free_entries settings must not exceed it or the server refuses
// to start.
var serverConfig = template.Must(template.New("config.xml").Funcs(funcs).Parse(`<clickhouse>
  <path>{{xml .DataDir}}/</path>
  <tmp_path>{{xml .DataDir}}/tmp/</tmp_path>
  <user_files_path>{{xml .DataDir}}/user_files/</user_files_path>
  <format_schema_path>{{xml .DataDir}}/format_schemas/</format_schema_path>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{{.TCPPort}}</tcp_port>
  <http_port>{{.HTTPPort}}</http_port>
  <timezone>UTC</timezone>
  <shutdown_wait_unfinished>1</shutdown_wait_unfinished>
  <max_connections>256</max_connections>
  <max_concurrent_queries>64</max_concurrent_queries>
  <max_server_memory_usage>{{.MaxMemory}}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_mark_cache_size>8388608</index_mark_cache_size>
  <index_uncompressed_cache_size>0</index_uncompressed_cache_size>
  <mmap_cache_size>64</mmap_cache_size>
  <compiled_expression_cache_size>16777216</compiled_expression_cache_size>
  <query_cache><max_size_in_bytes>16777216</max_size_in_bytes></query_cache>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_buffer_flush_schedule_pool_size>1</background_buffer_flush_schedule_pool_size>
  <background_distributed_schedule_pool_size>1</background_distributed_schedule_pool_size>
  <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
  <max_thread_pool_size>1000</max_thread_pool_size>
  <max_thread_pool_free_size>16</max_thread_pool_free_size>
  <memory_worker_decay_adjustment_period_ms>0</memory_worker_decay_adjustment_period_ms>
  <merge_tree>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
  <query_log>
    <database>system</database>
    <table>query_log</table>
    <flush_interval_milliseconds>7500</flush_interval_milliseconds>
    <max_size_rows>65536</max_size_rows>
    <reserved_size_rows>512</reserved_size_rows>
  </query_log>
  <user_directories><users_xml><path>{{xml .UsersFile}}</path></users_xml></user_directories>
</clickhouse>
`))

// usersConfig takes every right from the account "default" but those that
// listenQuery needs. The engine's own session logs in as default, without
// password, from the loopback; no network rule tells it from a stranger's
// connection (::1 and 127.0.0.1 are one to the engine), so it must be worthless.
// Its right to open ports is one to close them as well, so the quota "start" lets
// default run three statements until 2065, the engine's own: listenQuery. A
// stranger's that comes between them has the last refused, which ends the process.
//
// The profile "default" is the base of all others. poll_interval is how often an
// idle connection looks whether the server stops: at its usual 10 s a stop with
// open connections takes 5 s longer.
var usersConfig = template.Must(template.New("users.xml").Funcs(funcs).Parse(`<clickhouse>
  <profiles>
    <default><log_queries>1</log_queries><poll_interval>1</poll_interval></default>
{{- range .}}
    <{{.Name}}>
{{- range $k, $v := .Settings}}
      <{{$k}}>{{xml $v}}</{{$k}}>
{{- end}}
{{- if .Constraints}}
      <constraints>
{{- range $k, $c := .Constraints}}
        <{{$k}}>{{if $c.Min}}<min>{{xml $c.Min}}</min>{{end}}{{if $c.Max}}<max>{{xml $c.Max}}</max>{{end}}{{if $c.ReadOnly}}<readonly/>{{end}}</{{$k}}>
{{- end}}
      </constraints>
{{- end}}
    </{{.Name}}>
{{- end}}
  </profiles>
  <quotas>
    <default/>
    <start><interval><duration>1500000000</duration><queries>3</queries></interval></start>
  </quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>::1</ip></networks>
      <profile>default</profile>
      <quota>start</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query>
      </grants>
    </default>
{{- range .}}
    <{{.Name}}>
      <password_sha256_hex>{{sha256 .Password}}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>{{.Name}}</profile>
      <quota>default</quota>
{{- if .Grants}}
      <grants>
{{- range .Grants}}
        <query>{{xml .}}</query>
{{- end}}
      </grants>
{{- end}}
{{- if .Filters}}
      <databases>
{{- range $db, $tables := filters .}}
        <{{$db}}>
{{- range $t, $cond := $tables}}
          <{{$t}}><filter>{{xml $cond}}</filter></{{$t}}>
{{- end}}
        </{{$db}}>
{{- end}}
      </databases>
{{- end}}
    </{{.Name}}>
{{- end}}
  </users>
</clickhouse>
`))

var funcs = template.FuncMap{
	"xml":     xmlText,
	"sha256":  func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) },
	"filters": User.filterTree,
}

func xmlText(s string) (string, error) {
	var b bytes.Buffer
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

type configData struct {
	DataDir, UsersFile string
	TCPPort, HTTPPort  int
	MaxMemory          int64
}

// writeConfig writes config.xml and users.xml into dir, readable by this user
// only, and returns the path of the former.
func writeConfig(dir string, data configData, users []User) (string, error) {
	data.UsersFile = filepath.Join(dir, "users.xml")
	if err := render(data.UsersFile, usersConfig, users); err != nil {
		return "", err
	}
	name := filepath.Join(dir, "config.xml")
	return name, render(name, serverConfig, data)
}

func render(name string, t *template.Template, data any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}
