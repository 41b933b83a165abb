package lint

import (
	"slices"
	"strings"

	"borderwatch/rules/lint/box"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// reasoning is what several checks ask of the conditions of a whole set.
type reasoning struct {
	space *box.Space
	ways  map[*policy.Rule][]way
}

// way is one way in which a rule can hold: all its lines with one branch of any.
type way struct {
	branch int // index of the branch, -1 where the rule has no any
	lines  []policy.Condition
	spans  []box.Span // empty where these lines never hold together
}

// reason cuts the fields on first use.
func (p *pass) reason() *reasoning {
	if p.known == nil {
		p.known = &reasoning{space: box.NewSpace(p.set, slices.Concat(placeShown(policy.EvidenceSingle), promptOnly())), ways: make(map[*policy.Rule][]way, len(p.set.Rules))}
	}
	return p.known
}

// waysOf are the ways of a rule, with the conditions of its kind.
func (k *reasoning) waysOf(r *policy.Rule) []way {
	if ways, ok := k.ways[r]; ok {
		return ways
	}
	lines := slices.Concat(r.Kind.Implied(), r.When.All)
	ways := []way{{branch: -1, lines: lines}}
	if len(r.When.Any) > 0 {
		ways = ways[:0]
		for i, branch := range r.When.Any {
			ways = append(ways, way{branch: i, lines: slices.Concat(lines, branch)})
		}
	}
	for i := range ways {
		ways[i].spans = k.space.Spans(ways[i].lines)
	}
	k.ways[r] = ways
	return ways
}

// possible reports whether lines can hold together on some day.
func (k *reasoning) possible(lines []policy.Condition) bool { return len(k.space.Spans(lines)) > 0 }

// conflict returns lines of which none can be left out without the others being possible, in their order. Together they
// must be impossible.
func (k *reasoning) conflict(lines []policy.Condition) []policy.Condition {
	core := slices.Clone(lines)
	for i := 0; i < len(core); {
		if without := slices.Delete(slices.Clone(core), i, i+1); !k.possible(without) {
			core = without
		} else {
			i++
		}
	}
	return core
}

// placeShown is what an exception about a place demands of the verdict on it.
func placeShown(evidence policy.Evidence) []policy.Condition {
	words := []access.LocationVerdict{access.LocationAgree}
	if evidence == policy.EvidenceSingle {
		words = append(words, access.LocationSingle, access.LocationService)
	}
	c := policy.Condition{Field: access.FieldLocationVerdict}
	for _, w := range words {
		c.Values = append(c.Values, policy.Value{Text: w.String(), Word: uint8(w)})
	}
	return []policy.Condition{c}
}

// promptOnly keeps exceptions from late and early events.
func promptOnly() []policy.Condition {
	late, _ := access.Arrivals.Parse("late")
	early, _ := access.Arrivals.Parse("early")
	return []policy.Condition{{Field: access.FieldArrival, Op: policy.Not, Values: []policy.Value{{Text: "late", Word: late}, {Text: "early", Word: early}}}}
}

// linesOf are the conditions under which an exception applies.
func linesOf(x *policy.Exception) []policy.Condition {
	lines := slices.Concat(x.When, promptOnly())
	for i := range x.When {
		if x.When[i].Field == access.FieldLocationCountry || x.When[i].Other == access.FieldLocationCountry {
			return append(lines, placeShown(x.Evidence)...)
		}
	}
	return lines
}

func written(lines []policy.Condition) string {
	out := make([]string, len(lines))
	for i := range lines {
		out[i] = lines[i].String()
	}
	return strings.Join(out, "; ")
}
