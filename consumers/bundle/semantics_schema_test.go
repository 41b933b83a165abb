package bundle_test

import (
	"strings"
	"testing"

	"borderwatch/schemas/clickhouse"
)

// rawTable is where the bytes of records are.
const rawTable = "raw_rows"

// checkSchema checks a statement about the tables and accounts of ClickHouse, from the statements that make them.
func checkSchema(t *testing.T, statement string) {
	t.Helper()
	statements, err := clickhouse.Statements(clickhouse.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	switch statement {
	case "no_ttl":
		for _, s := range statements {
			if strings.Contains(strings.ToUpper(s), "TTL ") {
				t.Errorf("a statement with a TTL: %s", s)
			}
		}
	case "raw_in_no_view":
		tables := 0
		for _, s := range statements {
			if strings.HasPrefix(s, "CREATE TABLE IF NOT EXISTS bw."+rawTable) {
				tables++
			}
			if strings.Contains(s, "VIEW") && strings.Contains(s, rawTable) {
				t.Errorf("a view that reads %s: %s", rawTable, s)
			}
		}
		if tables != 1 {
			t.Errorf("%d tables called %s, want 1", tables, rawTable)
		}
	case "partner_query_cannot_read_raw":
		if grants := grantsOn(t, "bw_partner", rawTable); len(grants) > 0 {
			t.Errorf("the partner's query account may read it: %v", grants)
		}
	case "partner_verify_can_read_raw":
		if grants := grantsOn(t, "bw_partner_verify", rawTable); len(grants) == 0 {
			t.Error("the partner's verify account may not read it")
		}
	default:
		t.Fatalf("nothing is known of the statement %s", statement)
	}
}

// grantsOn returns the grants of a role that concern a table, by its name or by a pattern of the whole database.
func grantsOn(t *testing.T, role, table string) (grants []string) {
	t.Helper()
	for _, r := range clickhouse.Roles(clickhouse.Layout{}) {
		if r.Name != role {
			continue
		}
		for _, g := range r.Grants {
			if strings.Contains(g, table) || strings.Contains(g, ".*") {
				grants = append(grants, g)
			}
		}
		return grants
	}
	t.Fatalf("there is no role %s", role)
	return nil
}
