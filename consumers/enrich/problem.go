package enrich

import (
	"fmt"
	"strings"
)

// Document is one YAML file of a bundle. It may hold several documents; those of a format that is not a reference
// file's are left to others.
type Document struct {
	Path string // relative to the bundle directory
	Data []byte
}

// Severity grades a Problem.
type Severity uint8

// The severities. An Error in a reference file or a list refuses the bundle.
const (
	Warning Severity = iota
	Error
)

func (s Severity) String() string { return [...]string{"warning", "error"}[s] }

// Problem is something wrong in a file, with its place. Line and Column count from 1 and are 0 where the whole file is
// meant.
type Problem struct {
	Path         string
	Line, Column int
	Message      string
	Hint         string // the nearest right word, or what to do; may be empty
	Severity     Severity
}

// Error is "path:line:column: message (hint)".
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Path)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

func hasError(problems []Problem) bool {
	for i := range problems {
		if problems[i].Severity == Error {
			return true
		}
	}
	return false
}
