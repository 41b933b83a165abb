package sigma

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// term is one condition in Sigma's words.
type term struct {
	holds    []entry // must match
	holdsNot []entry // must not match
	guards   []entry // demand a field without which the condition would be unknown
}

// term translates a condition. What is missing must never match: it is unknown, not different.
func (c *converter) term(w *policy.Condition) term {
	field := w.Field.String()
	switch w.Op {
	case policy.Missing:
		return missing(w.Field)
	case policy.SameAs, policy.DiffersFrom:
		return c.compare(w)
	case policy.Only:
		c.refuse(w.Pos, checkOperator, "", "%s only asks of every member of a set; Sigma asks whether there is one", field)
		return term{}
	case policy.AtLeast, policy.AtMost:
		return c.bound(w)
	}
	values := c.values(w)
	e := entry{field + modifiers(w, len(values)), values}
	if w.Op != policy.Not {
		return term{holds: []entry{e}}
	}
	t := term{holdsNot: []entry{e}}
	if !definite(w.Field) {
		t.guards = []entry{exists(w.Field, true)}
	}
	return t
}

// definite fields always have a word, "unknown" among them.
func definite(f access.Field) bool {
	return f == access.FieldLocationVerdict || f == access.FieldNetworkKind
}

func missing(f access.Field) term {
	if definite(f) {
		return term{holds: []entry{{f.String(), []*yaml.Node{quoted("unknown")}}}}
	}
	return term{holds: []entry{exists(f, false)}}
}

func exists(f access.Field, wanted bool) entry {
	return entry{f.String() + "|exists", []*yaml.Node{plainNode(strconv.FormatBool(wanted))}}
}

// compare translates same as and differs from by a field reference.
func (c *converter) compare(w *policy.Condition) term {
	if w.Field.Info().Type == access.Nations || w.Other.Info().Type == access.Nations || w.Field.Info().Type == access.Time {
		c.refuse(w.Pos, checkCompare, "", "%s %s %s compares lists of countries or times; Sigma compares single values", w.Field, w.Op, w.Other)
		return term{}
	}
	e := entry{w.Field.String() + "|fieldref", []*yaml.Node{quoted(w.Other.String())}}
	t := term{guards: []entry{exists(w.Field, true), exists(w.Other, true)}}
	if w.Op == policy.SameAs {
		t.holds = []entry{e}
	} else {
		t.holdsNot = []entry{e}
	}
	return t
}

func (c *converter) bound(w *policy.Condition) term {
	if w.Field.Info().Type == access.Time {
		c.refuse(w.Pos, checkTime, "", "%s %s compares times; Sigma knows parts of a date only", w.Field, w.Op)
		return term{}
	}
	modifier := "|gte"
	if w.Op == policy.AtMost {
		modifier = "|lte"
	}
	return term{holds: []entry{{w.Field.String() + modifier, []*yaml.Node{plainNode(strconv.FormatInt(w.Values[0].Number, 10))}}}}
}

// modifiers are Sigma's for an operator with n values. Text is compared exactly, as borderwatch does; Sigma ignores case
// otherwise. It refuses the modifier all on one value.
func modifiers(w *policy.Condition, n int) (out string) {
	switch {
	case w.Op == policy.Within:
		return "|cidr"
	case w.Op == policy.StartsWith:
		return "|startswith|cased"
	}
	switch w.Field.Info().Type {
	case access.Text, access.Texts, access.Address:
		out = "|cased"
	}
	if w.Op == policy.AllOf && n > 1 {
		out = "|all" + out
	}
	return out
}

// values are the literals of a condition, groups resolved.
func (c *converter) values(w *policy.Condition) (nodes []*yaml.Node) {
	seen := map[string]bool{}
	add := func(n *yaml.Node) {
		if !seen[n.Value] {
			seen[n.Value] = true
			nodes = append(nodes, n)
		}
	}
	for i := range w.Values {
		v := &w.Values[i]
		if v.Group == "" {
			c.literal(w, v, add)
			continue
		}
		for _, m := range c.members(v) {
			c.literal(w, &m.Value, add)
		}
	}
	return nodes
}

func (c *converter) literal(w *policy.Condition, v *policy.Value, add func(*yaml.Node)) {
	switch info := w.Field.Info(); {
	case w.Op == policy.Within:
		add(quoted(v.Prefix.String()))
	case info.Type == access.Integer:
		add(plainNode(strconv.FormatInt(v.Number, 10)))
	case info.Type == access.Nation, info.Type == access.Nations, info.Type == access.Region:
		for _, country := range v.Places.Countries() {
			add(quoted(country.String()))
		}
	default:
		add(quoted(escape.Replace(v.Text)))
	}
}

// members resolves a group on the day of the export. A member that begins or ends later is a loss.
func (c *converter) members(v *policy.Value) (members []policy.Member) {
	changes := policy.NoDay
	change := func(d policy.Day) {
		if changes == policy.NoDay || d < changes {
			changes = d
		}
	}
	for _, m := range c.set.Flatten(v.Group) {
		begun, ended := m.From <= c.opt.Day, m.Until != policy.NoDay && m.Until < c.opt.Day
		switch {
		case !begun:
			change(m.From)
		case !ended:
			members = append(members, m)
			if m.Until != policy.NoDay {
				change(m.Until + 1)
			}
		}
	}
	if changes != policy.NoDay {
		c.differ(Dates, v.Pos, checkDates,
			"the group @"+v.Group+" changes on "+changes.String()+"; Sigma has no dates and would stay as it is today",
			"The group @"+v.Group+" is as on "+c.opt.Day.String()+" and changes on "+changes.String()+": export again then.")
	}
	if len(members) == 0 {
		c.refuse(v.Pos, checkDates, "", "the group @%s has no member on %s", v.Group, c.opt.Day)
	}
	return members
}

// escape keeps Sigma from reading wildcards into values.
var escape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func quoted(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.SingleQuotedStyle, Value: text}
}

// plainNode is a number or a truth value.
func plainNode(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }
