package decode_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"borderwatch/consumers/decode"
	"borderwatch/schemas/jsonschema"
)

// beyondSchema are refusals that no JSON Schema can state.
var beyondSchema = []decode.Code{
	decode.CodeEmpty, decode.CodeTooLarge, decode.CodeTooDeep, decode.CodeSyntax, decode.CodeUTF8, decode.CodeTrailing,
	decode.CodeDuplicateKey, decode.CodeKeyCase, decode.CodeShape,
}

// The shipped schema and the decoder agree: what the decoder reads the schema allows, and what the decoder refuses the
// schema refuses, unless it cannot say so.
func TestDecoderAndSchemaAgree(t *testing.T) {
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
	s := c.MustCompile("access.schema.json")
	values := []string{fullFlat, fullNested, fmt.Sprintf(minimal, "")}
	for _, tt := range nativeRefusals {
		values = append(values, tt.value)
	}
	for _, tt := range nativeAccepted {
		values = append(values, tt.value)
	}
	for _, event := range flatEvents(100) {
		values = append(values, string(event))
	}
	for _, value := range values {
		_, decodeErr := decodeOne(t, decode.Native, value)
		instance, err := validator.UnmarshalJSON(strings.NewReader(value))
		if err != nil {
			continue // no JSON
		}
		schemaErr := s.Validate(instance)
		m, _ := decodeErr.(*decode.Malformed)
		beyond := m != nil && (slices.Contains(beyondSchema, m.Code) || slices.Contains(beyondByField, string(m.Code)+" "+m.Field))
		if (decodeErr == nil) != (schemaErr == nil) && !beyond {
			t.Errorf("decoder: %v, schema: %v\n%.200s", decodeErr, schemaErr, value)
		}
	}
}

// beyondByField are further single refusals that a schema cannot state, by code and field.
var beyondByField = []string{
	"duplicate_field action", "duplicate_field schema", // a key twice in one object
	"control_char ",           // in members that are no fields
	"bad_value data.records",  // -0 and 1.0 are whole numbers to a schema
	"computed_field location", // location.anything, but location.evidence
	"bad_value time",          // 30 February
}
