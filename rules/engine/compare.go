package engine

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// The matchers below compare two fields: `same as` and, with not set, `differs from`. Where one is missing the answer is
// unknown.

type sameText struct {
	field, other access.Field
	not          bool
}

func (m sameText) match(ev *access.Event, item int, _ policy.Day) Truth {
	a, aRef := ev.TextOf(m.field, item)
	b, bRef := ev.TextOf(m.other, item)
	if a == "" || b == "" {
		return Maybe
	}
	return negate(sameOpen(a, aRef, b, bRef), m.not)
}

type sameWord struct {
	field, other access.Field
	not          bool
}

func (m sameWord) match(ev *access.Event, item int, _ policy.Day) Truth {
	a, aRef := ev.WordOf(m.field, item)
	b, bRef := ev.WordOf(m.other, item)
	if a == 0 || b == 0 {
		return Maybe
	}
	return negate(sameOpen(a, aRef, b, bRef), m.not)
}

// sameOpen compares two values of which each may have a differing reference; zero is no reference.
func sameOpen[T comparable](a, aRef, b, bRef T) Truth {
	var zero T
	if aRef == zero && bRef == zero {
		return truthOf(a == b)
	}
	if a == b || (bRef != zero && a == bRef) || (aRef != zero && (aRef == b || aRef == bRef)) {
		return Maybe
	}
	return False
}

type sameCountry struct {
	field, other access.Field
	not          bool
}

func (m sameCountry) match(ev *access.Event, item int, _ policy.Day) Truth {
	a, b := ev.CandidatesOf(m.field, item), ev.CandidatesOf(m.other, item)
	switch {
	case open(&a) || open(&b):
		return Maybe
	case a.Disjoint(&b):
		return truthOf(m.not)
	case a.Len() == 1 && b.Len() == 1:
		return truthOf(!m.not)
	}
	return Maybe
}

type sameNumber struct {
	field, other access.Field
	not          bool
}

func (m sameNumber) match(ev *access.Event, _ int, _ policy.Day) Truth {
	a, aOK := ev.IntegerOf(m.field)
	b, bOK := ev.IntegerOf(m.other)
	if !aOK || !bOK {
		return Maybe
	}
	return truthOf((a == b) != m.not)
}
