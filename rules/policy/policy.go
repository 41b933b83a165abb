// Package policy reads the files that compliance edits: rules, groups and exceptions. Every value keeps its file, line
// and column, so that whatever is wrong with it can be shown where it stands. The language is closed: a key, field,
// operator, word, country code or group that does not exist is refused together with the nearest right one, because a
// misspelt condition that never fires is worse than a file that does not load.
//
// Reading checks the structure. Whether a well-formed file is wise (an exception too wide, a rule without tests) is the
// business of package lint.
package policy

import (
	"slices"
	"strings"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// The formats this package reads.
const (
	FormatRule      = "borderwatch/rule/v1"
	FormatGroups    = "borderwatch/groups/v1"
	FormatException = "borderwatch/exception/v1"
)

// The limits of a bundle.
const (
	MaxFileBytes = 256 << 10
	MaxRules     = 10_000
	MaxDepth     = 12 // levels of maps and lists in a file
)

// Document is one YAML file of a bundle; it may hold several YAML documents.
type Document struct {
	Path string // relative to the bundle directory
	Data []byte
}

// Position is a place in a file. Line and Column count from 1, columns in characters.
type Position struct {
	Path         string
	Line, Column int
}

// Set is everything that was read, each kind sorted by its id. It must not be changed once Read has returned it.
type Set struct {
	Rules      []*Rule
	Groups     []*Group
	Exceptions []*Exception
}

// Group returns the named group, nil where there is none.
func (s *Set) Group(name string) *Group {
	i, ok := slices.BinarySearchFunc(s.Groups, name, func(g *Group, n string) int { return strings.Compare(g.Name, n) })
	if !ok {
		return nil
	}
	return s.Groups[i]
}

// Rule returns the rule with the id, nil where there is none.
func (s *Set) Rule(id string) *Rule {
	i, ok := slices.BinarySearchFunc(s.Rules, id, func(r *Rule, n string) int { return strings.Compare(r.ID, n) })
	if !ok {
		return nil
	}
	return s.Rules[i]
}

// Rule is one rule.
type Rule struct {
	Pos       Position
	ID, Title string
	Status    Status
	Severity  alert.Severity
	Kind      Kind
	Owner     string
	Law       []string
	Why       string
	Respond   string
	When      Conditions
	OnUnknown OnUnknown

	Exceptions bool           // whether an exception may suppress its alerts
	MustPin    []access.Field // what every exception to it must pin to plain values
	Licence    string         // the licence an exception rests on where a law forbids the transaction itself
	Tests      []Case

	places map[string]Position
}

// Place tells where a key of the rule stands, the rule itself where it has none.
func (r *Rule) Place(key string) Position { return placeOf(r.places, key, r.Pos) }

// Conditions are the lines of `when`: all of All, and all lines of at least one of Any where there is an `any` block.
type Conditions struct {
	All    []Condition
	Any    [][]Condition
	AnyPos Position
}

// Each calls f for every condition, those of `any` after the others.
func (c *Conditions) Each(f func(*Condition)) {
	for i := range c.All {
		f(&c.All[i])
	}
	for _, branch := range c.Any {
		for i := range branch {
			f(&branch[i])
		}
	}
}

// Condition is one line of `when`: field, operator, values.
type Condition struct {
	Pos    Position
	Field  access.Field
	Op     Op
	Values []Value
	Other  access.Field // for SameAs and DiffersFrom
}

// String writes the condition as it is written in a rule.
func (c *Condition) String() string {
	var b strings.Builder
	b.WriteString(c.Field.String())
	if c.Op != Is {
		b.WriteByte(' ')
		b.WriteString(c.Op.String())
	}
	b.WriteString(": ")
	if len(c.Values) != 1 {
		b.WriteByte('[')
	}
	for i := range c.Values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.Values[i].Text)
	}
	if len(c.Values) != 1 {
		b.WriteByte(']')
	}
	return b.String()
}

// Value is one value of a condition: a group, or a literal of the field's type.
type Value struct {
	Pos    Position
	Text   string // as written, "@name" for a group
	Plain  bool   // written without quotes
	Group  string // name of the group, "" for a literal
	Word   uint8  // for words: index in the field's vocabulary
	Places access.CountrySet
	Number int64 // for integers and times
	Prefix Prefix
}

// IsUnknown reports whether the value is the literal unknown.
func (v *Value) IsUnknown() bool { return v.Group == "" && v.Text == unknownWord }

const unknownWord = "unknown"

// Group is a named list of countries, actors, entities, networks or data sets, with dates.
type Group struct {
	Pos         Position
	Name, Title string
	Kind        GroupKind
	Source      string // where the list comes from
	Checked     Day    // the day somebody last compared the list with its source, NoDay where missing
	Note        string
	Adequacy    bool // its members are adequacy decisions: each names its source, a time-limited one its end
	NoCap       bool // evidence from an address alone does not lower the severity of a rule about its countries
	From, Until Day  // both inclusive
	Members     []Member

	places map[string]Position
}

// Place tells where a key of the group stands, the group itself where it has none.
func (g *Group) Place(key string) Position { return placeOf(g.places, key, g.Pos) }

// Member is one member of a group.
type Member struct {
	Value
	From, Until Day    // both inclusive, NoDay where open
	Scope       string // what the decision covers: "listed organisations only"
	Source      string
	Note        string
	Limited     bool // the decision is limited in time
}

// Exception lets the alerts of some rules be suppressed for a time.
type Exception struct {
	Pos         Position
	ID, Title   string
	Rules       []string
	Ticket      string
	RequestedBy string
	ApprovedBy  []string
	ValidFrom   Day
	ValidUntil  Day   // inclusive
	MaxMatches  int64 // 0 where not given; never changes a verdict
	Evidence    Evidence
	Licence     string
	Reason      string
	When        []Condition
	Tests       []Case

	rulePlaces []Position // of Rules
	places     map[string]Position
}

// Place tells where a key of the exception stands, the exception itself where it has none.
func (x *Exception) Place(key string) Position { return placeOf(x.places, key, x.Pos) }

// Case is one test of a rule or an exception: an event and the expected outcome.
type Case struct {
	Pos       Position
	Name      string
	Rule      string // for tests of an exception to several rules: the rule meant
	Event     EventText
	Exception *Exception // given inline, so that a rule stands without a live exception
	Expect    alert.Outcome
	Severity  alert.Severity // NoSeverity where not tested

	rulePlace Position
}

// EventText is the event of a test as written: dotted fields, and further data items.
type EventText struct {
	Fields []FieldText
	Items  [][]FieldText
}

// FieldText is one field of a test event. A list that is written empty has List set and no Values.
type FieldText struct {
	Pos    Position
	Field  access.Field
	Values []string
	List   bool
}

// Find returns the field's text, nil where the event does not give it.
func (e *EventText) Find(f access.Field) *FieldText {
	for i := range e.Fields {
		if e.Fields[i].Field == f {
			return &e.Fields[i]
		}
	}
	return nil
}

func placeOf(places map[string]Position, key string, otherwise Position) Position {
	if pos, ok := places[key]; ok {
		return pos
	}
	return otherwise
}
