package decode

import (
	"fmt"
	"hash/maphash"
	"unicode/utf8"
)

// scanner reads JSON (RFC 8259) strictly: UTF-8 only, no lone surrogates, no duplicate keys, bounded depth. It
// allocates nothing once its buffers have grown. The strings it returns are views into the text or into arena.
type scanner struct {
	data     []byte
	pos      int
	maxDepth int
	depth    int
	arena    []byte       // unescaped strings of this record
	keys     []key        // keys of the objects that are open
	seen     []uint32     // hash table of duplicateHashed: an index into the keys plus one
	seed     maphash.Seed // of that table
	control  int          // position of the first escaped control character of the last string, -1
}

// key is one key of an object and where it stands. scope tells keys of several objects apart that share one list.
type key struct {
	name  string
	scope uint8
	pos   int
}

// maxKept is how many bytes, keys or nodes a decoder keeps room for between records, so that one freak record does not
// hold memory for ever.
const maxKept = 1 << 16

// open starts a new text. It checks size and UTF-8, so that the rest of the scanner only sees valid text.
func (s *scanner) open(data []byte, limits Limits) error {
	s.data, s.pos, s.depth, s.maxDepth = data, 0, 0, limits.MaxDepth
	if cap(s.arena) > maxKept || cap(s.keys) > maxKept {
		s.arena, s.keys, s.seen = nil, nil, nil
	}
	s.arena, s.keys = s.arena[:0], s.keys[:0]
	if len(data) > limits.MaxBytes {
		return &Malformed{CodeTooLarge, fmt.Sprintf("the record has %d bytes, the limit is %d", len(data), limits.MaxBytes), "", -1}
	}
	if !utf8.Valid(data) {
		return &Malformed{CodeUTF8, "the record is not valid UTF-8", "", firstInvalid(data)}
	}
	s.space()
	if s.pos == len(data) {
		return &Malformed{CodeEmpty, "the record is empty", "", -1}
	}
	return nil
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// end checks that nothing follows the value.
func (s *scanner) end() error {
	s.space()
	if s.pos < len(s.data) {
		return &Malformed{CodeTrailing, "there are more bytes after the record; send one record a message", "", s.pos}
	}
	return nil
}

// peek returns the next byte, 0 at the end (which starts no JSON value).
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// space steps over white space; most producers write none.
func (s *scanner) space() {
	if s.pos < len(s.data) && s.data[s.pos] > ' ' {
		return
	}
	s.spaces()
}

func (s *scanner) spaces() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// accept steps over c, with white space after it, if it is next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	s.space()
	return true
}

func (s *scanner) syntax(want string) error {
	if s.pos >= len(s.data) {
		return &Malformed{CodeSyntax, "the record ends where " + want + " is expected", "", s.pos}
	}
	return &Malformed{CodeSyntax, fmt.Sprintf("%s is expected here, not %q", want, s.rune()), "", s.pos}
}

func (s *scanner) rune() rune {
	r, _ := utf8.DecodeRune(s.data[s.pos:])
	return r
}

// enter and leave count the depth.
func (s *scanner) enter() error {
	s.pos++
	s.depth++
	if s.depth > s.maxDepth {
		return &Malformed{CodeTooDeep, fmt.Sprintf("objects and arrays lie more than %d deep within each other", s.maxDepth), "", s.pos - 1}
	}
	s.space()
	return nil
}

func (s *scanner) leave() {
	s.pos++
	s.depth--
	s.space()
}

// colon steps over the colon after a key.
func (s *scanner) colon() error {
	s.space()
	if !s.accept(':') {
		return s.syntax("a colon after a key")
	}
	return nil
}

// more steps over the comma to the next element, or reports false at close, which is left in place.
func (s *scanner) more(end byte) (bool, error) {
	if s.pos+1 < len(s.data) && s.data[s.pos] == ',' && s.data[s.pos+1] == '"' {
		s.pos++
		return true, nil
	}
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		s.space()
		return true, nil
	case end:
		return false, nil
	}
	if end == ']' {
		return false, s.syntax("a comma or ]")
	}
	return false, s.syntax("a comma or }")
}

// number reads the text of a number and tells whether it is written as a whole one.
func (s *scanner) number() (text string, whole bool, err error) {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return "", false, s.syntax("a digit")
	}
	whole = true
	if s.peek() == '.' {
		s.pos++
		whole = false
		if s.digits() == 0 {
			return "", false, s.syntax("a digit after the point")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		whole = false
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if s.digits() == 0 {
			return "", false, s.syntax("a digit in the exponent")
		}
	}
	return view(s.data[start:s.pos]), whole, nil
}

func (s *scanner) digits() (n int) {
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
		n++
	}
	return n
}

// literal steps over true, false or null.
func (s *scanner) literal(word string) error {
	if len(s.data)-s.pos < len(word) || view(s.data[s.pos:s.pos+len(word)]) != word {
		return s.syntax("a JSON value")
	}
	s.pos += len(word)
	return nil
}

// skip reads over one value, checking it fully.
func (s *scanner) skip() error {
	switch c := s.peek(); c {
	case '"':
		_, err := s.skipString()
		return err
	case '{':
		return s.skipObject()
	case '[':
		return s.skipArray()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c != '-' && (c < '0' || c > '9') {
			return s.syntax("a JSON value")
		}
		_, _, err := s.number()
		return err
	}
}

// skipString reads a string that nobody needs: what it put into the arena is given back. NUL is refused even there.
func (s *scanner) skipString() (string, error) {
	from := len(s.arena)
	text, err := s.string()
	if err == nil && s.control >= 0 && hasNUL(text) {
		return "", &Malformed{CodeControl, "NUL stands in a string", "", s.control}
	}
	s.arena = s.arena[:from]
	return text, err
}

func hasNUL(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

func (s *scanner) skipObject() error {
	if err := s.enter(); err != nil {
		return err
	}
	from := len(s.keys)
	if s.peek() != '}' {
		for more := true; more; {
			if err := s.pushKey(); err != nil {
				return err
			}
			if err := s.skip(); err != nil {
				return err
			}
			var err error
			if more, err = s.more('}'); err != nil {
				return err
			}
		}
	}
	if err := s.duplicate(from); err != nil {
		return err
	}
	s.keys = s.keys[:from]
	s.leave()
	return nil
}

// pushKey reads a key and its colon and notes the key.
func (s *scanner) pushKey() error {
	if s.peek() != '"' {
		return s.syntax("a key in double quotes")
	}
	at := s.pos
	name, err := s.string()
	if err != nil {
		return err
	}
	if s.control >= 0 && hasNUL(name) {
		return &Malformed{CodeControl, "NUL stands in a key", "", at}
	}
	s.keys = append(s.keys, key{name: name, pos: at})
	return s.colon()
}

func (s *scanner) skipArray() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() != ']' {
		for more := true; more; {
			if err := s.skip(); err != nil {
				return err
			}
			var err error
			if more, err = s.more(']'); err != nil {
				return err
			}
		}
	}
	s.leave()
	return nil
}
