package lint

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// WriteMatrix draws the matrix: a column for each kind of actor, four rows of classes for regions that are alike.
func (b *Border) WriteMatrix(w io.Writer) error {
	var blocks []string
	var regions [][]string
	for region := range access.SubjectRegions.Words()[1:] {
		word, block := access.SubjectRegions.Word(uint8(region+1)), b.block(uint8(region+1))
		if i := slices.Index(blocks, block); i >= 0 {
			regions[i] = append(regions[i], word)
			continue
		}
		blocks, regions = append(blocks, block), append(regions, []string{word})
	}
	var out strings.Builder
	fmt.Fprintf(&out, "Border matrix on %s over all countries and actions, active rules: %d\n", b.Day, b.Rules)
	out.WriteString("# decided   + some are   ~ only under further conditions   . no rule\n\n")
	fmt.Fprintf(&out, "%-*s%s\n", labelWidth, "", strings.Join(access.ActorKinds.Words()[1:], "  "))
	for i := range blocks {
		fmt.Fprintf(&out, "%s\n%s", strings.Join(regions[i], ", "), blocks[i])
	}
	_, err := io.WriteString(w, out.String())
	return err
}

const labelWidth = 14

// block are the rows of one region.
func (b *Border) block(region uint8) string {
	var out strings.Builder
	for class, word := range access.DataClasses.Words() {
		if class == 0 {
			continue
		}
		line := fmt.Sprintf("  %-*s", labelWidth-2, word)
		for actor, kind := range access.ActorKinds.Words() {
			if actor > 0 {
				line += fmt.Sprintf("%-*c", len(kind)+2, b.mark(region, uint8(class), uint8(actor)))
			}
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return out.String()
}

// mark sums up all actions and countries of a kind of actor.
func (b *Border) mark(region, class, actor uint8) rune {
	all, some, touched := true, false, false
	for action := range access.Actions.Words()[1:] {
		undecided, untouched := b.Open(Cell{region, class, actor, uint8(action + 1)})
		all = all && undecided.Empty()
		some = some || !undecided.All()
		touched = touched || !untouched.All()
	}
	switch {
	case all:
		return '#'
	case some:
		return '+'
	case touched:
		return '~'
	}
	return '.'
}

// WriteHoles lists what is not decided.
func (b *Border) WriteHoles(w io.Writer, set *policy.Set) error {
	var out strings.Builder
	for _, hole := range b.Holes(set) {
		fmt.Fprintf(&out, "  %s\n", hole.Data())
		for _, accesses := range hole.Accesses {
			fmt.Fprintf(&out, "    %s\n", accesses)
		}
	}
	if out.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nNot decided:\n%s", out.String())
	return err
}
