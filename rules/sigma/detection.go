package sigma

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/rules/policy"
)

// detection is Sigma's detection section: named selections and the condition that joins them.
type detection struct {
	selections []selection
	condition  string
	filters    int
}

// selection is one search identifier: all its entries must hold.
type selection struct {
	name    string
	entries []entry
}

// entry is one line of a selection: a field with its modifiers, and values of which one must match.
type entry struct {
	key    string
	values []*yaml.Node
}

func (s *selection) has(key string) bool {
	return slices.ContainsFunc(s.entries, func(e entry) bool { return e.key == key })
}

// noUserData is the selection of operations that touch no user data.
const noUserData = "no_user_data"

// detection translates the rule's conditions, those of its kind among them.
func (c *converter) detection() *detection {
	d := &detection{}
	parts := d.all(c, "selection", c.conditions())
	if branches := c.rule.When.Any; len(branches) > 0 {
		alternatives := make([]string, len(branches))
		for i, branch := range branches {
			expression := strings.Join(d.all(c, fmt.Sprintf("any_%d", i+1), branch), " and ")
			if strings.Contains(expression, " ") && len(branches) > 1 {
				expression = "(" + expression + ")"
			}
			alternatives[i] = expression
		}
		parts = append(parts, "("+strings.Join(alternatives, " or ")+")")
	}
	if c.rule.Kind.AboutData() {
		d.selections = append(d.selections, selection{noUserData, []entry{{"data.dataset", []*yaml.Node{quoted("none")}}}})
		parts = append(parts, "not "+noUserData)
	}
	d.condition = strings.Join(parts, " and ")
	return d
}

// conditions are those of the rule and those that its kind adds without being written.
func (c *converter) conditions() []policy.Condition {
	conditions := slices.Clone(c.rule.When.All)
	for _, implied := range c.rule.Kind.Implied() {
		same := func(w policy.Condition) bool { return w.String() == implied.String() }
		if !slices.ContainsFunc(conditions, same) {
			conditions = append(conditions, implied)
		}
	}
	return conditions
}

// all translates conditions that must all hold into selections that are named after prefix, and returns the parts of
// the expression that joins them. A key stands once in a selection, so a second one opens another selection.
func (d *detection) all(c *converter, prefix string, conditions []policy.Condition) (parts []string) {
	positive := []selection{{name: prefix}}
	var negated []entry
	var guards []entry
	for i := range conditions {
		t := c.term(&conditions[i])
		for _, e := range t.holds {
			positive = place(positive, prefix, e)
		}
		guards = append(guards, t.guards...)
		negated = append(negated, t.holdsNot...)
	}
	for _, g := range guards {
		if !known(positive, g.key) {
			positive = place(positive, prefix, g)
		}
	}
	for _, s := range positive {
		if len(s.entries) > 0 {
			d.selections = append(d.selections, s)
			parts = append(parts, s.name)
		}
	}
	for _, e := range negated {
		d.filters++
		name := fmt.Sprintf("filter_%d", d.filters)
		d.selections = append(d.selections, selection{name, []entry{e}})
		parts = append(parts, "not "+name)
	}
	return parts
}

// place puts an entry into the first selection that does not have its key.
func place(selections []selection, prefix string, e entry) []selection {
	for i := range selections {
		if !selections[i].has(e.key) {
			selections[i].entries = append(selections[i].entries, e)
			return selections
		}
	}
	return append(selections, selection{fmt.Sprintf("%s_and_%d", prefix, len(selections)+1), []entry{e}})
}

// known reports whether an entry already demands that the field of a guard exists.
func known(selections []selection, guard string) bool {
	field, _, _ := strings.Cut(guard, "|")
	for _, s := range selections {
		for _, e := range s.entries {
			name, modifiers, _ := strings.Cut(e.key, "|")
			if name == field && modifiers != "exists" || e.key == guard {
				return true
			}
		}
	}
	return false
}
