package lint

import (
	"borderwatch/rules/lint/box"
	"borderwatch/rules/policy"
)

var exceptionIdle = Check{
	ID:    "exception-idle",
	Title: "an exception can never apply to a rule it names",
	Why:   "Its conditions contradict those of the rule, the rule is not judged, or it asks for evidence that the place cannot have. Whoever relies on it is alerted all the same.",
	run: func(p *pass) {
		for _, x := range p.set.Exceptions {
			for _, id := range x.Rules {
				if r := p.set.Rule(id); r != nil {
					p.idle(x, r)
				}
			}
		}
	},
}

func (p *pass) idle(x *policy.Exception, r *policy.Rule) {
	if !r.Status.Judges() {
		p.warn(x.Place("rules"), "", "the exception %s names %s, which is %s and not judged", x.ID, r.ID, r.Status)
		return
	}
	k := p.reason()
	spans := within(k.space.Spans(linesOf(x)), x)
	if !k.possible(x.When) {
		return // never-holds says so
	}
	for _, w := range k.waysOf(r) {
		if _, _, meets := k.space.Meet(spans, w.spans); meets || len(w.spans) == 0 {
			return
		}
	}
	p.report(x.Place("when"), "", "the exception %s never applies to %s: no access that the rule alerts about fulfils its conditions between %s and %s", x.ID, r.ID, x.ValidFrom, x.ValidUntil)
}

// within cuts spans to the days of an exception.
func within(spans []box.Span, x *policy.Exception) []box.Span {
	var out []box.Span
	for _, s := range spans {
		s.First, s.Last = max(s.First, x.ValidFrom), min(s.Last, x.ValidUntil)
		if s.First <= s.Last {
			out = append(out, s)
		}
	}
	return out
}
