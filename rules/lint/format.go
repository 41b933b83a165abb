package lint

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"

	"borderwatch/rules/policy"
)

const maxShownLine = 160 // characters of a source line that are shown around the place

// Format writes findings for people: place and sentence, the line with a caret under the column, and the hint. sources
// holds the files by path; a finding in a file that is not there is written without its line.
func Format(w io.Writer, findings []Finding, sources map[string][]byte) error {
	for i := range findings {
		f := &findings[i]
		_, err := fmt.Fprintf(w, "%s: %s: %s [%s]\n%s", f.Place(), f.Severity, f.Message, f.Check, excerpt(f, sources[f.Path]))
		if err != nil {
			return err
		}
	}
	return nil
}

// excerpt is the line, the caret and the hint.
func excerpt(f *policy.Problem, source []byte) string {
	var b strings.Builder
	if line, ok := lineOf(source, f.Line); ok {
		text, column := window([]rune(line), f.Column)
		fmt.Fprintf(&b, "%5d | %s\n      | %s^\n", f.Line, text, strings.Repeat(" ", column-1))
	}
	if f.Hint != "" {
		fmt.Fprintf(&b, "      = %s\n", f.Hint)
	}
	return b.String()
}

// SourceLine is a line of a file, from 1, "" where it has none such.
func SourceLine(source []byte, number int) string {
	line, _ := lineOf(source, number)
	return line
}

func lineOf(source []byte, number int) (string, bool) {
	for n := 1; len(source) > 0; n++ {
		line, rest, _ := bytes.Cut(source, []byte{'\n'})
		if n == number {
			return string(bytes.TrimRight(line, "\r")), true
		}
		source = rest
	}
	return "", false
}

// window cuts a long line around the column and replaces what a terminal would act on.
func window(line []rune, column int) (string, int) {
	column = min(max(column, 1), len(line)+1)
	start := 0
	if column > maxShownLine*3/4 {
		start = column - maxShownLine/2
	}
	end := min(len(line), start+maxShownLine)
	shown := make([]rune, 0, end-start)
	for _, r := range line[start:end] {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		shown = append(shown, r)
	}
	return string(shown), column - start
}
