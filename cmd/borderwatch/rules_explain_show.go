package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"borderwatch/consumers/enrich"
	"borderwatch/rules/engine"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// explainedEvent is what explain shows, and writes with --format json.
type explainedEvent struct {
	EventID       string          `json:"event_id"`
	Time          string          `json:"time"`
	Actor         string          `json:"actor"`
	Action        string          `json:"action"`
	Datasets      []string        `json:"datasets"`
	Location      explainedPlace  `json:"location"`
	Disagreements []string        `json:"disagreements,omitempty"` // fields on which source and reference files differ
	Verdict       string          `json:"verdict"`
	Severity      string          `json:"severity,omitempty"`
	Arrival       string          `json:"arrival,omitempty"` // late or early: judged at both times, shown at its own
	Rules         []explainedRule `json:"rules"`             // the worst outcome first

	Stored *explainedStored `json:"stored,omitempty"`
}

type explainedPlace struct {
	Country    string          `json:"country"` // candidates joined with |, or any
	Verdict    string          `json:"verdict"`
	Reason     string          `json:"reason,omitempty"`
	Expected   string          `json:"expected"`
	Confidence string          `json:"confidence"`
	Address    string          `json:"address,omitempty"`
	Network    string          `json:"network"`
	Evidence   []explainedFact `json:"evidence"`
}

type explainedFact struct {
	Kind  string `json:"kind"`
	Place string `json:"place"`
}

type explainedRule struct {
	ID         string               `json:"id"`
	Title      string               `json:"title"`
	Status     string               `json:"status"`
	Outcome    string               `json:"outcome"`
	Severity   string               `json:"severity,omitempty"`
	Dataset    string               `json:"dataset,omitempty"`        // the one that decided, where there are several
	Steps      []string             `json:"severity_steps,omitempty"` // why it is lower than the rule's own
	NoData     bool                 `json:"no_user_data,omitempty"`
	Ignored    bool                 `json:"unknown_ignored,omitempty"` // none by on_unknown: ignore
	Conditions []explainedCondition `json:"conditions"`
	Exceptions []explainedException `json:"exceptions,omitempty"`

	outcome alert.Outcome
}

type explainedCondition struct {
	Condition string `json:"condition"`
	Event     string `json:"event"` // what the event says
	Answer    string `json:"answer"`
	Branch    int    `json:"branch,omitempty"`  // of `any`
	Implied   bool   `json:"implied,omitempty"` // by the rule's kind
}

type explainedException struct {
	ID         string               `json:"id"`
	Applies    bool                 `json:"applies"`
	InForce    bool                 `json:"in_force"`
	PlaceShown bool                 `json:"place_shown"`
	Conditions []explainedCondition `json:"conditions"`
}

func newExplainedEvent(ev *access.Event, v *alert.Verdict) *explainedEvent {
	x := &explainedEvent{
		EventID: ev.ID, Time: ev.Time.String(), Action: engine.Format(ev, access.FieldAction, 0),
		Actor:         ev.Actor.ID + " (" + engine.Format(ev, access.FieldActorKind, 0) + ")",
		Disagreements: enrich.Disagreements(ev).Names(), Verdict: v.Outcome.String(), Severity: severityWord(v.Severity),
	}
	if arrival := ev.Arrival(); arrival == access.ArrivalLate || arrival == access.ArrivalEarly {
		x.Arrival = arrival.String()
	}
	for i := range ev.Data.Items {
		x.Datasets = append(x.Datasets, engine.Format(ev, access.FieldDataset, i))
	}
	l := &ev.Location
	x.Location = explainedPlace{
		Country: l.Candidates.String(), Verdict: l.Verdict.String(), Reason: l.Reason, Expected: l.Expected.String(),
		Confidence: l.Confidence.String(), Address: ev.Source.Address, Network: network(&ev.Network), Evidence: []explainedFact{},
	}
	for _, e := range l.Evidence[:l.EvidenceCount] {
		x.Location.Evidence = append(x.Location.Evidence, explainedFact{e.Kind.String(), e.Place.String()})
	}
	return x
}

func network(n *access.Network) string {
	text := n.Kind.String()
	if n.ASN != 0 {
		text += fmt.Sprintf(" AS%d", n.ASN)
	}
	return strings.TrimSpace(text + " " + n.Org)
}

func newExplainedRule(r *engine.Rule, e *engine.Explanation) explainedRule {
	x := explainedRule{
		ID: r.ID, Title: r.Title, Status: r.Status.String(), Outcome: e.Outcome.String(), Severity: severityWord(e.Severity),
		Steps: e.Steps, NoData: e.NoData, Ignored: e.Ignored, Conditions: explainedConditions(e.Conditions), outcome: e.Outcome,
	}
	for _, exception := range e.Exceptions {
		x.Exceptions = append(x.Exceptions, explainedException{
			exception.ID, exception.Applies, exception.InForce, exception.PlaceShown, explainedConditions(exception.Conditions),
		})
	}
	return x
}

func explainedConditions(list []engine.Explained) []explainedCondition {
	out := make([]explainedCondition, len(list))
	for i, c := range list {
		out[i] = explainedCondition{c.Condition, c.Value, c.Truth.String(), c.Branch, c.Implied}
	}
	return out
}

// write shows the explanation to people.
func (x *explainedEvent) write(w io.Writer) error {
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	x.writeEvent(out)
	for i := range x.Rules {
		x.Rules[i].write(out)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (x *explainedEvent) writeEvent(w io.Writer) {
	l := &x.Location
	row(w, "event", x.EventID, x.Time)
	row(w, "who", x.Actor)
	row(w, "did", x.Action+" "+strings.Join(x.Datasets, ", "))
	where := l.Country + ": " + l.Verdict
	if l.Reason != "" {
		where += " (" + l.Reason + ")"
	}
	row(w, "where", where, "expected "+l.Expected, "confidence "+l.Confidence)
	for _, e := range l.Evidence {
		row(w, "", e.Kind, e.Place)
	}
	if len(l.Evidence) == 0 {
		row(w, "", "no evidence of a place")
	}
	row(w, "address", cmp.Or(l.Address, "none"), l.Network)
	if len(x.Disagreements) > 0 {
		row(w, "open", "source and reference files differ: "+strings.Join(x.Disagreements, ", "))
	}
	row(w, "verdict", strings.TrimSpace(x.Verdict+" "+x.Severity))
	if x.Arrival != "" {
		row(w, "arrived", x.Arrival+": a worker judges such an event at its own time, as here, and as of its arrival")
	}
	if s := x.Stored; s != nil {
		row(w, "stored", s.Position, fmt.Sprintf("was %s, by bundle sha256:%.12s…", strings.TrimSpace(s.Verdict+" "+s.Severity), s.Bundle))
		if len(s.Copies) > 0 {
			row(w, "copies", strings.Join(s.Copies, ", "))
		}
	}
}

func (r *explainedRule) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s  %s", r.ID, strings.TrimSpace(r.Outcome+" "+r.Severity))
	if r.Status != "active" {
		fmt.Fprintf(w, " (%s)", r.Status)
	}
	fmt.Fprintf(w, "  %s\n", printable(r.Title))
	if r.NoData {
		row(w, "", "the operation touches no user data, so the rule does not speak")
	}
	if r.Ignored {
		row(w, "", "unknown, and on_unknown: ignore makes it none")
	}
	for _, step := range r.Steps {
		row(w, "", step)
	}
	writeConditions(w, "  ", r.Conditions)
	for _, e := range r.Exceptions {
		fmt.Fprintf(w, "  exception %s %s\n", e.ID, e.state())
		writeConditions(w, "    ", e.Conditions)
	}
}

// state says in words whether and why not an exception applies.
func (e *explainedException) state() string {
	switch {
	case e.Applies:
		return "applies"
	case !e.InForce:
		return "is not in force at the event's time"
	case slices.ContainsFunc(e.Conditions, func(c explainedCondition) bool { return c.Answer == engine.False.String() }):
		return "does not apply"
	case !e.PlaceShown:
		return "asks for more evidence of the place than there is"
	}
	return "does not apply: something it needs is unknown"
}

func writeConditions(w io.Writer, indent string, list []explainedCondition) {
	for _, c := range list {
		note := ""
		if c.Branch > 0 {
			note = fmt.Sprintf("branch %d of any", c.Branch)
		}
		if c.Implied {
			note = "implied by the kind"
		}
		row(w, indent+c.Answer, c.Condition, "event: "+c.Event, note)
	}
}

// row writes the cells of a line, safe for a terminal.
func row(w io.Writer, cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(printable(cells[i]), "\t", " ")
	}
	fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}
