package lint

import (
	"fmt"
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var borderHole = Check{
	ID:    "border-hole",
	Title: "no active rule decides some accesses, by subject region, class, country, kind of actor and action",
	Why: "A report and no fault: what nobody thought of should be seen before it happens. A list of approved countries decides every country, a list of " +
		"forbidden ones those on it; a rule with further conditions decides only some of the accesses.",
	run: func(p *pass) {
		border := NewBorder(p.set, p.day)
		if border.Rules == 0 {
			return // no-active-rule's business
		}
		for _, hole := range border.Holes(p.set) {
			p.note(policy.Position{}, "", "no active rule decides %s", hole)
		}
	},
}

// Hole is a group of regions and classes of which the same accesses are undecided.
type Hole struct {
	Accesses []string   // "service, system: grant, admin from anywhere"
	classes  [][]string // of each region, by its index
}

func (h *Hole) String() string {
	return "accesses to data of " + h.Data() + ": " + strings.Join(h.Accesses, "; ")
}

// Data is "EU public; UK, CH restricted, sensitive".
func (h *Hole) Data() string {
	var regions, classes []string
	for region, of := range h.classes {
		word, text := access.SubjectRegions.Word(uint8(region)), strings.Join(of, ", ")
		switch i := slices.Index(classes, text); {
		case len(of) == 0:
		case i < 0:
			regions, classes = append(regions, word), append(classes, text)
		default:
			regions[i] += ", " + word
		}
	}
	for i := range regions {
		regions[i] += " " + classes[i]
	}
	return strings.Join(regions, "; ")
}

// Holes lists what is undecided, regions and classes with the same holes together.
func (b *Border) Holes(set *policy.Set) []*Hole {
	var holes []*Hole
	names := newCountryNames(set, b.Day)
	b.eachRow(func(region, class uint8) {
		accesses := b.row(names, region, class)
		if len(accesses) == 0 {
			return
		}
		i := slices.IndexFunc(holes, func(h *Hole) bool { return slices.Equal(h.Accesses, accesses) })
		if i < 0 {
			i = len(holes)
			holes = append(holes, &Hole{accesses, make([][]string, len(access.SubjectRegions.Words()))})
		}
		holes[i].classes[region] = append(holes[i].classes[region], access.DataClasses.Word(class))
	})
	return holes
}

func (b *Border) eachRow(f func(region, class uint8)) {
	for region := range access.SubjectRegions.Words()[1:] {
		for class := range access.DataClasses.Words()[1:] {
			f(uint8(region+1), uint8(class+1))
		}
	}
}

// openings are actions that are undecided from the same countries.
type opening struct {
	actions              []string
	undecided, untouched access.CountrySet
}

// row describes the holes of one region and class: kinds of actor with the same holes together.
func (b *Border) row(names *countryNames, region, class uint8) []string {
	var kinds [][]string
	var texts []string
	for actor := range access.ActorKinds.Words()[1:] {
		text := describe(names, b.openings(region, class, uint8(actor+1)))
		if text == "" {
			continue
		}
		word := access.ActorKinds.Word(uint8(actor + 1))
		if i := slices.Index(texts, text); i >= 0 {
			kinds[i] = append(kinds[i], word)
			continue
		}
		kinds, texts = append(kinds, []string{word}), append(texts, text)
	}
	for i := range texts {
		who := strings.Join(kinds[i], ", ")
		if len(kinds[i]) == len(access.ActorKinds.Words())-1 {
			who = "any actor"
		}
		texts[i] = who + ": " + texts[i]
	}
	return texts
}

func (b *Border) openings(region, class, actor uint8) []opening {
	var out []opening
	for action := range access.Actions.Words()[1:] {
		undecided, untouched := b.Open(Cell{region, class, actor, uint8(action + 1)})
		if undecided.Empty() {
			continue
		}
		word := access.Actions.Word(uint8(action + 1))
		i := slices.IndexFunc(out, func(o opening) bool { return o.undecided == undecided && o.untouched == untouched })
		if i < 0 {
			out = append(out, opening{nil, undecided, untouched})
			i = len(out) - 1
		}
		out[i].actions = append(out[i].actions, word)
	}
	return out
}

func describe(names *countryNames, openings []opening) string {
	parts := make([]string, len(openings))
	for i, o := range openings {
		actions := strings.Join(o.actions, ", ")
		if len(o.actions) == len(access.Actions.Words())-1 {
			actions = "any action"
		}
		parts[i] = actions + " from " + names.of(o.undecided)
		switch {
		case o.untouched.Empty():
			parts[i] += " (only under further conditions)"
		case o.untouched != o.undecided:
			parts[i] += " (under further conditions from some)"
		}
	}
	return strings.Join(parts, ", ")
}

// countryNames writes sets of countries by the groups that cover them.
type countryNames struct {
	names []string
	sets  []access.CountrySet // largest first
}

func newCountryNames(set *policy.Set, day policy.Day) *countryNames {
	r := newResolver(set, day)
	var groups []*policy.Group
	for _, g := range set.Groups {
		if g.Kind == policy.Countries {
			groups = append(groups, g)
		}
	}
	size := func(g *policy.Group) int { s := r.group(g.Name); return s.Len() }
	slices.SortStableFunc(groups, func(a, b *policy.Group) int { return size(b) - size(a) })
	n := &countryNames{}
	for _, g := range groups {
		n.names, n.sets = append(n.names, "@"+g.Name), append(n.sets, r.group(g.Name))
	}
	return n
}

const maxNamedCountries = 12

func (n *countryNames) of(s access.CountrySet) string {
	if s.All() {
		return "anywhere"
	}
	var others access.CountrySet
	for i := range s {
		others[i] = access.AllCountries[i] &^ s[i]
	}
	inside, outside := n.list(s), n.list(others)
	if others.Len() < s.Len() {
		return "anywhere but " + outside
	}
	return inside
}

// list covers s with groups, the largest first, and names the countries that are left.
func (n *countryNames) list(s access.CountrySet) string {
	var out []string
	for i := range n.sets {
		in := n.sets[i]
		if left := s.Intersect(in); in.Empty() || !in.Within(&s) || left.Empty() {
			continue
		}
		out = append(out, n.names[i])
		for j := range s {
			s[j] &^= in[j]
		}
	}
	left := s.Countries()
	if len(left) > maxNamedCountries {
		return strings.Join(append(out, fmt.Sprintf("%d more countries", len(left))), ", ")
	}
	for _, c := range left {
		out = append(out, c.String())
	}
	return strings.Join(out, ", ")
}
