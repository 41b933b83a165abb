package decode

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of w that end the fast scan of a string: quote, backslash and control characters. Bytes of
// 0x80 and over, which are UTF-8 checked beforehand, are not marked. The lowest mark is exact.
func special(w uint64) uint64 {
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
}

// trailingByte returns the index of the lowest marked byte.
func trailingByte(mark uint64) int { return bits.TrailingZeros64(mark) >> 3 }

// string reads a string; the scanner stands at its opening quote.
func (s *scanner) string() (string, error) {
	s.control = -1
	start := s.pos + 1
	i := start
	for ; i+8 <= len(s.data); i += 8 {
		if m := special(binary.LittleEndian.Uint64(s.data[i:])); m != 0 {
			i += trailingByte(m)
			break
		}
	}
	for ; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			return view(s.data[start:i]), nil
		case c == '\\':
			return s.unescape(start, i)
		case c < 0x20:
			return "", &Malformed{CodeControl, fmt.Sprintf("a control character (%#02x) stands in a string", c), "", i}
		}
	}
	return "", &Malformed{CodeSyntax, "a string has no end", "", start - 1}
}

// view turns bytes into a string without a copy. The caller answers for its lifetime.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// unescape reads on from the first backslash at i of a string that starts at start, into the arena.
func (s *scanner) unescape(start, i int) (string, error) {
	from := len(s.arena)
	s.arena = append(s.arena, s.data[start:i]...)
	for i < len(s.data) {
		c := s.data[i]
		switch {
		case c == '"':
			s.pos = i + 1
			return view(s.arena[from:]), nil
		case c == '\\':
			n, err := s.escape(i)
			if err != nil {
				return "", err
			}
			i += n
		case c < 0x20:
			return "", &Malformed{CodeControl, fmt.Sprintf("a control character (%#02x) stands in a string", c), "", i}
		default:
			s.arena = append(s.arena, c)
			i++
		}
	}
	return "", &Malformed{CodeSyntax, "a string has no end", "", start - 1}
}

// escape appends what the escape at i stands for and returns its length.
func (s *scanner) escape(i int) (int, error) {
	if i+1 >= len(s.data) {
		return 0, &Malformed{CodeSyntax, "a string has no end", "", i}
	}
	c := s.data[i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode(i)
	default:
		return 0, &Malformed{CodeSyntax, fmt.Sprintf("a backslash before %q is no escape", s.runeAt(i+1)), "", i}
	}
	s.append(rune(c), i)
	return 2, nil
}

func (s *scanner) runeAt(i int) rune {
	r, _ := utf8.DecodeRune(s.data[i:])
	return r
}

// unicode appends the character of a \uXXXX escape or of a surrogate pair of two.
func (s *scanner) unicode(i int) (int, error) {
	r, ok := hex4(s.data[i+2:])
	if !ok {
		return 0, &Malformed{CodeSyntax, "\\u wants four hexadecimal digits", "", i}
	}
	if !utf16.IsSurrogate(r) {
		s.append(r, i)
		return 6, nil
	}
	if rest := s.data[i+6:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		if low, ok := hex4(rest[2:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				s.append(pair, i)
				return 12, nil
			}
		}
	}
	return 0, &Malformed{CodeUTF8, "half of a surrogate pair stands alone", "", i}
}

func (s *scanner) append(r rune, i int) {
	if r < 0x20 && s.control < 0 {
		s.control = i
	}
	s.arena = utf8.AppendRune(s.arena, r)
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
