package main

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"borderwatch/consumers/store"
)

// column is a value of a canonical row, for people.
type column struct{ Name, Value string }

// layouts are the columns that a canonical row is made of, by table.
type layouts map[string][]store.Column

func newLayouts() layouts {
	l := layouts{}
	for _, table := range tables {
		l[table] = store.Columns(table)
	}
	return l
}

// describe takes a canonical row apart. It ends early where the row is none.
func (l layouts) describe(table string, canonical []byte) (out []column) {
	prefix := "bw-row/v1\x00" + table + "\x00"
	if !strings.HasPrefix(string(canonical), prefix) {
		return nil
	}
	rest := canonical[len(prefix):]
	for _, c := range l[table] {
		value, n := describeValue(c.Type, rest)
		if n < 0 {
			return out
		}
		out = append(out, column{c.Name, value})
		rest = rest[n:]
	}
	return out
}

// describeValue returns the value at the beginning of b and how many bytes it takes, -1 where it is cut off.
func describeValue(kind string, b []byte) (string, int) {
	switch {
	case kind == "String" || kind == "LowCardinality(String)":
		n := stringWidth(b)
		if n < 0 {
			return "", -1
		}
		return printable((&canonicalReader{b}).text()), n
	case strings.HasPrefix(kind, "Array("):
		n := arrayWidth(b)
		if n < 0 {
			return "", -1
		}
		var list []string
		for _, v := range (&canonicalReader{b}).texts(nil) {
			list = append(list, printable(v))
		}
		return strings.Join(list, ", "), n
	case kind == "FixedString(16)":
		return sized(b, 16, func(b []byte) string { return fmt.Sprintf("%x", b) })
	case strings.HasPrefix(kind, "Enum8("):
		return sized(b, 1, func(b []byte) string { return enumWord(kind, int8(b[0])) })
	case kind == "Bool":
		return sized(b, 1, func(b []byte) string { return strconv.FormatBool(b[0] != 0) })
	case strings.HasPrefix(kind, "DateTime64(3"):
		return sized(b, 8, func(b []byte) string {
			return time.UnixMilli(int64(binary.LittleEndian.Uint64(b))).UTC().Format("2006-01-02T15:04:05.000Z")
		})
	case kind == "Int64":
		return sized(b, 8, func(b []byte) string { return strconv.FormatInt(int64(binary.LittleEndian.Uint64(b)), 10) })
	case kind == "UInt32":
		return sized(b, 4, func(b []byte) string { return fmt.Sprint(binary.LittleEndian.Uint32(b)) })
	case kind == "UInt16":
		return sized(b, 2, func(b []byte) string { return fmt.Sprint(binary.LittleEndian.Uint16(b)) })
	}
	return "", -1
}

func sized(b []byte, n int, text func([]byte) string) (string, int) {
	if len(b) < n {
		return "", -1
	}
	return text(b[:n]), n
}

// printable is a text as it is where that can be shown, else quoted: the bytes of a record may hold anything.
func printable(b []byte) string {
	s := strings.ReplaceAll(string(b), "\x00", "; ") // lists are written so
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return strconv.Quote(string(b))
		}
	}
	return s
}

var enumWords = regexp.MustCompile(`'((?:[^'\\]|\\.)*)' = (-?\d+)`)

func enumWord(kind string, n int8) string {
	for _, m := range enumWords.FindAllStringSubmatch(kind, -1) {
		if m[2] == strconv.Itoa(int(n)) {
			return m[1]
		}
	}
	return strconv.Itoa(int(n))
}
