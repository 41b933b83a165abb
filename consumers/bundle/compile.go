package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/consumers/enrich"
	"borderwatch/rules/engine"
	"borderwatch/rules/policy"
)

// Problems are all that is wrong with a bundle, one line each, with file, line and column.
type Problems []string

// Error has one problem a line.
func (p Problems) Error() string { return strings.Join(p, "\n") }

// Compile checks all parts together and makes the bundle. It runs the tests in the rule and exception files: one that
// fails refuses the bundle. The error is of type Problems where files are at fault.
func Compile(parts []Part) (*Bundle, error) {
	text := manifest(parts)
	b := &Bundle{Digest: digestOf(text), Manifest: text, Parts: parts}
	problems := unknownFormats(parts)
	set := b.readRules(parts, &problems)
	b.readReferences(parts, &problems)
	if len(problems) > 0 {
		return nil, problems
	}
	var err error
	if b.Engine, err = engine.Compile(set, engine.Options{}); err != nil {
		return nil, Problems{err.Error()}
	}
	for _, result := range engine.RunTests(set) {
		if !result.Passed() {
			problems = append(problems, result.String())
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return b, nil
}

func (b *Bundle) readRules(parts []Part, problems *Problems) *policy.Set {
	var docs []policy.Document
	for _, p := range documents(parts) {
		docs = append(docs, policy.Document{Path: p.Path, Data: p.Data})
	}
	set, found := policy.Read(docs)
	for _, p := range found {
		b.note(problems, p.Severity == policy.SeverityError, p)
	}
	return set
}

// readReferences makes the enricher. A location database that cannot be used is a warning here, loud but no reason to
// stop: every country that rests on it is then unknown, and unknown alerts.
func (b *Bundle) readReferences(parts []Part, problems *Problems) {
	var docs []enrich.Document
	lists := map[string][]byte{}
	var first, second enrich.Database
	for _, p := range parts {
		switch {
		case p.Role == roleGeoIP:
			first = enrich.Database{Name: p.Path, Data: p.Data}
		case p.Role == roleGeoIPSecond:
			second = enrich.Database{Name: p.Path, Data: p.Data}
		case isYAML(p.Path):
			docs = append(docs, enrich.Document{Path: p.Path, Data: p.Data})
		default:
			lists[p.Path] = p.Data
		}
	}
	enricher, found := enrich.New(docs, lists, first, second)
	for _, p := range found {
		b.note(problems, p.Severity == enrich.Error && enricher == nil, p)
	}
	b.Enricher = enricher
}

func (b *Bundle) note(problems *Problems, refuses bool, problem error) {
	if refuses {
		*problems = append(*problems, problem.Error())
		return
	}
	b.Warnings = append(b.Warnings, problem.Error())
}

func documents(parts []Part) (docs []Part) {
	for _, p := range parts {
		if p.Role == roleFile && isYAML(p.Path) {
			docs = append(docs, p)
		}
	}
	return docs
}

func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

// formats are all formats of YAML documents in a bundle. Each reader takes its own, so a document of a format that is
// not among them would be left out in silence.
var formats = []string{
	policy.FormatRule, policy.FormatGroups, policy.FormatException,
	enrich.FormatRoster, enrich.FormatCatalogue, enrich.FormatEntities, enrich.FormatNetworks, enrich.FormatApprovals,
}

func unknownFormats(parts []Part) (problems Problems) {
	for _, p := range documents(parts) {
		decoder := yaml.NewDecoder(bytes.NewReader(p.Data))
		for {
			var document yaml.Node
			err := decoder.Decode(&document)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return append(problems, fmt.Sprintf("%s: %v", p.Path, err))
			}
			if line, format := formatOf(&document); !slices.Contains(formats, format) {
				problems = append(problems, fmt.Sprintf("%s:%d:1: format is %q, want one of %s", p.Path, line, format, strings.Join(formats, ", ")))
			}
		}
	}
	return problems
}

// formatOf returns the value of a document's format key and its line.
func formatOf(document *yaml.Node) (line int, format string) {
	if len(document.Content) == 0 {
		return document.Line, ""
	}
	root := document.Content[0]
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "format" {
			return root.Content[i].Line, root.Content[i+1].Value
		}
	}
	return root.Line, ""
}
