package policy

import (
	"go.yaml.in/yaml/v3"
)

// memberKeys are the names under which a member of each kind of group gives its value.
var memberKeys = []string{Countries: "code", Actors: "id", Entities: "id", Networks: "cidr", Datasets: "name"}

func (r *reader) groups(root *yaml.Node) []*Group {
	o := r.object(root, "groups document", "format", "groups")
	if o == nil {
		return nil
	}
	o.require("groups")
	n := o.values["groups"]
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.refuse(n, "value", "", "groups is a list of groups")
		return nil
	}
	var groups []*Group
	for _, item := range n.Content {
		if g := r.group(item); g != nil {
			groups = append(groups, g)
		}
	}
	return groups
}

func (r *reader) group(n *yaml.Node) *Group {
	o := r.object(n, "group", "name", "kind", "title", "source", "checked", "note", "adequacy", "no_cap", "from", "until", "members")
	if o == nil {
		return nil
	}
	o.require("name", "kind", "members")
	g := &Group{
		Pos: r.at(n), Name: o.id("name"), Kind: GroupKind(o.word("kind", groupKindWords)), Title: o.text("title"), Source: o.text("source"),
		Checked: o.day("checked"), Note: o.text("note"), Adequacy: o.flag("adequacy"), NoCap: o.flag("no_cap"),
		From: o.day("from"), Until: o.day("until"), places: o.places,
	}
	members := o.values["members"]
	if members == nil {
		return g
	}
	if members.Kind != yaml.SequenceNode {
		r.refuse(members, "value", "", "members is a list")
		return g
	}
	for _, item := range members.Content {
		if m, ok := r.member(g, item); ok {
			g.Members = append(g.Members, m)
		}
	}
	if len(members.Content) == 0 {
		r.refuse(members, "empty-group", "", "the group %s has no member", g.Name)
	}
	return g
}

// member reads a plain value, "@group", or a map with dates.
func (r *reader) member(g *Group, n *yaml.Node) (Member, bool) {
	m := Member{From: NoDay, Until: NoDay}
	if n.Kind != yaml.MappingNode {
		return m, r.memberValue(g, n, &m)
	}
	key := memberKeys[g.Kind]
	o := r.object(n, "member", key, "group", "from", "until", "scope", "source", "note", "limited")
	m.From, m.Until = o.day("from"), o.day("until")
	m.Scope, m.Source, m.Note, m.Limited = o.text("scope"), o.text("source"), o.text("note"), o.flag("limited")
	if m.From != NoDay && m.Until != NoDay && m.Until < m.From {
		r.refuse(o.values["until"], "value", "", "until %s lies before from %s", m.Until, m.From)
	}
	value := o.values[key]
	if value == nil {
		value = o.values["group"]
	}
	if value == nil {
		r.refuse(n, "missing-key", "", "the member has no %s", key)
		return m, false
	}
	return m, r.memberValue(g, value, &m)
}

func (r *reader) memberValue(g *Group, n *yaml.Node, m *Member) bool {
	text, ok := r.scalar(n, "a member of "+g.Name)
	if !ok {
		return false
	}
	m.Value = Value{Pos: r.at(n), Text: text, Plain: n.Style == 0}
	if text[0] == '@' {
		m.Group = text[1:]
		return true
	}
	switch g.Kind {
	case Countries:
		return r.country(n, false, &m.Value)
	case Networks:
		return r.prefix(n, &m.Value)
	}
	return true
}
