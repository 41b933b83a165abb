package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// excerptBytes is how many bytes before and after a position are shown.
const excerptBytes = 48

// excerpt shows the bytes around a position, and below them a caret under the byte at it: two lines without a line end.
// Bytes that are not printable ASCII are escaped as in Go, so that nothing in a hostile record steers the terminal and
// the caret stands right. Without a position (-1) it is the beginning of the value, and marker is "".
func excerpt(value []byte, position int) (shown, marker string) {
	at := min(max(position, 0), len(value))
	from, to := max(at-excerptBytes, 0), min(at+excerptBytes, len(value))
	for from > 0 && at-from < excerptBytes+utf8.UTFMax && !utf8.RuneStart(value[from]) {
		from--
	}
	before, after := escaped(value[from:at]), escaped(value[at:to])
	if from > 0 {
		before = "…" + before
	}
	shown = before + after
	if to < len(value) {
		shown += "…"
	}
	if position < 0 {
		return shown, ""
	}
	return shown, strings.Repeat(" ", utf8.RuneCountInString(before)) + "^"
}

// escaped writes bytes in printable ASCII. Quotes stay as they are, for records are full of them.
func escaped(b []byte) string {
	quoted := strconv.QuoteToASCII(string(b))
	quoted = quoted[1 : len(quoted)-1]
	return strings.ReplaceAll(quoted, `\"`, `"`)
}
