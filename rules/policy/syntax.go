package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// Syntax puts an error of the YAML parser about data into plain words, at the line that must be mended.
func Syntax(path string, data []byte, err error) Problem {
	if p, ok := tabProblem(path, data); ok {
		return p
	}
	f := fault{data: data, err: err, line: 1}
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			f.line = n
			if parserErrors.MatchString(text) { // the parser counts lines from 0, the scanner below it from 1
				f.line = min(n+1, len(lineEnds(bytes.TrimRight(data, "\n"))))
			}
		}
	}
	message, hint := f.words(text)
	return At(Position{path, f.line, max(f.column, 1)}, "syntax", hint, "%s", message)
}

// parserErrors are the errors of the parser; all others are those of the scanner.
var parserErrors = regexp.MustCompile(`^did not find expected (?:key|'-' indicator|',' or|node content|<)`)

// fault is where a file stops being YAML.
type fault struct {
	data         []byte
	err          error
	line, column int // column from 1, 0 for unknown
}

// words says what is wrong and how to mend it. It moves the fault to the line and column where that is.
func (f *fault) words(text string) (message, hint string) {
	switch text {
	case "did not find expected ',' or ']'":
		return f.unclosed('[', ']', "list")
	case "did not find expected ',' or '}'":
		return f.unclosed('{', '}', "map")
	case "did not find expected key", "did not find expected '-' indicator":
		return f.block()
	case "did not find expected node content":
		return "a value is missing here, or a [ or { is opened and not closed", ""
	case "mapping values are not allowed in this context":
		if above, own := f.indents(); own > above {
			return f.indentation()
		}
		return "the line has a second colon followed by a space", "put the text behind the first colon in quotes"
	case "could not find expected ':'":
		return "the line is not of the form key: value", "a text of several lines begins with > behind the colon"
	case "found unexpected end of stream":
		return "a quote is opened here and never closed", "close it; inside '…' a ' is written twice"
	case "found character that cannot start any token":
		return "a value cannot begin like this", f.openQuote("put it in quotes")
	}
	return "the file is not YAML: " + text, ""
}

func (f *fault) unclosed(opens, closes byte, what string) (message, hint string) {
	line := f.text(f.line)
	depth := 0
	for i := len(line) - 1; i >= 0 && f.column == 0; i-- {
		switch line[i] {
		case closes:
			depth++
		case opens:
			if depth--; depth < 0 {
				f.column = utf8.RuneCountInString(line[:i]) + 1
			}
		}
	}
	if i := strings.IndexByte(line, opens); f.column == 0 && i >= 0 {
		f.column = utf8.RuneCountInString(line[:i]) + 1
	}
	return fmt.Sprintf("the %s that %c opens is not closed, or a comma or a quote is missing in it", what, opens),
		fmt.Sprintf("write %c at its end and a comma between two values", closes)
}

// quoteTail is a quoted value with text behind it.
var quoteTail = regexp.MustCompile(`^(\s*(?:- )?(?:[^'"#]*[:,\[{-] +)?(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*") *)[^\s#,:\]}]`)

// block is for lines that do not fit what stands above them.
func (f *fault) block() (message, hint string) {
	f.first()
	if m := quoteTail.FindStringSubmatch(f.text(f.line)); m != nil {
		f.column = utf8.RuneCountInString(m[1]) + 1
		return "text follows behind a closing quote", "inside '…' write '' for a quote, inside \"…\" write \\\""
	}
	if above, own := f.indents(); above != own {
		return f.indentation()
	}
	return "the line does not continue what stands above it", "lines of a map are key: value, lines of a list begin with -"
}

func (f *fault) indentation() (message, hint string) {
	_, own := f.indents()
	f.column = own + 1
	return "the line is indented unlike the lines it belongs to", "lines of one map or list begin in the same column"
}

// maxSought limits how large a file may be in which first looks for a line.
const maxSought = 1 << 20

// first moves the fault from where the map or list begins, which is all the parser tells, to the first line with which
// the file fails like that: with every line more it goes on failing.
func (f *fault) first() {
	if len(f.data) > maxSought {
		return
	}
	ends := lineEnds(f.data)
	fails := func(i int) bool {
		err := parse(f.data[:ends[i]])
		return err != nil && err.Error() == f.err.Error()
	}
	if i := sort.Search(len(ends), fails); i < len(ends) {
		f.line = i + 1
	}
}

func lineEnds(data []byte) (ends []int) {
	for i, b := range data {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	return append(ends, len(data))
}

func parse(data []byte) error {
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// openQuote adds to a hint the line above the fault that has an odd number of quotes.
func (f *fault) openQuote(hint string) string {
	for line := 1; line < f.line; line++ {
		if strings.Count(f.text(line), `"`)%2 == 1 {
			return fmt.Sprintf("%s; or the quote in line %d is not closed", hint, line)
		}
	}
	return hint
}

// indents are the indentations of the faulty line and of the line above it that holds something.
func (f *fault) indents() (above, own int) {
	for line := f.line - 1; line > 0; line-- {
		if text := strings.TrimSpace(f.text(line)); text != "" && text[0] != '#' {
			above = indent(f.text(line))
			break
		}
	}
	return above, indent(f.text(f.line))
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// text is a line of the file, from 1.
func (f *fault) text(line int) string {
	rest := f.data
	for n := 1; len(rest) > 0; n++ {
		var text []byte
		if text, rest, _ = bytes.Cut(rest, []byte{'\n'}); n == line {
			return string(bytes.TrimRight(text, "\r"))
		}
	}
	return ""
}

// tabProblem finds a tab in the indentation of a line.
func tabProblem(path string, data []byte) (Problem, bool) {
	line, column, ok := tabIndent(data)
	return At(Position{path, line, column}, "syntax", "replace it with two spaces", "the line is indented with a tab; YAML wants spaces"), ok
}

// tabIndent finds a tab in the indentation of a line.
func tabIndent(data []byte) (line, column int, found bool) {
	for line = 1; len(data) > 0; line++ {
		text, rest, _ := bytes.Cut(data, []byte{'\n'})
		trimmed := bytes.TrimLeft(text, " ")
		if len(trimmed) > 1 && trimmed[0] == '\t' && len(bytes.TrimSpace(trimmed)) > 0 {
			return line, len(text) - len(trimmed) + 1, true
		}
		data = rest
	}
	return 0, 0, false
}
