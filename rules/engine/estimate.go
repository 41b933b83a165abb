package engine

import "borderwatch/schemas/access"

// estimate guesses the share of the rules that a value of the field leaves, all values being equally likely.
func (c *columnDraft) estimate() {
	named := 0
	for _, g := range c.groups {
		named += countNamed(g.matcher)
	}
	left := float64(len(c.of))
	for _, g := range c.groups {
		left -= float64(len(g.rules)) * (1 - c.passes(g.matcher, float64(max(named, 1))))
	}
	c.pass = left / float64(len(c.of))
}

// countNamed counts the values that a condition on strings or addresses names.
func countNamed(m matcher) int {
	switch m := m.(type) {
	case *textMatch:
		return len(m.sets.members)
	case *textsMatch:
		return len(m.sets.members)
	case *prefixMatch:
		return len(m.prefixes)
	case *withinMatch:
		return len(m.sets.members)
	}
	return 0
}

// passes guesses the share of values that meet a condition. named is the number of values that the column names.
func (c *columnDraft) passes(m matcher, named float64) float64 {
	switch m := m.(type) {
	case wordMatch:
		return c.passingWords(func(word uint8) bool { return m.mask>>word&1 != 0 != m.not })
	case wordsMatch:
		return c.passingWords(func(word uint8) bool { return m.mask>>word&1 != 0 })
	case *countryMatch:
		set := countries(m.sets.members)
		share := float64(set.Len()) / float64(access.CountryCount)
		if m.not {
			return 1 - share
		}
		return share
	case *textMatch:
		if m.not {
			return 1
		}
	case *numberMatch, missingMatch:
		return 0.5
	}
	return float64(countNamed(m)) / named
}

func (c *columnDraft) passingWords(passes func(word uint8) bool) float64 {
	n := 0
	words := c.field.Info().Vocabulary.Words()
	for i := range words {
		if i > 0 && passes(uint8(i)) {
			n++
		}
	}
	return float64(n) / float64(max(len(words)-1, 1))
}

// rank is what asking a column costs for what it leaves out.
func (c *columnDraft) rank() float64 { return c.kind.cost() / (1.001 - c.pass) }

// cost is what asking a column costs, in nanoseconds, roughly.
func (k columnKind) cost() float64 {
	return [...]float64{byWord: 4, byWords: 5, byCountry: 8, byNumber: 6, byText: 15, byTexts: 20, byPrefix: 30, byNetwork: 80}[k]
}
