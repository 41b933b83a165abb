package policy_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"borderwatch/rules/examples"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// The files of testdata/good use every key and operator. The tests below break them at every place.
var goodFiles = []string{"rule", "groups", "exception"}

// free are the keys whose value nobody can check for typing mistakes: prose, names of people and things, and dates and
// numbers, of which another one is as good.
var free = []string{
	"title", "owner", "law", "why", "respond", "licence", "name", "source", "note", "scope", "ticket", "requested_by", "approved_by", "reason", "id",
	"actor.id", "data.dataset", "dataset", "data.dataset starts with", "members", "max_matches", "data.records", "data.records at least", "source.ip", "event",
}

// scalar is a key or a value of a file.
type scalar struct {
	node  *yaml.Node
	isKey bool
	under string // the nearest key above a value
}

func scalars(n *yaml.Node, under string) (out []scalar) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			out = append(out, scalar{n.Content[i], true, under})
			out = append(out, scalars(n.Content[i+1], n.Content[i].Value)...)
		}
	case yaml.ScalarNode:
		out = append(out, scalar{n, false, under})
	default:
		for _, child := range n.Content {
			out = append(out, scalars(child, under)...)
		}
	}
	return out
}

// misspelt swaps two letters in the middle, or adds one where that changes nothing.
func misspelt(text string) string {
	b := []byte(text)
	for i := len(b) / 2; i+1 < len(b); i++ {
		if letter(b[i]) && letter(b[i+1]) && b[i] != b[i+1] {
			b[i], b[i+1] = b[i+1], b[i]
			return string(b)
		}
	}
	return text + "x"
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// replaced writes another text in the place of a scalar.
func replaced(data []byte, n *yaml.Node, text string) []byte {
	lines := bytes.Split(bytes.Clone(data), []byte("\n"))
	line, at := lines[n.Line-1], n.Column-1
	old := n.Value
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		old = `"` + old + `"`
	}
	if !bytes.HasPrefix(line[at:], []byte(old)) {
		panic(fmt.Sprintf("%q does not stand at %d:%d", old, n.Line, n.Column))
	}
	lines[n.Line-1] = slices.Concat(line[:at], []byte(text), line[at+len(old):])
	return bytes.Join(lines, []byte("\n"))
}

// good reads the good files; each is broken in the company of the others.
func good(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range goodFiles {
		data, err := os.ReadFile("testdata/good/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	if problems := readWith(files, "rule", files["rule"]); len(problems) > 0 {
		t.Fatalf("the good files are not good: %v", problems)
	}
	return files
}

func readWith(files map[string][]byte, name string, data []byte) policy.Problems {
	var docs []policy.Document
	for _, other := range goodFiles {
		if other != name {
			docs = append(docs, policy.Document{Path: other + ".yaml", Data: files[other]})
		}
	}
	_, problems := policy.Read(append(docs, policy.Document{Path: name + ".yaml", Data: data}))
	return problems
}

func parse(t *testing.T, data []byte) *yaml.Node {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	return &root
}

// TestTypos misspells every key and every value, one at a time. All keys and all words must be refused where they stand;
// the golden files hold the words. JSON Schemas must refuse the same keys, so that an editor shows them.
func TestTypos(t *testing.T) {
	files := good(t)
	for _, name := range goodFiles {
		t.Run(name, func(t *testing.T) {
			schema := compileSchema(t, "../../schemas/jsonschema/"+name+".schema.json")
			var out bytes.Buffer
			for _, s := range scalars(parse(t, files[name]), "") {
				text := misspelt(s.node.Value)
				data := replaced(files[name], s.node, `"`+text+`"`)
				problems := readWith(files, name, data)
				record(&out, s, text, problems)
				checkTypo(t, s, text, problems)
				word := slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Check == "unknown-word" })
				if (s.isKey || word) && accepts(t, schema, data) {
					t.Errorf("%d:%d: the schema accepts %s", s.node.Line, s.node.Column, text)
				}
			}
			compare(t, "testdata/typos/"+name+".golden", out.Bytes())
		})
	}
}

// TestTyposInReferences misspells every key of the example's reference files: their schemas must refuse it. What their
// reader says is its own tests' business.
func TestTyposInReferences(t *testing.T) {
	entries, err := examples.Files.ReadDir("reference")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".yaml")
		if !ok {
			continue
		}
		data, err := examples.Files.ReadFile("reference/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		schema := compileSchema(t, "../../schemas/jsonschema/"+name+".schema.json")
		if !accepts(t, schema, data) {
			t.Errorf("the schema refuses %s", e.Name())
		}
		seen := map[string]bool{} // entries are alike
		for _, s := range scalars(parse(t, data), "") {
			path := s.under + "/" + s.node.Value
			if !s.isKey || seen[path] {
				continue
			}
			seen[path] = true
			if text := misspelt(s.node.Value); accepts(t, schema, replaced(data, s.node, text)) {
				t.Errorf("%s:%d:%d: the schema accepts the key %s", e.Name(), s.node.Line, s.node.Column, text)
			}
		}
		checked++
	}
	if checked < 5 {
		t.Errorf("%d reference files were checked", checked)
	}
}

func accepts(t *testing.T, schema *validator.Schema, data []byte) bool {
	t.Helper()
	_, value := decode(t, data)
	return schema.Validate(value) == nil
}

func record(out *bytes.Buffer, s scalar, text string, problems policy.Problems) {
	fmt.Fprintf(out, "%d:%d %s → %s\n", s.node.Line, s.node.Column, s.node.Value, text)
	if len(problems) == 0 {
		out.WriteString("    accepted\n")
	}
	for i := range problems {
		fmt.Fprintf(out, "    %s [%s]\n", problems[i].Error(), problems[i].Check)
	}
}

func checkTypo(t *testing.T, s scalar, text string, problems policy.Problems) {
	t.Helper()
	here := slices.ContainsFunc(problems, func(p policy.Problem) bool {
		return p.Severity == policy.SeverityError && p.Line == s.node.Line && p.Column == s.node.Column
	})
	elsewhere := problems.Failed() && (s.under == "id" || s.under == "name" || s.under == "rules" || s.under == "kind" || s.under == "exceptions")
	if !here && !elsewhere && (s.isKey || !slices.Contains(free, s.under)) {
		t.Errorf("%d:%d: %s instead of %s is not refused there: %v", s.node.Line, s.node.Column, text, s.node.Value, problems)
	}
}

// TestEveryOperatorAndKind wants every operator in the good rule, every kind accepted, and those that need more than one
// event refused by name with the reason.
func TestEveryOperatorAndKind(t *testing.T) {
	files := good(t)
	for kind := access.Text; kind <= access.Address; kind++ {
		for _, op := range policy.OperatorWords(kind) {
			if !bytes.Contains(files["rule"], []byte(" "+op+":")) && op != "" {
				t.Errorf("no line of the good rule uses %s", op)
			}
		}
	}
	for _, kind := range policy.KindWords {
		if problems := readWith(files, "rule", bytes.Replace(files["rule"], []byte("kind: policy"), []byte("kind: "+kind), 1)); problems.Failed() {
			t.Error(problems)
		}
	}
	for _, kind := range []string{"first_seen", "volume", "impossible_travel", "dormant", "gap"} {
		problems := readWith(files, "rule", bytes.Replace(files["rule"], []byte("kind: policy"), []byte("kind: "+kind), 1))
		want := "rule.yaml:6:7: kind " + kind + " needs more than one event and is not a rule of a single access; kinds are " + strings.Join(policy.KindWords[:len(policy.KindWords)-1], ", ") + " or " + policy.KindWords[len(policy.KindWords)-1]
		if problems.Error() != want {
			t.Errorf("got %v, want %s", problems, want)
		}
	}
}

// TestShapes puts nothing, a list and a map in the place of every value. No place takes all three.
func TestShapes(t *testing.T) {
	files := good(t)
	for _, name := range goodFiles {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, s := range scalars(parse(t, files[name]), "") {
				if s.isKey {
					continue
				}
				for _, shape := range []string{"~", `""`, "[[a]]", "{a: {b: c}}"} {
					problems := readWith(files, name, replaced(files[name], s.node, shape))
					if !problems.Failed() && !(s.under != "" && shape == "~" && strings.Contains(string(lineOf(files[name], s.node.Line)), "event:")) {
						t.Errorf("%d:%d: %s is accepted in the place of %s", s.node.Line, s.node.Column, shape, s.node.Value)
					}
					record(&out, s, shape, problems)
				}
			}
			compare(t, "testdata/shapes/"+name+".golden", out.Bytes())
		})
	}
}

func lineOf(data []byte, line int) []byte { return bytes.Split(data, []byte("\n"))[line-1] }

// TestCutShort reads the beginnings of every file, as a half-written one would be. None may pass as another good one
// without the line that is cut; what is complete for itself may.
func TestCutShort(t *testing.T) {
	files := good(t)
	for _, name := range goodFiles {
		lines := bytes.SplitAfter(files[name], []byte("\n"))
		required := map[string][]byte{"rule": []byte("when:"), "groups": []byte("members:"), "exception": []byte("when:")}[name]
		for n := range lines {
			data := bytes.Join(lines[:n], nil)
			if problems := readWith(files, name, data); !problems.Failed() && !bytes.Contains(data, required) {
				t.Errorf("%s: the first %d lines are accepted", name, n)
			}
		}
	}
}
