package lint

import (
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// Cell is a kind of access that rules may decide: data of one subject region and one class, an actor of one kind, one
// action. The countries from which it comes are a set beside it. Each is an index in the vocabulary of its field.
type Cell struct{ Region, Class, Actor, Action uint8 }

// Border is the border matrix of the active rules on one day: for each cell, from which countries an access is decided.
//
// A rule decides an access where nothing but region, class, country, kind of actor and action settles it. A rule with
// further conditions (on the session, a number, an approval) decides it in part. `location.country not: @list` decides
// every country: those on the list are allowed by it. `location.country: @list` decides those on the list.
type Border struct {
	Day          policy.Day
	Rules        int // active ones
	whole, parts map[Cell]access.CountrySet
}

// The axes of the matrix, in the order in which people read it.
var axes = [...]access.Field{access.FieldSubjectRegions, access.FieldClasses, access.FieldActorKind, access.FieldAction}

// NewBorder makes the matrix.
func NewBorder(set *policy.Set, day policy.Day) *Border {
	b := &Border{Day: day, whole: map[Cell]access.CountrySet{}, parts: map[Cell]access.CountrySet{}}
	resolve := newResolver(set, day)
	for _, r := range set.Rules {
		if r.Status != policy.Active {
			continue
		}
		b.Rules++
		lines := slices.Concat(r.Kind.Implied(), r.When.All)
		if len(r.When.Any) == 0 {
			b.add(resolve, lines)
		}
		for _, branch := range r.When.Any {
			b.add(resolve, slices.Concat(lines, branch))
		}
	}
	return b
}

// reach is what lines decide: words of each axis, countries.
type reach struct {
	words     [len(axes)]uint32
	countries access.CountrySet
	further   bool
}

func (b *Border) add(resolve *resolver, lines []policy.Condition) {
	r := reach{countries: access.AllCountries}
	for i, f := range axes {
		r.words[i] = allWords(f)
	}
	for i := range lines {
		r.narrow(resolve, &lines[i])
	}
	if r.countries.Empty() {
		return
	}
	into := b.whole
	if r.further {
		into = b.parts
	}
	eachCell(func(c Cell) {
		for i, word := range [...]uint8{c.Region, c.Class, c.Actor, c.Action} {
			if r.words[i]>>word&1 == 0 {
				return
			}
		}
		into[c] = into[c].Union(r.countries)
	})
}

func allWords(f access.Field) uint32 { return 1<<len(f.Info().Vocabulary.Words()) - 2 }

func (r *reach) narrow(resolve *resolver, c *policy.Condition) {
	if axis := slices.Index(axes[:], c.Field); axis >= 0 {
		r.words[axis] &= wordsOf(c)
		return
	}
	switch {
	case c.Field != access.FieldLocationCountry || c.Op == policy.SameAs || c.Op == policy.DiffersFrom:
		r.further = true
	case c.Op == policy.Is:
		r.countries = r.countries.Intersect(resolve.countries(c))
	case c.Op == policy.Missing:
		r.countries = access.CountrySet{}
	}
}

// wordsOf are the words with which a condition holds, where the set, if it is one, has that word alone.
func wordsOf(c *policy.Condition) uint32 {
	var named uint32
	for i := range c.Values {
		named |= 1 << c.Values[i].Word
	}
	switch c.Op {
	case policy.Is, policy.Only:
		return named
	case policy.Not:
		return ^named
	case policy.AllOf:
		if named&(named-1) == 0 {
			return named
		}
	}
	return 0
}

func eachCell(f func(Cell)) {
	n := func(axis int) uint8 { return uint8(len(axes[axis].Info().Vocabulary.Words())) }
	for region := uint8(1); region < n(0); region++ {
		for class := uint8(1); class < n(1); class++ {
			for actor := uint8(1); actor < n(2); actor++ {
				for action := uint8(1); action < n(3); action++ {
					f(Cell{region, class, actor, action})
				}
			}
		}
	}
}

// Open are the countries from which no active rule decides an access, and among them those from which no rule even
// decides it in part.
func (b *Border) Open(c Cell) (undecided, untouched access.CountrySet) {
	whole, parts := b.whole[c], b.parts[c]
	for i := range access.AllCountries {
		undecided[i] = access.AllCountries[i] &^ whole[i]
		untouched[i] = undecided[i] &^ parts[i]
	}
	return undecided, untouched
}

// resolver knows the countries of groups on one day.
type resolver struct {
	set    *policy.Set
	day    policy.Day
	groups map[string]access.CountrySet
}

func newResolver(set *policy.Set, day policy.Day) *resolver {
	return &resolver{set: set, day: day, groups: map[string]access.CountrySet{}}
}

func (r *resolver) countries(c *policy.Condition) (sum access.CountrySet) {
	for i := range c.Values {
		v := &c.Values[i]
		sum = sum.Union(v.Places)
		if v.Group != "" {
			sum = sum.Union(r.group(v.Group))
		}
	}
	return sum
}

func (r *resolver) group(name string) access.CountrySet {
	sum, ok := r.groups[name]
	if !ok {
		for _, m := range r.set.Flatten(name) {
			if m.From <= r.day && (m.Until == policy.NoDay || r.day <= m.Until) {
				sum = sum.Union(m.Places)
			}
		}
		r.groups[name] = sum
	}
	return sum
}
