// Package engine compiles rules and judges events by them. Judging is a pure function of one event and one compiled
// set: no clock, no input or output, no order of maps. It is three-valued and fails closed: what cannot be decided is a
// verdict of its own, and a rule that panics alerts.
package engine

import (
	"errors"
	"fmt"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Options are what judging depends on beside the rules. The zero value is right for a development bundle.
type Options struct {
	// Approved gives, per exception id, the time at which the bundle with its last approval was activated: the exception
	// is not in force before. An exception that is not in it is in force from its valid_from.
	Approved map[string]access.Millis
}

// ErrNoActiveRule is returned for a set in which no rule is active: there is never a moment without rules.
var ErrNoActiveRule = errors.New("no rule is active: a bundle without an active rule is refused")

// Engine is a compiled set of rules. It is immutable and safe for concurrent use.
type Engine struct {
	rules   []*rule // active and shadow, by id
	index   *index  // nil where every rule is judged by itself
	byID    map[string]*rule
	info    []Rule
	limits  []Limit
	concern *timeline[access.CountrySet] // @us_concern, nil where the set has no such group
}

// concernGroup is the group whose countries the cap on evidence from an address alone does not cover.
const concernGroup = "us_concern"

// Rule describes a rule to people.
type Rule struct {
	ID, Title string
	Severity  alert.Severity
	Status    policy.Status
	Kind      policy.Kind
	Law       []string
	Why       string
	Respond   string
	Owner     string
	Fields    access.FieldSet // all fields its conditions read
}

// Compile resolves groups and exceptions and compiles the active and shadow rules of a set that policy.Read returned
// without errors.
func Compile(set *policy.Set, opt Options) (*Engine, error) {
	e := newEngine(set)
	c := newCompiler(set)
	active := false
	for _, r := range set.Rules {
		e.info = append(e.info, describe(r))
		if !r.Status.Judges() {
			continue
		}
		active = active || r.Status == policy.Active
		e.add(c.rule(r, set.Exceptions, opt))
	}
	switch {
	case !active:
		return nil, ErrNoActiveRule
	case len(e.rules) > policy.MaxRules:
		return nil, fmt.Errorf("the bundle has %d rules that judge, the limit is %d", len(e.rules), policy.MaxRules)
	}
	for _, x := range set.Exceptions {
		if x.MaxMatches > 0 {
			e.limits = append(e.limits, Limit{Exception: x.ID, Matches: x.MaxMatches, From: x.ValidFrom.Start()})
		}
	}
	e.index = newIndex(e.rules)
	return e, nil
}

// Plain returns an engine of the same rules that judges every rule by itself, without the index. It is what the index is
// held against: both give the same verdicts.
func (e *Engine) Plain() *Engine {
	plain := *e
	plain.index = nil
	return &plain
}

func newEngine(set *policy.Set) *Engine {
	e := &Engine{byID: map[string]*rule{}}
	if g := set.Group(concernGroup); g != nil && g.Kind == policy.Countries {
		e.concern = newTimeline(set.Flatten(concernGroup), countries)
	}
	return e
}

func (e *Engine) add(r *rule) {
	e.rules = append(e.rules, r)
	e.byID[r.id] = r
}

func describe(r *policy.Rule) Rule {
	d := Rule{
		ID: r.ID, Title: r.Title, Severity: r.Severity, Status: r.Status, Kind: r.Kind, Law: r.Law, Why: r.Why, Respond: r.Respond, Owner: r.Owner,
	}
	read := func(c *policy.Condition) {
		d.Fields = d.Fields.With(c.Field)
		if c.Other != access.FieldNone {
			d.Fields = d.Fields.With(c.Other)
		}
	}
	r.When.Each(read)
	for _, c := range r.Kind.Implied() {
		read(&c)
	}
	return d
}

// Limit is how many alerts an exception was approved to suppress. Judging does not look at it: no single event shows that
// it is crossed.
type Limit struct {
	Exception string
	Matches   int64
	From      access.Millis // beginning of the exception's first day
}

// Limits lists the exceptions that have a limit.
func (e *Engine) Limits() []Limit { return e.limits }

// Rules describes all rules of the set, drafts and retired ones among them, by id.
func (e *Engine) Rules() []Rule { return e.info }

// FieldsUsed returns the fields that the rule's conditions read, those of its kind among them; none for an unknown id.
func (e *Engine) FieldsUsed(ruleID string) access.FieldSet {
	for i := range e.info {
		if e.info[i].ID == ruleID {
			return e.info[i].Fields
		}
	}
	return 0
}
