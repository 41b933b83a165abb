// Package casework is the vocabulary of working on cases: what alerts add up to, what people did with them, and what they
// look at besides. Storage fills these types and the console shows them; in JSON they are what its API answers.
package casework

import "time"

// CaseFilter chooses cases. Empty fields choose all; Since bounds what is read.
type CaseFilter struct {
	Since    time.Time // found from here on
	ID       string    // 32 hexadecimal digits
	Severity string
	Rule     string
	Actor    string
	Country  string // candidates as stored: "CN", "CN|DE" or "any"
	Dataset  string
	Kind     string // policy or gap
	Limit    int
}

// Facts are what the alerts of a case add up to, found since the filter's time.
type Facts struct {
	ID        string    `ch:"id" json:"id"`
	Kind      string    `ch:"kind" json:"kind"`
	Severity  string    `ch:"severity" json:"severity"`
	Rules     []string  `ch:"rules" json:"rules"`
	ActorID   string    `ch:"actor" json:"actor_id"` // "" for a gap case
	Actors    uint64    `ch:"actors" json:"actors"`
	Countries []string  `ch:"countries" json:"countries"` // lists have at most 20 members
	Feeds     []string  `ch:"feeds" json:"feeds"`
	Systems   []string  `ch:"systems" json:"systems"`
	Datasets  []string  `ch:"datasets" json:"datasets"`
	Classes   []string  `ch:"classes" json:"classes"`
	First     time.Time `ch:"first" json:"first"`       // time of the earliest event
	Last      time.Time `ch:"last" json:"last"`         // time of the latest event
	Detected  time.Time `ch:"detected" json:"detected"` // when the earliest alert was stored
	Arrived   time.Time `ch:"arrived" json:"arrived"`   // when the latest alert was stored
	Alerts    uint64    `ch:"alerts" json:"alerts"`
	Hour      uint64    `ch:"hour" json:"hour"` // alerts found in the last hour
	Day       uint64    `ch:"day" json:"day"`   // alerts found in the last 24 hours
	Why       string    `ch:"why" json:"why"`   // of the gravest and latest alert
}

// Growth is what came to a case after a time.
type Growth struct {
	ID       string   `ch:"id" json:"id"`
	Alerts   uint64   `ch:"alerts" json:"alerts"`
	Day      uint64   `ch:"day" json:"day"` // of these in the last 24 hours
	Datasets []string `ch:"datasets" json:"datasets"`
	Classes  []string `ch:"classes" json:"classes"`
}
