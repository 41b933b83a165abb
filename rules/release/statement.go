package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// statementVersion is the first line of every statement.
const statementVersion = "borderwatch-release/v1"

// timeLayout is RFC 3339 in UTC with exactly three decimals.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Statement is what people sign about a bundle: a short text, one fact a line.
type Statement struct {
	Environment string // where it may go live, as the activation policy there calls itself
	Content     string // digest of what was built
	Groups      []GroupDigest
	Exceptions  []Approval // every exception in the bundle, by id
	Base        string     // content digest of the release by two people that a machine builds on, "" for none
	Previous    string     // content digest of what was live when it was written, "" for none
	Impact      string     // digest of the report of what the change does to stored events, "" where there is none
	Author      string     // who wrote the statement: the name of the first key that signed
	Time        time.Time  // milliseconds, UTC
	Before      time.Time  // it must go live before; milliseconds, UTC
}

// GroupDigest is the digest of the manifest of one group of parts.
type GroupDigest struct{ Group, Digest string }

// Approval says since when an exception is approved.
type Approval struct {
	ID     string    // of the exception
	Digest string    // of the file that holds it
	Since  time.Time // zero: by the signatures under this statement
}

// Text returns the canonical text. ParseStatement of it gives an equal statement.
func (s *Statement) Text() string {
	var t strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&t, format+"\n", args...) }
	line(statementVersion)
	line("environment %s", s.Environment)
	line("content sha256:%s", s.Content)
	for _, g := range s.Groups {
		line("part %s sha256:%s", g.Group, g.Digest)
	}
	for _, a := range s.Exceptions {
		since := "new"
		if !a.Since.IsZero() {
			since = a.Since.UTC().Format(timeLayout)
		}
		line("exception %s sha256:%s %s", a.ID, a.Digest, since)
	}
	line("base %s", digestOrNone(s.Base))
	line("previous %s", digestOrNone(s.Previous))
	line("impact %s", digestOrNone(s.Impact))
	line("author %s", s.Author)
	line("time %s", s.Time.UTC().Format(timeLayout))
	line("before %s", s.Before.UTC().Format(timeLayout))
	return t.String()
}

const none = "none"

func digestOrNone(digest string) string {
	if digest == "" {
		return none
	}
	return "sha256:" + digest
}

// ErrStatement is wrapped by what is wrong with the text of a statement.
var ErrStatement = errors.New("not a statement about a bundle")

// ParseStatement reads a statement. It is strict: the text must be exactly what Text of the result gives.
func ParseStatement(text string) (*Statement, error) {
	r := statementReader{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	if r.lines[0] != statementVersion {
		return nil, fmt.Errorf("%w: line 1: %.60q, want %s", ErrStatement, r.lines[0], statementVersion)
	}
	r.at = 1
	s := &Statement{Environment: r.word("environment"), Content: r.digest("content")}
	for r.next("part") {
		w := r.words("part", 2)
		s.Groups = append(s.Groups, GroupDigest{w[0], r.hex(w[1])})
	}
	for r.next("exception") {
		w := r.words("exception", 3)
		a := Approval{ID: w[0], Digest: r.hex(w[1])}
		if w[2] != "new" {
			a.Since = r.time(w[2])
		}
		s.Exceptions = append(s.Exceptions, a)
	}
	s.Base, s.Previous, s.Impact = r.digest("base"), r.digest("previous"), r.digest("impact")
	s.Author, s.Time, s.Before = r.word("author"), r.time(r.word("time")), r.time(r.word("before"))
	if r.err == nil && r.at != len(r.lines) {
		r.fail("text after the last line")
	}
	if r.err == nil && (s.Content == "" || s.Text() != text) {
		r.err = fmt.Errorf("%w: not in canonical form", ErrStatement)
	}
	if r.err != nil {
		return nil, r.err
	}
	return s, nil
}

// statementReader takes a statement apart line by line; the first error sticks.
type statementReader struct {
	lines []string
	at    int
	err   error
}

func (r *statementReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: line %d: %s", ErrStatement, r.at+1, fmt.Sprintf(format, args...))
	}
}

// next reports whether the next line has this name.
func (r *statementReader) next(name string) bool {
	return r.err == nil && r.at < len(r.lines) && strings.HasPrefix(r.lines[r.at], name+" ")
}

// words returns the value of the next line, which must have this name, split at single spaces.
func (r *statementReader) words(name string, n int) []string {
	if !r.next(name) {
		r.fail("want %q", name+" …")
		return make([]string, n)
	}
	w := strings.Split(strings.TrimPrefix(r.lines[r.at], name+" "), " ")
	if len(w) != n || slices.ContainsFunc(w, func(s string) bool { return !isWord(s) }) {
		r.fail("want %d words after %s", n, name)
		return make([]string, n)
	}
	r.at++
	return w
}

func (r *statementReader) word(name string) string { return r.words(name, 1)[0] }

func (r *statementReader) digest(name string) string {
	w := r.word(name)
	if w == none {
		return ""
	}
	return r.hex(w)
}

func (r *statementReader) hex(text string) string {
	digest, ok := parseDigest(text)
	if !ok {
		r.fail("%.80q is not sha256: and 64 hexadecimal digits", text)
	}
	return digest
}

func (r *statementReader) time(text string) time.Time {
	t, err := time.Parse(timeLayout, text)
	if err != nil {
		r.fail("%.60q is not a time like %s", text, timeLayout)
	}
	return t
}

// isWord accepts what a line can hold between two spaces, and the name of a note's key can be.
func isWord(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == '+' })
}
