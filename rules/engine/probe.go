package engine

import (
	"math/bits"
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// probe is an event's question to the index. Its size does not depend on the rules.
type probe struct {
	*judgement
	index *index
	keys  [jointCount]uint32
	plain bool // the event has one data item, one time and one value of each word, so that it has keys

	left  summary // words that may hold a candidate and are not looked at yet
	focus [maxFocus]int32
	bits  [maxFocus]uint64 // candidates in the words of the focus
	words int              // of the focus
}

// maxFocus is how many words are looked at together.
const maxFocus = 4

// maxColumns is how many columns there are: one bit each.
const maxColumns = 64

// answer is what a column says of an event: rows of which one must hold a rule. They are joined as they come, by their
// summaries or by their words in a focus.
type answer struct {
	*probe
	rows   int    // how many, those that repeat the one before left out
	last   uint32 // row
	coarse bool
	sum    summary
	bits   [maxFocus]uint64
}

// add adds a row.
func (a *answer) add(row uint32) {
	if a.rows > 0 && a.last == row {
		return
	}
	a.rows++
	a.last = row
	if a.coarse {
		a.sum.or(&a.index.sums[row])
		return
	}
	bits := a.index.bits(row)
	for k, w := range a.focus[:a.words] {
		a.bits[k] |= bits[w]
	}
}

// candidates judges the rules that the index leaves, and sorts what it finds.
func (j *judgement) candidates() {
	p := probe{judgement: j, index: j.engine.index}
	p.plain = j.arrived == nil && len(j.ev.Data.Items) == 1 && jointKeys(j.ev, &p.keys)
	if p.index.words <= maxFocus {
		p.short()
	} else {
		p.long()
	}
	if found := j.out.Matched; len(found) > 1 {
		slices.SortFunc(found, func(a, b alert.Match) int { return strings.Compare(a.RuleID, b.RuleID) })
	}
}

// short looks at rows that fit into the focus.
func (p *probe) short() {
	p.words = p.index.words
	for w, word := range p.index.rows[:p.words] {
		p.focus[w], p.bits[w] = int32(w), word
	}
	if p.plain {
		p.keepJoint()
	}
	if !p.few() {
		p.refine(0)
	}
	p.judgeAll()
}

// long asks coarse columns until the words that are left fit into the focus, and then looks at what is left.
func (p *probe) long() {
	p.left = p.index.sums[everything]
	var known [maxFocus]uint32 // rows of columns that need not be asked again
	n, asked := 0, uint64(0)
	for _, i := range p.index.coarse {
		if p.left.len() <= maxFocus {
			break
		}
		a := answer{probe: p, coarse: true}
		if !p.ask(&a, &p.index.columns[i]) {
			continue
		}
		p.left.and(&a.sum)
		if a.rows == 1 && n < len(known) {
			known[n], asked = a.last, asked|1<<i
			n++
		}
	}
	for p.next() {
		if p.plain {
			p.keepJoint()
		}
		for _, row := range known[:n] {
			p.keep(row)
		}
		if !p.few() {
			p.refine(asked)
		}
		p.judgeAll()
	}
}

// next puts the next words in the focus, false where there are none.
func (p *probe) next() bool {
	p.words = 0
	for s := range p.left {
		for ; p.left[s] != 0; p.left[s] &= p.left[s] - 1 {
			if p.words == maxFocus {
				return true
			}
			w := s*64 + bits.TrailingZeros64(p.left[s])
			p.focus[p.words], p.bits[p.words] = int32(w), p.index.rows[w]
			p.words++
		}
	}
	return p.words > 0
}

// fewCandidates are judged as fast one by one as with further columns.
const fewCandidates = 4

// refine asks columns, but for those asked before, as long as there are more than a few candidates.
func (p *probe) refine(asked uint64) {
	columns := p.index.columns
	if p.plain {
		columns = columns[:p.index.apart]
	}
	for i := range columns {
		c := &columns[i]
		if asked>>i&1 != 0 || !p.concerns(c.uses) {
			continue
		}
		a := answer{probe: p}
		if !p.ask(&a, c) {
			continue
		}
		for k := range p.bits {
			p.bits[k] &= a.bits[k]
		}
		if p.few() {
			return
		}
	}
}

func (p *probe) judgeAll() {
	for k, word := range p.bits[:p.words] {
		for ; word != 0; word &= word - 1 {
			p.judge(p.index.order[int(p.focus[k])*64+bits.TrailingZeros64(word)])
		}
	}
}

func (p *probe) few() bool {
	n := 0
	for _, word := range p.bits[:p.words] {
		n += bits.OnesCount64(word)
	}
	return n <= fewCandidates
}

// concerns reports whether a candidate is in the row.
func (p *probe) concerns(row uint32) bool {
	bits := p.index.bits(row)
	for k, w := range p.focus[:p.words] {
		if p.bits[k]&bits[w] != 0 {
			return true
		}
	}
	return false
}

// keep leaves the candidates that are in the row.
func (p *probe) keep(row uint32) {
	bits := p.index.bits(row)
	for k, w := range p.focus[:p.words] {
		p.bits[k] &= bits[w]
	}
}

// keepJoint leaves the candidates that are in the row of every joint table.
func (p *probe) keepJoint() {
	ix := p.index
	var at [jointCount]uint32
	for i, key := range p.keys {
		at[i] = ix.joint[i][key]
	}
	for k, word := range p.focus[:p.words] {
		w, r := uint32(word), ix.rows
		p.bits[k] &= r[at[0]+w] & r[at[1]+w] & r[at[2]+w] & r[at[3]+w] & r[at[4]+w]
	}
	if p.ev.Data.Items[0].Dataset == access.DatasetNone {
		p.keep(ix.noData)
	}
}

// ask adds the rows of everything the event says about the field, false where that leaves every rule.
func (p *probe) ask(a *answer, c *column) bool {
	if p.plain {
		return c.ask(a, p.ev, 0, p.day)
	}
	if !askItems(a, c, p.ev, p.day) {
		return false
	}
	return p.arrived == nil || askItems(a, c, p.arrived, policy.DayOf(p.ev.Kafka.Timestamp))
}

func askItems(a *answer, c *column, ev *access.Event, day policy.Day) bool {
	items := 1
	if c.perItem {
		items = len(ev.Data.Items)
	}
	for item := range items {
		if !c.ask(a, ev, item, day) {
			return false
		}
	}
	return true
}

// judge judges one candidate.
func (p *probe) judge(i int32) {
	r := p.engine.rules[i]
	if !p.plain {
		p.record(i, p.finding(r, (*rule).judge))
		return
	}
	for _, c := range p.index.rest[i] {
		if c.match(p.ev, 0, p.day) == False {
			return
		}
	}
	if len(r.any) > 0 {
		p.record(i, r.judgeItem(p.ev, 0, p.day))
		return
	}
	falses := access.FieldSet(0)
	for k := range r.soft {
		if c := &r.soft[k]; c.match(p.ev, 0, p.day) == False {
			falses |= c.fields
		}
	}
	if falses == 0 {
		p.record(i, r.judgeItem(p.ev, 0, p.day))
	} else if takesNear(p.out, r.id) {
		addNear(p.out, alert.Near{RuleID: r.id, False: falses})
	}
}
