package service

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"borderwatch/schemas/casework"
)

// State is where a case stands.
type State string

// The states. A case in one of the last two is quiet until it goes on.
const (
	Open         State = "open"
	Taken        State = "taken"
	Waiting      State = "waiting" // acknowledged by one person, a second must confirm
	Acknowledged State = "acknowledged"
	Closed       State = "closed"
)

// States lists all states.
var States = []State{Open, Taken, Waiting, Acknowledged, Closed}

// MaxAcknowledged is the longest that a case can be acknowledged for.
const MaxAcknowledged = 30 * 24 * time.Hour

// NotifyWithin is the time of GDPR Art. 33(1): a breach is notified to the supervisory authority within 72 hours after the
// controller became aware of it. The clock starts when a person first sees the case.
const NotifyWithin = 72 * time.Hour

// Step is something that a person did with a case.
type Step struct {
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Action string    `json:"action"`
	Detail Detail    `json:"detail"`
	Leaf   int64     `json:"ledger_index"` // -1 without a leaf
}

// Detail is what belongs to a step. Severity and what follows say what an acknowledgement was given for.
type Detail struct {
	Text     string    `json:"text,omitempty"` // comment or reason
	Seen     time.Time `json:"seen,omitzero"`  // when the latest alert was found that the step is about; what comes after opens the case again
	Ticket   string    `json:"ticket,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Severity string    `json:"severity,omitempty"`
	Rate     uint64    `json:"rate,omitempty"` // alerts a day
	Datasets []string  `json:"datasets,omitempty"`
	Classes  []string  `json:"classes,omitempty"`
}

// Case is what a person works on: what its alerts add up to, and what was done.
type Case struct {
	casework.Facts
	State     State     `json:"state"`
	Owner     string    `json:"owner,omitempty"`
	Again     string    `json:"again,omitempty"` // why a quiet case is open again
	Ticket    string    `json:"ticket,omitempty"`
	QuietTill time.Time `json:"acknowledged_until,omitzero"`
	Seen      time.Time `json:"first_seen_by_person,omitzero"`
	SeenBy    string    `json:"seen_by,omitempty"`
	NotifyBy  time.Time `json:"notify_by,omitzero"` // Seen + NotifyWithin
	Steps     []Step    `json:"steps"`

	acknowledgement Step // the one in force or waiting
	quietSince      time.Time
}

// NeedsTwo tells whether a second person has to confirm an acknowledgement of the case.
func (c *Case) NeedsTwo() bool { return c.Severity == "high" || c.Severity == "critical" }

// Quiet tells whether nobody has to look at the case.
func (c *Case) Quiet() bool { return c.State == Acknowledged || c.State == Closed }

// fold brings a case to where its steps leave it. What arrived since is looked at by wake.
func (c *Case) fold(actions []casework.Action) {
	c.State, c.Steps = Open, []Step{}
	for _, a := range actions {
		step := Step{Time: a.Time, Who: a.Who, Action: a.Action, Leaf: a.LedgerIndex}
		if a.Detail != "" {
			if err := json.Unmarshal([]byte(a.Detail), &step.Detail); err != nil {
				step.Detail.Text = "(unreadable) " + a.Detail
			}
		}
		if c.apply(step) {
			c.Steps = append(c.Steps, step)
		}
	}
}

// apply takes one step and tells whether it belongs to the case's history.
func (c *Case) apply(step Step) bool {
	switch Operation(step.Action) {
	case seen:
		c.see(step)
		return false
	case TakeCase:
		c.Owner = step.Who
		if c.State == Open {
			c.State = Taken
		}
	case CommentCase:
	case AcknowledgeCase:
		c.acknowledge(step)
	case ConfirmCase:
		if c.State == Waiting && step.Who != c.acknowledgement.Who {
			c.State, c.quietSince = Acknowledged, step.about()
		}
	case CloseCase:
		c.State, c.quietSince, c.QuietTill = Closed, step.about(), time.Time{}
	case ReopenCase:
		c.wakeUp("")
	default:
		return false
	}
	return true
}

// about is the time up to which a step speaks of alerts.
func (s *Step) about() time.Time {
	if s.Detail.Seen.IsZero() {
		return s.Time
	}
	return s.Detail.Seen
}

// seen is the step that is recorded when a person opens a case for the first time.
const seen Operation = "seen"

func (c *Case) see(step Step) {
	if c.Seen.IsZero() {
		c.Seen, c.SeenBy, c.NotifyBy = step.Time, step.Who, step.Time.Add(NotifyWithin)
	}
}

func (c *Case) acknowledge(step Step) {
	c.acknowledgement, c.QuietTill, c.Ticket = step, step.Detail.Until, step.Detail.Ticket
	if needsTwo := step.Detail.Severity == "high" || step.Detail.Severity == "critical"; needsTwo {
		c.State = Waiting
		return
	}
	c.State, c.quietSince = Acknowledged, step.about()
}

func (c *Case) wakeUp(why string) {
	c.State, c.Again, c.QuietTill = Open, why, time.Time{}
	if c.Owner != "" {
		c.State = Taken
	}
}

// wake opens a quiet case again where it goes on: a closed one with the next alert; an acknowledged one at its end, at twice
// the acknowledged daily rate, or with a data set or class that was not there.
func (c *Case) wake(g casework.Growth, now time.Time) {
	switch c.State {
	case Closed:
		if g.Alerts > 0 {
			c.wakeUp(fmt.Sprintf("went on after it was closed, new alerts: %d", g.Alerts))
		}
	case Acknowledged:
		if why := c.speaks(g, now); why != "" {
			c.wakeUp(why)
		}
	case Waiting:
		if !now.Before(c.QuietTill) {
			c.wakeUp("the acknowledgement ended before a second person confirmed it")
		}
	}
}

func (c *Case) speaks(g casework.Growth, now time.Time) string {
	given := c.acknowledgement.Detail
	if !now.Before(given.Until) {
		return "the acknowledgement ended"
	}
	if severer(c.Severity, given.Severity) {
		return "the severity rose from " + given.Severity + " to " + c.Severity
	}
	if g.Day >= 2*max(1, given.Rate) {
		return fmt.Sprintf("%d alerts in a day, acknowledged were %d", g.Day, given.Rate)
	}
	if added := missingFrom(given.Datasets, g.Datasets); added != "" {
		return "a new data set: " + added
	}
	if added := missingFrom(given.Classes, g.Classes); added != "" {
		return "a new class of data: " + added
	}
	return ""
}

var severities = []string{"none", "info", "low", "medium", "high", "critical"}

func severer(a, b string) bool { return slices.Index(severities, a) > slices.Index(severities, b) }

// missingFrom names the first of the values that the known ones lack. Both may hold several words joined with a comma.
func missingFrom(known, values []string) string {
	have := strings.Split(strings.Join(known, ","), ",")
	for _, v := range strings.Split(strings.Join(values, ","), ",") {
		if v != "" && !slices.Contains(have, v) {
			return v
		}
	}
	return ""
}
