// Package semantics holds worked examples of every settled meaning of events and rules: what is given, what comes out,
// and the sentence it rests on. They are written from the text of the meanings and not from the code that judges, so
// that two readers come to one answer. Package bundle runs them; README.md shows them to people and is generated.
//
// An example gives what it is about and nothing else. What it leaves out is filled in: an event happens on 2026-11-20
// at 09:00 UTC and its actor is u-1042; a rule is T-1, active, of severity high; an exception holds from 2026-11-01 to
// 2026-12-31 and is approved by two. The country groups of the shipped packs are there.
package semantics

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"go.yaml.in/yaml/v3"
)

//go:generate go test -run TestPage -update

//go:embed *.yaml
var files embed.FS

// Format is the format of the files.
const Format = "borderwatch/semantics/v1"

// The least that the table must hold.
const (
	PointCount  = 25
	MinExamples = 60
	MinPerPoint = 2
)

// Point is one settled meaning with its examples.
type Point struct {
	Number   int       `yaml:"number"`
	Title    string    `yaml:"title"`
	Examples []Example `yaml:"examples"`
}

// Example is one worked example. It gives either an event with its place (Event) or records that go the whole way
// through decoding and enriching (Record, Records).
type Example struct {
	Case     string      `yaml:"case"`     // what happens, in plain words
	Sentence string      `yaml:"sentence"` // the sentence that settles it
	Adapter  string      `yaml:"adapter"`  // the format of the records, native where silent
	Event    yaml.Node   `yaml:"event"`    // as in the tests of a rule: a given country means that the evidence agrees
	Record   yaml.Node   `yaml:"record"`
	Records  []yaml.Node `yaml:"records"` // the expectation holds for each
	Arrival  string      `yaml:"arrival"` // Kafka timestamp of the records, their own time where silent
	Repeat   int         `yaml:"repeat"`  // how often the event comes, once where 0

	When         yaml.Node   `yaml:"when"` // the lines of the one rule T-1, instead of Rules
	Rules        []yaml.Node `yaml:"rules"`
	ChangedRules []yaml.Node `yaml:"changed_rules"` // judged as well, to compare the alert's identity
	Groups       []yaml.Node `yaml:"groups"`
	Exceptions   []yaml.Node `yaml:"exceptions"`
	Approved     string      `yaml:"approved"` // when the bundle with the exceptions' last approval was activated
	Signers      []string    `yaml:"signers"`  // who signs the bundle, its author first; hr is a machine that may change roster and geoip

	References        map[string]yaml.Node `yaml:"references"` // roster, catalogue, entities, networks, approvals
	ChangedReferences map[string]yaml.Node `yaml:"changed_references"`
	Lists             map[string]string    `yaml:"lists"` // address lists by file
	Geo               map[string]string    `yaml:"geo"`   // location database: prefix to country
	Geo2              map[string]string    `yaml:"geo2"`  // second location database

	Expect  Expect   `yaml:"expect"`
	Departs *Departs `yaml:"departs"`
	NotYet  string   `yaml:"not_yet"` // why nothing can show it yet: the example is not run, and says so
}

// Departs is an outcome in which the program knowingly departs from the sentence. The expectation stays what the
// sentence says; the runner holds the program to the departure, so that neither changes unseen.
type Departs struct {
	Outcome string `yaml:"outcome"`
	Because string `yaml:"because"` // where the decision stands, and why
}

// Expect is what must come out; what is left out is not looked at.
type Expect struct {
	Outcome  string `yaml:"outcome"`  // of all active rules together
	Severity string `yaml:"severity"` // the highest of the alerts of active rules

	Verdict  string   `yaml:"verdict"` // of the place
	Country  string   `yaml:"country"` // candidates, joined with |; any where all are open
	Expected string   `yaml:"expected"`
	Reason   string   `yaml:"reason"`
	Evidence []string `yaml:"evidence"` // places that the kept evidence names, among others

	Missing []string          `yaml:"missing"` // what made the one alert unknown
	Item    string            `yaml:"item"`    // the data set that decided
	Why     string            `yaml:"why"`     // a part of the alert's sentence
	Fields  map[string]string `yaml:"fields"`
	Differs []string          `yaml:"differs"` // fields in which source and reference files disagree
	Rules   map[string]string `yaml:"rules"`   // outcomes by rule
	Alerts  []Alert           `yaml:"alerts"`  // all alerts
	Near    *[]string         `yaml:"near"`    // all nearly matched rules

	Content  string `yaml:"content"`   // same or different: the content digests of the records
	Alert    string `yaml:"alert"`     // same or different: the alert ids of the records, or under the changed rules
	SameCase string `yaml:"same_case"` // yes or no
	CaseKind string `yaml:"case_kind"`

	RefusedAt  string `yaml:"refused_at"`  // a line of the rule files with an error
	AcceptedAt string `yaml:"accepted_at"` // a line of the rule files without one
	Bundle     string `yaml:"bundle"`      // accepted or refused
	Digest     string `yaml:"digest"`      // same or different: of the bundle with the changed reference files
	Schema     string `yaml:"schema"`      // a statement about the tables, see the runner
}

// Alert is one expected alert; what is left out is not looked at.
type Alert struct {
	Rule       string   `yaml:"rule"`
	Outcome    string   `yaml:"outcome"`
	Severity   string   `yaml:"severity"`
	Shadow     bool     `yaml:"shadow"`
	Rules      []string `yaml:"rules"`
	Missing    []string `yaml:"missing"`
	Exceptions []string `yaml:"exceptions"`
}

// Read reads the whole table, point by point.
func Read() ([]Point, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	var points []Point
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		more, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		points = append(points, more...)
	}
	return points, complete(points)
}

// parse reads one file strictly: a key that does not exist is an error, because an expectation that is misspelt would
// never be looked at.
func parse(data []byte) ([]Point, error) {
	var file struct {
		Format string  `yaml:"format"`
		Points []Point `yaml:"points"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if file.Format != Format {
		return nil, fmt.Errorf("format is %q, want %s", file.Format, Format)
	}
	return file.Points, nil
}

// complete checks that no point is left out and that every example says something.
func complete(points []Point) error {
	var problems []error
	total := 0
	for i := range points {
		p := &points[i]
		if p.Number != i+1 || p.Title == "" {
			problems = append(problems, fmt.Errorf("point %d %q stands where point %d with its title is due", p.Number, p.Title, i+1))
		}
		if len(p.Examples) < MinPerPoint {
			problems = append(problems, fmt.Errorf("point %d has %d examples, want %d", p.Number, len(p.Examples), MinPerPoint))
		}
		for j := range p.Examples {
			if err := p.Examples[j].check(); err != nil {
				problems = append(problems, fmt.Errorf("example %d.%d: %w", p.Number, j+1, err))
			}
		}
		total += len(p.Examples)
	}
	if len(points) != PointCount || total < MinExamples {
		problems = append(problems, fmt.Errorf("%d points with %d examples, want %d with at least %d", len(points), total, PointCount, MinExamples))
	}
	return errors.Join(problems...)
}

func (x *Example) check() error {
	switch expects := x.expects(); {
	case x.Case == "" || x.Sentence == "":
		return errors.New("has no case or no sentence that it rests on")
	case !expects && x.NotYet == "":
		return errors.New("expects nothing")
	case expects && x.NotYet != "":
		return errors.New("is not shown yet and expects something")
	case x.Departs != nil && (x.Departs.Outcome == x.Expect.Outcome || x.Departs.Because == ""):
		return errors.New("departs from its sentence without another outcome or without a reason")
	case x.When.Kind != 0 && len(x.Rules) > 0:
		return errors.New("has both when and rules")
	}
	return nil
}

// expects reports whether the example expects anything at all.
func (x *Example) expects() bool { return len(x.Expect.lines()) > 0 }
