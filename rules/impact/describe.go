package impact

import (
	"strings"

	"borderwatch/schemas/access"
)

// maxNamed is how many countries of a place are named.
const maxNamed = 4

// describe copies what a person needs to find the event.
func (c *Change) describe(ev *access.Event, item int) {
	c.EventID, c.Scope, c.Time = strings.Clone(ev.ID), strings.Clone(ev.Source.Scope), ev.Time
	c.Actor, c.Country = strings.Clone(ev.Actor.ID), countryOf(ev)
	if item < len(ev.Data.Items) {
		c.Dataset = strings.Clone(ev.Data.Items[item].Dataset)
	}
	if c.Dataset == "" {
		c.Dataset = unknown
	}
	c.Place = Position{Topic: strings.Clone(ev.Kafka.Topic), Partition: ev.Kafka.Partition, Offset: ev.Kafka.Offset}
}

const unknown = "unknown"

// countryOf names the countries that the place leaves open.
func countryOf(ev *access.Event) string {
	open := &ev.Location.Candidates
	switch {
	case open.All() || open.Empty():
		return unknown
	case open.Len() > maxNamed:
		return "one of several"
	}
	return open.String()
}
