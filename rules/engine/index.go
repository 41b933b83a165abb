package engine

import (
	"math/bits"

	"borderwatch/rules/policy"
)

// index is a bit-vector index. Every rule has a position; a row is a bit for each of them. A column holds, for each value
// of a field, the row of the rules whose condition on the field holds or is unknown. The rules that an event concerns
// are in one row of every column, so ANDing rows finds them, and each is then judged by itself. Positions put rules
// alike in what they ask next to each other, so that most events leave a few words of a row.
//
// Of long rows the coarse columns are asked first, by their summaries, until a few words are left: the focus. There the
// joint tables are asked, and further columns as long as there are more than a few candidates. What no column holds (any,
// comparisons of two fields, a second condition on a field) makes rules candidates too often, never too rarely.
type index struct {
	words  int       // of a row
	rows   []uint64  // row r begins at r*words
	sums   []summary // of each row
	order  []int32   // rule at a position
	noData uint32    // row of the rules that judge operations without user data

	joint   [jointCount][]uint32 // by key, where in rows its row begins
	columns []column             // of hard conditions, most telling first, those that joint tables hold too at the end
	apart   int                  // how many no joint table holds
	coarse  []int                // those that leave out whole words, most telling first
	rest    [][]*condition       // by rule: the hard conditions that the joint tables do not hold
}

// summary has a bit for each word of a row that is not zero.
type summary [summaryWords]uint64

const summaryWords = (policy.MaxRules + 64*64 - 1) / (64 * 64)

// everything is the row in which all rules are; every index begins with it.
const everything uint32 = 0

func (s *summary) and(o *summary) {
	s[0], s[1], s[2] = s[0]&o[0], s[1]&o[1], s[2]&o[2]
}

func (s *summary) or(o *summary) {
	s[0], s[1], s[2] = s[0]|o[0], s[1]|o[1], s[2]|o[2]
}

func (s *summary) len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2])
}

// bits is a row.
func (ix *index) bits(row uint32) []uint64 { return ix.rows[int(row)*ix.words : int(row+1)*ix.words] }
