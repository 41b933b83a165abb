package enrich_test

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"borderwatch/consumers/enrich"
	"borderwatch/rules/examples"
	"borderwatch/schemas/access"
	schemas "borderwatch/schemas/jsonschema"
)

// exampleFiles reads the reference files of the example company.
func exampleFiles(t testing.TB) (docs []enrich.Document, files map[string][]byte) {
	t.Helper()
	files = map[string][]byte{}
	err := fs.WalkDir(examples.Files, "reference", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := examples.Files.ReadFile(name)
		if path.Ext(name) == ".yaml" {
			docs = append(docs, enrich.Document{Path: name, Data: data})
		} else {
			files[name] = data
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return docs, files
}

func TestExamples(t *testing.T) {
	docs, files := exampleFiles(t)
	e, problems := enrich.New(docs, files, enrich.Database{}, enrich.Database{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	homes := map[access.Country]bool{}
	people := 0
	for _, p := range e.People() {
		homes[p.Home] = true
		if p.Kind.Person() {
			people++
		}
	}
	if people < 40 || len(homes) < 9 || len(e.Datasets()) < 20 || len(e.Entities()) < 10 || len(e.Sites()) < 20 || len(e.Approvals()) < 5 {
		t.Errorf("%d people of %d countries, %d data sets, %d entities, %d prefixes, %d approvals",
			people, len(homes), len(e.Datasets()), len(e.Entities()), len(e.Sites()), len(e.Approvals()))
	}
	for _, row := range []struct{ actor, address, device, want string }{
		{"u-1042", "192.0.2.5", "", "single IE home"},
		{"u-1042", "192.0.2.40", "", "single DE away"},
		{"u-1042", "192.0.2.40", "DE", "agree DE away"},
		{"u-1042", "10.40.7.7", "", "single PL away"},
		{"u-1042", "198.51.100.3", "", "masked any unknown"},
		{"u-1042", "203.0.113.17", "", "masked any unknown"},
		{"u-1073", "192.0.2.70", "", "single FR home"}, // lives in Belgium, works in Paris
		{"u-1073", "203.0.113.1", "BE", "masked any unknown"},
		{"u-4711", "192.0.2.226", "DE", "conflict CN|DE unknown"},
		{"svc-feed", "100.64.3.3", "", "single DE home"},
		{"svc-feed", "203.0.113.193", "", "single SG away"},
		{"svc-in-etl", "100.68.0.9", "", "single IN home"},
		{"svc-feed", "203.0.113.17", "", "masked any unknown"},
	} {
		ev := newEvent()
		ev.Actor.ID, ev.Source.Address, ev.Presence.Device = row.actor, row.address, place(t, row.device)
		e.Enrich(ev)
		l := &ev.Location
		if got := l.Verdict.String() + " " + l.Candidates.String() + " " + l.Expected.String(); got != row.want {
			t.Errorf("%s at %s: %s, want %s", row.actor, row.address, got, row.want)
		}
	}
}

// TestExamplesFitTheirSchemas checks the shipped schemas against the shipped files.
func TestExamplesFitTheirSchemas(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	for _, format := range enrich.Formats() {
		name := strings.Split(format, "/")[1]
		data, err := schemas.Files.ReadFile(name + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		var schema any
		if err := json.Unmarshal(data, &schema); err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(name+".json", schema); err != nil {
			t.Fatal(err)
		}
	}
	docs, _ := exampleFiles(t)
	if len(docs) != len(enrich.Formats()) {
		t.Errorf("%d example files for %d formats", len(docs), len(enrich.Formats()))
	}
	for _, doc := range docs {
		schema, err := compiler.Compile(strings.TrimSuffix(path.Base(doc.Path), ".yaml") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var node yaml.Node
		if err := yaml.Unmarshal(doc.Data, &node); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(asText(node.Content[0])); err != nil {
			t.Errorf("%s: %v", doc.Path, err)
		}
		broken := asText(node.Content[0]).(map[string]any)
		broken["unknown_key"] = "x"
		if schema.Validate(broken) == nil {
			t.Errorf("%s: the schema accepts an unknown key", doc.Path)
		}
	}
}

// asText reads YAML as the readers do: every scalar is text.
func asText(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = asText(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			list = append(list, asText(e))
		}
		return list
	}
	return n.Value
}
