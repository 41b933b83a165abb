package box

import (
	"net/netip"
	"slices"
	"sort"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// key names a dimension: a field, the ranges an address lies in, or whether two fields are the same.
type key struct {
	field, other access.Field
	ranges       bool
}

func keyOf(c *policy.Condition) key {
	switch c.Op {
	case policy.SameAs, policy.DiffersFrom:
		return key{field: min(c.Field, c.Other), other: max(c.Field, c.Other)}
	case policy.Within:
		return key{field: c.Field, ranges: true}
	}
	return key{field: c.Field}
}

// The atoms that dimensions have in common. Those of two fields are missing, same and differs.
const (
	missing = 0
	rest    = 1 // of texts and ranges: whatever no rule names
	same    = 1
	differs = 2
)

// dimension cuts the values of a field into atoms: no condition of the whole set tells two values of one atom apart.
// Words and countries are atoms of their own. Of texts an atom is each that is written out, and each prefix with the
// texts that no longer one begins; of numbers each that is written out, and each gap between two.
type dimension struct {
	key
	kind access.Type
	sets bool // the value is a set: atoms are its members
	n    int
	full set

	texts    map[string]int // written out → atom
	prefixes map[string]int
	sorted   []named
	ranges   []netip.Prefix // sorted; the atom is the index + 2
	bounds   []int64        // sorted; the atom of bound i is 2i+2, that of the gap before it 2i+1
}

type named struct {
	text string
	atom int
}

func (d *dimension) seal() {
	switch {
	case d.other != access.FieldNone:
		d.n = 3
	case d.key.ranges:
		slices.SortFunc(d.ranges, comparePrefixes)
		d.ranges = slices.Compact(d.ranges)
		d.n = len(d.ranges) + 2
	default:
		d.sealField()
	}
	d.full = newSet(d.n)
	for i := range d.n {
		d.full.add(i)
	}
	if d.field.Info().Need == access.Required || d.field == access.FieldOutcome { // an unknown outcome reads as success
		d.full.remove(missing)
	}
	for i := range d.bounds {
		if i > 0 && d.bounds[i]-d.bounds[i-1] <= 1 || i == 0 && d.kind == access.Integer && d.bounds[0] <= 0 {
			d.full.remove(2*i + 1)
		}
	}
}

func (d *dimension) sealField() {
	switch d.kind {
	case access.Word, access.Words:
		d.n = len(d.field.Info().Vocabulary.Words())
	case access.Nation, access.Nations, access.Region:
		d.n = access.CountryCount + 1
	case access.Integer, access.Time:
		slices.Sort(d.bounds)
		d.bounds = slices.Compact(d.bounds)
		d.n = 2*len(d.bounds) + 2
	default:
		d.n = 2
		for _, texts := range []map[string]int{d.texts, d.prefixes} {
			for text := range texts {
				d.sorted = append(d.sorted, named{text: text})
			}
		}
		d.number()
	}
}

// number gives each text and each prefix its atom, in the order of the texts so that it is the same in every run.
func (d *dimension) number() {
	slices.SortFunc(d.sorted, func(a, b named) int { return strings.Compare(a.text, b.text) })
	for i := range d.sorted {
		text := d.sorted[i].text
		into := d.texts
		if _, literal := d.texts[text]; !literal || i > 0 && d.sorted[i-1].text == text {
			into = d.prefixes
		}
		into[text], d.sorted[i].atom = d.n, d.n
		d.n++
	}
}

func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// learn takes in a value before the dimension is sealed.
func (d *dimension) learn(op policy.Op, v *policy.Value) {
	switch {
	case d.key.ranges:
		d.ranges = append(d.ranges, v.Prefix)
	case d.kind == access.Integer || d.kind == access.Time:
		d.bounds = append(d.bounds, v.Number)
	case op == policy.StartsWith:
		d.prefixes[v.Text] = 0
	case d.kind == access.Text || d.kind == access.Texts || d.kind == access.Address:
		d.texts[v.Text] = 0
	}
}

// mark adds the atoms of one value to s.
func (d *dimension) mark(s set, op policy.Op, v *policy.Value) {
	switch {
	case d.key.ranges:
		d.markRange(s, v.Prefix)
	case d.kind == access.Integer || d.kind == access.Time:
		d.markNumber(s, op, v.Number)
	case d.kind == access.Word || d.kind == access.Words:
		s.add(int(v.Word))
	case d.kind == access.Nation || d.kind == access.Nations || d.kind == access.Region:
		for _, c := range v.Places.Countries() {
			s.add(int(c))
		}
	case op == policy.StartsWith:
		from := sort.Search(len(d.sorted), func(i int) bool { return d.sorted[i].text >= v.Text })
		for ; from < len(d.sorted) && strings.HasPrefix(d.sorted[from].text, v.Text); from++ {
			s.add(d.sorted[from].atom)
		}
	case !v.IsUnknown():
		s.add(d.texts[v.Text])
	}
}

func (d *dimension) markRange(s set, p netip.Prefix) {
	at, _ := slices.BinarySearchFunc(d.ranges, p, comparePrefixes)
	for ; at < len(d.ranges) && p.Contains(d.ranges[at].Addr()); at++ {
		if d.ranges[at].Bits() >= p.Bits() {
			s.add(at + 2)
		}
	}
}

func (d *dimension) markNumber(s set, op policy.Op, number int64) {
	at, _ := slices.BinarySearch(d.bounds, number)
	from, to := 2*at+2, 2*at+2
	switch op {
	case policy.AtLeast:
		to = d.n - 1
	case policy.AtMost:
		from = 1
	}
	for i := from; i <= to; i++ {
		s.add(i)
	}
}
