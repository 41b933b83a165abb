package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"borderwatch/consumers/ledger"
)

// Range is a run of offsets of one partition.
type Range struct {
	Source    string `json:"source"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	First     int64  `json:"first"`
	Last      int64  `json:"last"`
}

// Finding is one thing that is not as the evidence says.
type Finding struct {
	Kind     string `json:"kind"`            // short and stable, see README.md
	Where    string `json:"where"`           // partition and offsets, log indices, or the thing
	Range    *Range `json:"range,omitempty"` // where it is about offsets
	Text     string `json:"text"`
	File     string `json:"evidence,omitempty"` // name of the file with the evidence, where such files are written
	Evidence any    `json:"-"`
}

// Witness is a witness that was asked for and when it signed the checkpoint.
type Witness struct {
	Name   string     `json:"name"`
	Signed *time.Time `json:"signed,omitempty"` // absent where it did not
}

// Build is a program that wrote to the log.
type Build struct {
	Instance string    `json:"instance"`
	Version  string    `json:"version"`
	Commit   string    `json:"commit"`
	Binary   string    `json:"binary"` // SHA-256 of the executable
	Started  time.Time `json:"started"`
}

// FeedReport says what the running numbers of a feed's events tell.
type FeedReport struct {
	Topic    string    `json:"topic"`
	Feed     string    `json:"feed"`
	Events   int64     `json:"events"`
	Numbered int64     `json:"numbered"` // events with a source.seq
	First    int64     `json:"first"`
	Highest  int64     `json:"highest"`
	Missing  int64     `json:"missing"`
	Repeated int64     `json:"repeated"`
	Newest   time.Time `json:"newest"` // Kafka time of the newest record
}

// Report says what was checked and what was found.
type Report struct {
	Command    string       `json:"command"`
	LogSize    int64        `json:"log_size"`  // leaves under the checkpoint
	From       int64        `json:"from_leaf"` // where this run began
	Partitions int          `json:"partitions"`
	Batches    int          `json:"batches"`
	Gaps       int          `json:"gaps"`
	Records    int64        `json:"records"`
	Events     int64        `json:"events"`
	Alerts     int64        `json:"alerts"`
	Judged     int64        `json:"judged"` // records that were judged again
	Seconds    float64      `json:"seconds"`
	Witnesses  []Witness    `json:"witnesses,omitempty"`
	Builds     []Build      `json:"builds,omitempty"`
	Feeds      []FeedReport `json:"feeds,omitempty"`
	Sample     *Sample      `json:"sample,omitempty"`
	Limits     []string     `json:"limits,omitempty"` // what this run does not show
	Checkpoint string       `json:"checkpoint"`
	Seal       string       `json:"seal,omitempty"` // SHA-256 of the pack that was written
	Findings   []Finding    `json:"findings"`

	mu sync.Mutex
}

func (r *Report) add(f Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Findings = append(r.Findings, f)
}

// find adds a finding about offsets.
func (r *Report) find(kind string, at ledger.Span, evidence any, format string, args ...any) {
	r.add(Finding{Kind: kind, Where: place(at), Text: fmt.Sprintf(format, args...), Evidence: evidence,
		Range: &Range{at.Key.Source, at.Key.Topic, at.Key.Partition, at.First, at.Last}})
}

// limit says what this run does not show.
func (r *Report) limit(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Limits = append(r.Limits, fmt.Sprintf(format, args...))
}

// count adds what was read of a stretch.
func (r *Report) count(batches int, records, events, alerts, judged int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Batches += batches
	r.Records += records
	r.Events += events
	r.Alerts += alerts
	r.Judged += judged
}

// sort gives the findings an order that does not depend on which partition was read first: those about the log as they
// were found, then those about offsets by place.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		switch {
		case a.Range == nil && b.Range == nil:
			return 0
		case a.Range == nil:
			return -1
		case b.Range == nil:
			return 1
		}
		x, y := a.Range, b.Range
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.First, y.First), cmp.Compare(a.Kind, b.Kind))
	})
}

func (r *Report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%d leaves (from %d on), %d partitions, %d batches, %d gaps, %d records, %d events, %d alerts, %d records judged again, %.1f s\n",
		r.LogSize, r.From, r.Partitions, r.Batches, r.Gaps, r.Records, r.Events, r.Alerts, r.Judged, r.Seconds)
	for _, x := range r.Witnesses {
		if x.Signed == nil {
			fmt.Fprintf(w, "witness %s has not signed\n", x.Name)
		} else {
			fmt.Fprintf(w, "witness %s signed at %s\n", x.Name, x.Signed.Format(time.RFC3339))
		}
	}
	for _, b := range r.Builds {
		fmt.Fprintf(w, "build %s %s of commit %s, binary sha256:%.16s…, first seen %s\n", b.Instance, b.Version, b.Commit, b.Binary, b.Started.Format(time.RFC3339))
	}
	for _, f := range r.Feeds {
		r.feed(w, f)
	}
	if r.Sample != nil {
		r.Sample.write(w)
	}
	if r.Seal != "" {
		fmt.Fprintf(w, "pack written, sha256:%s\n", r.Seal)
	}
	for _, l := range r.Limits {
		fmt.Fprintf(w, "not shown: %s\n", l)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "FINDING %s %s: %s\n", f.Kind, f.Where, f.Text)
	}
	if len(r.Findings) == 0 {
		_, err := fmt.Fprintln(w, "no finding")
		return err
	}
	return nil
}

func (r *Report) feed(w io.Writer, f FeedReport) {
	fmt.Fprintf(w, "feed %s of %s: %d events, newest record %s, ", f.Feed, f.Topic, f.Events, f.Newest.UTC().Format(time.RFC3339))
	if f.Numbered == 0 {
		fmt.Fprintln(w, "no source.seq: events that were dropped before Kafka cannot be seen")
		return
	}
	fmt.Fprintf(w, "%d numbered %d to %d, %d missing, %d on more than one event\n", f.Numbered, f.First, f.Highest, f.Missing, f.Repeated)
}

func place(s ledger.Span) string {
	if s.First == s.Last {
		return fmt.Sprintf("%s offset %d", s.Key, s.First)
	}
	return fmt.Sprintf("%s offsets %d to %d", s.Key, s.First, s.Last)
}
