package semantics

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const pageHead = `# What the rules mean, by example

For **compliance and auditors**. Where two careful readers of the rules' language could come to different answers, these are the answers. Each example
shows what is given, what comes out, and the sentence that settles it. The examples are written from those sentences, by somebody else than the
author of the program, and every change of the program is tested against them.

An example gives what it is about and nothing else: the access happens on 2026-11-20 at 09:00 UTC and its actor is u-1042; a rule is active and of
severity high; an exception holds from 2026-11-01 to 2026-12-31 and two people have approved it. The words are explained in the
[guide](../README.md), the country groups are those of the shipped packs. Addresses and names are invented.

*Not shown yet* marks an answer that no test shows yet, and why. Where *the program departs from the sentence*, it is by a decision that is named.

<!-- Generated from the YAML files beside this one by go generate. Do not edit. -->
`

// Page writes the table for people.
func Page(points []Point) []byte {
	var b bytes.Buffer
	b.WriteString(pageHead + "\n")
	for i := range points {
		p := &points[i]
		fmt.Fprintf(&b, "%d. [%s](#%s): %d examples\n", p.Number, p.Title, anchor(p), len(p.Examples))
	}
	for i := range points {
		p := &points[i]
		fmt.Fprintf(&b, "\n## %d. %s\n", p.Number, p.Title)
		for j := range p.Examples {
			p.Examples[j].write(&b, fmt.Sprintf("%d.%d", p.Number, j+1))
		}
	}
	return b.Bytes()
}

// anchor is the address of a point's heading within the page.
func anchor(p *Point) string {
	words := strings.NewReplacer("'", "", ",", "", " ", "-").Replace(strings.ToLower(p.Title))
	return fmt.Sprintf("%d-%s", p.Number, words)
}

func (x *Example) write(b *bytes.Buffer, number string) {
	fmt.Fprintf(b, "\n### %s %s\n\n> %s\n\n", number, x.Case, x.Sentence)
	for _, line := range x.given() {
		fmt.Fprintf(b, "- %s\n", line)
	}
	if x.NotYet != "" {
		fmt.Fprintf(b, "- **not shown yet:** %s\n", x.NotYet)
		return
	}
	for _, line := range x.Expect.lines() {
		fmt.Fprintf(b, "- **%s**\n", line)
	}
	if x.Departs != nil {
		fmt.Fprintf(b, "- **the program departs from the sentence: %s.** %s\n", x.Departs.Outcome, x.Departs.Because)
	}
}

// given lists what the example gives, a line each.
func (x *Example) given() (lines []string) {
	add := func(what string, n *yaml.Node) {
		if n.Kind != 0 {
			lines = append(lines, fmt.Sprintf("%s `%s`", what, flow(resolve(n))))
		}
	}
	text := func(what, value string) {
		if value != "" {
			lines = append(lines, what+" `"+value+"`")
		}
	}
	add("access", &x.Event)
	record := "record"
	if x.Adapter != "" {
		record += " (" + x.Adapter + ")"
	}
	add(record, &x.Record)
	for i := range x.Records {
		add(record, &x.Records[i])
	}
	text("arrives at", x.Arrival)
	if x.Repeat > 1 {
		text("comes so many times:", fmt.Sprint(x.Repeat))
	}
	for _, db := range []struct {
		name string
		of   map[string]string
	}{{"location database", x.Geo}, {"second location database", x.Geo2}} {
		for _, prefix := range slices.Sorted(maps.Keys(db.of)) {
			text(db.name, prefix+": "+db.of[prefix])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.Lists)) {
		text("list "+name, strings.TrimSpace(x.Lists[name]))
	}
	references := func(what string, of map[string]yaml.Node) {
		for _, kind := range slices.Sorted(maps.Keys(of)) {
			n := of[kind]
			add(what+kind, &n)
		}
	}
	references("", x.References)
	references("then ", x.ChangedReferences)
	add("rule", &x.When)
	for _, part := range []struct {
		name  string
		nodes []yaml.Node
	}{{"rule", x.Rules}, {"then rule", x.ChangedRules}, {"group", x.Groups}, {"exception", x.Exceptions}} {
		for i := range part.nodes {
			add(part.name, &part.nodes[i])
		}
	}
	text("approved at", x.Approved)
	text("signed by", strings.Join(x.Signers, ", "))
	return lines
}

// lines says in words what is expected, a line each.
func (e *Expect) lines() (lines []string) {
	add := func(format, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf(format, value))
		}
	}
	outcome := e.Outcome
	if e.Severity != "" {
		outcome += ", severity " + e.Severity
	}
	add("outcome: %s", strings.TrimPrefix(outcome, ", "))
	place := strings.ReplaceAll(e.Country, "|", " or ")
	if e.Verdict != "" {
		place = strings.TrimSuffix(e.Verdict+", "+place, ", ")
	}
	add("place: %s", place)
	add("expected: %s", e.Expected)
	add("reason: %s", e.Reason)
	add("evidence kept: %s", strings.Join(e.Evidence, ", "))
	add("missing: %s", strings.Join(e.Missing, ", "))
	add("decided by the data set %s", e.Item)
	add("the alert says: %s", e.Why)
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		lines = append(lines, name+": "+e.Fields[name])
	}
	add("disagreement stored about %s", strings.Join(e.Differs, ", "))
	for _, id := range slices.Sorted(maps.Keys(e.Rules)) {
		lines = append(lines, id+": "+e.Rules[id])
	}
	for i := range e.Alerts {
		lines = append(lines, e.Alerts[i].line())
	}
	if e.Near != nil {
		add("nearly matched: %s", strings.Join(append(slices.Clone(*e.Near), map[bool]string{true: "none"}[len(*e.Near) == 0]), " "))
	}
	add("content: %s", e.Content)
	add("alert: %s", map[string]string{"same": "the same one", "different": "another one"}[e.Alert])
	add("case: %s", e.CaseKind)
	add("the same case: %s", e.SameCase)
	add("refused, the mistake is shown at \"%s\"", e.RefusedAt)
	add("nothing is wrong with \"%s\"", e.AcceptedAt)
	add("the bundle is %s", e.Bundle)
	add("digest of the bundle: %s", e.Digest)
	add("the tables: %s", strings.ReplaceAll(e.Schema, "_", " "))
	return lines
}

func (a *Alert) line() string {
	b := strings.Builder{}
	fmt.Fprintf(&b, "alert of %s", a.Rule)
	for _, part := range []struct{ before, text string }{
		{": ", a.Outcome}, {", severity ", a.Severity}, {", for the rules ", strings.Join(a.Rules, " ")},
		{", missing ", strings.Join(a.Missing, " ")}, {", because of ", strings.Join(a.Exceptions, " ")},
	} {
		if part.text != "" {
			b.WriteString(part.before + part.text)
		}
	}
	if a.Shadow {
		b.WriteString(", on trial")
	}
	return b.String()
}

// flow writes a node in one line.
func flow(n *yaml.Node) string {
	inline(n)
	if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
		n.Style = yaml.FlowStyle
	}
	out, err := yaml.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

func inline(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, child := range n.Content {
		inline(child)
	}
}
