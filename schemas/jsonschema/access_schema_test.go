package jsonschema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"borderwatch/schemas/access"
	"borderwatch/schemas/jsonschema"
)

var update = flag.Bool("update", false, "write access.schema.json and the table of fields in ../README.md anew")

type schema = map[string]any

// accessSchema makes the JSON Schema of a native record from the fields of the event.
func accessSchema() schema {
	properties := schema{
		"schema":            schema{"const": access.SchemaV1},
		"data.items":        schema{"$ref": "#/$defs/items"},
		"location.evidence": schema{"$ref": "#/$defs/evidence"},
		"raw":               false,
		"kafka":             false,
	}
	nested := map[string]schema{
		"data":     {"items": schema{"$ref": "#/$defs/items"}},
		"location": {"evidence": schema{"$ref": "#/$defs/evidence"}},
	}
	once := schema{
		"data.items":        absent("data", "items"),
		"location.evidence": absent("location", "evidence"),
	}
	item := schema{}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		name := f.String()
		properties[name] = fieldSchema(f)
		group, rest, dotted := strings.Cut(name, ".")
		if !dotted {
			continue
		}
		if nested[group] == nil {
			nested[group] = schema{}
		}
		nested[group][rest] = fieldSchema(f)
		once[name] = absent(group, rest)
		if f.Info().PerItem {
			item[rest] = fieldSchema(f)
		}
	}
	for group, members := range nested {
		object := schema{"type": []string{"object", "null"}, "properties": members}
		if group == "location" || group == "network" {
			object["additionalProperties"] = false
		}
		properties[group] = object
	}
	return schema{
		"$schema":           "https://json-schema.org/draft/2020-12/schema",
		"$id":               access.SchemaV1,
		"title":             "Data-access event",
		"description":       "Who opened whose data, with what action, from where, under which approval. Every field may be written flat (\"actor.id\": …) or nested (\"actor\": {\"id\": …}), but only once. The decoder is stricter than a schema can say: duplicate keys, keys that differ from a known one only in case, invalid UTF-8, NUL, numbers written with point or exponent, size and depth are its own. It also reads a country's English name.",
		"type":              "object",
		"properties":        properties,
		"patternProperties": schema{`^(network|kafka)\.`: false},
		"allOf": []any{
			schema{"required": []string{"schema"}},
			given("event_id"), given("time"), given("source.feed"), given("actor.id"),
		},
		"dependentSchemas": once,
		"$defs": schema{
			"items": schema{
				"type": []string{"array", "null"}, "description": "The data sets opened besides the one of the data.* fields.",
				"items": schema{"type": "object", "properties": item}, "maxItems": 1024,
			},
			"evidence": evidenceSchema(),
			"country":  schema{"enum": countryWords(false)},
			"place":    schema{"enum": countryWords(true)},
		},
	}
}

// fieldSchema describes one field's value.
func fieldSchema(f access.Field) any {
	info := f.Info()
	if info.Need == access.Computed {
		return false
	}
	s := schema{"description": meanings[f]}
	switch info.Type {
	case access.Text, access.Address:
		s["type"], s["pattern"] = []string{"string", "null"}, `^[^\x00-\x1f]*$`
		if f == access.FieldJustification {
			s["pattern"] = `^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$`
		}
	case access.Texts:
		s["type"], s["items"] = []string{"array", "null"}, schema{"type": "string", "pattern": `^[^\x00-\x1f]*$`}
	case access.Word:
		s["enum"] = words(info.Vocabulary, f == access.FieldSessionMFA)
	case access.Words:
		s["type"], s["items"] = []string{"array", "null"}, schema{"enum": append(words(info.Vocabulary, false)[:len(info.Vocabulary.Words())], "")}
	case access.Nation:
		s["$ref"] = "#/$defs/country"
	case access.Region:
		s["$ref"] = "#/$defs/place"
	case access.Integer:
		s["type"], s["minimum"], s["maximum"] = []string{"integer", "null"}, 0, json.Number("9223372036854775807")
	case access.Time:
		s["anyOf"] = []any{
			schema{"type": "string", "pattern": `^(19[7-9]\d|2[01]\d\d|22[0-5]\d|226[01])-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)$`},
			schema{"enum": []any{"", "unknown", nil}},
		}
	}
	return s
}

// words lists a vocabulary's words and what else stands for unknown.
func words(v *access.Vocabulary, boolean bool) []any {
	var list []any
	for _, word := range v.Words() {
		list = append(list, word)
	}
	list = append(list, "", nil)
	if boolean {
		list = append(list, true, false)
	}
	return list
}

func countryWords(regions bool) []any {
	var list []any
	for c := 1; c <= access.CountryCount; c++ {
		list = append(list, access.Country(c).String())
	}
	list = append(list, "UK", "unknown", "??", "", nil)
	if regions {
		list = append(list, "AFR", "ANT", "ANY", "ASI", "EUR", "NAM", "OCE", "SAM")
	}
	return list
}

func evidenceSchema() schema {
	piece := func(kind []string, member string, value any) schema {
		other := map[string]string{"country": "address", "address": "country"}[member]
		return schema{"type": "object", "required": []string{"kind", member}, "properties": schema{
			"kind": schema{"enum": kind}, member: value, other: schema{"const": ""},
		}}
	}
	return schema{
		"type": []string{"array", "null"}, "description": "Evidence of presence that the source has: the country of a badge or managed device, or the session's client address behind remote access. Each kind once.",
		"items": schema{"anyOf": []any{
			piece([]string{"badge", "device"}, "country", schema{"allOf": []any{schema{"$ref": "#/$defs/place"}, schema{"type": "string"}}}),
			piece([]string{"client_address"}, "address", schema{"type": "string", "minLength": 1}),
		}},
	}
}

// given requires a field in one of its two forms, with a value that is not unknown.
func given(name string) schema {
	value := schema{"type": "string", "not": schema{"enum": []string{"", "unknown"}}}
	flat := schema{"required": []string{name}, "properties": schema{name: value}}
	group, rest, dotted := strings.Cut(name, ".")
	if !dotted {
		return flat
	}
	return schema{"anyOf": []any{flat, schema{"required": []string{group}, "properties": schema{
		group: schema{"type": "object", "required": []string{rest}, "properties": schema{rest: value}},
	}}}}
}

// absent forbids the nested form of a field.
func absent(group, rest string) schema {
	return schema{"properties": schema{group: schema{"properties": schema{rest: false}}}}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sync compares a generated text with its file; -update writes the file.
func sync(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s does not follow from the fields of the event: run this test with -update", file)
	}
}

func TestAccessSchemaIsGenerated(t *testing.T) {
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		if meanings[f] == "" {
			t.Errorf("%s has no meaning", f)
		}
	}
	sync(t, "access.schema.json", marshal(t, accessSchema()))
}

const tableStart, tableEnd = "<!-- fields: generated from schemas/access, do not edit -->\n", "<!-- end of fields -->"

func TestFieldTableIsGenerated(t *testing.T) {
	const file = "../README.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), tableStart)
	_, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table of fields", file)
	}
	sync(t, file, []byte(head+tableStart+fieldTable()+tableEnd+tail))
}

func fieldTable() string {
	var b strings.Builder
	b.WriteString("| field | value | need | meaning |\n|---|---|---|---|\n| `schema` | `bw/access/v1` | required | Says which format the record is in. |\n")
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		info := f.Info()
		need := [...]string{"optional", "key", "required", "computed"}[info.Need]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", info.Name, valueOf(info), need, meanings[f])
	}
	return b.String()
}

func valueOf(info access.Info) string {
	switch info.Type {
	case access.Texts:
		return "list of strings"
	case access.Word:
		return info.Vocabulary.String()
	case access.Words:
		return "list of " + info.Vocabulary.String()
	case access.Nation:
		return "country"
	case access.Nations:
		return "countries"
	case access.Region:
		return "country, region code or `??`"
	case access.Integer:
		return "whole number"
	case access.Time:
		return "RFC 3339 time"
	case access.Address:
		return "address or name"
	}
	return "string"
}

// compile reads the shipped schema as a producer would.
func compile(t *testing.T) *validator.Schema {
	t.Helper()
	file, err := jsonschema.Files.Open("access.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	doc, err := validator.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("access.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("access.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAccessSchemaValidates(t *testing.T) {
	const base = `{"schema":"bw/access/v1","event_id":"e","time":"2026-03-01T10:00:00Z","source.feed":"f","actor.id":"u"%s}`
	tests := []struct {
		name, value string
		ok          bool
	}{
		{"minimal", fmt.Sprintf(base, ""), true},
		{"nested", `{"schema":"bw/access/v1","event_id":"e","time":"2026-03-01T10:00:00.5+02:00","source":{"feed":"f"},"actor":{"id":"u"}}`, true},
		{"sets and items", fmt.Sprintf(base, `,"data.classes":[],"data":{"items":[{"dataset":"a","storage_country":"DE"}]}`), true},
		{"evidence", fmt.Sprintf(base, `,"location":{"evidence":[{"kind":"badge","country":"DE"},{"kind":"client_address","address":"203.0.113.7"}]}`), true},
		{"unknown member", fmt.Sprintf(base, `,"shoe":43`), true},
		{"second factor", fmt.Sprintf(base, `,"session.mfa":true`), true},
		{"empty", `{}`, false},
		{"unknown actor", `{"schema":"bw/access/v1","event_id":"e","time":"2026-03-01T10:00:00Z","source.feed":"f","actor.id":"unknown"}`, false},
		{"twice", fmt.Sprintf(base, `,"action":"read","actor":{"id":"u"}`), false},
		{"computed", fmt.Sprintf(base, `,"location":{"country":"DE"}`), false},
		{"kafka", fmt.Sprintf(base, `,"kafka.offset":1`), false},
		{"word", fmt.Sprintf(base, `,"action":"peek"`), false},
		{"word in a set", fmt.Sprintf(base, `,"data.classes":["secret"]`), false},
		{"country", fmt.Sprintf(base, `,"data.storage_country":"EUR"`), false},
		{"negative", fmt.Sprintf(base, `,"data.records":-1`), false},
		{"over 2^63", fmt.Sprintf(base, `,"data.records":9223372036854775808`), false},
		{"year", strings.Replace(fmt.Sprintf(base, ""), "2026", "2262", 1), false},
		{"control character", fmt.Sprintf(base, `,"session.id":"a\u0007"`), false},
	}
	s := compile(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value, err := validator.UnmarshalJSON(strings.NewReader(tt.value))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(value); (err == nil) != tt.ok {
				t.Errorf("valid %v, want %v: %v", err == nil, tt.ok, err)
			}
		})
	}
}
