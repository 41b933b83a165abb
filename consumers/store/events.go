package store

import (
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// events is the block of event_rows.
type events struct {
	table
	header
	bundle            *one
	feed, scope       *dictionary
	eventID           *text
	content           *fixed
	time, seq         *fixed
	actor             actorColumns
	place             placeColumns
	action, outcome   *fixed
	data              dataColumns
	moreItems         *text
	exporter          *dictionary
	subjects, records *fixed
	bytes             *fixed
	dest              destColumns
	approval          approvalColumns
	ticket            *dictionary
	justification     *text
	mechanism         *fixed
	gatewayID         *dictionary
	gatewayDecision   *fixed
	added             *keyed[access.FieldSet]
	differs           *dictionary
	verdict, severity *fixed
	alerts            *fixed
	matched           *dictionary
	near              nearColumn
	nearTotal         *fixed
	salt              *fixed
	scratch           []byte
}

func newEvents() *events {
	e := &events{table: table{name: "event_rows"}}
	t := &e.table
	e.header = newHeader(t)
	e.bundle = t.constantText("bundle")
	e.feed, e.scope = t.dictionary("feed"), t.dictionary("scope")
	e.eventID, e.content = t.text("event_id"), t.fixed("content", "FixedString(16)", 16)
	e.time, e.seq = t.time("time"), t.int64("seq")
	e.actor = newActorColumns(t)
	e.place = newPlaceColumns(t)
	e.action, e.outcome = t.enum("action", "action"), t.enum("outcome", "outcome")
	e.data = newDataColumns(t)
	e.moreItems, e.exporter = t.text("more_items"), t.dictionary("exporter_entity")
	e.subjects, e.records, e.bytes = t.int64("subjects"), t.int64("records"), t.int64("bytes")
	e.dest = newDestColumns(t)
	e.approval = approvalColumns{t.dictionary("approval_id"), t.dictionary("approval_scope"), t.time("approval_until"), t.enum("approval_state", "approval_state")}
	e.ticket, e.justification = t.dictionary("ticket_id"), t.text("justification")
	e.mechanism = t.enum("mechanism", "mechanism")
	e.gatewayID, e.gatewayDecision = t.dictionary("gateway_id"), t.enum("gateway_decision", "decision")
	e.added = add(t, "added", newKeyed[access.FieldSet]())
	e.differs = t.dictionary("differs")
	e.verdict, e.severity = t.enum("verdict", "verdict"), t.enum("severity", "severity")
	e.alerts = t.fixed("alerts", "UInt16", 2)
	e.matched = t.dictionary("matched")
	e.near = newNearColumn(t)
	e.nearTotal = t.fixed("near_total", "UInt16", 2)
	e.salt = t.salt()
	return e
}

func (e *events) begin(b Batch) {
	e.table.reset()
	e.near.reset()
	e.header.begin(b)
	e.bundle.set(b.Bundle)
}

// add appends one event. Strings are copied.
func (e *events) add(ev *access.Event, content *access.Digest, v *alert.Verdict) {
	e.header.row(ev.Kafka.Offset, ev.Kafka.Timestamp)
	e.feed.string(ev.Source.Feed)
	e.scope.string(ev.Source.Scope)
	e.eventID.string(ev.ID)
	e.content.bytes(content[:])
	e.time.int64(int64(ev.Time))
	e.seq.int64(ev.Source.Seq)
	e.scratch = e.actor.add(ev, e.scratch)
	e.place.add(ev)
	e.action.byte(uint8(ev.Action))
	e.outcome.byte(uint8(ev.Outcome))
	e.data.add(&ev.Data.Items[0])
	e.addMore(ev)
	e.dest.add(&ev.Dest)
	e.approval.add(&ev.Approval)
	e.ticket.string(ev.Ticket)
	e.justification.string(ev.Reason)
	e.mechanism.byte(uint8(ev.Mechanism))
	e.gatewayID.string(ev.Gateway.ID)
	e.gatewayDecision.byte(uint8(ev.Gateway.Decision))
	e.addReferences(ev)
	e.addVerdict(v)
}

func (e *events) addMore(ev *access.Event) {
	e.scratch = e.scratch[:0]
	if len(ev.Data.Items) > 1 {
		e.scratch = appendItems(e.scratch, ev.Data.Items[1:])
	}
	e.moreItems.bytes(e.scratch)
	e.exporter.string(prefer(ev.Data.ExporterEntity, ev.Data.ExporterEntityRef))
	e.subjects.int64(ev.Data.Subjects)
	e.records.int64(ev.Data.Records)
	e.bytes.int64(ev.Data.Bytes)
}

// addReferences writes what the reference files added, and what the source said where they say otherwise.
func (e *events) addReferences(ev *access.Event) {
	var r references
	r.text = e.scratch[:0]
	r.compare(ev)
	e.scratch = r.text
	if !e.added.find(r.added) {
		e.added.define(r.added, fieldNames(r.added))
	}
	e.differs.bytes(r.text)
}

func (e *events) addVerdict(v *alert.Verdict) {
	e.verdict.byte(uint8(v.Outcome))
	e.severity.byte(uint8(v.Severity))
	e.alerts.uint16(clamp(len(v.Alerts)))
	e.scratch = e.scratch[:0]
	for i := range v.Matched {
		e.scratch = appendMatch(e.scratch, &v.Matched[i])
	}
	e.matched.bytes(e.scratch)
	e.near.add(v.Near)
	e.nearTotal.uint16(clamp(v.NearTotal))
}

// clamp fits a count into its column.
func clamp(n int) uint16 { return uint16(min(n, 1<<16-1)) }
