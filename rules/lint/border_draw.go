package lint

import (
	"fmt"
	"io"
	"slices"
	"strings"

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
	fmt.Fprintf(&out, "Border matrix of %d active rules on %s, over all countries and actions:\n", b.Rules, b.Day)
	out.WriteString("# decided   + in part, or under further conditions   . no rule\n\n")
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

// mark sums up all actions of a kind of actor.
func (b *Border) mark(region, class, actor uint8) rune {
	all, none := true, true
	for action := range access.Actions.Words()[1:] {
		undecided, untouched := b.Open(Cell{region, class, actor, uint8(action + 1)})
		all = all && undecided.Empty()
		none = none && untouched.All()
	}
	switch {
	case all:
		return '#'
	case none:
		return '.'
	}
	return '+'
}
