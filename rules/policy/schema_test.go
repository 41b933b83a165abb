package policy_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

type schema = map[string]any

func text(description string) schema {
	return schema{"type": []string{"string", "number"}, "description": description}
}

func enum(words []string, description string) schema {
	return schema{"enum": words, "description": description}
}

func ref(name string) schema { return schema{"$ref": "#/$defs/" + name} }

func oneOrMore(of schema) schema {
	return schema{"anyOf": []schema{of, {"type": "array", "minItems": 1, "items": of}}}
}

func object(required []string, properties schema) schema {
	return schema{"type": "object", "additionalProperties": false, "required": required, "properties": properties}
}

// literals is the schema of a field's values in a condition.
func literals(f access.Field) schema {
	info := f.Info()
	switch info.Type {
	case access.Word, access.Words:
		return schema{"enum": info.Vocabulary.Words()}
	case access.Nation, access.Nations, access.Region:
		return schema{"type": "string", "pattern": "^([A-Z]{2}|@[A-Za-z][A-Za-z0-9_.-]*|unknown" + map[bool]string{true: "|ASI|EUR|OCE|AFR|NAM|SAM|ANT"}[info.Type == access.Region] + ")$"}
	case access.Integer:
		return schema{"type": []string{"integer", "string"}}
	}
	return schema{"type": []string{"string", "number"}}
}

// lines is the schema of the lines of when: every field with every operator it takes.
func lines() schema {
	properties := schema{}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		for _, op := range policy.OperatorWords(f.Info().Type) {
			key, value := strings.TrimSpace(f.String()+" "+op), ref(f.String())
			switch op {
			case "missing":
				value = schema{"const": true}
			case "same as", "differs from":
				value = ref("field")
			case "at least", "at most":
				value = literals(f)
			case "within", "starts with":
				value = oneOrMore(schema{"type": "string"})
			}
			properties[key] = value
		}
	}
	return schema{"type": "object", "additionalProperties": false, "minProperties": 1, "properties": properties}
}

// eventValue is the schema of a field in a test's event: null is missing, [] is a set that is known to be empty.
func eventValue(f access.Field) schema {
	info := f.Info()
	if info.Type != access.Word && info.Type != access.Words {
		return schema{}
	}
	word := schema{"enum": info.Vocabulary.Words()}
	if info.Type == access.Word {
		return schema{"anyOf": []schema{word, {"type": "null"}}}
	}
	return schema{"anyOf": []schema{word, {"type": "array", "items": word}, {"type": "null"}}}
}

// testEvent is the schema of a test's event.
func testEvent() schema {
	properties, item := schema{}, schema{}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		properties[f.String()] = eventValue(f)
		if f.Info().PerItem {
			item[strings.TrimPrefix(f.String(), "data.")] = eventValue(f)
		}
	}
	properties["data.items"] = schema{"type": "array", "items": schema{"type": "object", "additionalProperties": false, "properties": item}}
	return object([]string{"time"}, properties)
}

func fieldEnum() schema {
	var names []string
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		names = append(names, f.String())
	}
	return schema{"enum": names}
}

func exceptionProperties() schema {
	return schema{
		"id": text("Never reused."), "title": text("What it is for."), "rules": oneOrMore(text("Ids of rules, never a wildcard.")),
		"ticket": text("Where it was asked for."), "requested_by": text("Who asked."), "approved_by": oneOrMore(text("Two, neither the requester.")),
		"valid_from": ref("day"), "valid_until": ref("day"), "max_matches": schema{"type": "integer", "minimum": 1, "description": "Reported when crossed; never changes a verdict."},
		"evidence": enum([]string{"agree", "single"}, "How well the place must be shown: by two kinds of evidence (agree, where silent) or by one (single)."),
		"licence":  text("The licence it rests on."), "reason": text("Why."), "when": ref("lines"),
	}
}

func with(properties schema, more schema) schema {
	for k, v := range more {
		properties[k] = v
	}
	return properties
}

func definitions() schema {
	defs := schema{}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		defs[f.String()] = oneOrMore(literals(f))
	}
	return with(defs, schema{
		"day": schema{"type": "string", "pattern": `^\d{4}-\d{2}-\d{2}$`, "description": "A UTC day."}, "field": fieldEnum(), "lines": lines(), "event": testEvent(),
		"test": object([]string{"name", "event", "expect"}, schema{
			"name": text("What happens."), "rule": text("In tests of an exception: which of its rules."), "event": ref("event"), "expect": enum(policy.OutcomeWords, "The outcome of the rule."),
			"severity": enum(policy.SeverityWords, "The severity of the alert."), "exception": object([]string{"valid_from", "valid_until", "when"}, exceptionProperties()),
		}),
		"tests": schema{"type": "array", "items": ref("test")},
	})
}

func schemas() map[string]schema {
	when := lines()
	with(when["properties"].(schema), schema{"any": schema{"type": "array", "minItems": 1, "items": ref("lines"), "description": "One of these maps must hold with all its lines."}})
	rule := object([]string{"format", "id", "title", "status", "severity", "when"}, schema{
		"format": schema{"const": policy.FormatRule}, "id": text("Never reused."), "title": text("What the rule finds, in one line."),
		"status": enum(policy.StatusWords, "Draft and retired rules do not judge; shadow rules judge and notify nobody."), "severity": enum(policy.SeverityWords, "Lowered by one for refused attempts and unknowns."),
		"kind": enum(policy.KindWords, "policy where silent."), "owner": text("Who answers for the rule."), "law": oneOrMore(text("What the rule rests on.")),
		"why": text("Why it matters."), "respond": text("What to do when it alerts."), "when": when,
		"on_unknown": enum([]string{"alert", "ignore"}, "alert where silent; critical rules cannot ignore."), "exceptions": enum([]string{"never", "allowed"}, "never where silent."),
		"exception_must_pin": oneOrMore(ref("field")), "licence": text("The licence that exceptions rest on."), "tests": ref("tests"),
	})
	member := schema{"anyOf": []schema{{"type": []string{"string", "number"}}, {
		"type": "object", "additionalProperties": false, "properties": schema{
			"code": text("Country."), "id": text("Actor or entity."), "cidr": text("Network."), "name": text("Data set."), "group": text("Another group."), "from": ref("day"), "until": ref("day"),
			"scope": text("What the decision covers."), "source": text("The decision."), "note": text("For readers."), "limited": schema{"type": "boolean", "description": "The decision is limited in time."},
		},
	}}}
	group := object([]string{"name", "kind", "members"}, schema{
		"name": text("Used as @name."), "kind": enum(policy.GroupKindWords, "What it lists."), "title": text("What it is."), "source": text("Where it comes from."), "checked": ref("day"), "note": text("For readers."),
		"adequacy": schema{"type": "boolean", "description": "Its members are adequacy decisions."}, "no_cap": schema{"type": "boolean", "description": "Evidence from an address alone does not lower the severity."},
		"from": ref("day"), "until": ref("day"), "members": schema{"type": "array", "minItems": 1, "items": member},
	})
	exception := object([]string{"format", "id", "rules", "valid_from", "valid_until", "when"}, with(exceptionProperties(), schema{"format": schema{"const": policy.FormatException}, "tests": ref("tests")}))
	groups := object([]string{"format", "groups"}, schema{"format": schema{"const": policy.FormatGroups}, "groups": schema{"type": "array", "items": group}})
	all := map[string]schema{"rule": rule, "groups": groups, "exception": exception}
	for name, s := range all {
		with(s, schema{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "borderwatch/" + name + "/v1", "title": strings.ToUpper(name[:1]) + name[1:], "$defs": definitions()})
	}
	all["groups"]["$defs"] = schema{"day": definitions()["day"]}
	return all
}

// TestSchemas holds the shipped JSON Schemas against the reader's own lists, and the shipped files against the schemas.
func TestSchemas(t *testing.T) {
	compiled := map[string]*validator.Schema{}
	for name, s := range schemas() {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		path := "../../schemas/jsonschema/" + name + ".schema.json"
		compare(t, path, b.Bytes())
		compiled["borderwatch/"+name+"/v1"] = compileSchema(t, path)
	}
	checked := 0
	for _, files := range []fs.FS{packs.Files, examples.Files} {
		err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".yaml") {
				return err
			}
			data, err := fs.ReadFile(files, name)
			if err != nil {
				return err
			}
			format, value := decode(t, data)
			if s := compiled[format]; s != nil {
				checked++
				if err := s.Validate(value); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 35 {
		t.Errorf("only %d files were checked", checked)
	}
	_, typo := decode(t, []byte("format: borderwatch/rule/v1\nid: A\ntitle: T\nstatus: active\nseverity: high\nwhen: {data.clases: restricted}\n"))
	if compiled[policy.FormatRule].Validate(typo) == nil {
		t.Error("the schema accepts a misspelt field")
	}
}

func compileSchema(t *testing.T, path string) *validator.Schema {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("file:///"+path, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("file:///" + path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decode reads the first document of a file as an editor does: typed by YAML, dates as text.
func decode(t *testing.T, data []byte) (string, any) {
	t.Helper()
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		t.Fatal(err)
	}
	datesAsText(&node)
	var value any
	if err := node.Decode(&value); err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out, err := validator.UnmarshalJSON(bytes.NewReader(js))
	if err != nil {
		t.Fatal(err)
	}
	format, _ := out.(map[string]any)["format"].(string)
	return format, out
}

func datesAsText(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, child := range n.Content {
		datesAsText(child)
	}
}
