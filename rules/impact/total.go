package impact

import (
	"cmp"
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/alert"
)

// The most that a total keeps, whatever the number of events. What is beyond is counted, and the report says so.
const (
	MaxKeys   = 200_000   // persons, data sets, countries and days with a change, each
	MaxAlerts = 8_000_000 // alerts of which copies are known, 16 bytes each
)

// Options say how much a report shows.
type Options struct {
	Rows     int // of each table but that of rules
	Examples int // of each rule and kind of change
}

// Total adds up what was collected. Collections must come in the order of sources, topics, partitions and offsets for the
// report to be the same each time. It belongs to one goroutine.
type Total struct {
	opt            Options
	events         Events
	alerts, shadow Alerts
	rules          tally
	places, people tally
	data, days     tally
	seen           set
	samples        map[sampleKey][]Change
	evidence       []Seen
}

type sampleKey struct {
	rule   string
	shadow bool
	kind   Kind
}

// NewTotal returns an empty total.
func NewTotal(opt Options) *Total {
	return &Total{opt: opt, samples: make(map[sampleKey][]Change), rules: newTally(2 * policy.MaxRules), places: newTally(MaxKeys),
		people: newTally(MaxKeys), data: newTally(MaxKeys), days: newTally(MaxKeys)}
}

// Add adds what some events came to. c may be used again afterwards.
func (t *Total) Add(c *Collected) {
	t.events.Read += c.Events
	t.events.Late += c.Late
	for i, s := range c.evidence {
		if len(t.evidence) < len(c.evidence) {
			t.evidence = make([]Seen, len(c.evidence))
		}
		t.evidence[i].Matching += s.Matching
		t.evidence[i].Shown += s.Shown
	}
	changes := c.sorted()
	for i := range changes {
		t.add(&changes[i])
	}
}

func (t *Total) add(c *Change) {
	switch {
	case t.seen.len() >= MaxAlerts:
		t.events.CopiesLimit = true
	case !t.seen.add(c.key):
		t.events.Copies++
		return
	}
	all := &t.alerts
	if c.Shadow {
		all = &t.shadow
	}
	all.Before.add(c.Before)
	all.After.add(c.After)
	if c.Kind == Same {
		return
	}
	all.Changes.add(c.Kind)
	t.rules.add(ruleKey(c.Rule, c.Shadow), c.Kind)
	t.sample(c)
	if c.Shadow {
		return
	}
	t.places.add(c.Country, c.Kind)
	t.people.add(c.Actor, c.Kind)
	t.data.add(c.Dataset, c.Kind)
	t.days.add(c.Time.AsTime().Format("2006-01-02"), c.Kind)
}

// shadowMark ends the key of a rule's shadow alerts; no rule id holds it.
const shadowMark = "\x00"

func ruleKey(rule string, shadow bool) string {
	if shadow {
		return rule + shadowMark
	}
	return rule
}

// sample keeps the most severe and then the latest changes of a rule and kind.
func (t *Total) sample(c *Change) {
	key := sampleKey{c.Rule, c.Shadow, c.Kind}
	list := t.samples[key]
	at, _ := slices.BinarySearchFunc(list, c, func(a Change, b *Change) int { return bySample(&a, b) })
	if at >= t.opt.Examples {
		return
	}
	list = slices.Insert(list, at, *c)
	t.samples[key] = list[:min(len(list), t.opt.Examples)]
}

func bySample(a, b *Change) int {
	return cmp.Or(
		cmp.Compare(max(b.Before.Severity, b.After.Severity), max(a.Before.Severity, a.After.Severity)),
		cmp.Compare(b.Time, a.Time), strings.Compare(a.Place.Topic, b.Place.Topic),
		cmp.Compare(a.Place.Partition, b.Place.Partition), cmp.Compare(a.Place.Offset, b.Place.Offset))
}

func (l *Levels) add(s Side) {
	switch {
	case s.Outcome == alert.None:
	case s.Outcome == alert.Suppressed:
		l.Suppressed++
	case s.Severity == alert.Critical:
		l.Critical++
	case s.Severity == alert.High:
		l.High++
	case s.Severity == alert.Medium:
		l.Medium++
	case s.Severity == alert.Low:
		l.Low++
	default:
		l.Info++
	}
}

// Speaking is the number of alerts that somebody hears of.
func (l *Levels) Speaking() uint64 { return l.Info + l.Low + l.Medium + l.High + l.Critical }

func (c *Counts) of(k Kind) *uint64 {
	return [kindCount]*uint64{nil, &c.Appear, &c.Vanish, &c.Suppressed, &c.Speak, &c.Raised, &c.Lowered, &c.Reworded, &c.Quiet}[k]
}

func (c *Counts) add(k Kind) { *c.of(k)++ }

// Total is the number of changes.
func (c *Counts) Total() (n uint64) {
	for k := Appears; k < kindCount; k++ {
		n += *c.of(k)
	}
	return n
}

func (c *Counts) plus(o *Counts) {
	for k := Appears; k < kindCount; k++ {
		*c.of(k) += *o.of(k)
	}
}

// tally counts changes by key, up to a number of keys.
type tally struct {
	most  int
	keys  map[string]*Counts
	other Counts // of further keys
	full  bool
}

func newTally(most int) tally { return tally{most: most, keys: make(map[string]*Counts)} }

func (t *tally) add(key string, k Kind) {
	c := t.keys[key]
	switch {
	case c != nil:
	case len(t.keys) < t.most:
		c = new(Counts)
		t.keys[key] = c
	default:
		t.full, c = true, &t.other
	}
	c.add(k)
}

// table lists the keys with the most changes.
func (t *tally) table(rows int) *Table {
	list := make([]Row, 0, len(t.keys))
	for key, counts := range t.keys {
		name, shadow := strings.CutSuffix(key, shadowMark)
		list = append(list, Row{Key: name, Shadow: shadow, Counts: *counts})
	}
	slices.SortFunc(list, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), strings.Compare(a.Key, b.Key), compareFindings(&Finding{Shadow: a.Shadow}, &Finding{Shadow: b.Shadow}))
	})
	shown := list[:min(len(list), rows)]
	table := &Table{Rows: shown}
	if len(shown) == len(list) && !t.full {
		return table
	}
	table.More = &More{Keys: len(list) - len(shown), Least: t.full, Counts: t.other}
	for i := range list[len(shown):] {
		table.More.plus(&list[len(shown)+i].Counts)
	}
	return table
}

// byDay puts the rows in the order of days.
func byDay(t *Table) *Table {
	slices.SortFunc(t.Rows, func(a, b Row) int { return strings.Compare(a.Key, b.Key) })
	return t
}

// Fill writes the total into a report. Of the events the caller says where they come from.
func (t *Total) Fill(r *Report, from Events) {
	r.Format = Format
	from.Read, from.Late, from.Copies, from.CopiesLimit = t.events.Read, t.events.Late, t.events.Copies, t.events.CopiesLimit
	r.Events, r.Alerts, r.Shadow = &from, &t.alerts, &t.shadow
	r.Rules, r.Places, r.People = t.rules.table(2*policy.MaxRules), t.places.table(t.opt.Rows), t.people.table(t.opt.Rows)
	r.Data, r.Days = t.data.table(t.opt.Rows), byDay(t.days.table(max(t.opt.Rows, maxDays)))
	for _, list := range t.samples {
		for i := range list {
			r.Samples = append(r.Samples, newSample(&list[i]))
		}
	}
	slices.SortFunc(r.Samples, compareSamples)
}

// maxDays is how many days a table shows at least: those of a quarter.
const maxDays = 92

func newSample(c *Change) Sample {
	return Sample{
		Rule: c.Rule, Shadow: c.Shadow, Change: c.Kind.String(), Before: c.Before.String(), After: c.After.String(), EventID: c.EventID, Scope: c.Scope,
		Time: c.Time.String(), Actor: c.Actor, Dataset: c.Dataset, Country: c.Country, Position: c.Place,
	}
}

func (s Side) String() string {
	if s.Outcome == alert.None {
		return alert.None.String()
	}
	return s.Outcome.String() + " " + s.Severity.String()
}

func compareSamples(a, b Sample) int {
	return cmp.Or(strings.Compare(a.Rule, b.Rule), compareFindings(&Finding{Shadow: a.Shadow}, &Finding{Shadow: b.Shadow}),
		strings.Compare(a.Change, b.Change), strings.Compare(b.Time, a.Time), strings.Compare(a.Position.Topic, b.Position.Topic),
		cmp.Compare(a.Position.Partition, b.Position.Partition), cmp.Compare(a.Position.Offset, b.Position.Offset))
}

// Exceptions writes into the report what the watched exceptions saw, of the last days or of all events (0).
func (t *Total) Exceptions(r *Report, w *Watch, days int) {
	for i, x := range w.exceptions {
		e := Evidence{Exception: x.ID, Asks: "agree", Days: days}
		if x.Evidence == policy.EvidenceSingle {
			e.Asks = "single"
		}
		if i < len(t.evidence) {
			e.Seen = t.evidence[i]
		}
		r.Evidence = append(r.Evidence, e)
	}
}
