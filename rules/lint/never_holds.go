package lint

import (
	"borderwatch/rules/lint/box"
	"borderwatch/rules/policy"
)

var neverHolds = Check{
	ID:    "never-holds",
	Title: "a rule, a branch of any or an exception can never hold, or can no longer",
	Why:   "A rule that can never hold looks like protection and is none. Where two lines contradict each other, the sentence names them.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			p.neverHolds(r)
		}
		for _, x := range p.set.Exceptions {
			if !p.reason().possible(x.When) {
				p.contradiction(x.Place("when"), x.When)
			}
		}
	},
}

func (p *pass) neverHolds(r *policy.Rule) {
	last := box.Beginning
	ways := p.reason().waysOf(r)
	dead := 0
	for i := range ways {
		if n := len(ways[i].spans); n > 0 {
			last = max(last, ways[i].spans[n-1].Last)
		} else {
			dead++
		}
	}
	for i := range ways {
		if len(ways[i].spans) > 0 {
			continue
		}
		p.contradiction(r.Place("when"), ways[i].lines)
		if dead == len(ways) && p.allContradict(&ways[i], r) {
			return // the branches have no part in it
		}
	}
	if dead < len(ways) && last < p.day && r.Status.Judges() {
		p.warn(r.Place("when"), "", "the rule %s can hold on days until %s only, when the members of its groups or the time in it end", r.ID, last)
	}
}

// allContradict reports whether the lines outside any are impossible by themselves.
func (p *pass) allContradict(w *way, r *policy.Rule) bool {
	outside := w.lines
	if w.branch >= 0 {
		outside = outside[:len(outside)-len(r.When.Any[w.branch])]
	}
	return !p.reason().possible(outside)
}

// contradiction reports lines that are impossible together at the last of those that cause it.
func (p *pass) contradiction(otherwise policy.Position, lines []policy.Condition) {
	core := p.reason().conflict(lines)
	at := otherwise
	for i := range core {
		if core[i].Pos.Line > 0 {
			at = core[i].Pos
		}
	}
	switch b := &core[len(core)-1]; len(core) {
	case 1:
		p.report(at, "", "%s can never hold", b)
	case 2:
		p.report(at, "", "%s cannot hold together with %s", b, &core[0])
	default:
		p.report(at, "", "these lines cannot hold together: %s", written(core))
	}
}
