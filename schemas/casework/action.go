package casework

import "time"

// Action is something that a person did. It is added once and never changes.
type Action struct {
	ID          string    `ch:"id" json:"id"` // 32 hexadecimal digits, see NewActionID
	Time        time.Time `ch:"time" json:"time"`
	Who         string    `ch:"who" json:"who"`
	Roles       string    `ch:"roles" json:"roles"` // separated by spaces
	Channel     string    `ch:"channel" json:"channel"`
	Action      string    `ch:"action" json:"action"`
	Subject     string    `ch:"subject" json:"subject"`
	Done        bool      `ch:"done" json:"done"` // false where it was refused
	Detail      string    `ch:"detail" json:"detail"`
	LedgerIndex int64     `ch:"ledger_index" json:"ledger_index"` // -1 where no log was reachable
}

// Notice is a stored notice as people see it.
type Notice struct {
	Kind     string    `ch:"kind" json:"kind"`
	Subject  string    `ch:"subject" json:"subject"`
	Severity string    `ch:"severity_word" json:"severity"`
	Time     time.Time `ch:"time" json:"time"`
	Why      string    `ch:"why" json:"why"`
}

// FeedState is how fresh a feed is.
type FeedState struct {
	Feed     string    `ch:"feed" json:"feed"`
	Topic    string    `ch:"topic" json:"topic"`
	Events   uint64    `ch:"events" json:"events"`       // since the time asked for
	Hour     uint64    `ch:"hour" json:"hour"`           // of these in the last hour
	Newest   time.Time `ch:"newest" json:"newest"`       // Kafka time of the newest event
	Stored   time.Time `ch:"stored" json:"stored"`       // when the newest event was stored
	Unknown  uint64    `ch:"unjudged" json:"unjudged"`   // events with the verdict unknown
	DelaySec float64   `ch:"delay" json:"delay_seconds"` // median from Kafka time to being stored, seconds
}

// DeadLetterCount is how many records of a feed were refused for one reason.
type DeadLetterCount struct {
	Feed    string    `ch:"feed" json:"feed"`
	Code    string    `ch:"code" json:"code"`
	Records uint64    `ch:"records" json:"records"`
	Last    time.Time `ch:"last" json:"last"`
	Example string    `ch:"example" json:"example"`
}

// Proof is the receipt of a batch.
type Proof struct {
	Batch       string    `ch:"batch" json:"batch"`
	Topic       string    `ch:"topic" json:"topic"`
	Partition   int32     `ch:"partition" json:"partition"`
	First       int64     `ch:"first_offset" json:"first_offset"`
	Last        int64     `ch:"last_offset" json:"last_offset"`
	LedgerIndex uint64    `ch:"ledger_index" json:"ledger_index"`
	Worker      string    `ch:"worker" json:"worker"`
	Time        time.Time `ch:"batch_time" json:"batch_time"`
	Input       string    `ch:"input" json:"input_digest"` // SHA-256 over the records, hexadecimal
}

// InForce is a stretch of one partition that one bundle judged.
type InForce struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	From      int64     `json:"from_offset"`
	Bundle    string    `json:"bundle"`
	Since     time.Time `json:"since"`
}
