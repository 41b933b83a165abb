package engine_test

import (
	"io/fs"
	"strings"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// shipped reads the shipped packs.
func shipped(t testing.TB) *policy.Set {
	t.Helper()
	var docs []policy.Document
	err := fs.WalkDir(packs.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := packs.Files.ReadFile(path)
		docs = append(docs, policy.Document{Path: path, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	set, problems := policy.Read(docs)
	if problems.Failed() {
		t.Fatal(problems)
	}
	return set
}

// read reads YAML documents that the test wrote.
func read(t testing.TB, docs ...string) *policy.Set {
	t.Helper()
	files := make([]policy.Document, len(docs))
	for i, doc := range docs {
		files[i] = policy.Document{Path: "test.yaml", Data: []byte(doc)}
	}
	set, problems := policy.Read(files)
	if len(problems) > 0 {
		t.Fatalf("%s\n%s", problems, strings.Join(docs, "\n---\n"))
	}
	return set
}

// compile compiles YAML documents that the test wrote.
func compile(t testing.TB, docs ...string) *engine.Engine {
	t.Helper()
	e, err := engine.Compile(read(t, docs...), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// rule writes a rule with the lines of `when` and further keys; severity high and status active where those say nothing.
func rule(id, when string, more ...string) string {
	keys := "\n" + strings.Join(more, "\n")
	for key, value := range map[string]string{"status": "active", "severity": "high"} {
		if !strings.Contains(keys, "\n"+key+":") {
			keys += "\n" + key + ": " + value
		}
	}
	return "format: borderwatch/rule/v1\nid: " + id + "\ntitle: Title of " + id + keys + "\nwhen: {" + when + "}\n"
}

// groups writes a groups document of countries: "name: [members]".
func groups(lines ...string) string {
	doc := "format: borderwatch/groups/v1\ngroups:\n"
	for _, line := range lines {
		name, members, _ := strings.Cut(line, ": ")
		doc += "  - {name: " + name + ", kind: countries, members: " + members + "}\n"
	}
	return doc
}

// event builds an event from the fields of a test event; 2026-11-20 where they give no time.
func event(t testing.TB, fields string) *access.Event {
	t.Helper()
	if !strings.Contains(fields, "time: ") {
		fields = "time: 2026-11-20T09:00:00Z, " + fields
	}
	set := read(t, rule("X", "action: read", "tests: [{name: x, expect: none, event: {"+fields+"}}]"))
	ev, err := engine.EventOf(&set.Rules[0].Tests[0].Event)
	if err != nil {
		t.Fatal(err)
	}
	ev.ID, ev.Source.Feed, ev.Source.Scope = "e-1", "feed", "scope"
	return ev
}

// judge evaluates one event.
func judge(t testing.TB, e *engine.Engine, ev *access.Event) *alert.Verdict {
	t.Helper()
	var out alert.Verdict
	e.Evaluate(ev, access.Digest{1}, &out)
	return &out
}
