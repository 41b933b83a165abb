package decode

import (
	"strconv"
	"strings"

	"borderwatch/schemas/access"
)

// tree is a parsed record of a foreign format, in nodes that are reused from record to record.
type tree struct {
	scanner
	nodes []node
}

// node is one JSON value. The zero node is none: absent.
type node struct {
	kind        byte   // '{', '[', '"', '0' for a number, 't', 'f', 'n'; 0 for none
	name        string // its key, in an object
	text        string // of a string or number
	pos         int    // where it starts
	child, next int32  // first member or element, and the one after this; 0 for none
	control     bool   // a string with escaped control characters
}

// parse reads the whole record. Node 1 is the root.
func (t *tree) parse(data []byte, limits Limits) error {
	if cap(t.nodes) > maxKept {
		t.nodes = nil
	}
	t.nodes = append(t.nodes[:0], node{})
	if err := t.open(data, limits); err != nil {
		return err
	}
	if _, err := t.parseValue(""); err != nil {
		return err
	}
	return t.end()
}

// parseValue reads one value and returns its index. Children are appended behind their parent, so that an index is a
// pointer that survives growth.
func (t *tree) parseValue(name string) (int32, error) {
	at := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{kind: t.peek(), name: name, pos: t.pos})
	n := &t.nodes[at]
	var err error
	switch n.kind {
	case '{', '[':
		return at, t.parseChildren(at)
	case '"':
		n.text, err = t.string()
		n.control = t.control >= 0
	case 't':
		err = t.literal("true")
	case 'f':
		err = t.literal("false")
	case 'n':
		err = t.literal("null")
	default:
		if n.kind != '-' && (n.kind < '0' || n.kind > '9') {
			return 0, t.syntax("a JSON value")
		}
		n.kind = '0'
		n.text, _, err = t.number()
	}
	return at, err
}

func (t *tree) parseChildren(at int32) error {
	end := t.nodes[at].kind + 2 // the closing bracket is two after the opening one in ASCII
	if err := t.enter(); err != nil {
		return err
	}
	from := len(t.keys)
	if t.peek() != end {
		var last int32
		for more := true; more; {
			child, err := t.parseChild(end == '}')
			if err != nil {
				return err
			}
			if last == 0 {
				t.nodes[at].child = child
			} else {
				t.nodes[last].next = child
			}
			last = child
			if more, err = t.more(end); err != nil {
				return err
			}
		}
	}
	if err := t.duplicate(from); err != nil {
		return err
	}
	t.keys = t.keys[:from]
	t.leave()
	return nil
}

func (t *tree) parseChild(named bool) (int32, error) {
	if !named {
		return t.parseValue("")
	}
	if err := t.pushKey(); err != nil {
		return 0, err
	}
	return t.parseValue(t.keys[len(t.keys)-1].name)
}

// ref points at a node of a tree. The zero ref is absent, and everything in it is absent too.
type ref struct {
	tree *tree
	at   int32
}

func (t *tree) root() ref { return ref{t, 1} }

func (r ref) node() *node {
	if r.tree == nil {
		return &node{}
	}
	return &r.tree.nodes[r.at]
}

// absent reports whether there is no value, or null.
func (r ref) absent() bool { return r.at == 0 || r.node().kind == 'n' }

func (r ref) isObject() bool { return r.at != 0 && r.node().kind == '{' }

// get follows a path of keys.
func (r ref) get(path ...string) ref {
	for _, name := range path {
		if !r.isObject() {
			return ref{}
		}
		r = r.member(name)
	}
	return r
}

func (r ref) member(name string) ref {
	for m := r.first(); m.at != 0; m = m.following() {
		if m.node().name == name {
			return m
		}
	}
	return ref{}
}

// first and following walk the members of an object or the elements of a list.
func (r ref) first() ref {
	if r.at == 0 {
		return ref{}
	}
	return ref{r.tree, r.node().child}
}

func (r ref) following() ref { return ref{r.tree, r.node().next} }

// str returns the text of a string that holds no control character, else "".
func (r ref) str() string {
	if r.at == 0 || r.node().kind != '"' || r.node().control {
		return ""
	}
	return r.node().text
}

// prose returns a text that may have line breaks and tabs, but no other control character; else "".
func (r ref) prose() string {
	if r.at == 0 || r.node().kind != '"' || controls(access.FieldJustification, r.node().text, 0) != nil {
		return ""
	}
	return r.node().text
}

// integer returns a whole number from 0 on. Clouds write counts as numbers, strings, and floats such as 12.0.
func (r ref) integer() (int64, bool) {
	if r.at == 0 || r.node().kind != '0' && r.node().kind != '"' {
		return 0, false
	}
	text, fraction, _ := strings.Cut(r.node().text, ".")
	if strings.Trim(fraction, "0") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0
}

// boolean returns true or false, also where it is written as a string in any case.
func (r ref) boolean() (value, ok bool) {
	if r.at == 0 {
		return false, false
	}
	switch n := r.node(); {
	case n.kind == 't', n.kind == '"' && strings.EqualFold(n.text, "true"):
		return true, true
	case n.kind == 'f', n.kind == '"' && strings.EqualFold(n.text, "false"):
		return false, true
	}
	return false, false
}

// firstOf returns the first text that is not empty.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// join writes parts one after another into the record's buffer.
func (t *tree) join(parts ...string) string {
	from := len(t.arena)
	for _, part := range parts {
		t.arena = append(t.arena, part...)
	}
	return view(t.arena[from:])
}
