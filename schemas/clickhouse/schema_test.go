package clickhouse_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"borderwatch/schemas/access"
	"borderwatch/schemas/clickhouse"
)

// TestEnumFollowsTheVocabulary compares the column types with the words of the code. Indexes are stored, so a word that
// moved would change what old rows say.
func TestEnumFollowsTheVocabulary(t *testing.T) {
	for name, v := range map[string]*access.Vocabulary{
		"actor_kind": access.ActorKinds, "answer": access.Answers, "employment": access.Employments, "action": access.Actions,
		"outcome": access.Outcomes, "data_form": access.DataForms, "mechanism": access.Mechanisms, "decision": access.Decisions,
		"network_kind": access.NetworkKinds, "location_verdict": access.Verdicts, "expectation": access.Expectations,
		"confidence": access.Confidences,
	} {
		got, err := clickhouse.Enum(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i, w := range v.Words() {
			want = append(want, fmt.Sprintf("'%s' = %d", w, i))
		}
		if w := "Enum8(" + strings.Join(want, ", ") + ")"; got != w {
			t.Errorf("%s: %s, want %s", name, got, w)
		}
	}
	for name, want := range map[string]string{
		"verdict":        "Enum8('none' = 0, 'suppressed' = 1, 'unknown' = 2, 'alert' = 3, 'error' = 4)",
		"severity":       "Enum8('none' = 0, 'info' = 1, 'low' = 2, 'medium' = 3, 'high' = 4, 'critical' = 5)",
		"approval_state": "Enum8('none' = 0, 'asserted' = 1, 'confirmed' = 2, 'refused' = 3)",
		"case_kind":      "Enum8('policy' = 0, 'gap' = 1)",
	} {
		if got, err := clickhouse.Enum(name); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	if _, err := clickhouse.Enum("colour"); err == nil {
		t.Error("a vocabulary that does not exist has a type")
	}
}

// TestStatementsForBothLayouts renders every file for one node and for a cluster.
func TestStatementsForBothLayouts(t *testing.T) {
	one, err := clickhouse.Statements(clickhouse.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	many, err := clickhouse.Statements(clickhouse.Layout{Database: "other", Cluster: "prod's"})
	if err != nil {
		t.Fatal(err)
	}
	if len(one) != len(many) || len(one) < 15 {
		t.Fatalf("%d and %d statements", len(one), len(many))
	}
	for i, s := range many {
		if !strings.Contains(s, `ON CLUSTER 'prod\'s'`) || strings.Contains(s, "bw.") {
			t.Errorf("not for the cluster: %s", s)
		}
		if strings.Contains(one[i], "ON CLUSTER") || strings.Contains(one[i], "Replicated") || strings.Contains(one[i], "{{") {
			t.Errorf("not for one node: %s", one[i])
		}
		if strings.HasPrefix(s, "CREATE TABLE") {
			table := strings.TrimPrefix(strings.Fields(s)[5], "other.")
			want := "ReplicatedMergeTree('/clickhouse/tables/{shard}/other/" + table + "', '{replica}')"
			if !strings.Contains(s, want) {
				t.Errorf("%s is not replicated as %s", table, want)
			}
		}
	}
}

// TestTablesPinDefaults looks for every setting whose default moved, in every table.
func TestTablesPinDefaults(t *testing.T) {
	statements, err := clickhouse.Statements(clickhouse.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if !strings.HasPrefix(s, "CREATE TABLE") {
			continue
		}
		for _, pin := range []string{"fsync_after_insert = 1", "fsync_part_directory = 1", "non_replicated_deduplication_window = 200000",
			"replicated_deduplication_window = 200000", "replicated_deduplication_window_seconds = 604800", "index_granularity = 8192"} {
			if !strings.Contains(s, pin) {
				t.Errorf("%s lacks %s", strings.Fields(s)[5], pin)
			}
		}
		if strings.Contains(s, "TTL") {
			t.Errorf("%s has a TTL", strings.Fields(s)[5])
		}
	}
}

// TestRolesHaveNoWayOut refuses grants that would let a reader write or leave the database.
func TestRolesHaveNoWayOut(t *testing.T) {
	for _, r := range clickhouse.Roles(clickhouse.Layout{}) {
		for _, g := range r.Grants {
			if slices.Contains([]string{"bw_partner", "bw_partner_verify", "bw_api"}, r.Name) && !strings.HasPrefix(g, "GRANT SELECT") &&
				!slices.Contains([]string{"bw_apiGRANT INSERT ON bw.actions", "bw_partner_verifyGRANT SHOW ROW POLICIES ON bw.*"}, r.Name+g) {
				t.Errorf("%s: %s", r.Name, g)
			}
			if strings.Contains(g, "ON *.*") || strings.Contains(g, "ALL") || strings.Contains(g, "ALTER TABLE") {
				t.Errorf("%s: %s", r.Name, g)
			}
		}
		for _, setting := range []string{"max_execution_time", "max_memory_usage"} {
			if l, ok := r.Limits[setting]; ok && l.Min == "" {
				t.Errorf("%s: 0 lifts the limit of %s", r.Name, setting)
			}
		}
		if r.Name == "bw_partner" && strings.Contains(strings.Join(r.Grants, ";"), "raw_rows") {
			t.Error("the partner's query account reads raw")
		}
	}
}
