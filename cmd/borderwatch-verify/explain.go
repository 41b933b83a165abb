package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"borderwatch/consumers/ledger"
)

// maxEvidence is how many stored rows go into the evidence of one finding. Where a batch has more, its root can be
// computed only from the database.
const maxEvidence = 2_000

// explain names the first rows that judging comes to otherwise and, where a row is at the offset, the columns that differ.
func (c *checker) explain(ctx context.Context, leaf int, table string) (string, error) {
	t := &c.tables[table].leaves[leaf]
	var b strings.Builder
	for _, row := range t.remade {
		names, err := c.columns(ctx, leaf, table, row)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "; offset %d: %s", row.Offset, names)
	}
	if t.missing.n == 0 && t.extra.n > 0 {
		fmt.Fprintf(&b, "; offsets %v", t.extra.some[:min(len(t.extra.some), maxShown)])
	}
	return b.String(), nil
}

func (c *checker) columns(ctx context.Context, leaf int, table string, want storedRow) (string, error) {
	reader, span := c.readers[table], c.batches[leaf].Span()
	span.First, span.Last = want.Offset, want.Offset
	best, found := []string(nil), false
	err := reader.read(ctx, span, func(r *row) {
		if !bytes.Equal(r.batch, c.ids[leaf][:]) {
			return
		}
		if names := reader.differing(r.canonical, want.Canonical); !found || len(names) < len(best) {
			best, found = names, true
		}
	})
	switch {
	case err != nil:
		return "", err
	case !found:
		return "no such row", nil
	case len(best) == 0:
		return "one such row too few", nil
	}
	return strings.Join(best, ", "), nil
}

// evidence reads the rows of a span again, for a finding that stands alone. It is nil where nobody asked for it.
func (c *checker) evidence(ctx context.Context, leaf int, table string, span ledger.Span, judged []storedRow) (any, error) {
	if !c.v.evidence {
		return nil, nil
	}
	var rows []storedRow
	reader := c.readers[table]
	c.rewind()
	err := reader.read(ctx, span, func(r *row) {
		if len(rows) == maxEvidence {
			return
		}
		salt := r.salt
		if salt == nil {
			salt = c.saltAt(r.offset)
		}
		rows = append(rows, storedRow{Table: table, Offset: r.offset, Batch: fmt.Sprintf("%x", r.batch), Salt: bytes.Clone(salt), Canonical: bytes.Clone(r.canonical)})
	})
	if err != nil {
		return nil, err
	}
	return c.v.log.rows(c.s.leaves[leaf:leaf+1], rows, judged), nil
}

// holes names the first offsets at which one of records and their outcome is there without the other.
func (c *checker) holes(leaf int, table string) string {
	if table == "alert_rows" {
		return ""
	}
	records := c.tables["raw_rows"].of(leaf)
	outcomes := slices.Concat(c.tables["event_rows"].of(leaf), c.tables["dead_letter_rows"].of(leaf))
	slices.Sort(outcomes)
	var gone, more []int64
	for _, o := range outcomes {
		if _, ok := slices.BinarySearch(records, o); !ok {
			gone = append(gone, o)
		}
	}
	for _, o := range records {
		if _, ok := slices.BinarySearch(outcomes, o); !ok {
			more = append(more, o)
		}
	}
	text := ""
	if len(gone) > 0 {
		text += fmt.Sprintf("; an event or dead letter without its record at %v", gone[:min(len(gone), maxShown)])
	}
	if len(more) > 0 {
		text += fmt.Sprintf("; a record without its event or dead letter at %v", more[:min(len(more), maxShown)])
	}
	return text
}
