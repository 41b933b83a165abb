package lint

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var neverHolds = Check{
	ID:    "never-holds",
	Title: "two lines of a rule contradict each other",
	Why:   "A rule that can never hold looks like protection and is none.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			p.contradiction(append(r.Kind.Implied(), r.When.All...))
		}
		for _, x := range p.set.Exceptions {
			p.contradiction(x.When)
		}
	},
}

// contradiction looks at every pair of lines about the same field of one value.
func (p *pass) contradiction(lines []policy.Condition) {
	for i := range lines {
		for j := range i {
			a, b := &lines[j], &lines[i]
			if a.Field != b.Field || !contradict(p.set, a, b) {
				continue
			}
			p.report(b.Pos, "", "%s cannot hold together with %s", b, a)
		}
	}
}

func contradict(set *policy.Set, a, b *policy.Condition) bool {
	if a.Op == policy.Missing || b.Op == policy.Missing {
		return a.Op != b.Op && !unknownIsOrdinary(a.Field)
	}
	switch a.Field.Info().Type {
	case access.Word:
		return disjointWords(a, b)
	case access.Nation, access.Nations, access.Region:
		return disjointCountries(set, a, b)
	case access.Integer, access.Time:
		return disjointRanges(a, b)
	}
	return false
}

func unknownIsOrdinary(f access.Field) bool {
	return f == access.FieldLocationVerdict || f == access.FieldNetworkKind
}

func disjointWords(a, b *policy.Condition) bool {
	x, ok := words(a)
	y, ok2 := words(b)
	return ok && ok2 && x&y == 0
}

// words returns the words that a condition lets through.
func words(c *policy.Condition) (uint32, bool) {
	var mask uint32
	for i := range c.Values {
		mask |= 1 << c.Values[i].Word
	}
	all := uint32(1)<<len(c.Field.Info().Vocabulary.Words()) - 1
	switch c.Op {
	case policy.Is:
		return mask, true
	case policy.Not:
		return all &^ mask, true
	}
	return 0, false
}

// disjointCountries compares what a pair lets through on the days on which it lets most through.
func disjointCountries(set *policy.Set, a, b *policy.Condition) bool {
	x, ok := places(set, a)
	y, ok2 := places(set, b)
	return ok && ok2 && x.Disjoint(&y)
}

// places returns the countries that a condition lets through on some day.
func places(set *policy.Set, c *policy.Condition) (access.CountrySet, bool) {
	if c.Op != policy.Is && c.Op != policy.Not {
		return access.CountrySet{}, false
	}
	var sum access.CountrySet
	for i := range c.Values {
		v := &c.Values[i]
		sum = sum.Union(v.Places)
		for _, m := range set.Flatten(v.Group) {
			always := m.From == policy.NoDay && m.Until == policy.NoDay
			if c.Op == policy.Is || always {
				sum = sum.Union(m.Places)
			}
		}
	}
	if c.Op == policy.Is {
		return sum, true
	}
	for i := range sum {
		sum[i] = access.AllCountries[i] &^ sum[i]
	}
	return sum, true
}

func disjointRanges(a, b *policy.Condition) bool {
	if a.Op == policy.AtMost {
		a, b = b, a
	}
	return a.Op == policy.AtLeast && b.Op == policy.AtMost && a.Values[0].Number > b.Values[0].Number
}
