// Package impact tells what a change of the rules would do to events: which alerts would appear, vanish, change their
// severity or become suppressed, by rule, country, person, data set and day, with examples; and what the change itself is,
// part by part. It compares and counts; where events come from and who judges them is the caller's.
package impact

import (
	"cmp"
	"hash/fnv"
	"slices"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Finding is one alert as one side sees it: of a rule, or the folded unknowns of an event.
type Finding struct {
	Rule     string
	Outcome  alert.Outcome
	Severity alert.Severity
	Shadow   bool
	DataItem int
}

// speaks reports whether somebody hears of it.
func (f *Finding) speaks() bool { return f != nil && f.Outcome != alert.Suppressed }

// AppendFindings appends the alerts of a verdict.
func AppendFindings(list []Finding, v *alert.Verdict) []Finding {
	for i := range v.Alerts {
		a := &v.Alerts[i]
		list = append(list, Finding{a.RuleID, a.Outcome, a.Severity, a.Shadow, a.DataItem})
	}
	return list
}

// Kind is what happens to an alert.
type Kind uint8

// The kinds. Quiet is a change that nobody hears of: an alert that vanishes while it was suppressed.
const (
	Same Kind = iota
	Appears
	Vanishes
	Suppressed // by an exception on the other side or, where that has no alert, from the start
	Speaks     // it was suppressed
	Raised
	Lowered
	Reworded // another outcome of equal severity: alert or error
	Quiet
	kindCount
)

var kindWords = [kindCount]string{"same", "appears", "vanishes", "becomes suppressed", "is no longer suppressed", "is raised", "is lowered", "changes outcome", "changes in silence"}

func (k Kind) String() string { return kindWords[k] }

// kindOf compares the two sides of an alert, of which one may be nil.
func kindOf(before, after *Finding) Kind {
	switch was, is := before.speaks(), after.speaks(); {
	case !was && !is && before == nil:
		return Suppressed
	case !was && !is && after == nil:
		return Quiet
	case !was && !is:
		return Same
	case was && is:
		return between(before, after)
	case was && after != nil:
		return Suppressed
	case was:
		return Vanishes
	case before != nil:
		return Speaks
	}
	return Appears
}

func between(before, after *Finding) Kind {
	switch {
	case after.Severity > before.Severity:
		return Raised
	case after.Severity < before.Severity:
		return Lowered
	case after.Outcome != before.Outcome:
		return Reworded
	}
	return Same
}

// Change is what happens to one alert of one event.
type Change struct {
	Kind          Kind
	Rule          string
	Shadow        bool
	Before, After Side
	key           uint64 // of event, rule and shadow: copies of an event share it

	// Of a change other than Same:
	EventID, Scope string
	Time           access.Millis
	Actor          string
	Dataset        string // of the data item that decides
	Country        string // candidates joined with |, or any
	Place          Position
}

// Side is an outcome and its severity; the zero value is no alert.
type Side struct {
	Outcome  alert.Outcome
	Severity alert.Severity
}

// Position is where the event lies: in Kafka, or the line of a file.
type Position struct {
	Topic     string `json:"topic,omitempty"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Collected is what some events come to. It belongs to one goroutine and can be used again after Reset.
type Collected struct {
	Events, Late uint64
	changes      []Change
	evidence     []Seen
}

// Reset empties c and keeps its memory.
func (c *Collected) Reset() {
	clear(c.changes)
	c.Events, c.Late, c.changes = 0, 0, c.changes[:0]
	clear(c.evidence)
}

// Add compares what two sides find about an event. Both lists are in the order of a verdict: by rule, shadow last. Strings
// of the event are copied where they are kept.
func (c *Collected) Add(ev *access.Event, content access.Digest, before, after []Finding) {
	c.Events++
	if arrival := ev.Arrival(); arrival == access.ArrivalLate || arrival == access.ArrivalEarly {
		c.Late++
	}
	for len(before) > 0 || len(after) > 0 {
		order := -1
		switch {
		case len(before) == 0:
			order = 1
		case len(after) > 0:
			order = compareFindings(&before[0], &after[0])
		}
		var was, is *Finding
		if order <= 0 {
			was, before = &before[0], before[1:]
		}
		if order >= 0 {
			is, after = &after[0], after[1:]
		}
		c.add(ev, &content, was, is)
	}
}

func compareFindings(a, b *Finding) int {
	if order := cmp.Compare(a.Rule, b.Rule); order != 0 || a.Shadow == b.Shadow {
		return order
	}
	if b.Shadow {
		return -1
	}
	return 1
}

func (c *Collected) add(ev *access.Event, content *access.Digest, was, is *Finding) {
	shown := is
	if is == nil {
		shown = was
	}
	change := Change{Kind: kindOf(was, is), Rule: shown.Rule, Shadow: shown.Shadow, key: keyOf(ev, content, shown)}
	if was != nil {
		change.Before = Side{was.Outcome, was.Severity}
	}
	if is != nil {
		change.After = Side{is.Outcome, is.Severity}
	}
	if change.Place.Offset = ev.Kafka.Offset; change.Kind != Same {
		change.describe(ev, shown.DataItem)
	}
	c.changes = append(c.changes, change)
}

// sorted puts the changes into the order of their events, whatever order those were read in.
func (c *Collected) sorted() []Change {
	slices.SortStableFunc(c.changes, func(a, b Change) int { return cmp.Compare(a.Place.Offset, b.Place.Offset) })
	return c.changes
}

// keyOf names an alert of an event, the same on both sides. Shadow and active alerts of a rule are two.
func keyOf(ev *access.Event, content *access.Digest, f *Finding) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(content[:])
	_, _ = h.Write([]byte(ev.Source.Scope))
	_, _ = h.Write([]byte{0, byte(len(ev.Source.Scope))})
	_, _ = h.Write([]byte(f.Rule))
	if f.Shadow {
		_, _ = h.Write([]byte{1})
	}
	return h.Sum64()
}
