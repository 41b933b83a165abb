package release_test

import (
	"bytes"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"borderwatch/rules/release"
	"borderwatch/schemas/jsonschema"
)

// policySchema compiles the schema of activation policies for editors.
func policySchema(t *testing.T) *validator.Schema {
	t.Helper()
	data, err := jsonschema.Files.ReadFile("activation-policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	compiler := validator.NewCompiler()
	if err := compiler.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("policy.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// checkSchema says whether the schema takes a policy.
func checkSchema(t *testing.T, schema *validator.Schema, text string) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestSchemaTakesWhatTheReaderTakes(t *testing.T) {
	s, schema := newSite(t), policySchema(t)
	development := "format: " + release.FormatPolicy + "\nenvironment: d\ndevelopment: true\nkeys:\n  - {person: dev, key: " + s.author.public + "}\n"
	for _, text := range []string{s.text(""), s.text("  partner: [p-1]"), development} {
		if _, err := release.ParsePolicy([]byte(text)); err != nil {
			t.Error(err)
		}
		if err := checkSchema(t, schema, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
