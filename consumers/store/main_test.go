package store_test

import (
	"context"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

func TestMain(m *testing.M) { embeddedtest.Main(m) }

// login is an account at a real ClickHouse.
type login struct {
	*embeddedtest.ClickHouse
	user, password string
}

// shared is the administrator of the server that all tests share; each test takes a database of its own.
func shared(t testing.TB) login {
	return login{embeddedtest.SharedClickHouse(t), embeddedtest.Admin, embeddedtest.Password}
}

// rightsDB is the database that the accounts of the roles have their grants on.
const rightsDB = "bw"

// withRoles is the administrator of a server that has, beside him, one account per role with exactly the role's grants.
func withRoles(t testing.TB) login {
	t.Helper()
	users := []embedded.User{{Name: embeddedtest.Admin, Password: embeddedtest.Password, Admin: true}}
	for _, r := range schema.Roles(schema.Layout{Database: rightsDB}) {
		u := embedded.User{Name: r.Name, Password: embeddedtest.Password, Grants: r.Grants, Settings: r.Settings, Constraints: map[string]embedded.Constraint{}}
		for name, l := range r.Limits {
			u.Constraints[name] = embedded.Constraint{Min: l.Min, Max: l.Max, ReadOnly: l.Fixed}
		}
		users = append(users, u)
	}
	return login{embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Users: users}), embeddedtest.Admin, embeddedtest.Password}
}

// as is another account at the same server.
func (l login) as(user string) login { return login{l.ClickHouse, user, embeddedtest.Password} }

func (l login) options(database string) store.Options {
	return store.Options{Hosts: []string{l.Addr()}, Database: database, User: l.user, Password: l.password}
}

func (l login) dial(t testing.TB) driver.Conn {
	t.Helper()
	conn, err := store.Dial(l.options(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// migrated makes a database with this build's schema and drops it after the test.
func (l login) migrated(t testing.TB, database string) driver.Conn {
	t.Helper()
	conn := l.dial(t)
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
