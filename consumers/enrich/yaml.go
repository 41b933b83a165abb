package enrich

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// MaxDocumentBytes is the largest reference file: a roster of about 100,000 people, whose nodes take some 600 MB while it
// is read. Larger ones are split: files are read one after the other.
const MaxDocumentBytes = 16 << 20

// reader reads the YAML of one file and notes what is wrong with it.
type reader struct {
	path     string
	problems *[]Problem
}

func (r *reader) fail(n *yaml.Node, hint, format string, args ...any) {
	p := Problem{Path: r.path, Message: fmt.Sprintf(format, args...), Hint: hint, Severity: Error}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	*r.problems = append(*r.problems, p)
}

// documents returns the top mappings of a file with their format. Nodes are not expanded: an alias stays one node, and
// is refused where a value is wanted.
func (r *reader) documents(data []byte) []object {
	if len(data) > MaxDocumentBytes {
		r.fail(nil, "split it into several files", "the file has %d bytes, more than %d", len(data), MaxDocumentBytes)
		return nil
	}
	var objects []object
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			r.syntax(data, err)
			return objects
		}
		if len(doc.Content) != 1 || isNull(doc.Content[0]) {
			continue
		}
		if o, ok := r.object(doc.Content[0]); ok {
			objects = append(objects, o)
		}
	}
}

func (r *reader) syntax(data []byte, err error) {
	p := policy.Syntax(r.path, data, err)
	*r.problems = append(*r.problems, Problem{Path: p.Path, Line: p.Line, Column: p.Column, Message: p.Message, Hint: p.Hint, Severity: Error})
}

// object is a mapping with its keys.
type object struct {
	*reader
	node   *yaml.Node
	values map[string]*yaml.Node
	keys   []*yaml.Node
}

func (r *reader) object(n *yaml.Node) (object, bool) {
	o := object{reader: r, node: n}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "", "a mapping (key: value) is wanted here")
		return o, false
	}
	o.values = make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			r.fail(key, "", "a key must be a word")
			continue
		}
		if first, twice := o.values[key.Value]; twice {
			r.fail(key, "", "%s is given twice, first in line %d", key.Value, first.Line)
			continue
		}
		o.values[key.Value] = n.Content[i+1]
		o.keys = append(o.keys, key)
	}
	return o, true
}

// only refuses every key that is not in known.
func (o object) only(known ...string) {
	for _, key := range o.keys {
		if !contains(known, key.Value) {
			o.fail(key, nearest(key.Value, known), "unknown key %q", key.Value)
		}
	}
}

// at is the node of a key, or the object's own where the key is absent.
func (o object) at(key string) *yaml.Node {
	if n := o.values[key]; n != nil {
		return n
	}
	return o.node
}

// text reads a scalar as text whatever YAML takes it for: NO is Norway, 1.10 is not 1.1.
func (o object) text(key string) string {
	n := o.values[key]
	if n == nil || isNull(n) {
		return ""
	}
	return o.scalar(n)
}

func (o object) required(key string) string {
	s := o.text(key)
	if s == "" {
		o.fail(o.at(key), "", "%s is missing", key)
	}
	return s
}

func (r *reader) scalar(n *yaml.Node) string {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value
	case yaml.AliasNode:
		r.fail(n, "write the value out", "aliases are not read here")
	default:
		r.fail(n, "", "a single value is wanted here")
	}
	return ""
}

// list returns the elements of a list; a single value stands for a list of one.
func (o object) list(key string) []*yaml.Node {
	n := o.values[key]
	switch {
	case n == nil || isNull(n):
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

func (o object) texts(key string) []string {
	nodes := o.list(key)
	if len(nodes) == 0 {
		return nil
	}
	out := make([]string, 0, len(nodes))
	for _, n := range nodes {
		s := o.scalar(n)
		if s == "" && n.Kind == yaml.ScalarNode {
			o.fail(n, "", "an empty value in %s", key)
			continue
		}
		out = append(out, s)
	}
	return out
}

// objects returns the mappings of a list.
func (o object) objects(key string) []object {
	nodes := o.list(key)
	out := make([]object, 0, len(nodes))
	for _, n := range nodes {
		if e, ok := o.object(n); ok {
			out = append(out, e)
		}
	}
	return out
}

func (o object) word(key string, v *access.Vocabulary) uint8 {
	s := o.text(key)
	i, ok := v.Parse(s)
	if !ok {
		o.fail(o.at(key), nearest(s, v.Words()), "%s: %q is not one of %s", key, s, v)
	}
	return i
}

// oneOf reads a compulsory word of a closed list and returns its index.
func (o object) oneOf(key string, words []string) int {
	s := o.required(key)
	for i, w := range words {
		if w == s {
			return i
		}
	}
	if s != "" {
		o.fail(o.at(key), nearest(s, words), "%s: %q is not one of %s", key, s, strings.Join(words, ", "))
	}
	return 0
}

// set reads a set; an absent key is a missing set, [] a known empty one.
func (o object) set(key string, v *access.Vocabulary) (set access.Set) {
	n := o.values[key]
	if n == nil || isNull(n) {
		return 0
	}
	set = access.EmptySet
	for _, e := range o.list(key) {
		s := o.scalar(e)
		i, ok := v.Parse(s)
		if !ok {
			o.fail(e, nearest(s, v.Words()), "%s: %q is not one of %s", key, s, v)
			continue
		}
		set = set.With(i)
	}
	return set
}

func (o object) country(key string) access.Country {
	s := o.text(key)
	if s == "" || s == "unknown" {
		return 0
	}
	c, ok := access.ParseCountry(s)
	if !ok {
		o.fail(o.at(key), countryHint(s), "%s: %q is not an ISO 3166-1 alpha-2 country code", key, s)
	}
	return c
}

func countryHint(s string) string {
	switch {
	case s == "EL":
		return "GR"
	case s == "EU":
		return "one country is wanted, EU is many"
	case len(s) == 2:
		if _, ok := access.ParseCountry(strings.ToUpper(s)); ok {
			return strings.ToUpper(s)
		}
	}
	if c, ok := access.CountryNamed(s); ok {
		return c.String()
	}
	return ""
}

// placeOf reads a country under countryKey, or the country of a cloud region under regionKey.
func (o object) placeOf(countryKey, regionKey string) access.Country {
	c, region := o.country(countryKey), o.text(regionKey)
	if region == "" {
		return c
	}
	of, ok := access.RegionCountry(region)
	switch {
	case !ok:
		o.fail(o.at(regionKey), "give "+countryKey+" instead", "%s: %q is not a known cloud region", regionKey, region)
	case c != 0 && c != of:
		o.fail(o.at(regionKey), "", "%s %s lies in %s, but %s is %s", regionKey, region, of, countryKey, c)
	}
	return of
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func contains(list []string, s string) bool {
	for _, w := range list {
		if w == s {
			return true
		}
	}
	return false
}

// nearest suggests the word that was probably meant; "" where none is close.
func nearest(s string, words []string) string {
	best, distance := "", 1+len(s)/3
	for _, w := range words {
		if d := levenshtein.ComputeDistance(strings.ToLower(s), w); d <= distance && d < len(w) {
			best, distance = w, d-1
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}
