package bundle

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/consumers/enrich"
	"borderwatch/rules/engine"
	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
	"borderwatch/rules/release"
	"borderwatch/schemas/access"
)

// Problems are all that is wrong with a bundle, one line each, with file, line and column.
type Problems []string

// Error has one problem a line.
func (p Problems) Error() string { return strings.Join(p, "\n") }

// Compile checks all parts together and makes the bundle. It runs the checks that keep an exception or a group from
// silencing more than was meant, and the tests in the rule and exception files: one that fails refuses the bundle. The error is of type Problems where files are at fault.
func Compile(parts []Part) (*Bundle, error) {
	found := Inspect(parts)
	b := &Bundle{Digest: release.Digest(parts), Manifest: release.Manifest(parts), Parts: parts, Enricher: found.Enricher}
	var refused Problems
	for _, p := range found.Problems {
		if p.Severity == policy.SeverityError {
			refused = append(refused, p.Error())
		} else {
			b.Warnings = append(b.Warnings, p.Error())
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	for _, f := range lint.Silencing(found.Set) {
		refused = append(refused, f.Error())
	}
	options, err := b.readRelease()
	if err != nil {
		return nil, Problems{err.Error()}
	}
	if b.Engine, err = engine.Compile(found.Set, options); err != nil {
		return nil, Problems{err.Error()}
	}
	for _, result := range engine.RunTests(found.Set) {
		if !result.Passed() {
			refused = append(refused, result.String())
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	return b, nil
}

// readRelease reads the signed statement among the parts, which says since when exceptions are approved. In an unsigned
// bundle they are so from their first day.
func (b *Bundle) readRelease() (options engine.Options, err error) {
	text := release.Signed(b.Parts)
	if text == nil {
		return options, nil
	}
	if b.Release, err = release.Parse(text); err != nil {
		return options, err
	}
	options.Approved = make(map[string]access.Millis)
	for id, since := range b.Release.Approved() {
		options.Approved[id] = access.Millis(since.UnixMilli())
	}
	return options, nil
}

// Inspection is what the files of a bundle say, whether or not a bundle can be made of them: for tools that show people
// what is wrong.
type Inspection struct {
	Set      *policy.Set       // complete only where no problem of a rule file is an error
	Enricher *enrich.Enricher  // nil where a reference file has an error
	Problems []policy.Problem  // an error refuses the bundle
	Sources  map[string][]byte // the files by path
}

// Failed reports whether a problem refuses the bundle.
func (i *Inspection) Failed() bool { return policy.Problems(i.Problems).Failed() }

// Inspect reads rule and reference files. It neither compiles rules nor runs their tests.
func Inspect(parts []Part) *Inspection {
	i := &Inspection{Sources: make(map[string][]byte, len(parts))}
	var docs []policy.Document
	for _, p := range documents(parts) {
		docs = append(docs, policy.Document{Path: p.Path, Data: p.Data})
	}
	for _, p := range parts {
		if p.Role == release.RoleFile {
			i.Sources[p.Path] = p.Data
		}
	}
	set, problems := policy.Read(docs)
	i.Set, i.Problems = set, problems
	i.readReferences(parts)
	for _, p := range unknownFormats(parts) {
		i.add(p)
	}
	return i
}

// add leaves out what another reader of the same file found at the same place: that it is not YAML is said once.
func (i *Inspection) add(p policy.Problem) {
	same := func(o policy.Problem) bool {
		return o.Path == p.Path && o.Severity == policy.SeverityError && (o.Line == p.Line || p.Line == 0)
	}
	if p.Severity == policy.SeverityWarning || !slices.ContainsFunc(i.Problems, same) {
		i.Problems = append(i.Problems, p)
	}
}

// checkReference is the id of what the readers of reference files and location databases find.
const checkReference = "reference"

// readReferences makes the enricher. A location database that cannot be used is a warning here, loud but no reason to
// stop: every country that rests on it is then unknown, and unknown alerts.
func (i *Inspection) readReferences(parts []Part) {
	var docs []enrich.Document
	lists := map[string][]byte{}
	var first, second enrich.Database
	for _, p := range parts {
		switch {
		case p.Role == release.RoleGeoIP:
			first = enrich.Database{Name: p.Path, Data: p.Data}
		case p.Role == release.RoleGeoIPSecond:
			second = enrich.Database{Name: p.Path, Data: p.Data}
		case p.Role == release.RoleSigned:
		case isYAML(p.Path):
			docs = append(docs, enrich.Document{Path: p.Path, Data: p.Data})
		default:
			lists[p.Path] = p.Data
		}
	}
	enricher, found := enrich.New(docs, lists, first, second)
	i.Enricher = enricher
	for _, p := range found {
		problem := policy.Problem{Path: p.Path, Line: p.Line, Column: p.Column, Check: checkReference, Message: p.Message, Hint: p.Hint}
		if p.Severity != enrich.Error || enricher != nil {
			problem.Severity = policy.SeverityWarning
		}
		i.add(problem)
	}
}

func documents(parts []Part) (docs []Part) {
	for _, p := range parts {
		if p.Role == release.RoleFile && isYAML(p.Path) {
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

// checkFormat is the id of what is wrong before a reader can take a document.
const checkFormat = "format"

func unknownFormats(parts []Part) (problems []policy.Problem) {
	for _, p := range documents(parts) {
		decoder := yaml.NewDecoder(bytes.NewReader(p.Data))
		for {
			var document yaml.Node
			err := decoder.Decode(&document)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return append(problems, policy.At(policy.Position{Path: p.Path}, checkFormat, "", "%v", err))
			}
			if line, format := formatOf(&document); !slices.Contains(formats, format) {
				at := policy.Position{Path: p.Path, Line: line, Column: 1}
				problems = append(problems, policy.At(at, checkFormat, "", "format is %q, want one of %s", format, strings.Join(formats, ", ")))
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
