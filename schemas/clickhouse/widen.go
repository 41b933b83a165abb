package clickhouse

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

var enumColumn = regexp.MustCompile(`^\s+(\w+)\s+\{\{enum "(\w+)"\}\}`)

// enumColumns lists the columns that hold a vocabulary, by table and column, as the migration files say.
func enumColumns() (map[string]map[string]string, error) {
	list, err := migrations()
	if err != nil {
		return nil, err
	}
	out := make(map[string]map[string]string)
	for _, m := range list {
		table := ""
		for line := range strings.Lines(m.text) {
			if rest, ok := strings.CutPrefix(line, "CREATE TABLE IF NOT EXISTS {{.DB}}."); ok {
				table, _, _ = strings.Cut(rest, "{{")
				out[table] = make(map[string]string)
			}
			if f := enumColumn.FindStringSubmatch(line); f != nil {
				out[table][f[1]] = f[2]
			}
		}
	}
	return out, nil
}

// widen appends words that a vocabulary gained since the table was made: a change of metadata alone. A type that is not a
// beginning of the new one is refused.
func widen(ctx context.Context, conn Conn, l Layout) error {
	tables, err := enumColumns()
	if err != nil {
		return err
	}
	var have []struct {
		Table string `ch:"table"`
		Name  string `ch:"name"`
		Type  string `ch:"type"`
	}
	query := fmt.Sprintf("SELECT table, name, type FROM system.columns WHERE database = %s AND type LIKE 'Enum8(%%'", quote(l.database()))
	if err := conn.Select(ctx, &have, query); err != nil {
		return fmt.Errorf("read column types: %w", err)
	}
	for _, column := range have {
		vocabulary, ok := tables[column.Table][column.Name]
		if !ok {
			continue // a view
		}
		want, err := Enum(vocabulary)
		if err != nil {
			return err
		}
		if column.Type == want {
			continue
		}
		name := column.Table + "." + column.Name
		if !strings.HasPrefix(want, strings.TrimSuffix(column.Type, ")")) {
			return fmt.Errorf("%w: column %s is %s, this build needs %s", ErrSchemaNewer, name, column.Type, want)
		}
		alter := fmt.Sprintf("ALTER TABLE %s.%s%s MODIFY COLUMN %s %s", l.database(), column.Table, l.on(), column.Name, want)
		if err := conn.Exec(ctx, alter); err != nil {
			return fmt.Errorf("add words to %s: %w", name, err)
		}
	}
	return nil
}
