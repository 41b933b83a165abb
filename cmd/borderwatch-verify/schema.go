package main

import (
	"context"
	"regexp"
	"strings"

	schema "borderwatch/schemas/clickhouse"
)

var viewStatement = regexp.MustCompile(`(?s)^CREATE (?:OR REPLACE )?VIEW (?:IF NOT EXISTS )?(\w+)\.(\w+)(?: ON CLUSTER '[^']*')? SQL SECURITY INVOKER AS\s+(.*)$`)

// definedViews are the questions behind the views of this build, by name.
func definedViews(database string) (map[string]string, error) {
	statements, err := schema.Statements(schema.Layout{Database: database})
	if err != nil {
		return nil, err
	}
	views := map[string]string{}
	for _, s := range statements {
		if m := viewStatement.FindStringSubmatch(s); m != nil {
			views[m[2]] = m[3]
		}
	}
	return views, nil
}

// schema finds tables and views that are not those of this build, and row policies, which hide rows from some accounts.
func (v *verification) schema(ctx context.Context) error {
	if err := v.objects(ctx); err != nil {
		return err
	}
	v.policies(ctx)
	return nil
}

func (v *verification) objects(ctx context.Context) error {
	var rows []struct {
		Name   string `ch:"name"`
		Engine string `ch:"engine"`
		Create string `ch:"create"`
		Select string `ch:"as_select"`
	}
	err := v.conn.Select(ctx, &rows, "SELECT name, engine, create_table_query AS create, as_select FROM system.tables WHERE database = $1", v.db)
	if err != nil {
		return err
	}
	views, err := definedViews(v.db)
	if err != nil {
		return err
	}
	is := map[string]string{}
	for _, r := range rows {
		is[r.Name] = r.Engine
		want, ok := views[r.Name]
		if !ok || r.Engine != "View" {
			continue
		}
		same, err := v.sameSelect(ctx, want, r.Select)
		if err != nil {
			return err
		}
		if !same || !strings.Contains(r.Create, " SQL SECURITY INVOKER ") {
			v.report.add(Finding{Kind: "view", Where: v.db + "." + r.Name, Text: "it is not the view of this build: what it shows may not be what is stored", Evidence: r})
		}
	}
	for _, name := range sortedKeys(views) {
		if is[name] != "View" {
			v.report.add(Finding{Kind: "view", Where: v.db + "." + name, Text: "it is not there as a view: " + orNothing(is[name])})
		}
	}
	for _, name := range append([]string{"receipts", "activations", "notices", "bundles", "bundle_parts"}, tables...) {
		if !strings.HasSuffix(is[name], "MergeTree") {
			v.report.add(Finding{Kind: "table", Where: v.db + "." + name, Text: "it is not there as a table: " + orNothing(is[name])})
		}
	}
	return nil
}

func orNothing(engine string) string {
	if engine == "" {
		return "your account sees nothing of that name"
	}
	return "it is of the engine " + engine
}

// sameSelect compares two questions as the server writes them.
func (v *verification) sameSelect(ctx context.Context, a, b string) (same bool, err error) {
	err = v.conn.QueryRow(ctx, "SELECT formatQuerySingleLine($1) = formatQuerySingleLine($2)", a, b).Scan(&same)
	return same, err
}

// policies lists row policies. An account that may not see them says so in the report.
func (v *verification) policies(ctx context.Context) {
	var rows []struct {
		Name   string `ch:"name"`
		Table  string `ch:"table"`
		Filter string `ch:"filter"`
	}
	err := v.conn.Select(ctx, &rows, "SELECT name, table, ifNull(select_filter, '') AS filter FROM system.row_policies WHERE database = $1 OR database = '' ORDER BY name", v.db)
	if err != nil {
		v.report.limit("Row policies are not shown to your account, so one that hides rows from other accounts goes unseen: grant SHOW ROW POLICIES (%v).", err)
		return
	}
	for _, r := range rows {
		v.report.add(Finding{Kind: "row_policy", Where: v.db + "." + r.Table, Text: "the row policy " + r.Name + " hides rows from some accounts: " + r.Filter, Evidence: r})
	}
}
