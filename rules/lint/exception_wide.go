package lint

import (
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var exceptionWide = Check{
	ID:       "exception-wide",
	Title:    "an exception does not pin what its rule demands, or (warning) pins nobody where its rule demands nothing",
	Why:      "Pinned means at most five plain values, or a group of actors or data sets: a country group or a prefix lets in people and places nobody thought of.",
	Silences: true,
	run: func(p *pass) {
		for _, x := range p.set.Exceptions {
			for _, id := range x.Rules {
				if r := p.set.Rule(id); r != nil {
					p.wide(x, r)
				}
			}
			p.placeMissing(x)
		}
	},
}

const maxPinned = 5

// narrow are the fields of which one value stands for one person, one permission or one thing.
var narrow = []access.Field{access.FieldActorID, access.FieldSessionID, access.FieldApprovalID, access.FieldTicketID, access.FieldDataset}

func linesText(conditions []policy.Condition) string {
	lines := make([]string, len(conditions))
	for i := range conditions {
		lines[i] = conditions[i].String()
	}
	return strings.Join(lines, ", ")
}

func (p *pass) wide(x *policy.Exception, r *policy.Rule) {
	if len(r.MustPin) == 0 && !slices.ContainsFunc(x.When, func(c policy.Condition) bool { return slices.Contains(narrow, c.Field) && pins(p.set, &c) }) {
		p.warn(x.Place("when"), "add a line for actor.id here, and exception_must_pin to the rule",
			"the exception pins nothing and rule %s demands nothing: it covers everyone with %s", r.ID, linesText(x.When))
	}
	for _, f := range r.MustPin {
		c := find(x.When, f)
		switch {
		case c == nil:
			p.report(x.Place("when"), "add a line for "+f.String(), "the exception does not pin %s, which rule %s demands", f, r.ID)
		case !pins(p.set, c):
			p.report(c.Pos, "", "%s does not pin %s for rule %s; write at most %d values", c, f, r.ID, maxPinned)
		}
	}
}

// placeMissing finds exceptions about a place that is missing, which never apply.
func (p *pass) placeMissing(x *policy.Exception) {
	for i := range x.When {
		if c := &x.When[i]; c.Field == access.FieldLocationCountry && c.Op == policy.Missing {
			p.report(c.Pos, "", "an exception about the country is never met by an unknown place, so it would never apply")
		}
	}
}

func find(conditions []policy.Condition, f access.Field) *policy.Condition {
	for i := range conditions {
		if conditions[i].Field == f {
			return &conditions[i]
		}
	}
	return nil
}

func pins(set *policy.Set, c *policy.Condition) bool {
	if c.Op != policy.Is || len(c.Values) > maxPinned {
		return false
	}
	for i := range c.Values {
		g := set.Group(c.Values[i].Group)
		if c.Values[i].Group != "" && (g == nil || g.Kind != policy.Actors && g.Kind != policy.Datasets) {
			return false
		}
	}
	return true
}
