package decode

import (
	"fmt"
	"hash/maphash"
	"strings"

	"borderwatch/schemas/access"
)

// adapter decodes the records of a foreign format: it parses the whole record, checks that it is of that format, and
// maps it.
type adapter struct {
	tree
	feed    Feed
	shape   shape
	mapping mapping
	extra   int
}

// mapping fills ev from the record at root, which has the members that the shape requires.
type mapping func(a *adapter, root ref, ev *access.Event) error

func newAdapter(feed Feed, s shape, m mapping) *adapter {
	a := &adapter{feed: feed, shape: s, mapping: m}
	a.seed = maphash.MakeSeed()
	return a
}

// Extra returns how many members of the last record's envelope the format does not document.
func (a *adapter) Extra() int { return a.extra }

// Decode reads one record.
func (a *adapter) Decode(rec *Record, ev *access.Event) error {
	a.extra = 0
	if err := a.parse(rec.Value, a.feed.Limits); err != nil {
		if looks, ok := bytesShape(rec.Value); ok {
			return looks.misplaced(a.shape.adapter)
		}
		return err
	}
	root := a.root()
	if !root.isObject() {
		return &Malformed{CodeType, "one JSON object is wanted", "", root.node().pos}
	}
	ev.Source.Feed, ev.Source.Scope = a.feed.Name, firstOf(a.feed.Scope, a.feed.Name)
	if err := a.mapping(a, root, ev); err != nil {
		return a.explain(root, err)
	}
	return nil
}

// explain replaces the complaint about a member by a better one where the record is of another format altogether.
func (a *adapter) explain(root ref, err error) error {
	if looks, ok := treeShape(root); ok && looks.adapter != a.shape.adapter {
		return looks.misplaced(a.shape.adapter)
	}
	return err
}

// envelope checks the names of an object's members against those the format documents: one that differs only in case is
// refused, as it may be meant as the known one; others are counted.
func (a *adapter) envelope(object ref, path string, known []string) error {
	for m := object.first(); m.at != 0; m = m.following() {
		name := m.node().name
		switch as, exact := fold(name, known); {
		case exact:
		case as != "":
			return &Malformed{CodeKeyCase, "differs only in case from " + as, path + name, m.node().pos}
		default:
			a.extra++
		}
	}
	return nil
}

// fold finds the known name that equals name, or that differs from it only in case.
func fold(name string, known []string) (as string, exact bool) {
	for _, k := range known {
		if k == name {
			return k, true
		}
		if len(k) == len(name) && strings.EqualFold(k, name) {
			as = k
		}
	}
	return as, false
}

// required returns the text of a member without which the record is refused.
func (a *adapter) required(r ref, path string) (string, error) {
	if r.absent() {
		return "", &Malformed{CodeMissing, "is missing; every " + a.shape.what + " has it", path, -1}
	}
	text, err := a.text(r, path)
	if err == nil && text == "" {
		err = &Malformed{CodeMissing, "is empty; every " + a.shape.what + " has it", path, r.node().pos}
	}
	return text, err
}

// text returns the text of a member that goes into the event, "" where it is absent.
func (a *adapter) text(r ref, path string) (string, error) {
	if r.absent() {
		return "", nil
	}
	n := r.node()
	if n.kind != '"' {
		return "", &Malformed{CodeType, "a string is wanted", path, n.pos}
	}
	if n.control {
		return "", &Malformed{CodeControl, "a control character stands in the value", path, n.pos}
	}
	return n.text, nil
}

// object returns a member that must be an object where it is present.
func (a *adapter) object(r ref, path string) (ref, error) {
	switch {
	case r.absent():
		return ref{}, nil
	case !r.isObject():
		return ref{}, &Malformed{CodeType, "an object is wanted", path, r.node().pos}
	}
	return r, nil
}

// time reads a time that is required. Log shippers and data lakes rewrite the clouds' times as "2006-01-02 15:04:05.000"
// in UTC; that form is understood too.
func (a *adapter) time(r ref, path string) (access.Millis, error) {
	text, err := a.required(r, path)
	if err != nil {
		return 0, err
	}
	if t, ok := access.ParseTime(text); ok {
		return t, nil
	}
	if len(text) >= 19 && text[10] == ' ' && !strings.ContainsAny(text[19:], "+-Zz") {
		if t, ok := access.ParseTime(a.join(text[:10], "T", text[11:], "Z")); ok {
			return t, nil
		}
	}
	return 0, &Malformed{CodeValue, fmt.Sprintf("%q is not an RFC 3339 time between 1970 and 2262", clip(text)), path, r.node().pos}
}

// place reads what a cloud writes for a country. What it does not name plainly is unknown: such a record is not
// malformed, and an unknown place never means allowed.
func place(r ref) access.Place {
	p, _ := access.ParsePlace(r.str())
	return p
}

// noUserData marks an operation that its adapter's table lists as touching no user data.
func noUserData(item *access.Item) {
	item.Dataset = access.DatasetNone
	item.Regions, item.Classes, item.Categories = access.EmptySet, access.EmptySet, access.EmptySet
}

// datasets names the data sets of an access: the first in the event's own item, the others behind it. All are kept in one
// system and country.
type datasets struct {
	ev      *access.Event
	system  string
	country access.Country
	named   int
}

// add names one further data set, once. Those over MaxItems become one data set that is unknown, which no rule takes for
// allowed.
func (d *datasets) add(name string) {
	if name == "" || d.named > MaxItems {
		return
	}
	for i := range d.named {
		if d.ev.Data.Items[i].Dataset == name {
			return
		}
	}
	if d.named == MaxItems {
		name = ""
	}
	item := &d.ev.Data.Items[0]
	if d.named > 0 {
		item = d.ev.AddItem()
		item.System, item.StorageCountry = d.system, d.country
	}
	item.Dataset = name
	d.named++
}
