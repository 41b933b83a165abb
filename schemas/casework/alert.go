package casework

import "time"

// AlertFilter chooses alerts. Empty fields choose all.
type AlertFilter struct {
	Since   time.Time // found from here on
	ID      string    // 32 hexadecimal digits
	Case    string
	Rule    string
	Actor   string
	Country string
	Outcome string
	// Shadow is yes, no or "" for both.
	Shadow string
	Before time.Time // of events; zero for the latest
	Limit  int
}

// Alert is one alert with everything that its row has for people.
type Alert struct {
	ID              string    `ch:"id" json:"id"`
	CaseID          string    `ch:"case" json:"case_id"`
	CaseKind        string    `ch:"kind" json:"kind"`
	Time            time.Time `ch:"time" json:"time"`
	Detected        time.Time `ch:"detected" json:"detected"`
	RuleID          string    `ch:"rule_id" json:"rule_id"`
	Outcome         string    `ch:"outcome_word" json:"outcome"`
	Severity        string    `ch:"severity_word" json:"severity"`
	Shadow          bool      `ch:"shadow" json:"shadow"`
	Rules           []string  `ch:"rule_list" json:"rules"`
	Missing         []string  `ch:"missing_list" json:"missing"`
	Exceptions      []string  `ch:"exception_list" json:"exceptions"` // id=ticket
	Why             string    `ch:"why" json:"why"`
	Feed            string    `ch:"feed" json:"feed"`
	EventID         string    `ch:"event_id" json:"event_id"`
	Content         string    `ch:"content_hex" json:"content"`
	ActorID         string    `ch:"actor_id" json:"actor_id"`
	ActorKind       string    `ch:"actor_kind_word" json:"actor_kind"`
	Employer        string    `ch:"actor_employer_entity" json:"actor_employer_entity"`
	EmployerCountry string    `ch:"actor_employer_country" json:"actor_employer_country"`
	SessionID       string    `ch:"session_id" json:"session_id"`
	SourceIP        string    `ch:"source_ip" json:"source_ip"`
	Country         string    `ch:"location_country" json:"location_country"`
	LocationVerdict string    `ch:"location_verdict_word" json:"location_verdict"`
	LocationReason  string    `ch:"location_reason" json:"location_reason"`
	Expected        string    `ch:"expected" json:"location_expected"`
	Confidence      string    `ch:"confidence" json:"location_confidence"`
	Evidence        []string  `ch:"evidence" json:"location_evidence"` // kind=place
	ASN             uint32    `ch:"network_asn" json:"network_asn"`
	NetworkOrg      string    `ch:"network_org" json:"network_org"`
	NetworkKind     string    `ch:"network_kind_word" json:"network_kind"`
	Action          string    `ch:"action_word" json:"action"`
	AccessOutcome   string    `ch:"access_outcome_word" json:"access_outcome"`
	DataItem        uint16    `ch:"data_item" json:"data_item"`
	Dataset         string    `ch:"dataset" json:"dataset"`
	System          string    `ch:"system" json:"system"`
	Regions         string    `ch:"subject_regions" json:"subject_regions"`
	Classes         string    `ch:"classes" json:"classes"`
	Categories      string    `ch:"categories" json:"categories"`
	Form            string    `ch:"form_word" json:"form"`
	StorageCountry  string    `ch:"storage_country" json:"storage_country"`
	Records         int64     `ch:"records" json:"records"` // -1 where unknown
	DestCountry     string    `ch:"dest_country" json:"dest_country"`
	DestEntity      string    `ch:"dest_entity" json:"dest_entity"`
	ApprovalID      string    `ch:"approval_id" json:"approval_id"`
	TicketID        string    `ch:"ticket_id" json:"ticket_id"`
	Bundle          string    `ch:"bundle" json:"bundle"`
	Source          string    `ch:"source" json:"source"`
	Topic           string    `ch:"topic" json:"topic"`
	Partition       int32     `ch:"partition" json:"partition"`
	Offset          int64     `ch:"offset" json:"offset"`
	Batch           string    `ch:"batch" json:"batch"`
}

// Moment is one access of an actor.
type Moment struct {
	Time            time.Time `ch:"time" json:"time"`
	Action          string    `ch:"action_word" json:"action"`
	Outcome         string    `ch:"outcome_word" json:"outcome"`
	Dataset         string    `ch:"dataset" json:"dataset"`
	Country         string    `ch:"location_country" json:"location_country"`
	LocationVerdict string    `ch:"location_verdict_word" json:"location_verdict"`
	SourceIP        string    `ch:"source_ip" json:"source_ip"`
	Verdict         string    `ch:"verdict_word" json:"verdict"`
	Severity        string    `ch:"severity_word" json:"severity"`
	EventID         string    `ch:"event_id" json:"event_id"`
}

// Point is a number of alerts in a bucket of time.
type Point struct {
	Bucket time.Time `ch:"bucket" json:"bucket"`
	Series string    `ch:"series" json:"series"`
	Alerts uint64    `ch:"alerts" json:"alerts"`
}
