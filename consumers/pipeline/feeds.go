package pipeline

import (
	"bytes"
	"fmt"

	"borderwatch/consumers/decode"
	"borderwatch/consumers/kafka"
)

// Feed is one stream of records of one shape. One topic may carry several, told apart by a header.
type Feed struct {
	Name    string // name in rows, metrics and messages
	Adapter string // a name that decode.New knows
	Scope   string // identity scope: feeds that deliver copies of the same records share one; Name where empty
	Topic   string
	// HeaderKey and HeaderValue select the records of this feed; an empty HeaderKey takes what no other feed of the
	// topic takes.
	HeaderKey, HeaderValue string
}

// feedTable finds the decoder of a record. It belongs to one goroutine, since decoders keep buffers.
type feedTable struct {
	byHeader []*openFeed
	rest     *openFeed // nil where every feed of the topic wants a header
}

type openFeed struct {
	Feed
	decoder decode.Decoder
	counts  *feedCounts // of the partition's metrics, nil before the first event
}

// openFeeds makes the decoders of a topic's feeds.
func openFeeds(feeds []Feed, topic string, limits decode.Limits) (*feedTable, error) {
	table := &feedTable{}
	for _, f := range feeds {
		if f.Topic != topic {
			continue
		}
		if f.Scope == "" {
			f.Scope = f.Name
		}
		d, err := decode.New(f.Adapter, decode.Feed{Name: f.Name, Scope: f.Scope, Limits: limits})
		if err != nil {
			return nil, fmt.Errorf("feed %s: %w", f.Name, err)
		}
		open := &openFeed{Feed: f, decoder: d}
		switch {
		case f.HeaderKey != "":
			table.byHeader = append(table.byHeader, open)
		case table.rest != nil:
			return nil, fmt.Errorf("feeds %s and %s of topic %s both take records without a header", table.rest.Name, f.Name, topic)
		default:
			table.rest = open
		}
	}
	if table.rest == nil && len(table.byHeader) == 0 {
		return nil, fmt.Errorf("topic %s has no feed: name the adapter that reads it under feeds", topic)
	}
	return table, nil
}

// of returns the feed that a record with these headers belongs to, nil where none wants it.
func (t *feedTable) of(headers []kafka.Header) *openFeed {
	for _, f := range t.byHeader {
		for i := range headers {
			if string(headers[i].Key) == f.HeaderKey && string(bytes.TrimSpace(headers[i].Value)) == f.HeaderValue {
				return f
			}
		}
	}
	return t.rest
}
