package impact

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/rules/policy"
	"borderwatch/rules/release"
)

// MaxEntries is how many changed entries of one part a report lists; the rest is counted.
const MaxEntries = 200

// maxDetail is how many members of a list that were added, or removed, a detail names.
const maxDetail = 12

// Part is what changed in one part of a bundle: rules, groups, exceptions, roster, catalogue, entities, networks, approvals,
// address lists or location databases.
type Part struct {
	Part    string  `json:"part"`
	Added   int     `json:"added"`
	Removed int     `json:"removed"`
	Changed int     `json:"changed"`
	Entries []Entry `json:"entries"`
	More    int     `json:"more,omitempty"` // entries that are counted and not listed
}

// Entry is one rule, group, person, … that changed.
type Entry struct {
	Key     string   `json:"key"`
	Change  string   `json:"change"`            // added, removed, changed
	Details []string `json:"details,omitempty"` // of a change: key: before → after, or what a list lost (-) and gained (+)
}

// partNames are the names of parts in the order of a report.
var partNames = []string{partRules, "groups", partExceptions, "roster", "catalogue", "entities", "networks", "approvals", partLists, partGeoIP}

// The formats of documents give the names of the other parts.
const (
	partRules      = "rules"
	partExceptions = "exceptions"
	partLists      = "address lists"
	partGeoIP      = "location databases"
)

// CompareParts shows what changed between two bundles, entry by entry, wherever in which file an entry stands. Order,
// comments and the layout of files do not count. Parts without a change are left out. Both must have been read without
// errors.
func CompareParts(before, after []release.Part) ([]Part, error) {
	old, err := entriesOf(before)
	if err != nil {
		return nil, err
	}
	now, err := entriesOf(after)
	if err != nil {
		return nil, err
	}
	var out []Part
	for _, name := range partNames {
		if p := comparePart(name, old[name], now[name]); len(p.Entries) > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

func comparePart(name string, old, now map[string]entry) Part {
	p := Part{Part: name}
	keys := slices.Sorted(maps.Keys(old))
	keys = slices.AppendSeq(keys, maps.Keys(now))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		was, had := old[key]
		is, has := now[key]
		e := Entry{Key: key}
		switch {
		case !had:
			e.Change = "added"
			p.Added++
		case !has:
			e.Change = "removed"
			p.Removed++
		default:
			if e.Details = was.compare(is); len(e.Details) == 0 {
				continue
			}
			e.Change = "changed"
			p.Changed++
		}
		if len(p.Entries) < MaxEntries {
			p.Entries = append(p.Entries, e)
		} else {
			p.More++
		}
	}
	return p
}

// entry is an entry of a file: a mapping, or the lines of an address list, or a digest.
type entry struct {
	node   *yaml.Node
	lines  []byte
	digest string
}

func (e entry) compare(now entry) []string {
	switch {
	case e.node != nil:
		return compareMaps("", e.node, now.node)
	case e.digest == now.digest:
		return nil
	case e.lines != nil || now.lines != nil:
		lost, gained := difference(addresses(e.lines), addresses(now.lines))
		if len(lost)+len(gained) == 0 {
			return nil // comments
		}
		return []string{listDetail(fmt.Sprintf("%d fewer, %d more", len(lost), len(gained)), lost, gained)}
	}
	return []string{fmt.Sprintf("sha256:%.12s… → sha256:%.12s…", e.digest, now.digest)}
}

// addresses are the lines of an address list without comments.
func addresses(data []byte) (list []string) {
	for line := range bytes.Lines(data) {
		text, _, _ := strings.Cut(string(line), "#")
		if text = strings.TrimSpace(text); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// entriesOf collects the entries of all parts, by part and key.
func entriesOf(parts []release.Part) (map[string]map[string]entry, error) {
	all := make(map[string]map[string]entry)
	for _, p := range parts {
		switch {
		case p.Role == release.RoleSigned:
		case p.Role != release.RoleFile:
			put(all, partGeoIP, p.Role, entry{digest: p.Digest})
		case path.Ext(p.Path) != ".yaml" && path.Ext(p.Path) != ".yml":
			put(all, partLists, p.Path, entry{digest: p.Digest, lines: p.Data})
		default:
			if err := documents(all, p.Data); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Path, err)
			}
		}
	}
	return all, nil
}

func put(all map[string]map[string]entry, part, key string, e entry) {
	if all[part] == nil {
		all[part] = make(map[string]entry)
	}
	name := key
	for n := 2; ; n++ {
		if _, taken := all[part][name]; !taken {
			break
		}
		name = fmt.Sprintf("%s (%d)", key, n)
	}
	all[part][name] = e
}

func documents(all map[string]map[string]entry, data []byte) error {
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
			document(all, doc.Content[0])
		}
	}
}

// document takes one document apart: a rule or an exception is one entry, of the others each element of a list is.
func document(all map[string]map[string]entry, root *yaml.Node) {
	format := textOf(root, "format")
	part := strings.TrimSuffix(strings.TrimPrefix(format, "borderwatch/"), "/v1")
	switch format {
	case policy.FormatRule:
		put(all, partRules, textOf(root, "id"), entry{node: root})
		return
	case policy.FormatException:
		put(all, partExceptions, textOf(root, "id"), entry{node: root})
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i+1].Kind != yaml.SequenceNode {
			continue
		}
		for _, element := range root.Content[i+1].Content {
			if element.Kind == yaml.MappingNode {
				put(all, part, root.Content[i].Value+" "+nameOf(element), entry{node: element})
			}
		}
	}
}

// nameOf names an element of a list as its file does. Dated entries of one id are told apart by their beginning.
func nameOf(element *yaml.Node) string {
	name := cmp.Or(textOf(element, "id"), textOf(element, "name"), textOf(element, "pattern"), "without a name")
	if from := textOf(element, "from"); from != "" {
		name += " from " + from
	}
	return name
}

func textOf(mapping *yaml.Node, key string) string {
	if n := child(mapping, key); n != nil {
		return n.Value
	}
	return ""
}

// child returns the value of a key, nil where the mapping has none.
func child(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// compareMaps lists the keys whose values differ.
func compareMaps(prefix string, old, now *yaml.Node) (details []string) {
	var keys []string
	for _, n := range []*yaml.Node{old, now} {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i].Value; !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	for _, key := range keys {
		was, is := child(old, key), child(now, key)
		name := prefix + key
		switch {
		case canonical(was) == canonical(is):
		case kindIs(yaml.MappingNode, was, is):
			details = append(details, compareMaps(name+" ", was, is)...)
		case kindIs(yaml.SequenceNode, was, is):
			if lost, gained := difference(members(was), members(is)); len(lost)+len(gained) > 0 {
				details = append(details, listDetail(name, lost, gained))
			}
		default:
			details = append(details, fmt.Sprintf("%s: %s → %s", name, cmp.Or(canonical(was), "nothing"), cmp.Or(canonical(is), "nothing")))
		}
	}
	return details
}

func kindIs(kind yaml.Kind, a, b *yaml.Node) bool {
	return a != nil && b != nil && a.Kind == kind && b.Kind == kind
}

// canonical writes a value on one line, the keys of maps in order. An absent value is "".
func canonical(n *yaml.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Kind == yaml.AliasNode:
		return "*" + n.Value
	case n.Kind == yaml.ScalarNode:
		return n.Value
	case n.Kind == yaml.SequenceNode:
		return "[" + strings.Join(members(n), ", ") + "]"
	}
	var parts []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		parts = append(parts, n.Content[i].Value+": "+canonical(n.Content[i+1]))
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}

func members(list *yaml.Node) (out []string) {
	for _, n := range list.Content {
		out = append(out, canonical(n))
	}
	return out
}

// difference returns what only the one and what only the other list has, in order.
func difference(old, now []string) (lost, gained []string) {
	return missing(old, now), missing(now, old)
}

func missing(list, from []string) (out []string) {
	have := make(map[string]bool, len(from))
	for _, s := range from {
		have[s] = true
	}
	for _, s := range list {
		if !have[s] {
			out = append(out, s)
		}
	}
	return out
}

// listDetail writes what a list lost and gained: "members: - GB, + CH".
func listDetail(name string, lost, gained []string) string {
	var parts []string
	for _, side := range []struct {
		sign string
		list []string
	}{{"- ", lost}, {"+ ", gained}} {
		for _, s := range side.list[:min(len(side.list), maxDetail)] {
			parts = append(parts, side.sign+s)
		}
		if more := len(side.list) - maxDetail; more > 0 {
			parts = append(parts, fmt.Sprintf("%s%d more", side.sign, more))
		}
	}
	return name + ": " + strings.Join(parts, ", ")
}
