package policy

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader turns one file into nodes and collects what is wrong with it.
type reader struct {
	path     string
	problems Problems
}

func (r *reader) at(n *yaml.Node) Position { return Position{r.path, n.Line, n.Column} }

func (r *reader) refuse(n *yaml.Node, check, hint, format string, args ...any) {
	r.problems = append(r.problems, At(r.at(n), check, hint, format, args...))
}

// nodes parses a file into one root mapping per YAML document. Aliases are never expanded: they are refused, so a file
// of 256 KB cannot grow.
func (r *reader) nodes(data []byte) []*yaml.Node {
	if len(data) > MaxFileBytes {
		r.whole("the file has %d bytes, the limit is %d", len(data), MaxFileBytes)
		return nil
	}
	if p, ok := tabProblem(r.path, data); ok {
		r.problems = append(r.problems, p)
		return nil
	}
	var roots []*yaml.Node
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			if len(roots)+len(r.problems) == 0 {
				r.problems = append(r.problems, At(Position{r.path, 1, 1}, "format", "", "the file holds nothing; it must start with a line like format: %s", FormatRule))
			}
			return roots
		}
		if err != nil {
			r.problems = append(r.problems, Syntax(r.path, data, err))
			return nil
		}
		if len(doc.Content) == 1 && r.sound(doc.Content[0], 1) && !isNull(doc.Content[0]) {
			roots = append(roots, doc.Content[0])
		}
	}
}

func (r *reader) whole(format string, args ...any) {
	r.problems = append(r.problems, At(Position{r.path, 1, 1}, "limits", "", format, args...))
}

// sound refuses what the language does not use: aliases, anchors, own tags, deep nesting.
func (r *reader) sound(n *yaml.Node, depth int) bool {
	switch {
	case depth > MaxDepth:
		r.refuse(n, "limits", "", "maps and lists are nested more than %d levels deep", MaxDepth)
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.refuse(n, "syntax", "use a group for lists that several rules share", "anchors (&) and aliases (*) are not read; write the value out")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.refuse(n, "syntax", "", "the tag %s is not read; every value is text", n.Tag)
		return false
	}
	for _, child := range n.Content {
		if !r.sound(child, depth+1) {
			return false
		}
	}
	return true
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// object is a mapping whose keys are known.
type object struct {
	*reader
	node   *yaml.Node
	what   string // "rule", "group": for messages
	values map[string]*yaml.Node
	places map[string]Position
}

// object reads a mapping and refuses keys that are twice there or not among the allowed. It returns nil where the node
// is no mapping.
func (r *reader) object(n *yaml.Node, what string, allowed ...string) *object {
	o := &object{reader: r, node: n, what: what, values: map[string]*yaml.Node{}, places: map[string]Position{}}
	ok := r.pairs(n, what, func(key, value *yaml.Node) {
		if !contains(allowed, key.Value) {
			r.refuse(key, "unknown-key", nearest(key.Value, allowed), "%s has no key %q", article(what), key.Value)
			return
		}
		o.values[key.Value], o.places[key.Value] = value, r.at(key)
	})
	if !ok {
		return nil
	}
	return o
}

// pairs calls f for each key and value of a mapping, false where the node is none.
func (r *reader) pairs(n *yaml.Node, what string, f func(key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		r.refuse(n, "value", "", "%s is a map of keys and values", article(what))
		return false
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			r.refuse(key, "value", "", "a key of %s must be text", article(what))
			continue
		}
		if line, twice := seen[key.Value]; twice {
			r.refuse(key, "duplicate-key", "", "the key %q is already given in line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, n.Content[i+1])
	}
	return true
}

// require refuses an object without the keys.
func (o *object) require(keys ...string) {
	for _, key := range keys {
		if o.values[key] == nil {
			o.refuse(o.node, "missing-key", "", "the %s has no %s", o.what, key)
		}
	}
}

// text reads a scalar as the text that is written, "" where the key is absent.
func (o *object) text(key string) string {
	n := o.values[key]
	if n == nil {
		return ""
	}
	text, _ := o.scalar(n, key)
	return text
}

// scalar reads a node as text and refuses empty ones. NO is "NO" and 1.10 is "1.10".
func (r *reader) scalar(n *yaml.Node, what string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.refuse(n, "value", "", "%s must be one value", what)
	case isNull(n) || strings.TrimSpace(n.Value) == "":
		r.refuse(n, "value", "", "%s has no value", what)
	default:
		return n.Value, true
	}
	return "", false
}

// list returns the scalars of a list, or the one scalar.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	var out []*yaml.Node
	for _, item := range nodes {
		if _, ok := r.scalar(item, what); ok {
			out = append(out, item)
		}
	}
	return out
}

// someOf is list for what must not be empty.
func (r *reader) someOf(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		r.refuse(n, "value", "", "%s is an empty list", what)
	}
	return r.list(n, what)
}

func (o *object) texts(key string) []string {
	n := o.values[key]
	if n == nil {
		return nil
	}
	var out []string
	for _, item := range o.list(n, key) {
		out = append(out, item.Value)
	}
	return out
}

// word reads one of the words and returns its index, 0 where the key is absent.
func (o *object) word(key string, words []string) int {
	n := o.values[key]
	if n == nil {
		return 0
	}
	text, ok := o.scalar(n, key)
	if !ok {
		return 0
	}
	for i, w := range words {
		if w == text {
			return i
		}
	}
	o.refuse(n, "unknown-word", nearest(text, words), "%s cannot be %q: it is %s", key, text, oneOf(words))
	return 0
}

func (o *object) day(key string) Day {
	n := o.values[key]
	if n == nil {
		return NoDay
	}
	text, ok := o.scalar(n, key)
	if !ok {
		return NoDay
	}
	day, ok := ParseDay(text)
	if !ok {
		o.refuse(n, "value", "", "%s must be a day like 2026-11-23, not %q", key, text)
	}
	return day
}

func (o *object) flag(key string) bool { return o.word(key, []string{"false", "true"}) == 1 }

func (o *object) number(key string) int64 {
	n := o.values[key]
	if n == nil {
		return 0
	}
	text, ok := o.scalar(n, key)
	if !ok {
		return 0
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 1 {
		o.refuse(n, "value", "", "%s must be a whole number from 1, not %q", key, text)
	}
	return v
}

var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)

// id reads an identifier: letters, digits, dashes, dots and underscores.
func (o *object) id(key string) string {
	text := o.text(key)
	if text != "" && (!identifier.MatchString(text) || text == unknownWord) {
		o.refuse(o.values[key], "value", "", "%s must be a letter followed by at most 63 letters, digits, - . or _, and not %q", key, text)
	}
	return text
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}
