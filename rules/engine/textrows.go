package engine

import (
	"hash/maphash"
	"math/bits"
)

// textRows finds the row reference of a text: a hash table that is filled once, with half of its slots empty.
type textRows struct {
	seed  maphash.Seed
	shift uint8 // of a hash to a slot
	slots []textSlot
}

type textSlot struct {
	text string // "" is an empty slot
	row  uint32
	hash uint32
}

// newTextRows makes a table of all texts but the empty one.
func newTextRows(rows map[string]uint32) textRows {
	size := max(2, bits.Len(uint(2*len(rows))))
	t := textRows{seed: maphash.MakeSeed(), shift: uint8(64 - size), slots: make([]textSlot, 1<<size)}
	for text, row := range rows {
		if text == "" {
			continue
		}
		hash := maphash.String(t.seed, text)
		i := int(hash >> t.shift)
		for t.slots[i].text != "" {
			i = (i + 1) & (len(t.slots) - 1)
		}
		t.slots[i] = textSlot{text, row, uint32(hash)}
	}
	return t
}

func (t *textRows) find(text string) (row uint32, ok bool) {
	hash := maphash.String(t.seed, text)
	for i := int(hash >> t.shift); ; i++ {
		s := &t.slots[i&(len(t.slots)-1)]
		if s.hash == uint32(hash) && s.text == text {
			return s.row, true
		}
		if s.text == "" {
			return 0, false
		}
	}
}
