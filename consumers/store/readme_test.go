package store_test

import (
	"os"
	"strings"
	"testing"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestQuestionsOfTheReadme runs every question that schemas/README.md teaches, under the partner's account.
func TestQuestionsOfTheReadme(t *testing.T) {
	server := withRoles(t)
	server.migrated(t, rightsDB)
	if err := open(t, server.options(rightsDB)).Insert(t.Context(), filled(0, 0, 21)); err != nil {
		t.Fatal(err)
	}
	replicated, block := fullEvent(100), store.NewBlock()
	replicated.Action = access.ActionReplicate
	block.Begin(testBatch(0, 100))
	block.AppendEvent(replicated, access.Digest{1}, &alert.Verdict{})
	block.Seal(store.Seal{Last: 100})
	if err := open(t, server.options(rightsDB)).Insert(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../schemas/README.md")
	if err != nil {
		t.Fatal(err)
	}
	conn := server.as("bw_partner").dial(t)
	asked := 0
	for _, part := range strings.Split(string(text), "```sql\n")[1:] {
		query, _, ok := strings.Cut(part, "\n```")
		if !ok {
			t.Fatalf("a question does not end: %.80s", part)
		}
		asked++
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Errorf("%s\n%v", query, err)
			continue
		}
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil {
			t.Errorf("%s\n%v", query, err)
		}
		rows.Close()
		// The sample lies in the past of the questions about this week and this month.
		if n == 0 && !strings.Contains(query, "now()") && !strings.Contains(query, "bw.coverage") {
			t.Errorf("no row for\n%s", query)
		}
	}
	if asked != 10 {
		t.Errorf("%d questions, want 10", asked)
	}
}
