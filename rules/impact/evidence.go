package impact

import (
	"borderwatch/rules/engine"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Seen counts the events that an exception about a place could cover but for their evidence.
type Seen struct {
	Matching uint64 `json:"matching_events"` // its rule speaks of them, and every other line of the exception holds
	Shown    uint64 `json:"with_evidence"`   // of which the place has the evidence that it asks for
}

// Watch finds out whether events bring the evidence that exceptions ask for. It is immutable.
type Watch struct {
	engine     *engine.Engine
	from       access.Millis
	exceptions []*policy.Exception // those with a line about the country
	byRule     map[string]bool
}

// NewWatch watches the exceptions of a set that ask about the country, on events from a time on. The engine is that of
// the set.
func NewWatch(set *policy.Set, e *engine.Engine, from access.Millis) *Watch {
	w := &Watch{engine: e, from: from, byRule: make(map[string]bool)}
	for _, x := range set.Exceptions {
		if !asksPlace(x) {
			continue
		}
		w.exceptions = append(w.exceptions, x)
		for _, rule := range x.Rules {
			w.byRule[rule] = true
		}
	}
	return w
}

func asksPlace(x *policy.Exception) bool {
	for i := range x.When {
		if x.When[i].Field == access.FieldLocationCountry {
			return true
		}
	}
	return false
}

// Look counts an event and its verdict. Whether an exception is in force does not matter: it may be for a journey to come.
func (c *Collected) Look(w *Watch, ev *access.Event, v *alert.Verdict) {
	if len(w.exceptions) == 0 || ev.Time < w.from {
		return
	}
	for i := range v.Matched {
		m := &v.Matched[i]
		if !w.byRule[m.RuleID] || m.Outcome == alert.Error {
			continue
		}
		explained, ok := w.engine.Explain(ev, m.RuleID)
		if !ok {
			continue
		}
		for n := range explained.Exceptions {
			c.look(w, &explained.Exceptions[n])
		}
	}
}

func (c *Collected) look(w *Watch, explained *engine.ExplainedException) {
	if len(c.evidence) == 0 {
		c.evidence = make([]Seen, len(w.exceptions))
	}
	for i, x := range w.exceptions {
		if x.ID != explained.ID || !matches(x, explained.Conditions) {
			continue
		}
		c.evidence[i].Matching++
		if explained.PlaceShown {
			c.evidence[i].Shown++
		}
	}
}

// matches reports whether every line but those about the country definitely holds, and those about the country can.
func matches(x *policy.Exception, conditions []engine.Explained) bool {
	for i := range conditions {
		place := x.When[i].Field == access.FieldLocationCountry
		if t := conditions[i].Truth; t == engine.False || t == engine.Maybe && !place {
			return false
		}
	}
	return true
}
