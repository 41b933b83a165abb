// Package scenarios re-enacts known cases of law and practice with the shipped packs and the example company: each event
// goes the whole way through decoding, enriching and judging, and what every rule says of it is written beside it with
// the reason. Package bundle runs them; README.md shows them to people and is generated.
//
// An event gives what it is about and nothing else. What it leaves out is filled in: it happens on 2026-11-20 at 09:00
// UTC and comes from the feed "scenario". The files lie apart from the packs because a worker loads everything that lies
// in a pack's folder.
package scenarios

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:generate go test -run TestPage -update

//go:embed *.yaml
var files embed.FS

// Format is the format of the files.
const Format = "borderwatch/scenarios/v1"

// DefaultTime is when an event happens that does not say it.
const DefaultTime = "2026-11-20T09:00:00Z"

// packNames are the packs in the order of the page.
var packNames = []string{"eu", "us", "baseline"}

// Pack holds the scenarios of one pack.
type Pack struct {
	Name      string     `yaml:"pack"`
	Title     string     `yaml:"title"`
	Scenarios []Scenario `yaml:"scenarios"`
}

// Scenario is a known case: what is told of it, and the events that re-enact it.
type Scenario struct {
	Name   string  `yaml:"name"`
	Case   string  `yaml:"case"` // what is known, and what the law makes of it
	Events []Event `yaml:"events"`
}

// Event is one access and what must come of it.
type Event struct {
	What    string    `yaml:"what"`
	Record  yaml.Node `yaml:"record"`  // native JSON as YAML
	Arrival string    `yaml:"arrival"` // Kafka timestamp, the event's own time where silent
	Place   string    `yaml:"place"`   // verdict, candidates and expectation as found, not looked at where silent
	Expect  Expect    `yaml:"expect"`
	Why     string    `yaml:"why"`
}

// Expect lists the rules by what they say. A rule that is in no list must say none; None names those of which a reader
// would expect something else.
type Expect struct {
	Alert      []string `yaml:"alert"`
	Unknown    []string `yaml:"unknown"`
	Suppressed []string `yaml:"suppressed"`
	Shadow     []string `yaml:"shadow"` // alerts of rules on trial, which notify nobody
	None       []string `yaml:"none"`
	Exceptions []string `yaml:"exceptions"` // those that suppress
	Severity   string   `yaml:"severity"`   // the highest, not looked at where silent
}

// Read reads all files strictly: a key that does not exist is an error.
func Read() ([]Pack, error) {
	var packs []Pack
	for _, name := range packNames {
		data, err := files.ReadFile(name + ".yaml")
		if err != nil {
			return nil, err
		}
		pack, err := parse(data)
		if err == nil && pack.Name != name {
			err = fmt.Errorf("pack is %q", pack.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s.yaml: %w", name, err)
		}
		packs = append(packs, *pack)
	}
	return packs, nil
}

func parse(data []byte) (*Pack, error) {
	var file struct {
		Format string `yaml:"format"`
		Pack   `yaml:",inline"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if file.Format != Format {
		return nil, fmt.Errorf("format is %q, want %s", file.Format, Format)
	}
	return &file.Pack, file.check()
}

// check demands that every scenario tells its case and every event its reason.
func (p *Pack) check() error {
	var problems []error
	for i := range p.Scenarios {
		s := &p.Scenarios[i]
		if s.Name == "" || s.Case == "" || len(s.Events) == 0 {
			problems = append(problems, fmt.Errorf("scenario %d lacks name, case or events", i+1))
		}
		for j := range s.Events {
			if e := &s.Events[j]; e.What == "" || e.Why == "" || e.Record.Kind != yaml.MappingNode {
				problems = append(problems, fmt.Errorf("%s: event %d lacks what, why or its record", s.Name, j+1))
			}
		}
	}
	return errors.Join(problems...)
}

// JSON writes the record as a source would.
func (e *Event) JSON() ([]byte, error) {
	record := plain(&e.Record).(map[string]any)
	for key, value := range map[string]any{
		"schema": "bw/access/v1", "event_id": "e-1", "time": DefaultTime, "source.feed": "scenario",
	} {
		if _, given := record[key]; !given {
			record[key] = value
		}
	}
	return json.Marshal(record)
}

// plain turns a node into what JSON knows. Text stays as it is written, times and NO among it.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i := range n.Content {
			out[i] = plain(n.Content[i])
		}
		return out
	}
	if n.ShortTag() == "!!int" {
		return json.Number(n.Value)
	}
	return n.Value
}
