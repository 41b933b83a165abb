package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

// TestMigrateTwiceAndAtOnce runs migrations again, and several at the same time on a new database.
func TestMigrateTwiceAndAtOnce(t *testing.T) {
	const db = "bw_twice"
	opt := schema.Options{Layout: schema.Layout{Database: db}}
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		conn := shared(t).dial(t)
		group.Go(func() { errs[i] = schema.Migrate(context.Background(), conn, opt) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	conn := shared(t).migrated(t, db)
	if n := scalar(t, conn, "SELECT count() FROM bw_twice.schema_migrations"); n != schema.Version {
		t.Errorf("%d migrations recorded, want %d", n, schema.Version)
	}
	if err := schema.CheckSchema(t.Context(), conn, opt.Layout); err != nil {
		t.Error(err)
	}
}

func TestMigrateRefuses(t *testing.T) {
	const db = "bw_refuse"
	conn := shared(t).migrated(t, db)
	opt := schema.Options{Layout: schema.Layout{Database: db}}
	record := func(version int, checksum string) {
		t.Helper()
		if err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s.schema_migrations (version, name, checksum) VALUES (%d, '%03d_x', '%s')", db, version, version, checksum)); err != nil {
			t.Fatal(err)
		}
	}
	record(schema.Version+1, "x")
	if err := schema.Migrate(t.Context(), conn, opt); !errors.Is(err, schema.ErrSchemaNewer) {
		t.Errorf("a newer schema: %v", err)
	}
	s := open(t, shared(t).options(db))
	if err := s.Check(t.Context()); !errors.Is(err, schema.ErrSchemaNewer) {
		t.Errorf("check on a newer schema: %v", err)
	}
	if err := conn.Exec(t.Context(), "TRUNCATE TABLE bw_refuse.schema_migrations"); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, schema.ErrSchemaOlder) || !strings.Contains(err.Error(), "borderwatch migrate") {
		t.Errorf("check on an empty schema: %v", err)
	}
	record(1, "other")
	if err := schema.Migrate(t.Context(), conn, opt); !errors.Is(err, schema.ErrFileChanged) {
		t.Errorf("a changed file: %v", err)
	}
}

// TestUnreachable says which host and what is wrong.
func TestUnreachable(t *testing.T) {
	opt := shared(t).options("bw")
	opt.Hosts = []string{"127.0.0.1:1"}
	err := open(t, opt).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
	if _, err := store.Dial(store.Options{}); err == nil {
		t.Error("dialled no host")
	}
}
