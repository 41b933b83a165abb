package engine

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// builder makes the rows of an index. Equal rows are kept once.
type builder struct {
	ix       *index
	position []int32 // by rule
	all      []uint64
	seed     maphash.Seed
	known    map[uint64][]uint32 // rows by hash

	// Of the column that is being built: the row of values that no rule names, and dated rows.
	base  []uint64
	dated [][]datedRow
}

func set(row []uint64, position int32)   { row[position>>6] |= 1 << (position & 63) }
func unset(row []uint64, position int32) { row[position>>6] &^= 1 << (position & 63) }

// row keeps a row and returns its number.
func (b *builder) row(bits []uint64) uint32 {
	var h maphash.Hash
	h.SetSeed(b.seed)
	var word [8]byte
	for _, w := range bits {
		binary.LittleEndian.PutUint64(word[:], w)
		h.Write(word[:])
	}
	sum, ix := h.Sum64(), b.ix
	for _, r := range b.known[sum] {
		if slices.Equal(ix.bits(r), bits) {
			return r
		}
	}
	r := uint32(len(ix.sums))
	b.known[sum] = append(b.known[sum], r)
	ix.rows = append(ix.rows, bits...)
	var s summary
	for w, word := range bits {
		if word != 0 {
			s[w>>6] |= 1 << (w & 63)
		}
	}
	ix.sums = append(ix.sums, s)
	return r
}

// where is the row of the rules without a condition in the column or with one that holds or is unknown.
func (b *builder) where(c *columnDraft, holds func(m matcher) bool) uint32 {
	row := slices.Clone(b.all)
	for _, g := range c.groups {
		if holds(g.matcher) {
			continue
		}
		for _, r := range g.rules {
			unset(row, b.position[r])
		}
	}
	return b.row(row)
}

func (b *builder) column(d *columnDraft) column {
	b.dated = nil
	info := d.field.Info()
	c := column{field: d.field, kind: d.kind, perItem: info.PerItem, joint: isJoint(d.field, d.kind)}
	c.base = b.where(d, holdsForOthers)
	b.base = slices.Clone(b.ix.bits(c.base))
	c.uses = b.uses(d)
	switch d.kind {
	case byWord:
		c.literal = isLiteral(d.field)
		c.values = b.words(d)
	case byWords:
		c.values = b.words(d)
	case byNumber:
		c.bounds, c.values = b.numbers(d)
	case byCountry:
		c.values = b.countries(d, c.base)
	case byPrefix:
		texts, lengths := b.prefixes(d)
		if row, ok := texts[""]; ok {
			c.base = row // every value begins with it
		}
		c.texts, c.lengths = newTextRows(texts), lengths
	case byNetwork:
		c.networks = b.networks(d)
	default:
		c.texts = newTextRows(b.texts(d))
	}
	c.dated = b.dated
	return c
}

// uses is the row of the rules with a condition in the column.
func (b *builder) uses(d *columnDraft) uint32 {
	row := make([]uint64, b.ix.words)
	for rule, group := range d.of {
		if group != 0 {
			set(row, b.position[rule])
		}
	}
	return b.row(row)
}

// holdsForOthers reports whether a condition holds for a value that no condition of the column names.
func holdsForOthers(m matcher) bool {
	switch m := m.(type) {
	case *countryMatch:
		return m.not
	case *textMatch:
		return m.not
	}
	return false
}

// words builds the rows by word; 0 is unknown, where that is a word.
func (b *builder) words(d *columnDraft) []uint32 {
	rows := make([]uint32, len(d.field.Info().Vocabulary.Words()))
	for word := range rows {
		rows[word] = b.where(d, func(m matcher) bool {
			switch m := m.(type) {
			case wordMatch:
				return m.mask>>word&1 != 0 != m.not
			case wordsMatch:
				return m.mask>>word&1 != 0
			}
			return word == 0 // missing
		})
	}
	return rows
}

// numbers builds a row for every stretch of numbers on which no condition changes its answer.
func (b *builder) numbers(d *columnDraft) (bounds []int64, rows []uint32) {
	from := func(n int64) { bounds = append(bounds, n) }
	for _, g := range d.groups {
		m, ok := g.matcher.(*numberMatch)
		if !ok {
			continue
		}
		if from(m.low); m.high < math.MaxInt64 {
			from(m.high + 1)
		}
		for _, n := range m.list {
			if from(n); n < math.MaxInt64 {
				from(n + 1)
			}
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	if len(bounds) > 0 && bounds[0] == math.MinInt64 {
		bounds = bounds[1:]
	}
	for _, n := range append([]int64{math.MinInt64}, bounds...) {
		rows = append(rows, b.where(d, func(m matcher) bool {
			number, ok := m.(*numberMatch)
			return ok && number.holds(n)
		}))
	}
	return bounds, rows
}

// use is one naming of a value by a group of conditions.
type use struct {
	group       int
	from, until policy.Day
}

func (u *use) inForce(day policy.Day) bool {
	return u.from <= day && (u.until == policy.NoDay || day <= u.until)
}

// reference returns the row reference of a value: for each stretch of days the row in which the conditions that name it
// have their answer, and the others theirs to a value that they do not name.
func (b *builder) reference(d *columnDraft, uses []use, rows map[string]uint32) uint32 {
	starts := []policy.Day{beginning}
	for _, u := range uses {
		if u.from != policy.NoDay {
			starts = append(starts, u.from)
		}
		if u.until != policy.NoDay {
			starts = append(starts, u.until+1)
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	var stretches []datedRow
	for _, day := range starts {
		row := b.named(d, uses, day, rows)
		if n := len(stretches); n == 0 || stretches[n-1].row != row {
			stretches = append(stretches, datedRow{day, row})
		}
	}
	if len(stretches) == 1 {
		return stretches[0].row
	}
	b.dated = append(b.dated, stretches)
	return datedBit | uint32(len(b.dated)-1)
}

// named builds the row of a value on a day. rows remembers those of the same conditions.
func (b *builder) named(d *columnDraft, uses []use, day policy.Day, rows map[string]uint32) uint32 {
	var by []int
	for i := range uses {
		if uses[i].inForce(day) {
			by = append(by, uses[i].group)
		}
	}
	slices.Sort(by)
	by = slices.Compact(by)
	var key []byte
	for _, g := range by {
		key = binary.AppendUvarint(key, uint64(g))
	}
	row, ok := rows[string(key)]
	if !ok {
		row = b.except(d, by)
		rows[string(key)] = row
	}
	return row
}

// except is the base row with the rules of some groups turned over.
func (b *builder) except(d *columnDraft, groups []int) uint32 {
	row := slices.Clone(b.base)
	for _, g := range groups {
		put := set
		if holdsForOthers(d.groups[g].matcher) {
			put = unset
		}
		for _, r := range d.groups[g].rules {
			put(row, b.position[r])
		}
	}
	return b.row(row)
}

func (b *builder) texts(d *columnDraft) map[string]uint32 {
	uses := map[string][]use{}
	for i, g := range d.groups {
		var members []policy.Member
		switch m := g.matcher.(type) {
		case *textMatch:
			members = m.sets.members
		case *textsMatch:
			members = m.sets.members
		}
		for k := range members {
			m := &members[k]
			uses[m.Text] = append(uses[m.Text], use{i, m.From, m.Until})
		}
	}
	out, rows := make(map[string]uint32, len(uses)), map[string]uint32{}
	for _, text := range sortedKeys(uses, strings.Compare) {
		out[text] = b.reference(d, uses[text], rows)
	}
	return out
}

func sortedKeys[K comparable](m map[K][]use, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func (b *builder) countries(d *columnDraft, base uint32) []uint32 {
	var uses [access.CountryCount + 1][]use
	for i, g := range d.groups {
		m, ok := g.matcher.(*countryMatch)
		if !ok {
			continue
		}
		for k := range m.sets.members {
			m := &m.sets.members[k]
			for _, c := range m.Places.Countries() {
				uses[c] = append(uses[c], use{i, m.From, m.Until})
			}
		}
	}
	out, rows := make([]uint32, len(uses)), map[string]uint32{}
	for c := range uses {
		if out[c] = base; len(uses[c]) > 0 {
			out[c] = b.reference(d, uses[c], rows)
		}
	}
	return out
}

// prefixes builds the rows of prefixes, each with the uses of the shorter ones that it begins with.
func (b *builder) prefixes(d *columnDraft) (texts map[string]uint32, lengths []int) {
	uses := map[string][]use{}
	for i, g := range d.groups {
		for _, p := range g.matcher.(*prefixMatch).prefixes {
			uses[p] = append(uses[p], use{i, policy.NoDay, policy.NoDay})
		}
	}
	texts, rows := make(map[string]uint32, len(uses)), map[string]uint32{}
	for _, p := range sortedKeys(uses, strings.Compare) {
		var all []use
		for n := range len(p) + 1 {
			all = append(all, uses[p[:n]]...)
		}
		texts[p] = b.reference(d, all, rows)
		lengths = append(lengths, len(p))
	}
	slices.Sort(lengths)
	lengths = slices.Compact(lengths)
	slices.Reverse(lengths)
	return texts, lengths
}

// networks builds the rows of ranges, each with the uses of the wider ones.
func (b *builder) networks(d *columnDraft) (out []networkNode) {
	uses := map[netip.Prefix][]use{}
	for i, g := range d.groups {
		members := g.matcher.(*withinMatch).sets.members
		for k, p := range prefixes(members) {
			uses[p.Masked()] = append(uses[p.Masked()], use{i, members[k].From, members[k].Until})
		}
	}
	rows := map[string]uint32{}
	last := -1
	for _, p := range sortedKeys(uses, netip.Prefix.Compare) {
		parent := last
		for parent >= 0 && !out[parent].prefix.Contains(p.Addr()) {
			parent = out[parent].parent
		}
		if parent >= 0 {
			uses[p] = append(uses[p], uses[out[parent].prefix]...)
		}
		last = len(out)
		out = append(out, networkNode{p, parent, b.reference(d, uses[p], rows)})
	}
	return out
}

func isLiteral(f access.Field) bool {
	return f == access.FieldLocationVerdict || f == access.FieldNetworkKind
}
