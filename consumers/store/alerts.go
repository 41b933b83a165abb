package store

import (
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// alerts is the block of alert_rows. A row has the who, what and where of its event, so that nobody needs a join.
type alerts struct {
	table
	header
	bundle                      *one
	alertID, caseID             *fixed
	caseKind                    *fixed
	ruleID                      *dictionary
	outcome, severity, shadow   *fixed
	rules                       *dictionary
	missing                     *keyed[access.FieldSet]
	exceptions                  *dictionary
	why                         *text
	feed, scope                 *dictionary
	eventID                     *text
	content, time               *fixed
	actorID                     *dictionary
	actorKind                   *fixed
	employer                    *dictionary
	employerCountry             *codes
	sessionID                   *text
	sourceIP                    *dictionary
	location                    locationColumns
	evidence                    evidenceColumn
	network                     networkColumns
	action, accessOutcome, item *fixed
	data                        dataColumns
	records                     *fixed
	dest                        destColumns
	approvalID, ticket          *dictionary
	gatewayDecision             *fixed
	scratch                     []byte
}

func newAlerts() *alerts {
	a := &alerts{table: table{name: "alert_rows"}}
	t := &a.table
	a.header = newHeader(t)
	a.bundle = t.constantText("bundle")
	a.alertID, a.caseID = t.fixed("alert_id", "FixedString(16)", 16), t.fixed("case_id", "FixedString(16)", 16)
	a.caseKind, a.ruleID = t.enum("case_kind", "case_kind"), t.dictionary("rule_id")
	a.outcome, a.severity, a.shadow = t.enum("outcome", "verdict"), t.enum("severity", "severity"), t.byte("shadow", "Bool")
	a.rules, a.missing = t.dictionary("rules"), add(t, "missing", newKeyed[access.FieldSet]())
	a.exceptions, a.why = t.dictionary("exceptions"), t.text("why")
	a.feed, a.scope = t.dictionary("feed"), t.dictionary("scope")
	a.eventID, a.content, a.time = t.text("event_id"), t.fixed("content", "FixedString(16)", 16), t.time("time")
	a.actorID, a.actorKind = t.dictionary("actor_id"), t.enum("actor_kind", "actor_kind")
	a.employer, a.employerCountry = t.dictionary("actor_employer_entity"), t.country("actor_employer_country")
	a.sessionID, a.sourceIP = t.text("session_id"), t.dictionary("source_ip")
	a.location, a.evidence, a.network = newLocationColumns(t), newEvidenceColumn(t), newNetworkColumns(t)
	a.action, a.accessOutcome = t.enum("action", "action"), t.enum("access_outcome", "outcome")
	a.item, a.data, a.records = t.fixed("data_item", "UInt16", 2), newDataColumns(t), t.int64("records")
	a.dest = newDestColumns(t)
	a.approvalID, a.ticket = t.dictionary("approval_id"), t.dictionary("ticket_id")
	a.gatewayDecision = t.enum("gateway_decision", "decision")
	return a
}

func (a *alerts) begin(b Batch) {
	a.table.reset()
	a.header.begin(b)
	a.bundle.set(b.Bundle)
}

// add appends one alert of an event.
func (a *alerts) add(ev *access.Event, content *access.Digest, item *alert.Item) {
	a.header.row(ev.Kafka.Offset, ev.Kafka.Timestamp)
	a.addItem(item)
	a.addEvent(ev, content, item.DataItem)
}

func (a *alerts) addItem(item *alert.Item) {
	a.alertID.bytes(item.ID[:])
	a.caseID.bytes(item.Case[:])
	a.caseKind.byte(uint8(item.CaseKind))
	a.ruleID.string(item.RuleID)
	a.outcome.byte(uint8(item.Outcome))
	a.severity.byte(uint8(item.Severity))
	a.shadow.bool(item.Shadow)
	a.scratch = a.scratch[:0]
	for i, rule := range item.Rules {
		if i > 0 {
			a.scratch = append(a.scratch, ' ')
		}
		a.scratch = append(a.scratch, rule...)
	}
	a.rules.bytes(a.scratch)
	if !a.missing.find(item.Missing) {
		a.missing.define(item.Missing, fieldNames(item.Missing))
	}
	a.scratch = appendExceptions(a.scratch[:0], item.Exceptions)
	a.exceptions.bytes(a.scratch)
	a.why.string(item.Why)
	a.item.uint16(clamp(item.DataItem))
}

func appendExceptions(b []byte, list []alert.Exception) []byte {
	for i, x := range list {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(append(append(b, x.ID...), '='), x.Ticket...)
	}
	return b
}

func (a *alerts) addEvent(ev *access.Event, content *access.Digest, item int) {
	a.feed.string(ev.Source.Feed)
	a.scope.string(ev.Source.Scope)
	a.eventID.string(ev.ID)
	a.content.bytes(content[:])
	a.time.int64(int64(ev.Time))
	a.addActor(ev)
	a.location.add(&ev.Location)
	a.evidence.add(&ev.Location)
	a.network.add(&ev.Network)
	a.action.byte(uint8(ev.Action))
	a.accessOutcome.byte(uint8(ev.Outcome))
	a.data.add(&ev.Data.Items[min(item, len(ev.Data.Items)-1)])
	a.records.int64(ev.Data.Records)
	a.dest.add(&ev.Dest)
	a.approvalID.string(ev.Approval.ID)
	a.ticket.string(ev.Ticket)
	a.gatewayDecision.byte(uint8(ev.Gateway.Decision))
}

func (a *alerts) addActor(ev *access.Event) {
	a.actorID.string(ev.Actor.ID)
	a.actorKind.byte(uint8(prefer(ev.Actor.Kind, ev.Actor.KindRef)))
	a.employer.string(prefer(ev.Actor.EmployerEntity, ev.Actor.EmployerEntityRef))
	a.employerCountry.country(prefer(ev.Actor.EmployerCountry, ev.Actor.EmployerCountryRef))
	a.sessionID.string(ev.Session.ID)
	a.sourceIP.string(ev.Source.Address)
}
