package engine

import (
	"math"
	"net/netip"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// condition is a compiled condition with what explanations need of it.
type condition struct {
	matcher
	source  *policy.Condition
	fields  access.FieldSet // the field, and the other one where two are compared
	place   bool            // about location.country: in an exception it asks for evidence
	soft    bool            // about the place or the approval: when only such are false, a rule nearly matched
	implied bool            // added by the rule's kind
}

// compiler resolves groups. Conditions with the same values share what they are resolved to.
type compiler struct {
	set    *policy.Set
	places map[string]*timeline[access.CountrySet]
	texts  map[string]*timeline[textSet]
	ranges map[string]*timeline[[]netip.Prefix]
}

func newCompiler(set *policy.Set) *compiler {
	return &compiler{set, map[string]*timeline[access.CountrySet]{}, map[string]*timeline[textSet]{}, map[string]*timeline[[]netip.Prefix]{}}
}

func (c *compiler) condition(source *policy.Condition) condition {
	fields := access.FieldSet(0).With(source.Field)
	if source.Op == policy.SameAs || source.Op == policy.DiffersFrom {
		fields = fields.With(source.Other)
	}
	return condition{
		matcher: c.matcher(source), source: source, fields: fields,
		place: fields.Has(access.FieldLocationCountry),
		soft:  fields&softFields != 0 && fields&^softFields == 0,
	}
}

// softFields are location.* and approval.*.
const softFields = access.FieldSet(1<<access.FieldLocationCountry | 1<<access.FieldLocationVerdict | 1<<access.FieldLocationExpected |
	1<<access.FieldLocationConfidence | 1<<access.FieldApprovalID | 1<<access.FieldApprovalScope | 1<<access.FieldApprovalValidUntil)

func (c *compiler) matcher(s *policy.Condition) matcher {
	not := s.Op == policy.Not
	switch s.Op {
	case policy.Missing:
		return missingMatch{s.Field}
	case policy.SameAs, policy.DiffersFrom:
		return comparison(s)
	case policy.StartsWith:
		m := &prefixMatch{field: s.Field}
		for i := range s.Values {
			m.prefixes = append(m.prefixes, s.Values[i].Text)
		}
		return m
	case policy.Within:
		return &withinMatch{s.Field, resolve(c, c.ranges, s, prefixes)}
	}
	switch s.Field.Info().Type {
	case access.Word:
		literal := isLiteral(s.Field)
		return wordMatch{s.Field, mask(s, literal), not, literal}
	case access.Words:
		return wordsMatch{s.Field, mask(s, false), s.Op}
	case access.Nation, access.Region, access.Nations:
		return &countryMatch{s.Field, resolve(c, c.places, s, countries), not}
	case access.Texts:
		return &textsMatch{s.Field, resolve(c, c.texts, s, newTextSet), s.Op}
	case access.Integer, access.Time:
		return number(s, not)
	}
	return &textMatch{s.Field, resolve(c, c.texts, s, newTextSet), not}
}

func comparison(s *policy.Condition) matcher {
	not := s.Op == policy.DiffersFrom
	switch s.Field.Info().Type {
	case access.Word:
		return sameWord{s.Field, s.Other, not}
	case access.Nation, access.Region, access.Nations:
		return sameCountry{s.Field, s.Other, not}
	case access.Integer, access.Time:
		return sameNumber{s.Field, s.Other, not}
	}
	return sameText{s.Field, s.Other, not}
}

// mask turns words into bits. The literal unknown counts only for the fields of which it is an ordinary value.
func mask(s *policy.Condition, unknown bool) uint32 {
	var m uint32
	for i := range s.Values {
		m |= 1 << s.Values[i].Word
	}
	if !unknown {
		m &^= 1
	}
	return m
}

func number(s *policy.Condition, not bool) matcher {
	m := &numberMatch{field: s.Field, low: math.MinInt64, high: math.MaxInt64, not: not}
	switch s.Op {
	case policy.AtLeast:
		m.low = s.Values[0].Number
	case policy.AtMost:
		m.high = s.Values[0].Number
	default:
		for i := range s.Values {
			m.list = append(m.list, s.Values[i].Number)
		}
	}
	return m
}

// resolve returns the dated values of a condition, those of an earlier condition where the two are written alike.
func resolve[T any](c *compiler, known map[string]*timeline[T], s *policy.Condition, build func([]policy.Member) T) *timeline[T] {
	key := encoder(nil)
	for i := range s.Values {
		key = key.text(s.Values[i].Text)
	}
	t := known[string(key)]
	if t == nil {
		t = newTimeline(c.members(s), build)
		known[string(key)] = t
	}
	return t
}

// members writes out the values of a condition, groups with the days of their members.
func (c *compiler) members(s *policy.Condition) []policy.Member {
	var out []policy.Member
	for _, v := range s.Values {
		switch {
		case v.Group != "":
			out = append(out, c.set.Flatten(v.Group)...)
		case !v.IsUnknown():
			out = append(out, policy.Member{Value: v, From: policy.NoDay, Until: policy.NoDay})
		}
	}
	return out
}

func countries(members []policy.Member) (s access.CountrySet) {
	for i := range members {
		s = s.Union(members[i].Places)
	}
	return s
}

func prefixes(members []policy.Member) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(members))
	for i := range members {
		p := members[i].Prefix
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p)
	}
	return out
}
