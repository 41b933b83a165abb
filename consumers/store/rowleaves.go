package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RowLeaf is the leaf of a row in the evidence: of one that is stored, or of one that was erased.
type RowLeaf struct {
	Table   string // raw_rows, event_rows, alert_rows or dead_letter_rows
	Offset  int64
	Ordinal uint32 // place among the rows of the offset in the table, in the order of the evidence
	Leaf    [32]byte
}

// ErrRowsDiffer means that rows and tombstones contradict each other.
var ErrRowsDiffer = errors.New("rows and tombstones contradict each other")

// evidenceOrder is the order of rows in the roots. A rule_id is a word in the table and compared as one.
var evidenceOrder = map[string]string{
	"event_rows": "offset", "dead_letter_rows": "offset", "raw_rows": "offset",
	"alert_rows": "offset, toString(rule_id), shadow, alert_id",
}

// provedTables are the tables of a batch, those with the salts first.
var provedTables = []string{"event_rows", "dead_letter_rows", "alert_rows", "raw_rows"}

// RowLeaves reads the rows that a batch wrote at the offsets of a range, and hashes them as in the roots of its leaf. The
// id of the batch is hexadecimal, as in Receipt.
func (s *Store) RowLeaves(ctx context.Context, r Range, batch string) ([]RowLeaf, error) {
	var out []RowLeaf
	salts := map[int64]string{}
	for _, table := range provedTables {
		if err := s.readLeaves(ctx, table, r, batch, salts, &out); err != nil {
			return nil, fmt.Errorf("read %s at offsets %d to %d of %s[%d]: %w", table, r.First, r.Last, r.Topic, r.Partition, err)
		}
	}
	return out, nil
}

func (s *Store) readLeaves(ctx context.Context, table string, r Range, batch string, salts map[int64]string, out *[]RowLeaf) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	row := newCanonicalRow(table)
	query := fmt.Sprintf("SELECT %s FROM %s.%s WHERE source = $1 AND topic = $2 AND partition = $3 AND offset BETWEEN $4 AND $5 "+
		"AND batch_id = CAST(unhex($6), 'FixedString(16)') ORDER BY %s", strings.Join(row.selected, ", "), s.opt.Database, table, evidenceOrder[table])
	rows, err := s.conn.Query(ctx, query, r.Source, r.Topic, r.Partition, r.First, r.Last, batch)
	if err != nil {
		return err
	}
	defer rows.Close()
	previous, ordinal := int64(-1), uint32(0)
	for rows.Next() {
		if err := rows.Scan(row.into...); err != nil {
			return err
		}
		if row.salt != "" {
			salts[row.offset] = row.salt
		}
		if ordinal++; row.offset != previous {
			previous, ordinal = row.offset, 0
		}
		leaf, err := row.leaf(salts[row.offset])
		if err != nil {
			return err
		}
		*out = append(*out, RowLeaf{Table: table, Offset: row.offset, Ordinal: ordinal, Leaf: leaf})
	}
	return rows.Err()
}

// canonicalRow is how the rows of a table are asked for and put together to what is hashed.
type canonicalRow struct {
	table    string
	selected []string
	into     []any
	offset   int64
	salt     string // hexadecimal; empty where the table has none
	cells    []any  // *string or *[]string
	fixed    []bool // the string is the hexadecimal form of a value of fixed width
	buf      []byte
}

func newCanonicalRow(table string) *canonicalRow {
	r := &canonicalRow{table: table, selected: []string{"offset"}}
	r.into = append(r.into, &r.offset)
	salt := "''"
	if table == "event_rows" || table == "dead_letter_rows" {
		salt = "hex(salt)"
	}
	r.selected, r.into = append(r.selected, salt), append(r.into, &r.salt)
	for _, c := range Columns(table) {
		expression, fixed := canonicalExpression(c)
		var cell any = new(string)
		if strings.HasPrefix(c.Type, "Array(") {
			cell = new([]string)
		}
		r.selected = append(r.selected, expression)
		r.into, r.cells, r.fixed = append(r.into, cell), append(r.cells, cell), append(r.fixed, fixed)
	}
	return r
}

// canonicalExpression asks for the bytes of a value: those of fixed width in hexadecimal, least first.
func canonicalExpression(c Column) (expression string, fixed bool) {
	bytesOf := func(number string) (string, bool) { return "hex(reinterpretAsFixedString(" + number + "))", true }
	switch {
	case strings.HasPrefix(c.Type, "Array("):
		return "CAST(" + c.Name + ", 'Array(String)')", false
	case strings.Contains(c.Type, "FixedString("):
		return "hex(" + c.Name + ")", true
	case strings.HasPrefix(c.Type, "Enum8("):
		return bytesOf("CAST(" + c.Name + ", 'Int8')")
	case c.Type == "Bool":
		return bytesOf("CAST(" + c.Name + ", 'UInt8')")
	case strings.HasPrefix(c.Type, "DateTime64("):
		return bytesOf("toUnixTimestamp64Milli(" + c.Name + ")")
	case strings.Contains(c.Type, "String"):
		return "CAST(" + c.Name + ", 'String')", false
	}
	return bytesOf(c.Name)
}

// leaf hashes the row that was scanned last.
func (r *canonicalRow) leaf(salt string) (sum [32]byte, err error) {
	b := append(r.buf[:0], 0)
	if b, err = hex.AppendDecode(b, []byte(salt)); err != nil {
		return sum, err
	}
	if len(b) != 1+SaltSize {
		return sum, fmt.Errorf("%w: offset %d has no salt", ErrRowsDiffer, r.offset)
	}
	b = append(append(append(b, canonicalPrefix...), r.table...), 0)
	for i, cell := range r.cells {
		switch v := cell.(type) {
		case *[]string:
			b = binary.AppendUvarint(b, uint64(len(*v)))
			for _, s := range *v {
				b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
			}
		case *string:
			if !r.fixed[i] {
				b = append(binary.AppendUvarint(b, uint64(len(*v))), *v...)
			} else if b, err = hex.AppendDecode(b, []byte(*v)); err != nil {
				return sum, err
			}
		}
	}
	r.buf = b
	return sha256.Sum256(b), nil
}

// MergeLeaves puts rows and tombstones in the order of the evidence. Where an erasure was interrupted, both are there and
// have to be equal; the error wraps ErrRowsDiffer otherwise, and where ordinals are missing.
func MergeLeaves(rows []RowLeaf, erased []RowLeaf) ([]RowLeaf, error) {
	all := slices.Concat(rows, erased)
	slices.SortStableFunc(all, compareLeaves)
	out := all[:0]
	for _, l := range all {
		n := len(out)
		if n > 0 && compareLeaves(out[n-1], l) == 0 {
			if out[n-1].Leaf != l.Leaf {
				return nil, fmt.Errorf("%w: %s at offset %d", ErrRowsDiffer, l.Table, l.Offset)
			}
			continue
		}
		follows := n > 0 && out[n-1].Table == l.Table && out[n-1].Offset == l.Offset
		if follows && l.Ordinal != out[n-1].Ordinal+1 || !follows && l.Ordinal != 0 {
			return nil, fmt.Errorf("%w: %s at offset %d lacks a row or tombstone before number %d", ErrRowsDiffer, l.Table, l.Offset, l.Ordinal)
		}
		out = append(out, l)
	}
	return out, nil
}

// LeafRoots computes the roots over leaves in the order of MergeLeaves, and how many there are of each table.
func LeafRoots(leaves []RowLeaf) (Roots, map[string]int64) {
	trees, counts := map[string]*tree{}, map[string]int64{}
	for _, table := range provedTables {
		trees[table] = &tree{}
	}
	for _, l := range leaves {
		trees[l.Table].add(l.Leaf)
		counts[l.Table]++
	}
	return Roots{Records: trees["raw_rows"].root(), Events: trees["event_rows"].root(),
		Alerts: trees["alert_rows"].root(), Quarantine: trees["dead_letter_rows"].root()}, counts
}
