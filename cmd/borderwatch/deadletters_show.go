package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"borderwatch/consumers/store"
)

// jsonLetter is a dead letter as deadletters --json writes it. Null keys and values are null, bytes are base64.
type jsonLetter struct {
	Source    string       `json:"source"`
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Time      time.Time    `json:"time"` // of the record in Kafka
	Feed      string       `json:"feed,omitempty"`
	Code      string       `json:"code"`
	Reason    string       `json:"reason"`
	Field     string       `json:"field,omitempty"`
	Position  *int64       `json:"position,omitempty"` // byte offset in the value
	Key       []byte       `json:"key"`
	Value     []byte       `json:"value"`
	Headers   []jsonHeader `json:"headers,omitempty"`
	Fate      jsonFate     `json:"fate"`
}

type jsonHeader struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

type jsonFate struct {
	State    string         `json:"state"` // open, redriven, or uncertain
	Redriven []jsonRedriven `json:"redriven,omitempty"`
}

type jsonRedriven struct {
	Time      time.Time `json:"time"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Outcome   string    `json:"outcome"` // event, dead letter, or unread
	Text      string    `json:"text"`
}

// The states of a fate.
const (
	fateOpen      = "open"
	fateRedriven  = "redriven"
	fateUncertain = "uncertain" // a redrive was begun and nobody knows how it ended
)

func fateState(f *store.Fate) string {
	switch {
	case len(f.Redriven) > 0:
		return fateRedriven
	case f.Lost() > 0:
		return fateUncertain
	}
	return fateOpen
}

func newJSONLetter(d *store.StoredDeadLetter, f *store.Fate) *jsonLetter {
	key, value, headers := d.Record()
	out := &jsonLetter{
		Source: d.Source, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Time: d.KafkaTime.UTC(), Feed: d.Feed, Code: d.Code,
		Reason: d.Reason, Field: d.Field, Key: key, Value: value, Fate: jsonFate{State: fateState(f)},
	}
	if d.Position >= 0 {
		out.Position = &d.Position
	}
	for _, h := range headers {
		out.Headers = append(out.Headers, jsonHeader{string(h.Key), h.Value})
	}
	for _, r := range f.Redriven {
		out.Fate.Redriven = append(out.Fate.Redriven,
			jsonRedriven{r.Time.UTC(), r.To.Topic, r.To.Partition, r.To.Offset, outcomeOf(&r), r.Text})
	}
	return out
}

func outcomeOf(r *store.Redriven) string {
	switch {
	case r.Stored:
		return "event"
	case r.Refused:
		return "dead letter"
	}
	return "unread"
}

// showLetter writes one dead letter for programs or for people.
func showLetter(w io.Writer, d *store.StoredDeadLetter, f *store.Fate, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		return out.Encode(newJSONLetter(d, f))
	}
	var b strings.Builder
	feed := "no feed"
	if d.Feed != "" {
		feed = "feed " + d.Feed
	}
	fmt.Fprintf(&b, "\n%s[%d]@%d  %s  %s  %s\n", d.Topic, d.Partition, d.Offset, d.KafkaTime.UTC().Format(time.RFC3339), feed, d.Code)
	reason := d.Reason
	if d.Field != "" {
		reason = d.Field + ": " + reason
	}
	if d.Position >= 0 {
		reason += fmt.Sprintf(" (at byte %d of %d)", d.Position, len(d.Value))
	}
	fmt.Fprintf(&b, "  %s\n", reason)
	shown, marker := excerpt([]byte(d.Value), int(d.Position))
	fmt.Fprintf(&b, "    %s\n", shown)
	if marker != "" {
		fmt.Fprintf(&b, "    %s\n", marker)
	}
	for _, line := range fateLines(f) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, printable(strings.TrimRight(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// fateLines says what became of a dead letter, the earliest redrive first.
func fateLines(f *store.Fate) []string {
	var lines []string
	for _, r := range f.Redriven {
		what := map[string]string{"event": "stored as an event", "dead letter": "a dead letter again", "unread": "no worker has read it yet"}[outcomeOf(&r)]
		lines = append(lines, fmt.Sprintf("redriven %s to %s[%d]@%d, %s: %s", r.Time.UTC().Format(time.RFC3339),
			r.To.Topic, r.To.Partition, r.To.Offset, what, strings.ReplaceAll(r.Text, "\n", " ")))
	}
	if n := f.Lost(); n > 0 {
		lines = append(lines, fmt.Sprintf("uncertain: %s begun and not confirmed; look for the header %s in the topic", count(n, "redrive"), redriveHeader))
	}
	if len(lines) == 0 {
		return []string{"open"}
	}
	return lines
}
