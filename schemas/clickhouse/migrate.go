package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MinServer is the oldest server that is accepted, as year and month. 26.3 is the release whose defaults for
// asynchronous inserts and deduplication the pinned settings were written against.
const MinServer = "26.3"

// Conn runs statements. driver.Conn of clickhouse-go is one.
type Conn interface {
	Exec(ctx context.Context, query string, args ...any) error
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// The ways a server can be refused.
var (
	ErrServerTooOld = errors.New("ClickHouse is too old")
	ErrSchemaNewer  = errors.New("the database was migrated by a newer borderwatch")
	ErrSchemaOlder  = errors.New("the database is not migrated: run borderwatch migrate")
	ErrFileChanged  = errors.New("a migration differs from the one that was applied")
)

// Options say how to migrate.
type Options struct {
	Layout
	// Roles creates the roles and their grants as well. The account needs ACCESS MANAGEMENT. Off where accounts come
	// from the server's configuration.
	Roles bool
}

type applied struct {
	Version  uint32 `ch:"version"`
	Name     string `ch:"name"`
	Checksum string `ch:"checksum"`
}

// Migrate brings the database to this build's schema: it applies the migrations that are not there, widens the
// vocabularies to which words were added, and creates the roles if asked. Every statement can be repeated, so two runs at
// once do no harm and an interrupted one is continued. It changes nothing on a server that is too old, a database that a
// newer build migrated, or one whose applied files differ from this build's.
func Migrate(ctx context.Context, conn Conn, opt Options) error {
	if err := CheckServer(ctx, conn); err != nil {
		return err
	}
	list, err := migrations()
	if err != nil {
		return err
	}
	if err := prepare(ctx, conn, opt.Layout); err != nil {
		return err
	}
	done, err := history(ctx, conn, opt.Layout, list)
	if err != nil {
		return err
	}
	for _, m := range list {
		if done[m.Version] {
			continue
		}
		if err := apply(ctx, conn, opt.Layout, m); err != nil {
			return err
		}
	}
	if err := widen(ctx, conn, opt.Layout); err != nil {
		return err
	}
	if !opt.Roles {
		return nil
	}
	for _, statement := range RoleStatements(opt.Layout) {
		if err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("roles: %s: %w", firstWords(statement), err)
		}
	}
	return nil
}

// CheckServer refuses a server older than MinServer.
func CheckServer(ctx context.Context, conn Conn) error {
	var rows []struct {
		Version string `ch:"version"`
	}
	if err := conn.Select(ctx, &rows, "SELECT version() AS version"); err != nil {
		return fmt.Errorf("ask ClickHouse for its version: %w", err)
	}
	if len(rows) != 1 {
		return fmt.Errorf("ask ClickHouse for its version: %d rows", len(rows))
	}
	if older(rows[0].Version, MinServer) {
		return fmt.Errorf("%w: version %s, need %s or newer", ErrServerTooOld, rows[0].Version, MinServer)
	}
	return nil
}

// older compares versions number by number; what is no number counts as 0.
func older(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range b {
		var x int
		if i < len(a) {
			x, _ = strconv.Atoi(a[i])
		}
		if y, _ := strconv.Atoi(b[i]); x != y {
			return x < y
		}
	}
	return false
}

// prepare makes the database and the table of applied migrations.
func prepare(ctx context.Context, conn Conn, l Layout) error {
	for _, statement := range l.preparation() {
		if err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", firstWords(statement), err)
		}
	}
	return nil
}

func (l Layout) preparation() []string {
	return []string{
		fmt.Sprintf("CREATE DATABASE IF NOT EXISTS %s%s", l.database(), l.on()),
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.schema_migrations%s (version UInt32, name String, checksum String, "+
			"applied_at DateTime64(3, 'UTC') DEFAULT now64(3), applied_by String DEFAULT currentUser()) "+
			"ENGINE = %s ORDER BY version SETTINGS %s", l.database(), l.on(), l.engine("schema_migrations"), pinned),
	}
}

// history reads which migrations are applied and compares them with this build's.
func history(ctx context.Context, conn Conn, l Layout, list []migration) (map[int]bool, error) {
	var rows []applied
	query := fmt.Sprintf("SELECT DISTINCT version, name, checksum FROM %s.schema_migrations ORDER BY version", l.database())
	if err := conn.Select(ctx, &rows, query); err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	done := make(map[int]bool, len(rows))
	for _, row := range rows {
		version := int(row.Version)
		if version > len(list) {
			return nil, fmt.Errorf("%w: it has migration %s, this build ends at %s", ErrSchemaNewer, row.Name, list[len(list)-1].Name)
		}
		if m := list[version-1]; m.Checksum != row.Checksum {
			return nil, fmt.Errorf("%w: %s has sha256 %s, applied was %s with %s", ErrFileChanged, m.Name, m.Checksum, row.Name, row.Checksum)
		}
		done[version] = true
	}
	return done, nil
}

// CheckSchema refuses a database whose migrations are not exactly this build's.
func CheckSchema(ctx context.Context, conn Conn, l Layout) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	done, err := history(ctx, conn, l, list)
	if err != nil {
		return err
	}
	if len(done) < len(list) {
		return fmt.Errorf("%w (%d of %d migrations are there)", ErrSchemaOlder, len(done), len(list))
	}
	return nil
}

// apply runs one file and records it. A crash between the two repeats the file, which does no harm.
func apply(ctx context.Context, conn Conn, l Layout, m migration) error {
	statements, err := m.statements(l)
	if err != nil {
		return err
	}
	for i, statement := range statements {
		if err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("migration %s, statement %d (%s): %w", m.Name, i+1, firstWords(statement), err)
		}
	}
	if err := conn.Exec(ctx, m.record(l)); err != nil {
		return fmt.Errorf("record migration %s: %w", m.Name, err)
	}
	return nil
}

// record is the statement that says that the migration was applied. Its token makes that of two runs at once one row.
func (m migration) record(l Layout) string {
	return fmt.Sprintf("INSERT INTO %s.schema_migrations (version, name, checksum) SETTINGS async_insert = 0, "+
		"insert_deduplication_token = %s VALUES (%d, %s, %s)", l.database(), quote("migration/"+m.Name+"/"+m.Checksum),
		m.Version, quote(m.Name), quote(m.Checksum))
}

// firstWords names a statement in an error.
func firstWords(statement string) string {
	words := strings.Fields(statement)
	return strings.Join(words[:min(len(words), 6)], " ")
}
