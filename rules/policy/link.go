package policy

import (
	"slices"
	"strings"
)

// link sorts the set and checks what several documents must agree on: ids are unique, groups and rules that are named
// exist and fit, groups do not contain themselves.
func (s *Set) link() Problems {
	slices.SortStableFunc(s.Rules, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	slices.SortStableFunc(s.Groups, func(a, b *Group) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(s.Exceptions, func(a, b *Exception) int { return strings.Compare(a.ID, b.ID) })
	l := linker{set: s}
	l.unique()
	for _, g := range s.Groups {
		l.members(g)
	}
	l.cycles()
	l.sizes()
	for _, r := range s.Rules {
		r.When.Each(l.condition)
		for i := range r.Tests {
			l.inline(r.Tests[i].Exception)
		}
	}
	for _, x := range s.Exceptions {
		l.inline(x)
		l.exception(x)
	}
	if len(s.Rules) > MaxRules {
		l.add(At(s.Rules[MaxRules].Pos, "limits", "", "the bundle has %d rules, the limit is %d", len(s.Rules), MaxRules))
	}
	return l.problems
}

type linker struct {
	set      *Set
	problems Problems
}

func (l *linker) add(p Problem) { l.problems = append(l.problems, p) }

func (l *linker) unique() {
	for i := 1; i < len(l.set.Rules); i++ {
		l.twice("rule", l.set.Rules[i-1].ID, l.set.Rules[i].ID, l.set.Rules[i-1].Pos, l.set.Rules[i].Place("id"))
	}
	for i := 1; i < len(l.set.Groups); i++ {
		l.twice("group", l.set.Groups[i-1].Name, l.set.Groups[i].Name, l.set.Groups[i-1].Pos, l.set.Groups[i].Place("name"))
	}
	for i := 1; i < len(l.set.Exceptions); i++ {
		l.twice("exception", l.set.Exceptions[i-1].ID, l.set.Exceptions[i].ID, l.set.Exceptions[i-1].Pos, l.set.Exceptions[i].Place("id"))
	}
}

func (l *linker) twice(what, first, second string, at, again Position) {
	if first == second && first != "" {
		l.add(At(again, "duplicate-id", "", "the %s %s already exists at %s:%d; an id is never used twice", what, first, at.Path, at.Line))
	}
}

// groupNames are the names of a kind, for hints.
func (l *linker) groupNames(kind GroupKind) []string {
	var names []string
	for _, g := range l.set.Groups {
		if g.Kind == kind {
			names = append(names, "@"+g.Name)
		}
	}
	return names
}

func (l *linker) reference(v *Value, kind GroupKind) {
	g := l.set.Group(v.Group)
	switch {
	case g == nil:
		l.add(At(v.Pos, "unknown-group", nearest(v.Text, l.groupNames(kind)), "there is no group %s", v.Text))
	case g.Kind != kind:
		l.add(At(v.Pos, "unknown-group", nearest(v.Text, l.groupNames(kind)), "%s is a group of %s, and %s are wanted here", v.Text, g.Kind, kind))
	}
}

func (l *linker) condition(c *Condition) {
	kind, _ := GroupKindOf(c.Field)
	for i := range c.Values {
		if c.Values[i].Group != "" {
			l.reference(&c.Values[i], kind)
		}
	}
}

func (l *linker) members(g *Group) {
	for i := range g.Members {
		if m := &g.Members[i]; m.Group != "" {
			l.reference(&m.Value, g.Kind)
		}
	}
}

// cycles refuses groups that contain themselves through other groups.
func (l *linker) cycles() {
	state := make(map[string]int, len(l.set.Groups)) // 1 on the path, 2 done
	var visit func(g *Group, path []string)
	visit = func(g *Group, path []string) {
		state[g.Name] = 1
		path = append(path, "@"+g.Name)
		for i := range g.Members {
			m := &g.Members[i]
			inner := l.set.Group(m.Group)
			if m.Group == "" || inner == nil {
				continue
			}
			switch state[inner.Name] {
			case 0:
				visit(inner, path)
			case 1:
				from := slices.Index(path, m.Text)
				l.add(At(m.Pos, "group-cycle", "", "the group contains itself: %s", strings.Join(append(path[from:len(path):len(path)], m.Text), " → ")))
			}
		}
		state[g.Name] = 2
	}
	for _, g := range l.set.Groups {
		if state[g.Name] == 0 {
			visit(g, nil)
		}
	}
}

// MaxGroupMembers is how many members a group may have once the groups in it are written out. Nested groups double with
// every level, so without a limit a small file could fill the memory.
const MaxGroupMembers = 100_000

// sizes refuses groups that are too large, counting without writing them out. It relies on cycles having looked first:
// in a cycle a group counts as empty.
func (l *linker) sizes() {
	counted := make(map[string]int, len(l.set.Groups))
	var count func(g *Group) int
	count = func(g *Group) int {
		if n, ok := counted[g.Name]; ok {
			return n
		}
		counted[g.Name] = 0
		n := 0
		for i := range g.Members {
			if inner := l.set.Group(g.Members[i].Group); inner != nil {
				n += count(inner)
			} else {
				n++
			}
			n = min(n, MaxGroupMembers+1)
		}
		counted[g.Name] = n
		return n
	}
	for _, g := range l.set.Groups {
		inner := func(m Member) bool { return counted[m.Group] > MaxGroupMembers } // where it begins says it all
		if count(g) > MaxGroupMembers && !slices.ContainsFunc(g.Members, inner) {
			l.add(At(g.Place("name"), "limits", "", "the group %s has more than %d members with the groups in it", g.Name, MaxGroupMembers))
		}
	}
}

func (l *linker) inline(x *Exception) {
	if x == nil {
		return
	}
	for i := range x.When {
		l.condition(&x.When[i])
	}
}

// ruleIDs are for hints.
func (l *linker) ruleIDs() []string {
	ids := make([]string, len(l.set.Rules))
	for i, r := range l.set.Rules {
		ids[i] = r.ID
	}
	return ids
}

func (l *linker) exception(x *Exception) {
	for i, id := range x.Rules {
		r := l.set.Rule(id)
		switch {
		case strings.ContainsAny(id, "*?"):
			l.add(At(x.rulePlaces[i], "value", "", "rules lists ids, never a wildcard like %q", id))
		case r == nil:
			l.add(At(x.rulePlaces[i], "unknown-rule", nearest(id, l.ruleIDs()), "there is no rule %s", id))
		case !r.Exceptions:
			l.add(At(x.rulePlaces[i], "exception-refused", "", "the rule %s allows no exceptions", id))
		case slices.Contains(x.Rules[:i], id):
			l.add(At(x.rulePlaces[i], "duplicate-id", "", "the rule %s is already in the list", id))
		}
	}
	for i := range x.Tests {
		if t := &x.Tests[i]; t.Rule != "" && !contains(x.Rules, t.Rule) {
			l.add(At(t.rulePlace, "unknown-rule", nearest(t.Rule, x.Rules), "the exception does not concern the rule %s", t.Rule))
		}
	}
}

// Flatten returns the members of a group without nesting, each with the days on which it belongs to the group: those of
// the member, of every group on the way and of the group itself. It must not be called on a set whose Read failed.
func (s *Set) Flatten(name string) []Member {
	g := s.Group(name)
	if g == nil {
		return nil
	}
	var out []Member
	for _, m := range g.Members {
		inner := []Member{m}
		if m.Group != "" {
			inner = s.Flatten(m.Group)
		}
		for _, i := range inner {
			i.From = latest(i.From, m.From, g.From)
			i.Until = earliest(i.Until, m.Until, g.Until)
			if i.Until == NoDay || i.From <= i.Until {
				out = append(out, i)
			}
		}
	}
	return out
}

// latest treats NoDay as the beginning of time, which its value already says.
func latest(days ...Day) Day { return slices.Max(days) }

// earliest treats NoDay as the end of time.
func earliest(days ...Day) Day {
	end := NoDay
	for _, d := range days {
		if d != NoDay && (end == NoDay || d < end) {
			end = d
		}
	}
	return end
}
