package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// excerptBytes is how many bytes before and after a position are shown.
const excerptBytes = 48

// excerpt shows the bytes around a position, and below them a caret under the byte at it: two lines without a line end.
// Nothing in a hostile record steers the terminal, and the caret stands right. Without a position (-1) it is the beginning of the value, and marker is "".
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

// escaped writes a byte that is no printable ASCII as <0A>, and letters of scripts that take one column each as they are.
func escaped(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r >= ' ' && r < 0x7f || unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) && unicode.IsLetter(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "<%02X>", b[:1])
			size = 1
		}
		b = b[size:]
	}
	return out.String()
}
