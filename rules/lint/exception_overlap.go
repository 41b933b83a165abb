package lint

import (
	"cmp"
	"slices"

	"borderwatch/rules/lint/box"
	"borderwatch/rules/policy"
)

var exceptionOverlap = Check{
	ID:    "exception-overlap",
	Title: "two exceptions to one rule cover the same accesses on the same days",
	Why:   "When one of them ends or is taken back, the other goes on suppressing; and a count of matches says nothing about either alone.",
	run: func(p *pass) {
		byRule := map[string][]*policy.Exception{}
		for _, x := range p.set.Exceptions {
			for _, id := range x.Rules {
				byRule[id] = append(byRule[id], x)
			}
		}
		for _, r := range p.set.Rules {
			p.overlaps(r, byRule[r.ID])
		}
	},
}

// overlaps looks at the exceptions to one rule in the order in which they begin.
func (p *pass) overlaps(r *policy.Rule, exceptions []*policy.Exception) {
	if len(exceptions) < 2 {
		return
	}
	slices.SortStableFunc(exceptions, func(a, b *policy.Exception) int { return cmp.Compare(a.ValidFrom, b.ValidFrom) })
	k := p.reason()
	spans := make([][]box.Span, len(exceptions))
	for i, x := range exceptions {
		for _, w := range k.waysOf(r) {
			if _, _, ok := k.space.Meet(k.space.Spans(linesOf(x)), w.spans); ok {
				spans[i] = within(k.space.Spans(linesOf(x)), x)
			}
		}
	}
	for i, x := range exceptions {
		for j := range i {
			if exceptions[j].ValidUntil < x.ValidFrom {
				continue
			}
			if first, last, ok := k.space.Meet(spans[j], spans[i]); ok {
				p.warn(x.Place("when"), "pin them to different values or days", "the exceptions %s and %s to %s cover the same accesses from %s to %s", exceptions[j].ID, x.ID, r.ID, first, last)
			}
		}
	}
}
