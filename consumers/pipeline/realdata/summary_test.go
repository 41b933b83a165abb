package realdata_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"borderwatch/consumers/enrich"
	"borderwatch/schemas/access"
)

// tally counts what became of the records of one set.
type tally struct {
	name            string
	records, stored int
	refused         map[problem]int
	verdicts        map[string]int
	reasons         map[string]int // of places that are masked, unknown, in conflict or of a service
	outcomes        map[string]int
}

func newTally(name string) *tally {
	return &tally{name: name, refused: map[problem]int{}, verdicts: map[string]int{}, reasons: map[string]int{}, outcomes: map[string]int{}}
}

func (c *tally) add(j judged) {
	c.records++
	if j.refusal != nil {
		c.refused[problem{string(j.refusal.Code), j.refusal.Field}]++
		return
	}
	c.stored++
	place := &j.event.Location
	c.verdicts[place.Verdict.String()]++
	if place.Reason != "" {
		c.reasons[place.Verdict.String()+" "+place.Reason]++
	}
	c.outcomes[j.verdict.Outcome.String()]++
}

func total[K comparable](counts map[K]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// summary is a table of the location verdicts, then for each set the reasons and what would give the place, and the
// refusals.
func summary(all []*tally) string {
	var b strings.Builder
	words := access.Verdicts.Words()
	words = append(slices.Clone(words[1:]), words[0])
	fmt.Fprintf(&b, "%-16s %7s %7s %7s", "set", "records", "stored", "refused")
	for _, w := range words {
		fmt.Fprintf(&b, " %8s", w)
	}
	for _, c := range all {
		fmt.Fprintf(&b, "\n%-16s %7d %7d %7d", c.name, c.records, c.stored, total(c.refused))
		for _, w := range words {
			fmt.Fprintf(&b, " %6.1f %%", share(c.verdicts[w], c.stored))
		}
	}
	b.WriteString("\n\nreasons, and what would give the place")
	for _, c := range all {
		for _, reason := range byCount(c.reasons) {
			verdict, word, _ := strings.Cut(reason, " ")
			fmt.Fprintf(&b, "\n%-16s %6d  %-8s %-22s %s", c.name, c.reasons[reason], verdict, word, cure(word))
		}
	}
	b.WriteString("\n\nrefused")
	for _, c := range all {
		for p, n := range c.refused {
			fmt.Fprintf(&b, "\n%-16s %6d  %-14s %s", c.name, n, p.code, p.field)
		}
	}
	return b.String()
}

func cure(word string) string {
	for _, r := range enrich.Reasons() {
		if r.Word == word {
			return cmp.Or(r.Cure, "nothing should")
		}
	}
	return "-"
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

// byCount lists the keys, the most frequent first.
func byCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
}
