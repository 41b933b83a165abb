// Package box reasons about the conditions of rules as sets: which lines can hold together, and when those of one rule
// imply those of another. Every field is cut into atoms that no condition tells apart, so that an answer about atoms is
// one about all values, without trying events. Lines that all must hold make a box, a set of values for each field; a
// rule has one box for each branch of `any`, on each stretch of days between two changes of its groups.
//
// Answers are safe to act on: where the package says that lines cannot hold together, or that they imply others, no event
// shows the opposite. It leaves some contradictions unfound: between the text of an address and the range it lies in, and
// between comparisons of three fields with each other.
package box

import (
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// Box is what one or more lines let through: the values of each field they name.
type Box struct{ sides []side }

// side is the values of one dimension.
type side struct {
	dim     int
	allowed set // values, or of a set the members that it may have

	// Of sets only:
	known, absent bool  // must be given, must be missing
	all           set   // must be members
	some          []set // of each, one must be a member
}

// narrow is the side that both of two conditions let through.
func (s *side) narrow(o *side) {
	s.allowed = s.allowed.clone()
	s.allowed.intersect(o.allowed)
	s.known, s.absent = s.known || o.known, s.absent || o.absent
	s.some = append(slices.Clone(s.some), o.some...)
	if o.all == nil {
		return
	}
	if s.all = s.all.clone(); len(s.all) == 0 {
		s.all = newSet(len(o.all) * 64)
	}
	s.all.union(o.all)
}

// possible reports whether a value fits. A given set without members fits where nothing is demanded of it.
func (s *side) possible(d *dimension) bool {
	switch {
	case !d.sets:
		return !s.allowed.empty()
	case s.known && s.absent, s.all != nil && !s.all.within(s.allowed):
		return false
	}
	return !slices.ContainsFunc(s.some, func(some set) bool { return !some.meets(s.allowed) })
}

// implies reports whether every value that fits s fits o.
func (s *side) implies(o *side, d *dimension) bool {
	switch {
	case !d.sets:
		return s.allowed.within(o.allowed)
	case o.absent && !s.absent, o.known && !s.known, !s.allowed.within(o.allowed):
		return false
	}
	for _, some := range o.some {
		if !s.hasOneOf(some) {
			return false
		}
	}
	return o.all == nil || s.hasAll(o.all)
}

func (s *side) hasOneOf(wanted set) bool {
	if s.all != nil && s.all.meets(wanted) {
		return true
	}
	return slices.ContainsFunc(s.some, func(some set) bool {
		left := some.clone()
		left.intersect(s.allowed)
		return left.within(wanted)
	})
}

func (s *side) hasAll(wanted set) bool {
	open := wanted.clone()
	if s.all != nil {
		open.without(s.all)
	}
	for _, some := range s.some {
		left := some.clone()
		if left.intersect(s.allowed); left.count() == 1 {
			open.without(left)
		}
	}
	return open.empty()
}

// find returns the side of a dimension, nil where the box does not name it.
func (b *Box) find(dim int) *side {
	for i := range b.sides {
		if b.sides[i].dim == dim {
			return &b.sides[i]
		}
	}
	return nil
}

func (b *Box) narrow(s *side) {
	if have := b.find(s.dim); have != nil {
		have.narrow(s)
		return
	}
	b.sides = append(b.sides, *s)
}

// Possible reports whether some event lies in the box.
func (s *Space) Possible(b *Box) bool {
	for i := range b.sides {
		if !b.sides[i].possible(s.dims[b.sides[i].dim]) {
			return false
		}
	}
	return true
}

// meet reports whether some event lies in both boxes.
func (s *Space) meet(a, b *Box) bool {
	both := Box{sides: slices.Clone(a.sides)}
	for i := range b.sides {
		both.narrow(&b.sides[i])
	}
	s.depend(&both)
	return s.Possible(&both)
}

// Implies reports whether every event in a lies in b.
func (s *Space) Implies(a, b *Box) bool {
	for i := range b.sides {
		want := &b.sides[i]
		have := a.find(want.dim)
		if have == nil {
			have = &side{dim: want.dim, allowed: s.dims[want.dim].full}
		}
		if !have.implies(want, s.dims[want.dim]) {
			return false
		}
	}
	return true
}

// depend adds what follows from the verdict on a place: nobody knows the country of a masked or unknown one, and of the
// others only a service may have none.
func (s *Space) depend(b *Box) {
	country, verdict := s.byKey[key{field: access.FieldLocationCountry}], s.byKey[key{field: access.FieldLocationVerdict}]
	if country == nil || verdict == nil {
		return
	}
	open, nowhere := newSet(verdict.n), newSet(verdict.n)
	for _, v := range []access.LocationVerdict{access.LocationUnknown, access.LocationMasked} {
		open.add(int(v))
		nowhere.add(int(v))
	}
	nowhere.add(int(access.LocationService))
	none := newSet(country.n)
	none.add(missing)
	at, is := b.find(s.index[country.key]), b.find(s.index[verdict.key])
	if at != nil && !at.allowed.has(missing) {
		settled := verdict.full.clone()
		settled.without(open)
		b.narrow(&side{dim: s.index[verdict.key], allowed: settled})
	}
	if at != nil && at.allowed.within(none) {
		b.narrow(&side{dim: s.index[verdict.key], allowed: nowhere})
	}
	if is != nil && is.allowed.within(open) {
		b.narrow(&side{dim: s.index[country.key], allowed: none})
	}
}

// conditionSide is what one condition lets through on a day.
func (s *Space) conditionSide(c *policy.Condition, day policy.Day) side {
	k := keyOf(c)
	d := s.byKey[k]
	out := side{dim: s.index[k], allowed: newSet(d.n)}
	switch {
	case c.Op == policy.SameAs:
		out.allowed.add(same)
		return out
	case c.Op == policy.DiffersFrom:
		out.allowed.add(differs)
		return out
	case c.Op == policy.Missing:
		out.allowed.add(missing)
		out.allowed.intersect(d.full)
		if d.sets {
			out.allowed, out.absent = d.full, true
		}
		return out
	}
	values := s.values(d, c, day)
	if d.sets {
		return setSide(out, d, c.Op, values)
	}
	out.allowed.union(values)
	if c.Op == policy.Not {
		out.allowed = d.full.clone()
		out.allowed.without(values)
	}
	if !unknownIsOrdinary(c.Field) {
		out.allowed.remove(missing)
	}
	out.allowed.intersect(d.full)
	return out
}

func setSide(out side, d *dimension, op policy.Op, values set) side {
	out.known, out.allowed = true, d.full.clone()
	switch op {
	case policy.Not:
		out.allowed.without(values)
	case policy.Only:
		out.allowed.intersect(values)
	case policy.AllOf:
		out.all = values
	default:
		out.some = []set{values}
	}
	return out
}

func unknownIsOrdinary(f access.Field) bool {
	return f == access.FieldLocationVerdict || f == access.FieldNetworkKind
}
