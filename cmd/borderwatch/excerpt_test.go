package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("a", 100)
	for _, c := range []struct {
		name, value   string
		position      int
		shown, marker string
	}{
		{"in the middle", `{"a":1}`, 4, `{"a":1}`, "    ^"},
		{"at the end", "ab", 2, "ab", "  ^"},
		{"past the end", "ab", 9, "ab", "  ^"},
		{"no position", "ab", -1, "ab", ""},
		{"empty", "", 0, "", "^"},
		{"control bytes before it", "\x1b[2J\x00x", 5, "<1B>[2J<00>x", "           ^"},
		{"letters of one column", "Jörg", 2, "J<C3><B6>rg", "     ^"},
		{"letters before it", "Jörg", 3, "Jörg", "  ^"},
		{"right to left override", "a\u202eb", 4, "a<E2><80><AE>b", "             ^"},
		{"cut at both ends", long + "X" + long, 100, "…" + long[:48] + "X" + long[:47] + "…", strings.Repeat(" ", 49) + "^"},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown, marker := excerpt([]byte(c.value), c.position)
			if shown != c.shown || marker != c.marker {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", shown, marker, c.shown, c.marker)
			}
		})
	}
}

// FuzzExcerpt holds that nothing steers a terminal and that the caret stands under something or right behind the end.
func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("{\"a\":\x1b]0;x\a}"), 5)
	f.Add([]byte("日本\xff\xc3"), 4)
	f.Fuzz(func(t *testing.T, value []byte, position int) {
		shown, marker := excerpt(value, position)
		for _, r := range shown {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError {
				t.Fatalf("%q is shown", r)
			}
		}
		if utf8.RuneCountInString(marker) > utf8.RuneCountInString(shown)+1 {
			t.Fatalf("the caret is behind the end: %q, %q", shown, marker)
		}
	})
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0 %", 1e-9: "<0.1 %", 0.0314: "3.14 %", 2.0 / 3: "66.7 %", 0.9999: ">99.9 %", 1: "100 %"} {
		if got := percent(share); got != want {
			t.Errorf("%v: %q, want %q", share, got, want)
		}
	}
}
