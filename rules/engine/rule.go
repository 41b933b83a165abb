package engine

import (
	"cmp"
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// rule is a compiled rule.
type rule struct {
	id, title string
	self      []string // {id}, shared by all its alerts
	kind      policy.Kind
	severity  alert.Severity
	shadow    bool
	ignore    bool          // unknown is none
	judging   access.Digest // of what decides: kind, conditions, on_unknown
	capped    bool          // its answer rests on the country, so evidence from an address alone can lower it

	hard       []condition // all of them must hold; cheap ones first
	any        [][]condition
	soft       []condition // those about place and approval, judged last: when only they are false, the rule nearly matched
	decisive   string      // the condition that an alert's sentence names
	noCap      []*timeline[access.CountrySet]
	exceptions []exception
}

// exception is a compiled exception.
type exception struct {
	name        alert.Exception
	source      *policy.Exception
	from, until access.Millis // from inclusive, until exclusive
	single      bool
	when        []condition
}

func (c *compiler) rule(source *policy.Rule, exceptions []*policy.Exception, opt Options) *rule {
	r := &rule{
		id: source.ID, title: source.Title, self: []string{source.ID}, kind: source.Kind, severity: source.Severity,
		shadow:  source.Status == policy.Shadow,
		ignore:  source.OnUnknown == policy.UnknownIgnored && source.Severity != alert.Critical,
		judging: judgingDigest(source),
	}
	implied := source.Kind.Implied()
	for i := range implied {
		r.require(c.condition(&implied[i]), true)
	}
	for i := range source.When.All {
		r.require(c.condition(&source.When.All[i]), false)
	}
	for _, lines := range source.When.Any {
		branch := make([]condition, len(lines))
		for i := range lines {
			branch[i] = c.condition(&lines[i])
			r.capped = r.capped || restsOnCountry(&branch[i])
		}
		r.any = append(r.any, branch)
	}
	slices.SortStableFunc(r.hard, func(a, b condition) int { return cmp.Compare(cost(&a), cost(&b)) })
	r.decisive = decisive(source)
	r.noCap = c.noCap(source)
	for _, x := range exceptions {
		if source.Exceptions && slices.Contains(x.Rules, source.ID) {
			r.exceptions = append(r.exceptions, c.exception(x, opt))
		}
	}
	return r
}

func (r *rule) require(c condition, implied bool) {
	c.implied = implied
	r.capped = r.capped || restsOnCountry(&c)
	if c.soft {
		r.soft = append(r.soft, c)
	} else {
		r.hard = append(r.hard, c)
	}
}

// restsOnCountry reports whether the condition compares the country itself; that it is missing rests on no evidence.
func restsOnCountry(c *condition) bool {
	return c.source.Op != policy.Missing && (c.place || c.fields.Has(access.FieldLocationExpected))
}

// cost puts the conditions first that are quick to judge: words, then sets of words, then the rest.
func cost(c *condition) int {
	switch c.matcher.(type) {
	case wordMatch:
		return 0
	case wordsMatch:
		return 1
	}
	return 2
}

// noCap collects the country groups marked no_cap that the rule compares the country with.
func (c *compiler) noCap(source *policy.Rule) []*timeline[access.CountrySet] {
	var out []*timeline[access.CountrySet]
	source.When.Each(func(s *policy.Condition) {
		if s.Field != access.FieldLocationCountry || s.Op != policy.Is {
			return
		}
		for i := range s.Values {
			if g := c.set.Group(s.Values[i].Group); g != nil && g.NoCap {
				out = append(out, newTimeline(c.set.Flatten(g.Name), countries))
			}
		}
	})
	return out
}

func (c *compiler) exception(source *policy.Exception, opt Options) exception {
	x := exception{
		name: alert.Exception{ID: source.ID, Ticket: source.Ticket}, source: source, single: source.Evidence == policy.EvidenceSingle,
		from: max(source.ValidFrom.Start(), opt.Approved[source.ID]), until: (source.ValidUntil + 1).Start(),
	}
	for i := range source.When {
		x.when = append(x.when, c.condition(&source.When[i]))
	}
	return x
}

// inForce reports whether the exception covers the event's time. An event that arrived late or early is covered by none,
// so that a wrong clock cannot reach into an old exception.
func (x *exception) inForce(ev *access.Event) bool {
	return x.from <= ev.Time && ev.Time < x.until && ev.Arrival() == access.ArrivalPrompt
}

// placeShown reports whether the event's place has the evidence that the exception asks for.
func (x *exception) placeShown(ev *access.Event) bool {
	switch ev.Location.Verdict {
	case access.LocationAgree:
		return true
	case access.LocationSingle:
		return x.single
	case access.LocationService:
		return x.single && ev.Location.Candidates.Len() == 1
	}
	return false
}

// applies reports whether every condition definitely holds.
func (x *exception) applies(ev *access.Event, item int, day policy.Day) bool {
	if !x.inForce(ev) || len(x.when) == 0 {
		return false
	}
	for i := range x.when {
		c := &x.when[i]
		if c.place && !x.placeShown(ev) || c.match(ev, item, day) != True {
			return false
		}
	}
	return true
}
