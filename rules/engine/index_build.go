package engine

import (
	"cmp"
	"hash/maphash"
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// newIndex builds the index of rules in the order of their ids.
func newIndex(rules []*rule) *index {
	d := draft(rules)
	ix := &index{order: d.order(), words: (len(rules) + 63) / 64}
	b := &builder{ix: ix, seed: maphash.MakeSeed(), known: map[uint64][]uint32{}}
	b.position = make([]int32, len(rules))
	for p, rule := range ix.order {
		b.position[rule] = int32(p)
	}
	b.all = make([]uint64, ix.words)
	noData := make([]uint64, ix.words)
	for i, r := range rules {
		p := b.position[i]
		set(b.all, p)
		if !r.kind.AboutData() {
			set(noData, p)
		}
	}
	b.row(b.all) // everything
	ix.noData = b.row(noData)
	for i, c := range d.columns {
		ix.columns = append(ix.columns, b.column(c))
		if !ix.columns[i].joint {
			ix.apart = i + 1
		}
	}
	for i, fields := range jointFields {
		ix.joint[i] = b.joint(fields, ix.columns)
	}
	ix.coarse = ix.byWords(d)
	ix.rest = d.rest
	return ix
}

// byWords orders the columns by what asking them costs for the words that they leave out, and drops those that
// leave out few.
func (ix *index) byWords(d *drafted) []int {
	var order []int
	ranks := make([]float64, len(ix.columns))
	for i := range ix.columns {
		left := 0
		rows := ix.columns[i].all()
		for _, row := range rows {
			left += ix.sums[row].len()
		}
		pass := float64(left) / float64(len(rows)*ix.words)
		most := 0.97
		if ix.columns[i].joint {
			most = 0.5 // it is asked anyway
		}
		if ranks[i] = d.columns[i].kind.cost() / (1.001 - pass); pass < most {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
	return order
}

// drafted is the rules' conditions sorted into columns.
type drafted struct {
	rules   []*rule
	columns []*columnDraft // most telling first
	byKey   map[columnKey]*columnDraft
	rest    [][]*condition // by rule: the conditions that no joint table holds
}

type columnKey struct {
	field access.Field
	kind  columnKind
}

// columnDraft is the conditions of one column.
type columnDraft struct {
	field  access.Field
	kind   columnKind
	groups []*conditionGroup
	byKey  map[any]*conditionGroup
	of     []int32 // by rule: number of its group from 1, 0 where it has none
	pass   float64 // estimate of the share of rules that a value leaves
}

// conditionGroup is the rules that ask the same.
type conditionGroup struct {
	matcher matcher
	rules   []int32
}

func draft(rules []*rule) *drafted {
	d := &drafted{rules: rules, rest: make([][]*condition, len(rules)), byKey: map[columnKey]*columnDraft{}}
	for i, r := range rules {
		for k := range r.hard {
			if c := &r.hard[k]; !d.put(int32(i), c) {
				d.rest[i] = append(d.rest[i], c)
			}
		}
	}
	for _, c := range d.columns {
		c.estimate()
	}
	slices.SortStableFunc(d.columns, func(a, b *columnDraft) int {
		if aj, bj := isJoint(a.field, a.kind), isJoint(b.field, b.kind); aj != bj {
			return cmp.Compare(shadowByte(aj), shadowByte(bj))
		}
		return cmp.Compare(a.rank(), b.rank())
	})
	return d
}

// put adds a rule's condition to its column, false where no joint table will hold it.
func (d *drafted) put(rule int32, c *condition) bool {
	field, kind, ok := columnOf(c.matcher)
	if !ok {
		return false
	}
	key := columnKey{field, kind}
	col := d.byKey[key]
	if col == nil {
		if len(d.columns) == maxColumns {
			return false
		}
		col = &columnDraft{field: field, kind: kind, byKey: map[any]*conditionGroup{}, of: make([]int32, len(d.rules))}
		d.byKey[key] = col
		d.columns = append(d.columns, col)
	}
	return col.put(rule, c.matcher) && isJoint(field, kind)
}

// put adds a rule's condition, false where the column holds one of the rule already.
func (c *columnDraft) put(rule int32, m matcher) bool {
	if c.of[rule] != 0 {
		return false
	}
	k := groupKey(m)
	g := c.byKey[k]
	if g == nil {
		g = &conditionGroup{matcher: m}
		c.byKey[k] = g
		c.groups = append(c.groups, g)
		c.of[rule] = int32(len(c.groups))
	} else {
		c.of[rule] = c.of[g.rules[0]]
	}
	g.rules = append(g.rules, rule)
	return true
}

// columnOf says which column a condition belongs to, false where none holds it.
func columnOf(m matcher) (access.Field, columnKind, bool) {
	switch m := m.(type) {
	case wordMatch:
		return m.field, byWord, true
	case wordsMatch:
		return m.field, byWords, m.op == policy.Is
	case *countryMatch:
		return m.field, byCountry, true
	case *numberMatch:
		return m.field, byNumber, true
	case *textMatch:
		return m.field, byText, true
	case *textsMatch:
		return m.field, byTexts, m.op == policy.Is
	case *prefixMatch:
		return m.field, byPrefix, true
	case *withinMatch:
		return m.field, byNetwork, true
	case missingMatch:
		return missingColumn(m.field)
	}
	return 0, 0, false
}

// missingColumn is the column of `missing`. Sets have none: one that holds an unknown member is not missing, and yet
// leaves every other condition open.
func missingColumn(f access.Field) (access.Field, columnKind, bool) {
	switch f.Info().Type {
	case access.Word:
		return f, byWord, true
	case access.Text, access.Address:
		return f, byText, true
	case access.Nation, access.Region, access.Nations:
		return f, byCountry, true
	case access.Integer, access.Time:
		return f, byNumber, true
	}
	return 0, 0, false
}

// groupKey is equal for conditions that ask the same. Resolved values are shared, so their address tells them apart.
func groupKey(m matcher) any {
	switch m := m.(type) {
	case *countryMatch:
		return *m
	case *textMatch:
		return *m
	case *textsMatch:
		return *m
	case *withinMatch:
		return *m
	case *numberMatch:
		key := encoder(nil).number(uint64(m.low)).number(uint64(m.high)).number(uint64(shadowByte(m.not)))
		for _, n := range m.list {
			key = key.number(uint64(n))
		}
		return string(key)
	case *prefixMatch:
		key := encoder(nil)
		for _, p := range m.prefixes {
			key = key.text(p)
		}
		return string(key)
	}
	return m
}

// order puts rules next to each other that ask the same of the most telling hard columns, and keeps the order of ids
// among those.
func (d *drafted) order() []int32 {
	by := slices.Clone(d.columns)
	slices.SortStableFunc(by, func(a, b *columnDraft) int { return cmp.Compare(a.pass, b.pass) })
	by = by[:min(len(by), maxSortColumns)]
	order := make([]int32, len(d.rules))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		for _, c := range by {
			if diff := cmp.Compare(c.of[a], c.of[b]); diff != 0 {
				return diff
			}
		}
		return 0
	})
	return order
}

const maxSortColumns = 6
