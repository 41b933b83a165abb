package policy

import (
	"fmt"
	"strings"
)

// Severity tells whether a problem keeps a bundle from loading.
type Severity uint8

// The severities of a problem.
const (
	SeverityError Severity = iota
	SeverityWarning
	SeverityNote // a report, neither wrong nor unwise
)

func (s Severity) String() string { return [...]string{"error", "warning", "note"}[s] }

// Problem is one thing wrong with a file: where, what in one plain sentence, and what to write instead.
type Problem struct {
	Path         string
	Line, Column int    // from 1; 0 where it concerns the whole file
	Check        string // stable id of the check that found it
	Message      string
	Hint         string // the nearest right word or the cure, "" where there is none
	Severity     Severity
}

// Place is "path:line:column", or the path alone where the problem concerns the whole file.
func (p Problem) Place() string {
	if p.Line == 0 {
		return p.Path
	}
	return fmt.Sprintf("%s:%d:%d", p.Path, p.Line, p.Column)
}

// Error is "path:line:column: message (hint)".
func (p Problem) Error() string {
	s := p.Place() + ": " + p.Message
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Problems are the problems of a bundle in the order of files and lines.
type Problems []Problem

// Error has one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Failed reports whether an error is among the problems.
func (p Problems) Failed() bool {
	for i := range p {
		if p[i].Severity == SeverityError {
			return true
		}
	}
	return false
}

// At makes a problem at a position.
func At(pos Position, check, hint, format string, args ...any) Problem {
	return Problem{Path: pos.Path, Line: pos.Line, Column: pos.Column, Check: check, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// Nearest is a hint such as "did you mean approver?", "" where none of the words is like the given one.
func Nearest(word string, words []string) string { return nearest(word, words) }

// nearest returns a hint that names the word most like the given one, "" where none is alike.
func nearest(word string, words []string) string {
	if len(word) > 64 {
		return ""
	}
	best, distance := "", 1+max(2, len(word)/3)
	for _, w := range words {
		d := edits(strings.ToLower(word), strings.ToLower(w))
		if _, last, ok := strings.Cut(w, "."); ok && strings.EqualFold(word, last) {
			d = 1 // "country" for location.country
		}
		if len(word) > 4 && strings.HasPrefix(w, word[:4]) {
			d-- // "country" for countries
		}
		if d < distance {
			best, distance = w, d
		}
	}
	if best == "" || distance >= max(len(word), 2) {
		return ""
	}
	return "did you mean " + best + "?"
}

// edits counts the letters to insert, delete, replace or swap with their neighbour to make b of a (the optimal string
// alignment distance).
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		row, above, twoAbove := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(y); j++ {
			replace := above[j-1]
			if x[i-1] != y[j-1] {
				replace++
			}
			row[j] = min(above[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], twoAbove[j-2]+1)
			}
		}
	}
	return rows[len(x)%3][len(y)]
}
