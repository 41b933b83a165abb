package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"sync"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/store"
	"borderwatch/dashboards/service"
	"borderwatch/schemas/casework"
)

// judge finds what alerts were judged by: the stored event, and the bundle from the archive.
type judge struct {
	store *store.Store

	mu     sync.Mutex
	recent []*bundle.Bundle // the last used at the end
}

// keptBundles stay compiled: each holds its location database.
const keptBundles = 2

func newJudge(s *store.Store) *judge { return &judge{store: s} }

// Judgement implements service.Judge.
func (j *judge) Judgement(ctx context.Context, a *casework.Alert) (service.Judgement, error) {
	b, err := j.bundle(ctx, a.Bundle)
	if err != nil {
		return service.Judgement{}, err
	}
	at := store.EventPlace{Source: a.Source, Topic: a.Topic, Partition: a.Partition, Offset: a.Offset}
	var found *store.StoredEvent
	err = j.store.NewReader().Read(ctx, at.Window(), store.Span{}, false, func(e *store.StoredEvent) error {
		found = e // the reader goes no further, and is not used again
		return nil
	})
	if err != nil {
		return service.Judgement{}, err
	}
	if found == nil {
		return service.Judgement{}, fmt.Errorf("the event of alert %s is not stored", a.ID)
	}
	rule := a.RuleID
	if len(a.Rules) > 0 && ruleText(b.Parts, rule) == "" {
		rule = a.Rules[0]
	}
	return service.Judgement{Event: &found.Event, Engine: b.Engine, Text: ruleText(b.Parts, rule)}, nil
}

// bundle fetches and compiles one at a time: two people who open the same alert need it once.
func (j *judge) bundle(ctx context.Context, digest string) (*bundle.Bundle, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, b := range j.recent {
		if b.Digest == digest {
			j.recent = append(append(j.recent[:i:i], j.recent[i+1:]...), b)
			return b, nil
		}
	}
	b, err := bundle.Fetch(ctx, j.store, digest)
	if err != nil {
		return nil, err
	}
	if len(j.recent) == keptBundles {
		j.recent = j.recent[1:]
	}
	j.recent = append(j.recent, b)
	return b, nil
}

// ruleText is the document of a rule as written, "" where no part has it.
func ruleText(parts []bundle.Part, id string) string {
	named := regexp.MustCompile(`(?m)^id:[ \t]*["']?` + regexp.QuoteMeta(id) + `["']?[ \t]*(#.*)?\r?$`)
	for i := range parts {
		if !bytes.Contains(parts[i].Data, []byte(id)) {
			continue
		}
		for _, document := range documentEnd.Split(string(parts[i].Data), -1) {
			if named.MatchString(document) {
				return document
			}
		}
	}
	return ""
}

var documentEnd = regexp.MustCompile(`(?m)^---[ \t]*\r?\n`)
