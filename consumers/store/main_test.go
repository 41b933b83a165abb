package store_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

// server is the one ClickHouse that all tests of the package share; each takes a database of its own.
var server *embedded.ClickHouse

const (
	adminUser = "admin"
	password  = "of-this-test-only"
)

// rightsDB is the database that the accounts of the roles have their grants on.
const rightsDB = "bw"

func TestMain(m *testing.M) {
	embedded.MaybeRunChild()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	cache, err := embedded.CacheDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp(cache, "store-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	server = embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: dir, Users: users()})
	if err := server.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop(context.Background())
	return m.Run()
}

// users are an administrator and one account per role, with exactly the role's grants.
func users() []embedded.User {
	list := []embedded.User{{Name: adminUser, Password: password, Admin: true}}
	for _, r := range schema.Roles(schema.Layout{Database: rightsDB}) {
		u := embedded.User{Name: r.Name, Password: password, Grants: r.Grants, Settings: r.Settings, Constraints: map[string]embedded.Constraint{}}
		for name, l := range r.Limits {
			u.Constraints[name] = embedded.Constraint{Min: l.Min, Max: l.Max, ReadOnly: l.Fixed}
		}
		list = append(list, u)
	}
	return list
}

func options(database, user string) store.Options {
	return store.Options{Hosts: []string{server.Addr()}, Database: database, User: user, Password: password}
}

func dial(t testing.TB, database, user string) driver.Conn {
	t.Helper()
	conn, err := store.Dial(options(database, user))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// migrated makes a database with this build's schema and drops it after the test.
func migrated(t testing.TB, database string) driver.Conn {
	t.Helper()
	conn := dial(t, database, adminUser)
	ctx := context.Background()
	if err := schema.Migrate(ctx, conn, schema.Options{Layout: schema.Layout{Database: database}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Exec(ctx, "DROP DATABASE "+database+" SYNC"); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func open(t testing.TB, opt store.Options) *store.Store {
	t.Helper()
	s, err := store.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// scalar asks for one number.
func scalar(t testing.TB, conn driver.Conn, query string, args ...any) uint64 {
	t.Helper()
	var n uint64
	if err := conn.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
