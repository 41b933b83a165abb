package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/store"
)

// explainedStored is where a stored event lies and what was found then.
type explainedStored struct {
	Position string   `json:"position"` // topic[partition]@offset
	Source   string   `json:"source"`
	Bundle   string   `json:"bundle"` // that judged it
	Verdict  string   `json:"verdict"`
	Severity string   `json:"severity,omitempty"`
	Copies   []string `json:"copies,omitempty"` // positions of further copies
}

// fetch reads a stored event, as it was completed when it arrived.
func (f *explainFlags) fetch(ctx context.Context) (*store.StoredEvent, *explainedStored, error) {
	loaded, err := f.config.load(config.NeedClickHouse)
	if err != nil {
		return nil, nil, err
	}
	s, err := openReader(ctx, loaded)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	places, err := s.Places(ctx, f.eventID)
	if err != nil {
		return nil, nil, err
	}
	place, err := f.choose(places)
	if err != nil {
		return nil, nil, usageError{err}
	}
	var found *store.StoredEvent
	err = s.NewReader().Read(ctx, place.Window(), store.Span{}, false, func(e *store.StoredEvent) error {
		found = e // the reader goes no further, and is not used again
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("%s: the row is gone", positionOf(place))
	}
	if err != nil {
		return nil, nil, err
	}
	x := &explainedStored{Position: positionOf(place), Source: place.Source, Bundle: found.Bundle, Verdict: found.Outcome.String(), Severity: severityWord(found.Severity)}
	for i := range places {
		if places[i] != *place {
			x.Copies = append(x.Copies, positionOf(&places[i]))
		}
	}
	return found, x, nil
}

// choose picks one of the copies of an event: the one at --position, else the first, as long as they all say the same.
func (f *explainFlags) choose(places []store.EventPlace) (*store.EventPlace, error) {
	if len(places) == 0 {
		return nil, fmt.Errorf("--event-id: no stored event or alert is called %q", f.eventID)
	}
	var at []string
	differ := false
	for i := range places {
		p := &places[i]
		if f.position != "" && f.isAt(p) {
			return p, nil
		}
		at = append(at, positionOf(p))
		differ = differ || p.Content != places[0].Content
	}
	switch {
	case f.position != "":
		return nil, fmt.Errorf("--position %s: the event lies at %s", f.position, strings.Join(at, ", "))
	case differ:
		return nil, fmt.Errorf("several events of different content are called %q, say which by --position: %s", f.eventID, strings.Join(at, ", "))
	}
	return &places[0], nil
}

// isAt reports whether --position means the place: TOPIC/PARTITION/OFFSET, or as it is shown.
func (f *explainFlags) isAt(p *store.EventPlace) bool {
	plain := p.Topic + "/" + strconv.Itoa(int(p.Partition)) + "/" + strconv.FormatInt(p.Offset, 10)
	return f.position == plain || f.position == positionOf(p)
}

func positionOf(p *store.EventPlace) string {
	return fmt.Sprintf("%s[%d]@%d", p.Topic, p.Partition, p.Offset)
}

var errOneEvent = errors.New("name the event by --event (the file, or - for standard input) or by --event-id (of a stored one)")
