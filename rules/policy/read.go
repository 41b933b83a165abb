package policy

import (
	"cmp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// otherFormats are the formats of a bundle that other packages read.
var otherFormats = []string{"borderwatch/roster/v1", "borderwatch/catalogue/v1", "borderwatch/entities/v1", "borderwatch/networks/v1", "borderwatch/approvals/v1"}

var allFormats = append([]string{FormatRule, FormatGroups, FormatException}, otherFormats...)

// Read reads the rule, group and exception documents among docs and leaves those of the other formats of a bundle
// alone. The set is only fit for use where the problems have not Failed. The order of docs does not matter.
func Read(docs []Document) (*Set, Problems) {
	set := &Set{}
	var problems Problems
	for _, doc := range docs {
		r := &reader{path: doc.Path}
		for _, root := range r.nodes(doc.Data) {
			r.document(set, root)
		}
		problems = append(problems, r.problems...)
	}
	problems = append(problems, set.link()...)
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return set, problems
}

func (r *reader) document(set *Set, root *yaml.Node) {
	switch format := r.format(root); format {
	case FormatRule:
		if rule := r.rule(root); rule != nil {
			set.Rules = append(set.Rules, rule)
		}
	case FormatGroups:
		set.Groups = append(set.Groups, r.groups(root)...)
	case FormatException:
		o := r.object(root, "exception", append(exceptionKeys, "format", "tests")...)
		if o == nil {
			return
		}
		o.require("id", "rules", "valid_from", "valid_until", "when")
		set.Exceptions = append(set.Exceptions, o.exception())
	}
}

// format returns the document's format, "" where there is none that this program knows.
func (r *reader) format(root *yaml.Node) string {
	if root.Kind != yaml.MappingNode {
		r.refuse(root, "format", "", "the document is not a map; it must start with a line like format: %s", FormatRule)
		return ""
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "format" {
			continue
		}
		value := root.Content[i+1]
		if !contains(allFormats, value.Value) {
			r.refuse(value, "format", nearest(value.Value, allFormats), "there is no format %q", value.Value)
			return ""
		}
		return value.Value
	}
	r.refuse(root, "format", "", "the document has no format; it must start with a line like format: %s", FormatRule)
	return ""
}
