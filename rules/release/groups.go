package release

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/rules/policy"
)

// The groups of parts that a statement has a digest of each, and that a machine's key may be given.
const (
	GroupRules      = "rules"      // rules and groups, and files that mix formats
	GroupExceptions = "exceptions" // files of exceptions alone
	GroupReferences = "references" // catalogue, entities, networks, approvals, address lists
	GroupRoster     = "roster"     // files of the roster alone
	GroupGeoIP      = "geoip"      // location databases
)

var groupNames = []string{GroupExceptions, GroupGeoIP, GroupReferences, GroupRoster, GroupRules}

const formatRoster = "borderwatch/roster/v1"

// Groups returns the digest of each group of parts, by name. A group without parts is left out.
func Groups(parts []Part) (out []GroupDigest) {
	for _, name := range groupNames {
		members := slices.DeleteFunc(Content(parts), func(p Part) bool { return groupOf(&p) != name })
		if len(members) > 0 {
			out = append(out, GroupDigest{name, Digest(members)})
		}
	}
	return out
}

// groupOf tells where a part belongs. What cannot be read belongs to the rules, which two people sign.
func groupOf(p *Part) string {
	if p.Role != RoleFile {
		return GroupGeoIP
	}
	if !isYAML(p.Path) {
		return GroupReferences
	}
	formats, err := formatsOf(p.Data)
	only := func(format string) bool {
		return len(formats) > 0 && !slices.ContainsFunc(formats, func(f string) bool { return f != format })
	}
	switch {
	case err != nil, slices.Contains(formats, policy.FormatRule), slices.Contains(formats, policy.FormatGroups):
		return GroupRules
	case only(formatRoster):
		return GroupRoster
	case only(policy.FormatException):
		return GroupExceptions
	case slices.Contains(formats, policy.FormatException), slices.Contains(formats, ""):
		return GroupRules
	}
	return GroupReferences
}

func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

func formatsOf(data []byte) (formats []string, err error) {
	err = eachDocument(data, func(root *yaml.Node) error {
		format := ""
		if n := child(root, "format"); n != nil {
			format = n.Value
		}
		formats = append(formats, format)
		return nil
	})
	return formats, err
}

// eachDocument calls do with the root of each YAML document.
func eachDocument(data []byte, do func(root *yaml.Node) error) error {
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
			err = do(doc.Content[0])
		} else if err == nil {
			err = errors.New("a document that is no map")
		}
		if err != nil {
			return err
		}
	}
}

// child returns the value of a key, nil where the mapping has none.
func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// Exceptions lists the exceptions among the parts by id, with what an approval covers: the file, and the members of every
// group that the exception names. A changed group needs a new approval, so that nothing widens what was approved.
func Exceptions(parts []Part) ([]Approval, error) {
	set, problems := readRules(parts)
	if problems.Failed() {
		return nil, problems
	}
	digests := make(map[string]string)
	for _, p := range parts {
		if p.Role == RoleFile {
			digests[p.Path] = p.Digest
		}
	}
	var out []Approval
	for _, x := range set.Exceptions {
		covers := fmt.Appendf(nil, "borderwatch-exception/v1\nfile sha256:%s\n", digests[x.Pos.Path])
		for _, line := range frozen(set, x) {
			covers = fmt.Appendf(covers, "%s\n", line)
		}
		out = append(out, Approval{ID: x.ID, Digest: digestOf(covers)})
	}
	slices.SortFunc(out, func(a, b Approval) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

func readRules(parts []Part) (*policy.Set, policy.Problems) {
	var docs []policy.Document
	for _, p := range parts {
		if p.Role == RoleFile && isYAML(p.Path) {
			docs = append(docs, policy.Document{Path: p.Path, Data: p.Data})
		}
	}
	return policy.Read(docs)
}

// frozen lists the members of the groups that an exception's conditions name, and of the groups in those.
func frozen(set *policy.Set, x *policy.Exception) (lines []string) {
	seen := make(map[string]bool)
	var walk func(v *policy.Value)
	walk = func(v *policy.Value) {
		if v.Group == "" || seen[v.Group] {
			return
		}
		seen[v.Group] = true
		for _, g := range set.Groups {
			if g.Name != v.Group {
				continue
			}
			for i := range g.Members {
				m := &g.Members[i]
				lines = append(lines, fmt.Sprintf("member %q %q %q %d %d", g.Name, m.Group, m.Text, m.From, m.Until))
				walk(&m.Value)
			}
			lines = append(lines, fmt.Sprintf("group %q %d %d", g.Name, g.From, g.Until))
		}
	}
	for i := range x.When {
		for j := range x.When[i].Values {
			walk(&x.When[i].Values[j])
		}
	}
	slices.Sort(lines)
	return lines
}

// Describe begins a statement: what the parts are, and which of their exceptions an earlier release approved, nil for
// none. Environment, times and impact are the caller's to add.
func Describe(parts []Part, earlier *Release) (Statement, error) {
	exceptions, err := Exceptions(parts)
	if err != nil {
		return Statement{}, err
	}
	s := Statement{Content: Digest(Content(parts)), Groups: Groups(parts), Exceptions: exceptions}
	if earlier != nil {
		s.Exceptions, s.Previous = CarryOver(exceptions, earlier), earlier.Statement().Content
	}
	return s, nil
}
