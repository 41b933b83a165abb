package box

import (
	"math"
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// Space is the fields of a set of rules, cut into atoms. It serves one goroutine.
type Space struct {
	set    *policy.Set
	dims   []*dimension
	byKey  map[key]*dimension
	index  map[key]int
	flat   map[string][]policy.Member
	groups map[groupDay]set
}

type groupDay struct {
	group string
	dim   key
	day   policy.Day
}

// NewSpace cuts the fields that the conditions of a set name. extra are conditions that will be asked about as well.
func NewSpace(rules *policy.Set, extra []policy.Condition) *Space {
	s := &Space{set: rules, byKey: map[key]*dimension{}, index: map[key]int{}, flat: map[string][]policy.Member{}, groups: map[groupDay]set{}}
	for _, r := range rules.Rules {
		for _, c := range r.Kind.Implied() {
			s.learn(&c)
		}
		r.When.Each(s.learn)
	}
	for _, x := range rules.Exceptions {
		for i := range x.When {
			s.learn(&x.When[i])
		}
	}
	for i := range extra {
		s.learn(&extra[i])
	}
	for _, d := range s.dims {
		d.seal()
	}
	return s
}

func (s *Space) learn(c *policy.Condition) {
	d := s.dimension(keyOf(c))
	switch c.Op {
	case policy.SameAs, policy.DiffersFrom:
		s.dimension(key{field: c.Field})
		s.dimension(key{field: c.Other})
		return
	case policy.Within:
		s.dimension(key{field: c.Field})
	case policy.Missing:
		return
	}
	for i := range c.Values {
		v := &c.Values[i]
		if v.Group == "" && !v.IsUnknown() {
			d.learn(c.Op, v)
		}
		members := s.members(v.Group)
		for j := range members {
			d.learn(c.Op, &members[j].Value)
		}
	}
}

func (s *Space) dimension(k key) *dimension {
	d := s.byKey[k]
	if d == nil {
		kind := k.field.Info().Type
		d = &dimension{key: k, kind: kind, sets: kind == access.Words || kind == access.Texts, texts: map[string]int{}, prefixes: map[string]int{}}
		s.byKey[k], s.index[k] = d, len(s.dims)
		s.dims = append(s.dims, d)
	}
	return d
}

func (s *Space) members(group string) []policy.Member {
	if group == "" {
		return nil
	}
	members, ok := s.flat[group]
	if !ok {
		members = s.set.Flatten(group)
		s.flat[group] = members
	}
	return members
}

// values are the atoms of a condition's values on a day.
func (s *Space) values(d *dimension, c *policy.Condition, day policy.Day) set {
	out := newSet(d.n)
	for i := range c.Values {
		if v := &c.Values[i]; v.Group != "" {
			out.union(s.group(d, c.Op, v.Group, day))
		} else if !v.IsUnknown() || unknownIsOrdinary(c.Field) {
			d.mark(out, c.Op, v)
		}
	}
	return out
}

func (s *Space) group(d *dimension, op policy.Op, name string, day policy.Day) set {
	k := groupDay{name, d.key, day}
	if out, ok := s.groups[k]; ok {
		return out
	}
	out := newSet(d.n)
	members := s.members(name)
	for i := range members {
		if m := &members[i]; m.From <= day && (m.Until == policy.NoDay || day <= m.Until) {
			d.mark(out, op, &m.Value)
		}
	}
	s.groups[k] = out
	return out
}

// Span is a box on the days from First to Last, both inclusive.
type Span struct {
	First, Last policy.Day
	Box         Box
}

// The days before and after all dates.
const (
	Beginning policy.Day = math.MinInt32
	End       policy.Day = math.MaxInt32
)

// Spans returns the box of lines that all must hold, on every stretch of days on which their groups stay the same. Days
// that the lines exclude (time at most) are left out, and so are stretches on which nothing lets the lines hold.
func (s *Space) Spans(lines []policy.Condition) []Span {
	starts := s.starts(lines)
	first, last := bounds(lines)
	var out []Span
	for i, start := range starts {
		end := End
		if i+1 < len(starts) {
			end = starts[i+1] - 1
		}
		span := Span{First: max(start, first), Last: min(end, last)}
		if span.First > span.Last {
			continue
		}
		if span.Box = s.box(lines, start); s.Possible(&span.Box) {
			out = append(out, span)
		}
	}
	return out
}

func (s *Space) box(lines []policy.Condition, day policy.Day) Box {
	var b Box
	for i := range lines {
		c := &lines[i]
		one := s.conditionSide(c, day)
		b.narrow(&one)
		switch c.Op {
		case policy.SameAs, policy.DiffersFrom:
			s.known(&b, c.Field)
			s.known(&b, c.Other)
		case policy.Within:
			s.known(&b, c.Field)
		}
	}
	s.depend(&b)
	return b
}

// known demands that a field is there.
func (s *Space) known(b *Box, f access.Field) {
	k := key{field: f}
	allowed := s.byKey[k].full.clone()
	allowed.remove(missing)
	b.narrow(&side{dim: s.index[k], allowed: allowed})
}

// starts are the days on which a group of the lines changes, the beginning of time first.
func (s *Space) starts(lines []policy.Condition) []policy.Day {
	days := []policy.Day{Beginning}
	for i := range lines {
		for j := range lines[i].Values {
			for _, m := range s.members(lines[i].Values[j].Group) {
				if m.From != policy.NoDay {
					days = append(days, m.From)
				}
				if m.Until != policy.NoDay {
					days = append(days, m.Until+1)
				}
			}
		}
	}
	slices.Sort(days)
	return slices.Compact(days)
}

// bounds are the days on which conditions about the time can hold.
func bounds(lines []policy.Condition) (first, last policy.Day) {
	first, last = Beginning, End
	for i := range lines {
		c := &lines[i]
		if c.Field != access.FieldTime || len(c.Values) != 1 {
			continue
		}
		switch day := policy.DayOf(access.Millis(c.Values[0].Number)); c.Op {
		case policy.AtLeast:
			first = max(first, day)
		case policy.AtMost:
			last = min(last, day)
		}
	}
	return first, last
}

// Contains reports whether every event in the inner spans lies in the outer ones, on its day. Both are in order.
func (s *Space) Contains(outer, inner []Span) bool {
	for i := range inner {
		next := int64(inner[i].First) // the first day that is not covered yet
		for j := range outer {
			o := &outer[j]
			if o.Last < inner[i].First || int64(o.First) > next || o.First > inner[i].Last {
				continue
			}
			if !s.Implies(&inner[i].Box, &o.Box) {
				return false
			}
			next = int64(o.Last) + 1
		}
		if next <= int64(inner[i].Last) {
			return false
		}
	}
	return true
}

// Meet returns the first day and the last on which some event lies in both, false where there is none.
func (s *Space) Meet(a, b []Span) (first, last policy.Day, ok bool) {
	for i := range a {
		for j := range b {
			from, to := max(a[i].First, b[j].First), min(a[i].Last, b[j].Last)
			if from > to || !s.meet(&a[i].Box, &b[j].Box) {
				continue
			}
			if !ok {
				first, last, ok = from, to, true
			}
			first, last = min(first, from), max(last, to)
		}
	}
	return first, last, ok
}
