package engine

import (
	"net/netip"
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// matcher is a compiled condition. It reads the event through the accessors of its field's type and allocates nothing.
type matcher interface {
	match(ev *access.Event, item int, day policy.Day) Truth
}

// missingMatch is always definite.
type missingMatch struct{ field access.Field }

func (m missingMatch) match(ev *access.Event, item int, _ policy.Day) Truth {
	if m.field == access.FieldLocationCountry {
		return truthOf(open(&ev.Location.Candidates))
	}
	return truthOf(ev.Missing(m.field, item))
}

// open reports whether candidates say nothing: every country, or none because nobody looked.
func open(s *access.CountrySet) bool { return s.Empty() || s.All() }

// wordMatch compares one word with a mask of words. For a field of which "unknown" is an ordinary value, definite is set.
type wordMatch struct {
	field    access.Field
	mask     uint32
	not      bool
	definite bool
}

func (m wordMatch) match(ev *access.Event, item int, _ policy.Day) Truth {
	value, reference := ev.WordOf(m.field, item)
	if value == 0 && !m.definite {
		return Maybe
	}
	hit := m.mask>>value&1 != 0
	if reference == 0 {
		return truthOf(hit != m.not)
	}
	return negate(both(hit, m.mask>>reference&1 != 0), m.not)
}

// wordsMatch compares a set of words with a mask.
type wordsMatch struct {
	field access.Field
	mask  uint32
	op    policy.Op
}

func (m wordsMatch) match(ev *access.Event, item int, _ policy.Day) Truth {
	set := ev.WordsOf(m.field, item)
	members, unknown := set.Members(), set.HasUnknown()
	switch m.op {
	case policy.AllOf:
		return decided(members&m.mask == m.mask, True, unknown)
	case policy.Only:
		return decided(members&^m.mask != 0, False, unknown)
	case policy.Not:
		return decided(members&m.mask != 0, False, unknown)
	}
	return decided(members&m.mask != 0, True, unknown)
}

// decided is the answer of a set: what its known members already decide, else unknown where the set holds something
// unknown, else the opposite.
func decided(by bool, answer Truth, unknown bool) Truth {
	switch {
	case by:
		return answer
	case unknown:
		return Maybe
	}
	return True - answer
}

// countryMatch compares the countries a field leaves open with a dated set.
type countryMatch struct {
	field access.Field
	sets  *timeline[access.CountrySet]
	not   bool
}

func (m *countryMatch) match(ev *access.Event, item int, day policy.Day) Truth {
	candidates := ev.CandidatesOf(m.field, item)
	if open(&candidates) {
		return Maybe
	}
	set := m.sets.at(day)
	switch {
	case candidates.Within(set):
		return truthOf(!m.not)
	case candidates.Disjoint(set):
		return truthOf(m.not)
	}
	return Maybe
}

// textSet is a set of strings.
type textSet struct {
	few  []string
	many map[string]struct{}
}

func newTextSet(members []policy.Member) textSet {
	var s textSet
	if len(members) > 8 {
		s.many = make(map[string]struct{}, len(members))
	}
	for _, m := range members {
		switch {
		case s.many != nil:
			s.many[m.Text] = struct{}{}
		case !s.has(m.Text):
			s.few = append(s.few, m.Text)
		}
	}
	return s
}

func (s *textSet) has(text string) bool {
	if s.many != nil {
		_, ok := s.many[text]
		return ok
	}
	for _, t := range s.few {
		if t == text {
			return true
		}
	}
	return false
}

// textMatch compares one string with a dated set of strings.
type textMatch struct {
	field access.Field
	sets  *timeline[textSet]
	not   bool
}

func (m *textMatch) match(ev *access.Event, item int, day policy.Day) Truth {
	value, reference := ev.TextOf(m.field, item)
	if value == "" {
		return Maybe
	}
	set := m.sets.at(day)
	if reference == "" {
		return truthOf(set.has(value) != m.not)
	}
	return negate(both(set.has(value), set.has(reference)), m.not)
}

// prefixMatch is `starts with`.
type prefixMatch struct {
	field    access.Field
	prefixes []string
}

func (m *prefixMatch) match(ev *access.Event, item int, _ policy.Day) Truth {
	value, reference := ev.TextOf(m.field, item)
	switch {
	case value == "":
		return Maybe
	case reference == "":
		return truthOf(m.starts(value))
	}
	return both(m.starts(value), m.starts(reference))
}

func (m *prefixMatch) starts(text string) bool {
	for _, p := range m.prefixes {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// textsMatch compares a set of strings with a dated set of strings.
type textsMatch struct {
	field access.Field
	sets  *timeline[textSet]
	op    policy.Op
}

func (m *textsMatch) match(ev *access.Event, _ int, day policy.Day) Truth {
	members, given := ev.TextsOf(m.field)
	set, unknown := m.sets.at(day), !given
	inside, outside := 0, 0
	for i, text := range members {
		switch {
		case text == "" || text == "unknown":
			unknown = true
		case !set.has(text):
			outside++
		case !contains(members[:i], text):
			inside++
		}
	}
	switch m.op {
	case policy.AllOf:
		return decided(inside == max(len(set.few), len(set.many)), True, unknown)
	case policy.Only:
		return decided(outside > 0, False, unknown)
	case policy.Not:
		return decided(inside > 0, False, unknown)
	}
	return decided(inside > 0, True, unknown)
}

func contains(list []string, text string) bool {
	for _, s := range list {
		if s == text {
			return true
		}
	}
	return false
}

// numberMatch compares a number or a time with bounds, or with a list of numbers.
type numberMatch struct {
	field     access.Field
	low, high int64 // both inclusive
	list      []int64
	not       bool
}

func (m *numberMatch) match(ev *access.Event, _ int, _ policy.Day) Truth {
	n, ok := ev.IntegerOf(m.field)
	if !ok {
		return Maybe
	}
	return truthOf(m.holds(n))
}

func (m *numberMatch) holds(n int64) bool {
	if m.list == nil {
		return m.low <= n && n <= m.high
	}
	return slices.Contains(m.list, n) != m.not
}

// withinMatch tests an address against dated ranges. The name of a platform's service is no address and in no range;
// anything else that does not parse says nothing.
type withinMatch struct {
	field access.Field
	sets  *timeline[[]netip.Prefix]
}

func (m *withinMatch) match(ev *access.Event, item int, day policy.Day) Truth {
	text, _ := ev.TextOf(m.field, item)
	addr, ok := parseAddress(text)
	switch {
	case !ok && ev.Location.Verdict == access.LocationService:
		return False
	case !ok:
		return Maybe
	}
	for _, p := range *m.sets.at(day) {
		if p.Contains(addr) {
			return True
		}
	}
	return False
}

// parseAddress reads an address with or without a port; an IPv4 address in IPv6 clothing is the IPv4 address.
func parseAddress(text string) (netip.Addr, bool) {
	if len(text) > 64 || strings.Trim(text, "0123456789abcdefABCDEF.:[]") != "" {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		port, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = port.Addr()
	}
	return addr.Unmap(), true
}
