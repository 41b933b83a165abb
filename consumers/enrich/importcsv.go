package enrich

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// table says how a CSV becomes a reference file: its list and its columns.
type table struct {
	list    string
	columns []string
	sets    []string // columns that hold several values, separated by |
}

var tables = map[string]table{
	FormatRoster: {"people", append([]string{"covered_basis", "covered_from", "covered_until", "employed_from", "employed_until"}, without(rosterKeys, "employment")...),
		[]string{"groups"}},
	FormatCatalogue: {"datasets", datasetKeys, []string{"subject_regions", "classes", "categories"}},
	FormatEntities:  {"entities", []string{"id", "title", "country", "role", "from", "until"}, nil},
	FormatNetworks:  {"sites", []string{"name", "kind", "country", "region", "prefixes", "from", "until"}, []string{"prefixes"}},
	FormatApprovals: {"approvals", []string{"id", "actors", "datasets", "scope", "ticket", "from", "until"}, []string{"actors", "datasets"}},
}

func without(list []string, word string) []string {
	var out []string
	for _, w := range list {
		if w != word {
			out = append(out, w)
		}
	}
	return out
}

// ImportCSV turns a table into a reference file of the given format. The first row names the columns as the YAML keys
// are named; several values in a cell are separated by |; an empty cell leaves the key out. A roster has the further
// columns covered_basis, covered_from, covered_until, employed_from and employed_until, and its rows of kind service or
// system become service accounts. Commas and semicolons both separate columns; whichever the first row has more of.
//
// The YAML is nil where there is an Error among the problems; their line and column are those of the table. Whether
// entities exist is not checked: that takes the whole bundle.
func ImportCSV(format string, r io.Reader) ([]byte, []Problem) {
	var problems []Problem
	in := &csvReader{reader: reader{path: "csv", problems: &problems}}
	t, ok := tables[format]
	if !ok {
		in.fail(nil, "", "there is no table for %q", format)
		return nil, problems
	}
	doc := in.read(format, t, r)
	if doc == nil || hasError(problems) {
		return nil, problems
	}
	if o, ok := in.object(doc); ok {
		newBuilder(nil).document(o)
	}
	if hasError(problems) {
		return nil, problems
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(doc), enc.Close()); err != nil {
		in.fail(nil, "", "cannot be written as YAML: %v", err)
		return nil, problems
	}
	return out.Bytes(), problems
}

type csvReader struct{ reader }

// read turns the table into the mapping of a reference file, nil where it is no table.
func (in *csvReader) read(format string, t table, r io.Reader) *yaml.Node {
	rows := in.open(r)
	if rows == nil {
		return nil
	}
	header, err := rows.Read()
	if err != nil {
		in.fail(nil, "", "no table: %v", err)
		return nil
	}
	for i, name := range header {
		if header[i] = strings.TrimSpace(name); !contains(t.columns, header[i]) {
			in.fail(&yaml.Node{Line: 1, Column: i + 1}, nearest(header[i], t.columns), "unknown column %q", name)
		}
	}
	entries, services := sequence(), sequence()
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			in.fail(nil, "", "%v", err)
			return nil
		}
		line, _ := rows.FieldPos(0)
		list := entries
		if format == FormatRoster && isServiceRow(header, row) {
			list = services
		}
		list.Content = append(list.Content, in.entry(header, row, line, t))
	}
	doc := mapping(1)
	put(doc, "format", scalar(format, 1, 1))
	if len(entries.Content) > 0 {
		put(doc, t.list, entries)
	}
	if len(services.Content) > 0 {
		put(doc, "services", services)
	}
	return doc
}

// open finds out how the columns are separated and passes over a byte order mark.
func (in *csvReader) open(r io.Reader) *csv.Reader {
	data, err := io.ReadAll(io.LimitReader(r, MaxDocumentBytes+1))
	if err != nil {
		in.fail(nil, "", "cannot be read: %v", err)
		return nil
	}
	if len(data) > MaxDocumentBytes {
		in.fail(nil, "split it into several tables", "the table has more than %d bytes", MaxDocumentBytes)
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	rows := csv.NewReader(bytes.NewReader(data))
	first, _, _ := bytes.Cut(data, []byte{'\n'})
	if bytes.Count(first, []byte{';'}) > bytes.Count(first, []byte{','}) {
		rows.Comma = ';'
	}
	return rows
}

// entry turns one row into a mapping whose nodes carry the place in the table.
func (in *csvReader) entry(header, row []string, line int, t table) *yaml.Node {
	entry := mapping(line)
	nested := map[string]*yaml.Node{}
	for i, cell := range row {
		if cell = strings.TrimSpace(cell); cell == "" || i >= len(header) {
			continue
		}
		name := header[i]
		if contains(t.sets, name) {
			list := sequence()
			list.Style = yaml.FlowStyle
			for _, v := range strings.Split(cell, "|") {
				list.Content = append(list.Content, scalar(strings.TrimSpace(v), line, i+1))
			}
			put(entry, name, list)
			continue
		}
		outer, inner := nestedColumn(t, name)
		if outer == "" {
			put(entry, name, scalar(cell, line, i+1))
			continue
		}
		if nested[outer] == nil {
			nested[outer] = mapping(line)
			nested[outer].Style = yaml.FlowStyle
			put(entry, outer, nested[outer])
		}
		put(nested[outer], inner, scalar(cell, line, i+1))
	}
	return entry
}

// nestedColumn maps a column of a roster to the key of the mapping it belongs to.
func nestedColumn(t table, name string) (outer, inner string) {
	if t.list != "people" {
		return "", ""
	}
	if name == "covered_person" {
		return name, "answer"
	}
	if inner, ok := strings.CutPrefix(name, "covered_"); ok {
		return "covered_person", inner
	}
	if inner, ok := strings.CutPrefix(name, "employed_"); ok {
		return "employment", inner
	}
	return "", ""
}

func isServiceRow(header, row []string) bool {
	for i, name := range header {
		if name == "kind" && i < len(row) {
			kind := strings.TrimSpace(row[i])
			return kind == "service" || kind == "system"
		}
	}
	return false
}

func mapping(line int) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: line, Column: 1}
}
func sequence() *yaml.Node { return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"} }

func scalar(s string, line, column int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: line, Column: column}
}

func put(m *yaml.Node, key string, value *yaml.Node) {
	if value.Line == 0 {
		value.Line, value.Column = m.Line, m.Column
	}
	m.Content = append(m.Content, scalar(key, m.Line, m.Column), value)
}

// Formats lists the formats of the reference files.
func Formats() []string {
	return []string{FormatRoster, FormatCatalogue, FormatEntities, FormatNetworks, FormatApprovals}
}

// FormatNamed returns the format of a short name: roster, catalogue, entities, networks, approvals.
func FormatNamed(name string) (string, error) {
	for _, format := range Formats() {
		if format == fmt.Sprintf("borderwatch/%s/v1", name) {
			return format, nil
		}
	}
	return "", fmt.Errorf("there is no reference file %q; there are roster, catalogue, entities, networks and approvals", name)
}
