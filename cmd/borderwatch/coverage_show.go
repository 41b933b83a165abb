package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"borderwatch/schemas/access"
)

// write shows the report to people, safe for a terminal.
func (r *coverageReport) write(w io.Writer) error {
	if len(r.Rows) == 0 {
		_, err := fmt.Fprintln(w, "No events.")
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s of feed and data set\n  places      %s\n", count(int(r.Events), "event"), count(len(r.Rows), "pair"), verdicts(r.Verdicts))
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  cure        %s\n", note)
	}
	for i := range r.Rows {
		r.Rows[i].write(&b)
	}
	if r.More {
		fmt.Fprintf(&b, "\nThose with the most events; there may be more: --limit\n")
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, printable(strings.TrimRight(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

func (r *coverageRow) write(b *strings.Builder) {
	dataset := cmp.Or(strings.ReplaceAll(r.Dataset, "\n", " "), "unknown")
	fmt.Fprintf(b, "\n%s, data set %s: %s, %s judged unknown\n", r.Feed, dataset, count(int(r.Events), "event"), percent(r.Unjudged))
	fmt.Fprintf(b, "  places      %s\n", verdicts(r.Verdicts))
	if len(r.Missing) > 0 {
		fmt.Fprintf(b, "  missing     %s\n", shares(r.Missing))
	}
	if r.Contradicted > 0 {
		fmt.Fprintf(b, "  differ      source and reference files say different things in %s of the events\n", percent(r.Contradicted))
	}
	for _, u := range r.NeverSure {
		fmt.Fprintf(b, "  never sure  %s: no event has %s\n", u.Rule, strings.Join(u.Missing, ", "))
	}
	for _, c := range r.Cures {
		fmt.Fprintf(b, "  cure        %s: %s\n", c.File, c.What)
	}
}

// verdicts writes the share of each location verdict in the order of the vocabulary, without those that do not occur.
func verdicts(of map[string]float64) string {
	var parts []string
	for _, verdict := range access.Verdicts.Words() {
		if share := of[verdict]; share > 0 {
			parts = append(parts, verdict+" "+percent(share))
		}
	}
	return strings.Join(parts, ", ")
}

// shares writes the largest first.
func shares(of map[string]float64) string {
	names := slices.Sorted(maps.Keys(of))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(of[b], of[a]) })
	for i, name := range names {
		names[i] = name + " " + percent(of[name])
	}
	return strings.Join(names, ", ")
}

// percent rounds such that only nothing is 0 % and only all is 100 %.
func percent(share float64) string {
	switch {
	case share <= 0:
		return "0 %"
	case share < 0.001:
		return "<0.1 %"
	case share >= 1:
		return "100 %"
	case share > 0.999:
		return ">99.9 %"
	}
	return fmt.Sprintf("%.3g %%", share*100)
}
