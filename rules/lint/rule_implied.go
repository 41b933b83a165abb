package lint

import (
	"slices"
	"strings"

	"borderwatch/rules/lint/box"
	"borderwatch/rules/policy"
)

var ruleImplied = Check{
	ID:    "rule-implied",
	Title: "an active rule alerts only where another active rule of the same severity and law alerts too",
	Why:   "Two alerts for one thing teach people to close alerts. A copy on trial (shadow) or one of another severity or law says something of its own.",
	run: func(p *pass) {
		alike := map[string][]*policy.Rule{}
		for _, r := range p.set.Rules {
			if r.Status == policy.Active {
				k := r.Severity.String() + "\n" + lawOf(r)
				alike[k] = append(alike[k], r)
			}
		}
		for _, rules := range alike {
			p.implied(rules)
		}
	},
}

// lawOf are the laws of a rule in order. What is marked as a choice of one's own is no law.
func lawOf(r *policy.Rule) string {
	var laws []string
	for _, law := range r.Law {
		if !strings.HasPrefix(law, startingValue) {
			laws = append(laws, law)
		}
	}
	slices.Sort(laws)
	return strings.Join(slices.Compact(laws), "\n")
}

// startingValue begins an entry of law that is a choice and not law.
const startingValue = "Starting value"

// implied reports each rule that another one implies, once. Of two that imply each other the later id is reported.
func (p *pass) implied(rules []*policy.Rule) {
	index := p.coverIndex(rules)
	for i, r := range rules {
		for _, j := range index.candidates(p.reason(), r) {
			other := rules[j]
			if i == j || !p.covers(other, r) || j > i && p.covers(r, other) {
				continue
			}
			p.report(r.Place("when"), "remove one of the two, or let it say something of its own",
				"whenever %s alerts, %s alerts too, with the same severity and law", r.ID, other.ID)
			break
		}
	}
}

// coverIndex finds the rules that may cover another one, so that 10,000 need not be compared with each other.
type coverIndex struct {
	at   map[box.Point][]int // rules by the atoms of their narrowest field
	wide []int               // the others
}

func (p *pass) coverIndex(rules []*policy.Rule) *coverIndex {
	index := &coverIndex{at: map[box.Point][]int{}}
	k := p.reason()
	for i, r := range rules {
		for _, w := range k.waysOf(r) {
			for s := range w.spans {
				points, ok := k.space.Key(&w.spans[s].Box)
				if !ok {
					index.wide = append(index.wide, i)
				}
				for _, point := range points {
					index.at[point] = append(index.at[point], i)
				}
			}
		}
	}
	return index
}

// candidates are indices of all rules that may cover r, in order. What covers r covers the first box of r.
func (x *coverIndex) candidates(k *reasoning, r *policy.Rule) []int {
	out := slices.Clone(x.wide)
	for _, w := range k.waysOf(r) {
		if len(w.spans) == 0 {
			continue
		}
		for _, point := range k.space.Corner(&w.spans[0].Box) {
			out = append(out, x.at[point]...)
		}
		break
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// covers reports whether wide answers at least as loudly as narrow on every event.
func (p *pass) covers(wide, narrow *policy.Rule) bool {
	if wide.OnUnknown == policy.UnknownIgnored && narrow.OnUnknown != policy.UnknownIgnored ||
		wide.Exceptions && !narrow.Exceptions || wide.Kind.AboutData() && !narrow.Kind.AboutData() {
		return false
	}
	k := p.reason()
	holds := false
	for _, n := range k.waysOf(narrow) {
		holds = holds || len(n.spans) > 0
		if !slices.ContainsFunc(k.waysOf(wide), func(w way) bool { return k.space.Contains(w.spans, n.spans) }) {
			return false
		}
	}
	return holds // one that never holds is never-holds' business
}
