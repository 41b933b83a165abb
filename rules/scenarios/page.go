package scenarios

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"borderwatch/rules/policy"
)

const pageHead = `# Known cases, re-enacted

For **compliance and auditors**. Each case is told, re-enacted with events of the example company, and judged by all shipped rules together. What every
rule says of each event stands beside it with the reason; a rule that is not named says nothing. Every change of a rule, of a reference file and of the
program is tested against these cases.

The tables of rules show what is **law** and what is a **starting value**: a choice that you make your own or change. Severities, owners and responses
are starting values in every rule. An outcome is explained in the [guide](../README.md); *on trial* is a shadow rule, which notifies nobody; *silent* are
rules of which a reader might expect something else.

<!-- Generated from the YAML files beside this one and the rules by go generate. Do not edit. -->
`

// prefixes are how the ids of a pack's rules begin.
var prefixes = map[string]string{"eu": "EU-", "us": "US-", "baseline": "BASE-"}

// startingValue begins the entry of a rule's law that is none.
const startingValue = "Starting value: "

// Page writes the scenarios and the rules of their packs for people.
func Page(packs []Pack, rules []*policy.Rule) []byte {
	var b bytes.Buffer
	b.WriteString(pageHead)
	for i := range packs {
		p := &packs[i]
		fmt.Fprintf(&b, "\n## %s: %s\n\n", p.Name, p.Title)
		p.writeRules(&b, rules)
		for j := range p.Scenarios {
			p.Scenarios[j].write(&b)
		}
	}
	return b.Bytes()
}

// Rules returns those of the pack.
func (p *Pack) Rules(all []*policy.Rule) []*policy.Rule {
	return slices.DeleteFunc(slices.Clone(all), func(r *policy.Rule) bool { return !strings.HasPrefix(r.ID, prefixes[p.Name]) })
}

func (p *Pack) writeRules(b *bytes.Buffer, all []*policy.Rule) {
	b.WriteString("| rule | finds | severity | law | starting value |\n|---|---|---|---|---|\n")
	for _, r := range p.Rules(all) {
		severity := r.Severity.String()
		if r.Status == policy.Shadow {
			severity += ", on trial"
		}
		var law, choices []string
		for _, entry := range r.Law {
			if choice, ok := strings.CutPrefix(entry, startingValue); ok {
				choices = append(choices, choice)
			} else {
				law = append(law, entry)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", r.ID, r.Title, severity, strings.Join(law, ", "), strings.Join(choices, ", "))
	}
}

func (s *Scenario) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n| what happens | comes out | because |\n|---|---|---|\n", s.Name, s.Case)
	for i := range s.Events {
		e := &s.Events[i]
		fmt.Fprintf(b, "| %s | %s | %s |\n", e.What, e.Expect.sentence(), e.Why)
	}
}

// sentence says what comes out in one cell of a table.
func (e *Expect) sentence() string {
	var parts []string
	add := func(word string, rules []string) {
		if len(rules) > 0 {
			parts = append(parts, word+" "+strings.Join(rules, ", "))
		}
	}
	add("**alert**", e.Alert)
	add("**unknown**", e.Unknown)
	add("**suppressed**", e.Suppressed)
	if len(parts) == 0 {
		parts = append(parts, "nothing")
	}
	if e.Severity != "" {
		parts = append(parts, e.Severity)
	}
	add("by exception", e.Exceptions)
	add("on trial", e.Shadow)
	add("silent:", e.None)
	return strings.Join(parts, "; ")
}
