package enrich

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"borderwatch/schemas/access"
)

const day access.Millis = 24 * 60 * 60 * 1000

// Span is a range of UTC days, both inclusive: From is the first millisecond, End the first one after it. The zero End
// means without end.
type Span struct {
	From, End access.Millis
}

// Holds reports whether t lies in the span.
func (s Span) Holds(t access.Millis) bool { return t >= s.From && (s.End == 0 || t < s.End) }

func (s Span) overlaps(o Span) bool {
	return (s.End == 0 || o.From < s.End) && (o.End == 0 || s.From < o.End)
}

// span reads from and until.
func (o object) span() Span {
	var s Span
	if t, ok := o.day("from"); ok {
		s.From = t
	}
	if t, ok := o.day("until"); ok {
		s.End = t + day
		if s.End <= s.From {
			o.fail(o.at("until"), "", "until lies before from")
		}
	}
	return s
}

func (o object) day(key string) (access.Millis, bool) {
	s := o.text(key)
	if s == "" {
		return 0, false
	}
	t, err := time.Parse(time.DateOnly, s)
	m := access.Millis(t.UnixMilli())
	if err != nil || m < access.MinTime || m >= access.MaxTime-day {
		o.fail(o.at(key), "", "%s: %q is not a day such as 2026-11-20, between 1970 and 2261", key, s)
		return 0, false
	}
	return m, true
}

// dated is one entry with the days on which it is valid.
type dated[T any] struct {
	Span
	value T
	line  int
}

// at returns the entry of a list that is valid at t, nil where none is.
func at[T any](list []dated[T], t access.Millis) *T {
	for i := range list {
		if list[i].Holds(t) {
			return &list[i].value
		}
	}
	return nil
}

// patterns finds entries by exact id or, behind it, by the longest prefix. A pattern is an id or a prefix with a
// trailing *.
type patterns[T any] struct {
	exact    map[string][]dated[T]
	prefixes []prefix[T] // sorted; built by seal
}

type prefix[T any] struct {
	text    string
	entries []dated[T]
	outer   int32 // the longest other prefix of text, -1 where there is none
}

// add puts an entry under its pattern, false where one of overlapping days is there already, with its line.
func (p *patterns[T]) add(pattern string, e dated[T]) (line int, ok bool) {
	if p.exact == nil {
		p.exact = map[string][]dated[T]{}
	}
	for _, other := range p.exact[pattern] {
		if other.overlaps(e.Span) {
			return other.line, false
		}
	}
	p.exact[pattern] = append(p.exact[pattern], e)
	return 0, true
}

// seal moves the prefixes out of the exact ids and links each with the one around it.
func (p *patterns[T]) seal() {
	for pattern, entries := range p.exact {
		if text, ok := strings.CutSuffix(pattern, "*"); ok {
			p.prefixes = append(p.prefixes, prefix[T]{text: text, entries: entries})
			delete(p.exact, pattern)
		}
	}
	slices.SortFunc(p.prefixes, func(a, b prefix[T]) int { return cmp.Compare(a.text, b.text) })
	for i := range p.prefixes {
		outer := int32(i) - 1
		for outer >= 0 && !strings.HasPrefix(p.prefixes[i].text, p.prefixes[outer].text) {
			outer = p.prefixes[outer].outer
		}
		p.prefixes[i].outer = outer
	}
}

// find returns the entry of id valid at t: the exact one, else that of the longest prefix that has a valid one.
func (p *patterns[T]) find(id string, t access.Millis) *T {
	if list, ok := p.exact[id]; ok {
		if v := at(list, t); v != nil {
			return v
		}
	}
	lo, hi := 0, len(p.prefixes)
	for lo < hi {
		if mid := (lo + hi) / 2; p.prefixes[mid].text <= id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for i := int32(lo) - 1; i >= 0; i = p.prefixes[i].outer {
		if !strings.HasPrefix(id, p.prefixes[i].text) {
			continue
		}
		if v := at(p.prefixes[i].entries, t); v != nil {
			return v
		}
	}
	return nil
}

// ids lists the exact ids and patterns in order.
func (p *patterns[T]) ids() []string {
	out := make([]string, 0, len(p.exact)+len(p.prefixes))
	for id := range p.exact {
		out = append(out, id)
	}
	for i := range p.prefixes {
		out = append(out, p.prefixes[i].text+"*")
	}
	slices.Sort(out)
	return out
}

// entries returns what stands under an id or pattern of ids.
func (p *patterns[T]) entries(id string) []dated[T] {
	if list, ok := p.exact[id]; ok {
		return list
	}
	for i := range p.prefixes {
		if p.prefixes[i].text+"*" == id {
			return p.prefixes[i].entries
		}
	}
	return nil
}

// matches reports whether a pattern (exact, or a prefix with a trailing *) covers name.
func matches(pattern, name string) bool {
	if text, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, text)
	}
	return pattern == name
}
