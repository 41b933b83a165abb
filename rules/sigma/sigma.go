// Package sigma exports rules to Sigma, the format of detection rules that security teams feed their own tools with
// (Sigma specification 2.0.0, modifiers 2.1.0). It is one way: nothing is read back.
//
// Sigma knows two answers where borderwatch knows three, has no dates and no exceptions that are approved. What it
// cannot say is refused by name and place. Three losses can be accepted by name; they are then written into the
// exported rule, so that nobody takes it for the whole rule:
//
//	unknown      what borderwatch cannot decide, and reports, is silence in Sigma
//	dates        a group is exported as it is on one day, although members begin or end later
//	exceptions   accesses that an approved exception allows are reported
//
// An exported rule is about events as borderwatch has completed them, not about the records of a source: places,
// networks and the roster's facts exist there only. See Definition.
package sigma

import (
	"fmt"
	"slices"

	"borderwatch/rules/policy"
)

// Loss names a difference that can be accepted.
type Loss string

// The losses that can be accepted.
const (
	Unknown    Loss = "unknown"
	Dates      Loss = "dates"
	Exceptions Loss = "exceptions"
)

// Losses lists the names that Options.Accept knows.
func Losses() []Loss { return []Loss{Unknown, Dates, Exceptions} }

// Options are what a conversion depends on beside the rules.
type Options struct {
	Day    policy.Day // on which groups are resolved
	Accept []Loss
}

// Rule is an exported rule.
type Rule struct {
	ID   string   // of the borderwatch rule
	YAML []byte   // the Sigma rule, one YAML document
	Lost []string // how it differs from the borderwatch rule, a sentence each; the same is in its description
}

// Checks of what is refused. The first three can be accepted.
const (
	checkUnknown    = "sigma-unknown"
	checkDates      = "sigma-dates"
	checkExceptions = "sigma-exceptions"
	checkStatus     = "sigma-status"
	checkOperator   = "sigma-operator"
	checkTime       = "sigma-time"
	checkCompare    = "sigma-compare"
	checkTitle      = "sigma-title"
)

// maxTitle is the longest title of the specification, in characters.
const maxTitle = 256

// Convert exports a rule of a set that policy.Read returned without errors. Where problems are returned there is no rule.
func Convert(set *policy.Set, r *policy.Rule, opt Options) (*Rule, policy.Problems) {
	c := &converter{set: set, rule: r, opt: opt}
	c.lose(always...)
	c.checkRule()
	d := c.detection()
	if c.problems.Failed() {
		return nil, c.problems
	}
	return &Rule{ID: r.ID, YAML: c.document(d), Lost: c.lost}, nil
}

// always are the differences of every exported rule. None hides what the rule itself would call an alert.
var always = []string{
	"The level is the rule's own; borderwatch lowers it for refused attempts and for places that an address alone shows.",
	"Where several values stay open, one that matches decides; borderwatch would call that unknown.",
}

// converter exports one rule.
type converter struct {
	set      *policy.Set
	rule     *policy.Rule
	opt      Options
	problems policy.Problems
	lost     []string
}

func (c *converter) lose(sentences ...string) {
	for _, s := range sentences {
		if !slices.Contains(c.lost, s) {
			c.lost = append(c.lost, s)
		}
	}
}

func (c *converter) refuse(pos policy.Position, check, hint, format string, args ...any) {
	c.problems = append(c.problems, policy.At(pos, check, hint, format, args...))
}

// differ refuses a difference, or states it where it is accepted.
func (c *converter) differ(loss Loss, pos policy.Position, check, message, stated string) {
	if slices.Contains(c.opt.Accept, loss) {
		c.lose(stated)
		return
	}
	c.refuse(pos, check, fmt.Sprintf("--accept %s exports it all the same and says so", loss), "%s", message)
}

// checkRule looks for what Sigma cannot say of the rule as a whole.
func (c *converter) checkRule() {
	r := c.rule
	if !r.Status.Judges() {
		c.refuse(r.Place("status"), checkStatus, "", "%s is %s and judges nothing", r.ID, r.Status)
	}
	if n := len([]rune(r.Title)); n > maxTitle {
		c.refuse(r.Place("title"), checkTitle, "", "the title of %s has %d characters, Sigma allows %d", r.ID, n, maxTitle)
	}
	if r.OnUnknown == policy.UnknownAlerts {
		c.differ(Unknown, r.Place("on_unknown"), checkUnknown,
			fmt.Sprintf("%s alerts where something it needs is missing; Sigma has no third answer and would be silent", r.ID),
			"An access of which something needed is missing is silence here; borderwatch reports it as unknown.")
	}
	if r.Exceptions {
		c.differ(Exceptions, r.Place("exceptions"), checkExceptions,
			fmt.Sprintf("%s has exceptions with dates, approvals and evidence; Sigma has none and would report what they allow", r.ID),
			"Accesses that an approved exception allows are reported here; borderwatch suppresses them.")
	}
}
