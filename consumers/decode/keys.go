package decode

import (
	"fmt"
	"hash/maphash"
	"math/bits"
)

// fewKeys is the number of keys up to which comparing each with each is cheapest.
const fewKeys = 12

// duplicate looks for a key that stands twice among s.keys[from:].
func (s *scanner) duplicate(from int) error {
	list := s.keys[from:]
	if len(list) > fewKeys {
		return s.duplicateHashed(list)
	}
	for i := range list {
		for j := range i {
			if list[i].scope == list[j].scope && list[i].name == list[j].name {
				return duplicateKey(list[i])
			}
		}
	}
	return nil
}

// duplicateHashed does the same with an open-addressing table of at least twice as many places. The hash has a random
// seed, so that nobody can choose keys that collide; it decides how long the search takes and never what it finds.
func (s *scanner) duplicateHashed(list []key) error {
	size := 1 << bits.Len(uint(2*len(list)))
	if cap(s.seen) < size {
		s.seen = make([]uint32, size)
	}
	table := s.seen[:size]
	clear(table)
	for i := range list {
		for at := s.hash(&list[i]) & uint64(size-1); ; at = (at + 1) & uint64(size-1) {
			if table[at] == 0 {
				table[at] = uint32(i + 1)
				break
			}
			if other := &list[table[at]-1]; other.scope == list[i].scope && other.name == list[i].name {
				return duplicateKey(list[i])
			}
		}
	}
	return nil
}

func (s *scanner) hash(k *key) uint64 { return maphash.String(s.seed, k.name) + uint64(k.scope) }

func duplicateKey(k key) error {
	return &Malformed{CodeDuplicateKey, fmt.Sprintf("the key %q stands twice in one object", clip(k.name)), "", k.pos}
}

// clip shortens what a record says for an error message.
func clip(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	end := most
	for end > 0 && text[end]&0xc0 == 0x80 {
		end--
	}
	return text[:end] + "…"
}
