package engine

import (
	"fmt"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestResult is one test that is written in a rule or an exception file.
type TestResult struct {
	Pos          policy.Position
	Rule         string
	Exception    string // the exception whose test it is, "" for tests of a rule
	Name         string
	Expect, Got  alert.Outcome
	WantSeverity alert.Severity // NoSeverity where the test does not say
	GotSeverity  alert.Severity
	Err          error // why the event of the test could not be built
}

// Passed reports whether the test holds.
func (t *TestResult) Passed() bool {
	return t.Err == nil && t.Got == t.Expect && (t.WantSeverity == alert.NoSeverity || t.WantSeverity == t.GotSeverity)
}

// String says what was expected and what came out.
func (t *TestResult) String() string {
	what := t.Rule
	if t.Exception != "" {
		what = t.Exception + " on " + t.Rule
	}
	place := fmt.Sprintf("%s:%d:%d: test %q of %s", t.Pos.Path, t.Pos.Line, t.Pos.Column, t.Name, what)
	switch {
	case t.Err != nil:
		return place + ": " + t.Err.Error()
	case t.Passed():
		return place + " passed"
	case t.Got == t.Expect:
		return fmt.Sprintf("%s expects severity %s and got %s", place, t.WantSeverity, t.GotSeverity)
	}
	return fmt.Sprintf("%s expects %s and got %s", place, t.Expect, t.Got)
}

// RunTests runs the tests of all rules, whatever their status, and of all exceptions. A rule is tested alone, with the
// exception that the test gives inline; an exception is tested with the rules it names. A bundle of which one test fails
// must not be used.
func RunTests(set *policy.Set) []TestResult {
	c := newCompiler(set)
	base := newEngine(set)
	var results []TestResult
	for _, r := range set.Rules {
		for i := range r.Tests {
			results = append(results, runCase(c, base, r, r.Tests[i].Exception, &r.Tests[i]))
		}
	}
	for _, x := range set.Exceptions {
		for i := range x.Tests {
			for _, r := range concerned(set, x, &x.Tests[i]) {
				result := runCase(c, base, r, x, &x.Tests[i])
				result.Exception = x.ID
				results = append(results, result)
			}
		}
	}
	return results
}

// concerned returns the rules that a test of an exception means.
func concerned(set *policy.Set, x *policy.Exception, t *policy.Case) []*policy.Rule {
	ids := x.Rules
	if t.Rule != "" {
		ids = []string{t.Rule}
	}
	var rules []*policy.Rule
	for _, id := range ids {
		if r := set.Rule(id); r != nil {
			rules = append(rules, r)
		}
	}
	return rules
}

func runCase(c *compiler, base *Engine, source *policy.Rule, x *policy.Exception, t *policy.Case) TestResult {
	result := TestResult{Pos: t.Pos, Rule: source.ID, Name: t.Name, Expect: t.Expect, WantSeverity: t.Severity}
	ev, err := EventOf(&t.Event)
	if err != nil {
		result.Err = err
		return result
	}
	var exceptions []*policy.Exception
	if x != nil {
		inline := *x
		inline.Rules = []string{source.ID}
		exceptions = append(exceptions, &inline)
	}
	r := c.rule(source, exceptions, Options{})
	j := judgement{engine: base, ev: ev, day: policy.DayOf(ev.Time)}
	f := r.judgeSafely(ev, j.day)
	result.Got = f.outcome
	if f.outcome != alert.None {
		result.GotSeverity = j.severity(r, f.outcome)
	}
	return result
}

// EventOf builds the event of a test. A given country means that the evidence agrees, several mean a conflict, `unknown`
// or none that nothing is known; location.verdict, .expected and .confidence may say otherwise, where confidence low
// stands for an address alone that databases disagree about. An approval counts as in force until its valid_until and
// needs one. The Kafka timestamp is the event's time, or as far from it as source.arrival says.
func EventOf(t *policy.EventText) (*access.Event, error) {
	ev := new(access.Event)
	ev.Reset()
	first := 0
	if len(t.Items) > 0 && !anyPerItem(t.Fields) {
		first = -1 // data.items alone: the first of them takes the place of the empty item
	}
	if err := setFields(ev, t.Fields, 0); err != nil {
		return nil, err
	}
	for i, fields := range t.Items {
		if first+i+1 > 0 {
			ev.AddItem()
		}
		if err := setFields(ev, fields, first+i+1); err != nil {
			return nil, err
		}
	}
	setPlace(ev, t)
	if ev.Approval.ID != "" {
		ev.Approval.State = access.ApprovalAsserted
		if ev.Approval.ValidUntil < ev.Time {
			ev.Approval.State = access.ApprovalRefused
		}
	}
	setArrival(ev, t.Find(access.FieldArrival))
	return ev, nil
}

func anyPerItem(fields []policy.FieldText) bool {
	for i := range fields {
		if fields[i].Field.Info().PerItem {
			return true
		}
	}
	return false
}

func setFields(ev *access.Event, fields []policy.FieldText, item int) error {
	for i := range fields {
		f := &fields[i]
		if f.Field.Info().Need == access.Computed {
			continue
		}
		if f.List {
			ev.MarkGiven(f.Field, item)
		}
		for _, text := range f.Values {
			if err := ev.SetText(f.Field, item, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// setArrival chooses a Kafka timestamp.
func setArrival(ev *access.Event, f *policy.FieldText) {
	ev.Kafka.Timestamp = ev.Time
	if f == nil {
		return
	}
	switch access.Arrival(word(f)) {
	case access.ArrivalLate:
		ev.Kafka.Timestamp += 2 * access.ArrivalTolerance
	case access.ArrivalEarly:
		ev.Kafka.Timestamp -= 2 * access.ArrivalTolerance
	case access.ArrivalUnknown:
		ev.Kafka.Timestamp = -1
	}
}

// setPlace sets the computed fields.
func setPlace(ev *access.Event, t *policy.EventText) {
	place := &ev.Location
	place.Candidates, place.Verdict = candidates(t.Find(access.FieldLocationCountry))
	if f := t.Find(access.FieldLocationVerdict); f != nil {
		place.Verdict = access.LocationVerdict(word(f))
		if place.Verdict == access.LocationMasked || place.Verdict == access.LocationUnknown {
			place.Candidates = access.AllCountries
		}
	}
	place.Expected = access.Expectation(word(t.Find(access.FieldLocationExpected)))
	place.Confidence = access.Confidence(word(t.Find(access.FieldLocationConfidence)))
	place.AddressOnly = place.Confidence == access.ConfidenceLow
	place.Contested = place.AddressOnly
	ev.Network.Kind = access.NetworkKind(word(t.Find(access.FieldNetworkKind)))
	if f := t.Find(access.FieldNetworkOrg); f != nil && len(f.Values) == 1 {
		ev.Network.Org = f.Values[0]
	}
	if f := t.Find(access.FieldNetworkASN); f != nil && len(f.Values) == 1 {
		fmt.Sscan(f.Values[0], &ev.Network.ASN) // a number that does not parse stays unknown
	}
}

func candidates(f *policy.FieldText) (access.CountrySet, access.LocationVerdict) {
	var set access.CountrySet
	if f != nil {
		for _, text := range f.Values {
			if place, ok := access.ParsePlace(text); ok && place.Known() {
				set = set.Union(place.Countries())
			}
		}
	}
	switch {
	case set.Empty():
		return access.AllCountries, access.LocationUnknown
	case len(f.Values) > 1:
		return set, access.LocationConflict
	}
	return set, access.LocationAgree
}

// word returns the index of a field's word, 0 where the test does not give it.
func word(f *policy.FieldText) uint8 {
	if f == nil || len(f.Values) != 1 {
		return 0
	}
	i, _ := f.Field.Info().Vocabulary.Parse(f.Values[0])
	return i
}
