package store

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// bytes appends a row; the bytes are copied when they are new in the block.
func (c *dictionary) bytes(b []byte) {
	if len(b) == 0 {
		c.add(0)
		return
	}
	c.add(c.indexBytes(b))
}

// list appends a list as one text, its members separated by NUL, which no decoded string holds. A list that was not given
// is "unknown", and so is a member that is empty.
func (c *dictionary) list(scratch []byte, members []string, given bool) []byte {
	if !given {
		c.string("unknown")
		return scratch
	}
	scratch = scratch[:0]
	for i, m := range members {
		if i > 0 {
			scratch = append(scratch, 0)
		}
		if m == "" {
			m = "unknown"
		}
		scratch = append(scratch, m...)
	}
	c.bytes(scratch)
	return scratch
}

// fieldNames joins the dotted names of fields with a space.
func fieldNames(s access.FieldSet) string { return string(appendFields(nil, s, ' ')) }

func appendFields(b []byte, s access.FieldSet, separator byte) []byte {
	for first := true; s != 0; s &= s - 1 {
		if !first {
			b = append(b, separator)
		}
		first = false
		b = append(b, access.Field(bits.TrailingZeros64(uint64(s))).String()...)
	}
	return b
}

// appendMatch writes rule:outcome:severity, then :shadow, :item=n and :fields where there are any.
func appendMatch(b []byte, m *alert.Match) []byte {
	if len(b) > 0 {
		b = append(b, ' ')
	}
	b = append(append(b, m.RuleID...), ':')
	b = append(append(b, m.Outcome.String()...), ':')
	b = append(b, m.Severity.String()...)
	if m.Shadow {
		b = append(b, ":shadow"...)
	}
	if m.DataItem > 0 {
		b = strconv.AppendInt(append(b, ":item="...), int64(m.DataItem), 10)
	}
	if m.Missing != 0 {
		b = appendFields(append(b, ':'), m.Missing, '+')
	}
	return b
}

// nearColumn writes the nearly matched rules of an event as rule:fields. Few different lists occur, so each is written
// once per block and found again by its members.
type nearColumn struct {
	*dictionary
	lists []nearList
	slots []uint32 // index+1 of lists, by hash
	ids   []alert.Near
}

type nearList struct {
	hash       uint64
	start, end uint32 // of ids
	entry      uint32
}

const nearSlots = 4096

func newNearColumn(t *table) nearColumn {
	return nearColumn{dictionary: t.dictionary("near"), slots: make([]uint32, nearSlots)}
}

// reset forgets the lists; the dictionary is reset with its table.
func (c *nearColumn) reset() {
	clear(c.slots)
	clear(c.ids)
	c.lists, c.ids = c.lists[:0], c.ids[:0]
}

func (c *nearColumn) add(near []alert.Near) {
	if len(near) == 0 {
		c.dictionary.add(0)
		return
	}
	h := nearHash(near)
	at := h & (nearSlots - 1)
	for ; c.slots[at] != 0; at = (at + 1) & (nearSlots - 1) {
		l := &c.lists[c.slots[at]-1]
		if l.hash == h && slices.Equal(c.ids[l.start:l.end], near) {
			c.dictionary.add(l.entry)
			return
		}
	}
	entry := c.index(nearText(near))
	c.dictionary.add(entry)
	if len(c.lists) >= nearSlots/2 {
		return // too many different lists to remember; the dictionary still knows each text
	}
	start := uint32(len(c.ids))
	c.ids = append(c.ids, near...)
	c.lists = append(c.lists, nearList{h, start, uint32(len(c.ids)), entry})
	c.slots[at] = uint32(len(c.lists))
}

// nearHash need not be good, only fast: lists are compared.
func nearHash(near []alert.Near) uint64 {
	h := uint64(len(near))
	for i := range near {
		id := near[i].RuleID
		h = (h ^ uint64(near[i].False)) * 0x9e3779b97f4a7c15
		h ^= h >> 32
		if n := len(id); n > 1 {
			h += uint64(id[n-1]) | uint64(id[n-2])<<8 | uint64(id[0])<<16
		}
	}
	return h
}

func nearText(near []alert.Near) string {
	var b []byte
	for i := range near {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(append(b, near[i].RuleID...), ':')
		b = appendFields(b, near[i].False, '+')
	}
	return string(b)
}

func evidenceText(l *access.Location) string {
	parts := make([]string, 0, access.MaxEvidence)
	for _, e := range l.Evidence[:l.EvidenceCount] {
		parts = append(parts, e.Kind.String()+"="+e.Place.String())
	}
	return strings.Join(parts, " ")
}

// appendItems writes data items as a JSON array of objects with the names of the columns.
func appendItems(b []byte, items []access.Item) []byte {
	b = append(b, '[')
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		item := &items[i]
		b = appendMember(append(b, '{'), "dataset", item.Dataset)
		b = appendMember(append(b, ','), "system", prefer(item.System, item.SystemRef))
		b = appendWords(append(b, `,"subject_regions":`...), item.EffectiveRegions(), access.SubjectRegions)
		b = appendWords(append(b, `,"classes":`...), item.EffectiveClasses(), access.DataClasses)
		b = appendWords(append(b, `,"categories":`...), item.EffectiveCategories(), access.DataCategories)
		b = appendMember(append(b, ','), "form", prefer(item.Form, item.FormRef).String())
		b = appendMember(append(b, ','), "storage_country", prefer(item.StorageCountry, item.StorageCountryRef).String())
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(b, '"'), name...)
	return appendJSON(append(b, `":`...), value)
}

func appendWords(b []byte, s access.Set, v *access.Vocabulary) []byte {
	b = append(b, '[')
	if !s.Given() {
		return append(b, `"unknown"]`...)
	}
	first := true
	for i, w := range v.Words() {
		if s.Members()&(1<<i) == 0 && (i > 0 || !s.HasUnknown()) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendJSON(b, w)
	}
	return append(b, ']')
}

// appendJSON writes a JSON string; invalid UTF-8 becomes U+FFFD.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
