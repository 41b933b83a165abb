package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/store"
	schema "borderwatch/schemas/clickhouse"
)

type migrateFlags struct {
	config configFlags
	roles  bool
	script bool
}

func newMigrate() *cobra.Command {
	var f migrateFlags
	cmd := &cobra.Command{
		Use:   "migrate --config FILE",
		Short: "Bring ClickHouse to this build's tables, views and roles",
		Long: `migrate makes the database, tables and views of this build and changes nothing
where they are there. It can be run again at any time, and by several at once.

The configuration names the account that changes the schema (role bw_migrate, or
an administrator on the first run), which workers do not have: give migrate a
file of its own. With clickhouse.cluster, tables are replicated and every
statement runs on the whole cluster.

--roles makes the roles of workers, console and partner with the least that each
needs; the account then needs ACCESS MANAGEMENT. --print writes all statements
and examples of accounts instead of running them.`,
		Example: `  borderwatch migrate --config migrate.yaml --roles
  borderwatch migrate --config migrate.yaml --print > schema.sql`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.config.register(cmd)
	cmd.Flags().BoolVar(&f.roles, "roles", false, "make the roles, their limits and grants as well")
	cmd.Flags().BoolVar(&f.script, "print", false, "write the statements, roles and examples of accounts among them, and run none")
	return cmd
}

func (f *migrateFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	loaded, err := f.config.load(config.NeedClickHouse)
	if err != nil {
		return err
	}
	layout := schema.Layout{Database: loaded.ClickHouse.Database, Cluster: loaded.ClickHouse.Cluster}
	switch {
	case f.config.print:
		return printConfig(stdout, loaded)
	case f.script:
		return schema.WriteScript(stdout, schema.Options{Layout: layout, Roles: true})
	}
	if err := loaded.ReadSecrets(); err != nil {
		return usageError{err}
	}
	options, err := storeOptions(loaded.ClickHouse)
	if err != nil {
		return usageError{err}
	}
	conn, err := store.Dial(options)
	if err != nil {
		return usageError{err}
	}
	defer conn.Close()
	if err := schema.Migrate(ctx, conn, schema.Options{Layout: layout, Roles: f.roles}); err != nil {
		return fmt.Errorf("migrate %s: %w%s", loaded.ClickHouse.Hosts[0], err, migrateHint(err, loaded.ClickHouse.Username))
	}
	_, err = fmt.Fprintf(stderr, "Database %s at %s has schema version %d.\n", layout.Database, loaded.ClickHouse.Hosts[0], schema.Version)
	return err
}

// The codes of ClickHouse behind which is something that the operator can mend.
const (
	codeClusterUnknown     = 170
	codeClusterMissing     = 701
	codeAccessStorage      = 495 // ACCESS_STORAGE_READONLY
	codeAccessNoPlace      = 514 // ACCESS_STORAGE_FOR_INSERTION_NOT_FOUND
	codeAccessDenied       = 497
	codeLoginRefused       = 516
	codeMacroMissing       = 139 // NO_ELEMENTS_IN_CONFIG
	codeKeeperUnconfigured = 999
)

// migrateHint says what to do about an error of the server, "" where its own words say it.
func migrateHint(err error, user string) string {
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Code {
	case codeAccessDenied:
		return fmt.Sprintf("\nThe account %s lacks a right. It needs those of the role bw_migrate on this database, for --roles ACCESS MANAGEMENT"+
			" too; borderwatch migrate --print shows the statements for an administrator to run.", user)
	case codeLoginRefused:
		return fmt.Sprintf("\nSee clickhouse.username (%s) and clickhouse.password_file.", user)
	case codeAccessStorage, codeAccessNoPlace:
		return "\nThis server takes its accounts from its configuration files, so roles cannot be made by statements: leave out --roles."
	case codeClusterUnknown, codeClusterMissing:
		return "\nSee clickhouse.cluster: SELECT DISTINCT cluster FROM system.clusters lists what the server knows."
	case codeMacroMissing, codeKeeperUnconfigured:
		return "\nReplicated tables (clickhouse.cluster) need Keeper and the macros shard and replica in the servers' configuration."
	}
	return ""
}
