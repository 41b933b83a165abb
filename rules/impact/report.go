package impact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Format names the report's version.
const Format = "borderwatch/impact/v1"

// Report is what a change does. Its JSON depends on the events and the two sides alone, so whoever makes it again gets
// the same bytes.
type Report struct {
	Format  string   `json:"format"`
	Old     Judged   `json:"old"`
	New     Judged   `json:"new"`
	Parts   []Part   `json:"parts"`  // what changed in which part; null where that was not asked
	Events  *Events  `json:"events"` // null where no events were judged
	Alerts  *Alerts  `json:"alerts,omitempty"`
	Shadow  *Alerts  `json:"shadow,omitempty"` // of shadow rules, which notify nobody
	Rules   *Table   `json:"by_rule,omitempty"`
	Places  *Table   `json:"by_country,omitempty"`
	People  *Table   `json:"by_person,omitempty"`
	Data    *Table   `json:"by_dataset,omitempty"`
	Days    *Table   `json:"by_day,omitempty"`
	Samples []Sample `json:"examples,omitempty"`
	// Evidence tells, per exception that asks about the country, how many events brought the evidence it asks for.
	Evidence []Evidence `json:"exceptions,omitempty"`
}

// Judged is one side.
type Judged struct {
	By     string `json:"by"` // stored: what was found then; rules: the bundle; nothing
	Bundle string `json:"bundle,omitempty"`
}

// Events says which events were judged.
type Events struct {
	From       string `json:"from,omitempty"`   // inclusive, RFC 3339
	Until      string `json:"until,omitempty"`  // exclusive
	File       string `json:"sha256,omitempty"` // of the file that they were read from
	References string `json:"references"`       // stored: completed as they were then; bundle: anew, by each side's files
	Read       uint64 `json:"read"`
	Late       uint64 `json:"late"` // judged at both their times
	Refused    uint64 `json:"refused,omitempty"`
	// Copies are alerts of further copies of an event, which are counted once.
	Copies      uint64 `json:"copies"`
	CopiesLimit bool   `json:"copies_limit_reached,omitempty"` // from then on copies were counted
}

// Alerts counts alerts and what happens to them.
type Alerts struct {
	Before  Levels `json:"before"`
	After   Levels `json:"after"`
	Changes Counts `json:"changes"`
}

// Levels counts alerts that speak by severity, and those that are suppressed.
type Levels struct {
	Info       uint64 `json:"info"`
	Low        uint64 `json:"low"`
	Medium     uint64 `json:"medium"`
	High       uint64 `json:"high"`
	Critical   uint64 `json:"critical"`
	Suppressed uint64 `json:"suppressed"`
}

// Counts counts what happens to alerts.
type Counts struct {
	Appear     uint64 `json:"appear"`
	Vanish     uint64 `json:"vanish"`
	Suppressed uint64 `json:"become_suppressed"`
	Speak      uint64 `json:"no_longer_suppressed"`
	Raised     uint64 `json:"raised"`
	Lowered    uint64 `json:"lowered"`
	Reworded   uint64 `json:"other_outcome"`
	Quiet      uint64 `json:"in_silence"`
}

// Table counts changes by one property, the most changes first.
type Table struct {
	Rows []Row `json:"rows"`
	// More counts what is not in Rows.
	More *More `json:"more,omitempty"`
}

// Row is one line of a table.
type Row struct {
	Key    string `json:"key"`
	Shadow bool   `json:"shadow,omitempty"` // of a rule: its shadow alerts
	Counts
}

// More is the remainder of a table. Where Least is set there are at least so many keys.
type More struct {
	Keys  int  `json:"keys"`
	Least bool `json:"at_least,omitempty"`
	Counts
}

// Sample is one change, for people to look at.
type Sample struct {
	Rule     string   `json:"rule"`
	Shadow   bool     `json:"shadow,omitempty"`
	Change   string   `json:"change"`
	Before   string   `json:"before"` // outcome and severity, "none" where there is no alert
	After    string   `json:"after"`
	EventID  string   `json:"event_id"`
	Scope    string   `json:"scope"`
	Time     string   `json:"time"`
	Actor    string   `json:"actor"`
	Dataset  string   `json:"dataset"`
	Country  string   `json:"country"`
	Position Position `json:"position"`
}

// Evidence tells whether an exception can ever apply.
type Evidence struct {
	Exception string `json:"exception"`
	Asks      string `json:"asks"` // agree or single
	Days      int    `json:"days"` // of the last so many days; 0: of all events read
	Seen
}

// Never reports whether events matched and none had the evidence asked for.
func (e *Evidence) Never() bool { return e.Matching > 0 && e.Shown == 0 }

// JSON is the canonical form of the report: indented, one line end at the end.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Digest is the SHA-256 of the canonical form, in hexadecimal: what a signed statement calls the impact.
func (r *Report) Digest() (string, error) {
	text, err := r.JSON()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
