package impact

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Style says how text is shown. Clean makes text of events safe to show; Red, where set, marks a warning.
type Style struct {
	Clean func(string) string
	Red   func(string) string
}

// Write shows the report to people.
func (r *Report) Write(w io.Writer, style Style) error {
	var text bytes.Buffer
	t := &textWriter{out: tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0), style: style}
	r.writeHead(t)
	r.writeParts(t)
	if r.Events != nil && r.Events.Read > 0 {
		r.writeAlerts(t)
	}
	if err := t.out.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		line = strings.TrimRight(line, " \n")
		if style.Red != nil && strings.HasPrefix(line, warning) {
			line = style.Red(line)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// warning starts a line that somebody must see.
const warning = "WARNING"

type textWriter struct {
	out   *tabwriter.Writer
	style Style
}

// row writes the cells of a line.
func (t *textWriter) row(cells ...string) {
	for i := range cells {
		if cells[i] = strings.ReplaceAll(cells[i], "\t", " "); t.style.Clean != nil {
			cells[i] = t.style.Clean(cells[i])
		}
	}
	fmt.Fprintln(t.out, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (r *Report) writeHead(t *textWriter) {
	t.row("before", r.Old.String())
	t.row("after", r.New.String())
	e := r.Events
	if e == nil {
		t.row("events", "none were judged: name a configuration or a file of events")
		return
	}
	span := "all times"
	switch {
	case e.File != "":
		span = strings.TrimSpace(fmt.Sprintf("of a file, sha256:%.12s… %s %s", e.File, orAny("from ", e.From), orAny("until ", e.Until)))
	case e.From != "" || e.Until != "":
		span = strings.TrimSpace(orAny("from ", e.From) + " " + orAny("until ", e.Until))
	}
	t.row("events", fmt.Sprintf("%d %s, %s", e.Read, span, referenceWords[e.References]))
	if e.Read == 0 {
		t.row(warning + "  no events: nothing is said about alerts")
	}
	if e.Refused > 0 {
		t.row("", counted(e.Refused, "line that no worker could read, left out", "lines that no worker could read, left out"))
	}
	if e.Late > 0 {
		t.row("", counted(e.Late, "that arrived late or early, judged at both times", "that arrived late or early, judged at both times"))
	}
	if e.Copies > 0 {
		t.row("", counted(e.Copies, "alert of a further copy, not counted again", "alerts of further copies, not counted again"))
	}
	if e.CopiesLimit {
		t.row("", fmt.Sprintf("more than %d alerts: beyond, copies count", MaxAlerts))
	}
}

func counted(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func orAny(word, value string) string {
	if value == "" {
		return ""
	}
	return word + value
}

// The ways in which events are completed.
const (
	ReferencesStored = "stored"
	ReferencesBundle = "bundle"
)

var referenceWords = map[string]string{
	ReferencesStored: "completed as they were when they arrived",
	ReferencesBundle: "completed anew by each side's own reference files",
}

// The sides of a report.
const (
	ByStored  = "stored"
	ByRules   = "rules"
	ByNothing = "nothing"
)

func (j Judged) String() string {
	switch j.By {
	case ByStored:
		return "what was found when the events arrived"
	case ByNothing:
		return "no rules"
	}
	return fmt.Sprintf("bundle sha256:%.12s…", j.Bundle)
}

func (r *Report) writeParts(t *textWriter) {
	for i := range r.Parts {
		p := &r.Parts[i]
		t.row()
		t.row(fmt.Sprintf("%s: %d added, %d removed, %d changed", p.Part, p.Added, p.Removed, p.Changed))
		for _, e := range p.Entries {
			t.row("  "+e.Change, e.Key)
			for _, d := range e.Details {
				t.row("", "  "+d)
			}
		}
		if p.More > 0 {
			t.row("", fmt.Sprintf("and %d more", p.More))
		}
	}
	if r.Parts != nil && len(r.Parts) == 0 {
		t.row()
		t.row("No part differs.")
	}
}

func (r *Report) writeAlerts(t *textWriter) {
	t.row()
	t.row("alerts", "critical", "high", "medium", "low", "info", "suppressed")
	for _, side := range []struct {
		name   string
		levels *Levels
	}{{"  before", &r.Alerts.Before}, {"  after", &r.Alerts.After}, {"  shadow before", &r.Shadow.Before}, {"  shadow after", &r.Shadow.After}} {
		l := side.levels
		if strings.Contains(side.name, "shadow") && l.Speaking()+l.Suppressed == 0 {
			continue
		}
		t.row(side.name, number(l.Critical), number(l.High), number(l.Medium), number(l.Low), number(l.Info), number(l.Suppressed))
	}
	t.row()
	r.writeChanges(t)
	r.writeEvidence(t)
}

func (r *Report) writeChanges(t *textWriter) {
	if r.Alerts.Changes.Total()+r.Shadow.Changes.Total() == 0 {
		t.row("No alert changes.")
		return
	}
	t.row(append([]string{"changes"}, heads...)...)
	t.row(append([]string{"  all"}, r.Alerts.Changes.cells()...)...)
	if r.Shadow.Changes.Total() > 0 {
		t.row(append([]string{"  shadow"}, r.Shadow.Changes.cells()...)...)
	}
	for _, table := range []struct {
		name string
		*Table
	}{{"by rule", r.Rules}, {"by country", r.Places}, {"by person", r.People}, {"by data set", r.Data}, {"by day", r.Days}} {
		table.write(t, table.name)
	}
	t.row()
	for _, line := range Columns {
		t.row(line)
	}
	r.writeSamples(t)
}

// Columns explain the heads of the tables.
var Columns = []string{
	"suppressed: an exception covers it now. speak: it was suppressed and is an alert now.",
	"raised, lowered: another severity. other: another outcome of equal severity, alert or error.",
	"silent: it was suppressed, and there is nothing to suppress any more.",
}

// heads are the heads of the columns of Counts.cells.
var heads = []string{"appear", "vanish", "suppressed", "speak", "raised", "lowered", "other", "silent"}

func (c *Counts) cells() (cells []string) {
	for k := Appears; k < kindCount; k++ {
		cells = append(cells, number(*c.of(k)))
	}
	return cells
}

func number(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func (table *Table) write(t *textWriter, name string) {
	if table == nil || len(table.Rows) == 0 {
		return
	}
	t.row()
	t.row(append([]string{name}, heads...)...)
	for i := range table.Rows {
		row := &table.Rows[i]
		key := "  " + row.Key
		if row.Shadow {
			key += " (shadow)"
		}
		t.row(append([]string{key}, row.cells()...)...)
	}
	if table.More == nil {
		return
	}
	least := ""
	if table.More.Least {
		least = "at least "
	}
	t.row(append([]string{fmt.Sprintf("  %s%d more", least, table.More.Keys)}, table.More.cells()...)...)
}

func (r *Report) writeSamples(t *textWriter) {
	if len(r.Samples) == 0 {
		return
	}
	t.row()
	t.row("examples")
	for i := range r.Samples {
		s := &r.Samples[i]
		rule := "  " + s.Rule
		if s.Shadow {
			rule += " (shadow)"
		}
		t.row(rule, s.Change, s.Before+" → "+s.After, s.EventID, s.Time, s.Actor, s.Dataset, s.Country, s.Position.String())
	}
}

// String is topic[partition]@offset, or the line of a file.
func (p Position) String() string {
	if p.Topic == "" {
		return fmt.Sprintf("line %d", p.Offset)
	}
	return fmt.Sprintf("%s[%d]@%d", p.Topic, p.Partition, p.Offset)
}

func (r *Report) writeEvidence(t *textWriter) {
	if len(r.Evidence) == 0 {
		return
	}
	t.row()
	t.row("exceptions about a place: events that match but for the evidence, and those that have it")
	for i := range r.Evidence {
		e := &r.Evidence[i]
		of := "of all events read"
		if e.Days > 0 {
			of = fmt.Sprintf("of the last %d days", e.Days)
		}
		if e.Never() {
			t.row(fmt.Sprintf("%s  %s asks for evidence: %s, and none of %d matching events %s has it: it would never apply", warning, e.Exception, e.Asks, e.Matching, of))
			continue
		}
		t.row("  "+e.Exception, "evidence: "+e.Asks, fmt.Sprintf("%d of %d %s", e.Shown, e.Matching, of))
	}
}
