package engine

import (
	"math/bits"
	"net/netip"
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// column finds the rows of what an event says about a field. A row reference is the number of a row, or with the bit
// dated set the number of a list of stretches of days with a row each.
type column struct {
	field   access.Field
	kind    columnKind
	perItem bool
	joint   bool   // a joint table holds it too
	literal bool   // "unknown" is an ordinary word of the field
	base    uint32 // row of the values that no rule names
	uses    uint32 // row of the rules with a condition in the column

	values   []uint32 // row references by word or country
	texts    textRows
	bounds   []int64 // values[i] is for numbers below bounds[i], the last value for the rest
	lengths  []int   // of prefixes, descending; texts holds these
	networks []networkNode
	dated    [][]datedRow
}

// columnKind tells how a column finds its rows.
type columnKind uint8

const (
	byWord columnKind = iota
	byWords
	byCountry
	byNumber
	byText
	byTexts
	byPrefix
	byNetwork
)

// datedRow is the row from a day on.
type datedRow struct {
	start policy.Day
	row   uint32
}

// networkNode is a range with the row reference of the addresses of which it is the narrowest range.
type networkNode struct {
	prefix netip.Prefix
	parent int // the narrowest wider one, -1 where there is none
	row    uint32
}

const datedBit uint32 = 1 << 31

func (c *column) at(row uint32, day policy.Day) uint32 {
	if row&datedBit == 0 {
		return row
	}
	stretches := c.dated[row&^datedBit]
	i := len(stretches) - 1
	for i > 0 && stretches[i].start > day {
		i--
	}
	return stretches[i].row
}

// ask adds the rows of one data item to an answer, false where the field is missing, which leaves every rule.
func (c *column) ask(a *answer, ev *access.Event, item int, day policy.Day) bool {
	switch c.kind {
	case byWord:
		value, reference := ev.WordOf(c.field, item)
		if value == 0 && !c.literal {
			return false
		}
		a.add(c.values[value])
		if reference != 0 {
			a.add(c.values[reference])
		}
		return true
	case byWords:
		return c.askWords(a, ev.WordsOf(c.field, item))
	case byCountry:
		return c.askCountries(a, ev.CandidatesOf(c.field, item), day)
	case byNumber:
		n, ok := ev.IntegerOf(c.field)
		if ok {
			a.add(c.number(n))
		}
		return ok
	case byTexts:
		return c.askTexts(a, ev, day)
	case byNetwork:
		return c.askNetwork(a, ev, item, day)
	}
	value, reference := ev.TextOf(c.field, item)
	if value == "" {
		return false
	}
	a.add(c.at(c.text(value), day))
	if reference != "" {
		a.add(c.at(c.text(reference), day))
	}
	return true
}

// askWords adds the rows of the members of a set.
func (c *column) askWords(a *answer, set access.Set) bool {
	if set.HasUnknown() {
		return false
	}
	a.add(c.base)
	for members := set.Members(); members != 0; members &= members - 1 {
		a.add(c.values[bits.TrailingZeros32(members)])
	}
	return true
}

// askCountries adds the rows of the countries that are left open.
func (c *column) askCountries(a *answer, candidates access.CountrySet, day policy.Day) bool {
	if open(&candidates) {
		return false
	}
	for i, word := range candidates {
		for ; word != 0; word &= word - 1 {
			a.add(c.at(c.values[i*64+bits.TrailingZeros64(word)], day))
		}
	}
	return true
}

func (c *column) askTexts(a *answer, ev *access.Event, day policy.Day) bool {
	members, given := ev.TextsOf(c.field)
	if !given {
		return false
	}
	a.add(c.base)
	for _, text := range members {
		if text == "" || text == "unknown" {
			return false
		}
		a.add(c.at(c.text(text), day))
	}
	return true
}

// askNetwork adds the row of the longest prefix of an address. It reads the field as withinMatch does.
func (c *column) askNetwork(a *answer, ev *access.Event, item int, day policy.Day) bool {
	text, _ := ev.TextOf(c.field, item)
	addr, ok := parseAddress(text)
	if ok {
		a.add(c.at(c.network(addr), day))
	} else if ok = ev.Location.Verdict == access.LocationService; ok {
		a.add(c.base)
	}
	return ok
}

// network finds the row of the longest prefix of an address: the last one that begins before the address, or one of those
// around it.
func (c *column) network(addr netip.Addr) uint32 {
	i, _ := slices.BinarySearchFunc(c.networks, addr, func(n networkNode, a netip.Addr) int {
		if n.prefix.Addr().Compare(a) <= 0 {
			return -1 // the search ends behind all that begin at the address or before
		}
		return 1
	})
	for i--; i >= 0; i = c.networks[i].parent {
		if c.networks[i].prefix.Contains(addr) {
			return c.networks[i].row
		}
	}
	return c.base
}

func (c *column) text(value string) uint32 {
	if c.kind == byPrefix {
		return c.longest(value)
	}
	if row, ok := c.texts.find(value); ok {
		return row
	}
	return c.base
}

// longest finds the row of the longest prefix of a value.
func (c *column) longest(value string) uint32 {
	for _, n := range c.lengths {
		if n > len(value) {
			continue
		}
		if row, ok := c.texts.find(value[:n]); ok {
			return row
		}
	}
	return c.base
}

func (c *column) number(n int64) uint32 {
	i, found := slices.BinarySearch(c.bounds, n)
	if found {
		i++
	}
	return c.values[i]
}

// all is the rows of all values.
func (c *column) all() []uint32 {
	rows := []uint32{c.base}
	add := func(row uint32) {
		if row&datedBit == 0 {
			rows = append(rows, row)
		}
	}
	for _, row := range c.values {
		add(row)
	}
	for _, s := range c.texts.slots {
		if s.text != "" {
			add(s.row)
		}
	}
	for i := range c.networks {
		add(c.networks[i].row)
	}
	for _, stretches := range c.dated {
		for _, s := range stretches {
			add(s.row)
		}
	}
	return rows
}
