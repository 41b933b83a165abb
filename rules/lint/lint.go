// Package lint finds rules, groups and exceptions that are well-formed and unwise: an exception too wide, a rule without
// tests, a list nobody has compared with its source for months. Each check is one file with its test.
package lint

import (
	"cmp"
	"slices"

	"borderwatch/rules/policy"
)

// Finding is one result of a check. Errors fail a check run in CI; a reload is stopped only by what Silencing finds.
type Finding = policy.Problem

// Check is one check.
type Check struct {
	ID    string // stable, as findings carry it
	Title string // what it finds, in one line
	Why   string // why that is a problem, in a sentence or two
	// Silences marks checks about what can silence a rule. Their errors do not depend on the day.
	Silences bool
	run      func(*pass)
}

// Checks returns all checks by id.
func Checks() []Check {
	return []Check{
		borderHole, exceptionApproval, exceptionEnding, exceptionIdle, exceptionOverlap, exceptionTerm, exceptionUntested, exceptionWide,
		formPolicy, groupChecked, groupEEA, groupEnded, groupSource, kindCondition, lawCitation, literalUnknown, neverHolds, noActiveRule, notOnSets,
		ruleExplained, ruleImplied, ruleUntested, transferImporter, unquotedText, usException, usForm, usThreshold,
	}
}

// Run runs all checks over a set that policy.Read returned without errors. The day is an argument and not today, so that
// the same files give the same answer every time.
func Run(set *policy.Set, day policy.Day) []Finding {
	return run(set, day, Checks())
}

// Silencing returns the errors about exceptions that may silence more than their rule allows: too wide, too long, without
// approval, or without a licence where the law wants one. A bundle with such an error must not be loaded.
func Silencing(set *policy.Set) []Finding {
	found := run(set, 0, slices.DeleteFunc(Checks(), func(c Check) bool { return !c.Silences }))
	return slices.DeleteFunc(found, func(f Finding) bool { return f.Severity != policy.SeverityError })
}

func run(set *policy.Set, day policy.Day, checks []Check) []Finding {
	p := &pass{set: set, day: day}
	for _, check := range checks {
		p.check = check.ID
		check.run(p)
	}
	slices.SortStableFunc(p.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Check, b.Check))
	})
	return p.findings
}

// pass is one run over a set.
type pass struct {
	set      *policy.Set
	day      policy.Day
	check    string
	findings []Finding

	known *reasoning // made where a check asks for it
}

func (p *pass) report(pos policy.Position, hint, format string, args ...any) {
	p.findings = append(p.findings, policy.At(pos, p.check, hint, format, args...))
}

// note reports what is neither wrong nor unwise.
func (p *pass) note(pos policy.Position, hint, format string, args ...any) {
	p.report(pos, hint, format, args...)
	p.findings[len(p.findings)-1].Severity = policy.SeverityNote
}

func (p *pass) warn(pos policy.Position, hint, format string, args ...any) {
	p.report(pos, hint, format, args...)
	p.findings[len(p.findings)-1].Severity = policy.SeverityWarning
}

// conditions calls f for every condition of every rule and exception.
func (p *pass) conditions(f func(*policy.Condition)) {
	for _, r := range p.set.Rules {
		r.When.Each(f)
		for i := range r.Tests {
			if x := r.Tests[i].Exception; x != nil {
				each(x.When, f)
			}
		}
	}
	for _, x := range p.set.Exceptions {
		each(x.When, f)
	}
}

func each(conditions []policy.Condition, f func(*policy.Condition)) {
	for i := range conditions {
		f(&conditions[i])
	}
}
