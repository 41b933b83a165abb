package ledger

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// timeLayout is RFC 3339 in UTC with exactly three decimals.
const timeLayout = "2006-01-02T15:04:05.000Z"

const (
	maxSourceLen = 200
	maxTopicLen  = 249 // Kafka's own limit
	maxTextLen   = 200
)

// lineReader takes a leaf apart line by line. The first error sticks, later
// reads return zero values. It need not be strict about spelling: ParseLeaf
// compares the text with what it would have written.
type lineReader struct {
	rest string
	line int
	err  error
}

func (r *lineReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: line %d: %s", ErrInvalidLeaf, r.line, fmt.Sprintf(format, args...))
	}
}

// next reports whether the next line has this name.
func (r *lineReader) next(name string) bool {
	rest, ok := strings.CutPrefix(r.rest, name)
	return r.err == nil && ok && strings.HasPrefix(rest, " ")
}

// text returns the value of the next line, which must have this name.
func (r *lineReader) text(name string) string {
	if r.err != nil {
		return ""
	}
	r.line++
	line, rest, ok := strings.Cut(r.rest, "\n")
	value, found := strings.CutPrefix(line, name)
	value, space := strings.CutPrefix(value, " ")
	if !ok || !found || !space {
		r.fail("want %q and a newline, have %.60q", name+" …", line)
		return ""
	}
	r.rest = rest
	return value
}

func (r *lineReader) integer(name string, bits int) int64 {
	return r.number(r.text(name), bits)
}

func (r *lineReader) number(s string, bits int) int64 {
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		r.fail("%.60q is not a %d-bit integer", s, bits)
	}
	return n
}

// words returns the value of the next line split at single spaces.
func (r *lineReader) words(name string, n int) []string {
	w := strings.Split(r.text(name), " ")
	if len(w) != n {
		r.fail("want %d words after %s, have %d", n, name, len(w))
		return make([]string, n)
	}
	return w
}

func (r *lineReader) digest(name string) (sum [32]byte) {
	value, _ := strings.CutPrefix(r.text(name), "sha256:")
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) != len(sum) {
		r.fail("want sha256: and 64 hexadecimal digits")
		return sum
	}
	copy(sum[:], raw)
	return sum
}

func (r *lineReader) time(name string) time.Time {
	value := r.text(name)
	t, err := time.Parse(timeLayout, value)
	if err != nil {
		r.fail("%.60q is not a time like %s", value, timeLayout)
	}
	return t
}

func (r *lineReader) end() error {
	if r.err == nil && r.rest != "" {
		r.line++
		r.fail("text after the last line")
	}
	return r.err
}

// lines is the text of a leaf that grows by a line with each call.
type lines []byte

func (l lines) text(name, value string) lines {
	l = append(append(l, name...), ' ')
	return append(append(l, value...), '\n')
}

func (l lines) integer(name string, n int64) lines {
	l = append(append(l, name...), ' ')
	return append(strconv.AppendInt(l, n, 10), '\n')
}

func (l lines) digest(name string, sum [32]byte) lines {
	l = append(append(l, name...), " sha256:"...)
	return append(hex.AppendEncode(l, sum[:]), '\n')
}

func (l lines) time(name string, t time.Time) lines {
	l = append(append(l, name...), ' ')
	return append(t.UTC().AppendFormat(l, timeLayout), '\n')
}

// count adds a word of the counts line.
func (l lines) count(name string, n int64) lines {
	l = append(append(append(l, ' '), name...), '=')
	return strconv.AppendInt(l, n, 10)
}

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalidLeaf, field, fmt.Sprintf(format, args...))
}

// validateWord accepts printable ASCII without spaces.
func validateWord(field, s string, limit int) error {
	if s == "" || len(s) > limit {
		return invalid(field, "%d bytes, want 1 to %d", len(s), limit)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return invalid(field, "byte %d is not a printable ASCII character", i)
		}
	}
	return nil
}

// validateTopic accepts what Kafka accepts as a topic name.
func validateTopic(s string) error {
	if s == "" || len(s) > maxTopicLen {
		return invalid("topic", "%d bytes, want 1 to %d", len(s), maxTopicLen)
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return invalid("topic", "byte %d is not a letter, digit, dot, underscore or dash", i)
		}
	}
	return nil
}

// validateText accepts one line of printable text.
func validateText(field, s string, limit int) error {
	if s == "" || len(s) > limit {
		return invalid(field, "%d bytes, want 1 to %d", len(s), limit)
	}
	if !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return invalid(field, "not UTF-8, or space at an end")
	}
	for i, c := range s {
		if !unicode.IsPrint(c) {
			return invalid(field, "byte %d is not printable", i)
		}
	}
	return nil
}

func validateHex(field, s string) error {
	if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		return invalid(field, "want 64 lower-case hexadecimal digits")
	}
	return nil
}

// validateTime refuses what would not survive the text: below a millisecond,
// or a year that does not have four digits.
func validateTime(field string, t time.Time) error {
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		return invalid(field, "finer than a millisecond")
	}
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return invalid(field, "year %d is not in 1970 to 9999", y)
	}
	return nil
}

func (s Span) validate() error {
	if err := validateWord("source", s.Key.Source, maxSourceLen); err != nil {
		return err
	}
	if err := validateTopic(s.Key.Topic); err != nil {
		return err
	}
	if s.Key.Partition < 0 {
		return invalid("partition", "%d is negative", s.Key.Partition)
	}
	if s.First < 0 || s.Last < s.First {
		return invalid("range", "%d to %d", s.First, s.Last)
	}
	if s.Prev < -1 {
		return invalid("prev", "%d, want a ledger index or -1", s.Prev)
	}
	return nil
}

// open writes the lines that every ranged leaf starts with.
func (s Span) open(kind string) lines {
	t := append(make(lines, 0, 512), kind...)
	t = append(t, '\n')
	t = t.text("source", s.Key.Source).text("topic", s.Key.Topic).integer("partition", int64(s.Key.Partition))
	t = append(t, "range "...)
	t = append(strconv.AppendInt(t, s.First, 10), ' ')
	return append(strconv.AppendInt(t, s.Last, 10), '\n')
}

func (r *lineReader) place() (s Span) {
	s.Key.Source = r.text("source")
	s.Key.Topic = r.text("topic")
	s.Key.Partition = int32(r.integer("partition", 32))
	w := r.words("range", 2)
	s.First, s.Last = r.number(w[0], 64), r.number(w[1], 64)
	return s
}
