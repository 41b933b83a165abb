package access

import (
	"math/bits"
	"strings"
)

// Set is a set of words of one Vocabulary of at most 29 words. The zero value is missing (nobody said anything);
// a given empty set is a fact of its own: "this operation touched no user data".
type Set uint32

const (
	setGiven   Set = 1 << 31
	setUnknown Set = 1 << 0 // the word at index 0
	setMembers Set = setGiven - 2
)

// EmptySet is a known empty set.
const EmptySet = setGiven

// With returns s with the word at index i. Index 0 records that the set holds something unknown.
func (s Set) With(i uint8) Set { return s | setGiven | 1<<i }

// Given reports whether the source said anything at all.
func (s Set) Given() bool { return s&setGiven != 0 }

// Missing reports whether the set is absent or holds only unknown.
func (s Set) Missing() bool { return s&setMembers == 0 && (s&setGiven == 0 || s&setUnknown != 0) }

// HasUnknown reports whether something unknown is in the set, which is also so for an absent one.
func (s Set) HasUnknown() bool { return s&setGiven == 0 || s&setUnknown != 0 }

// Members is the bit mask of the known members: bit i stands for the word at index i, bit 0 is never set.
func (s Set) Members() uint32 { return uint32(s & setMembers) }

// Has reports whether the word at index i is in the set.
func (s Set) Has(i uint8) bool { return s&(1<<i) != 0 && i != 0 }

// Union joins what two sources say. A missing side adds nothing.
func (s Set) Union(o Set) Set {
	if s.Missing() && s&setMembers == 0 && o.Given() {
		return o
	}
	if !o.Given() || o.Missing() {
		return s
	}
	return s | o
}

// Words returns the members, "unknown" among them where the set holds something unknown.
func (s Set) Words(v *Vocabulary) []string {
	words := make([]string, 0, bits.OnesCount32(uint32(s&^setGiven)))
	for i := range v.Words() {
		if s&(1<<i) != 0 {
			words = append(words, v.Word(uint8(i)))
		}
	}
	return words
}

// Format joins the members with a comma: "unknown" where the set is missing, "" where it is known to be empty.
func (s Set) Format(v *Vocabulary) string {
	if !s.Given() {
		return v.Word(0)
	}
	return strings.Join(s.Words(v), ",")
}
