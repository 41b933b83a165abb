package store

import (
	"math/bits"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// StoredEvent is an event as it was judged: what the source said, what the reference files of that bundle added, and the
// finding about the place. It judges as it did then. Rows do not hold the region and the name of the endpoint that was
// called, nor which side gave a value on which both agree; where the source and the roster gave groups, all count as the
// source's.
type StoredEvent struct {
	Event    access.Event
	Content  access.Digest
	Bundle   string // digest of the bundle that judged
	Outcome  alert.Outcome
	Severity alert.Severity
	Alerts   []StoredAlert // by rule; empty unless asked for
}

// StoredAlert is what was found then.
type StoredAlert struct {
	ID       access.Digest
	RuleID   string
	Outcome  alert.Outcome
	Severity alert.Severity
	Shadow   bool
	DataItem int
}

// eventColumns are the columns of event_rows that judging needs.
type eventColumns struct {
	columns
	offset, kafkaTime, content, time, seq *values
	feed, scope, bundle                   *words[string]
	eventID                               *texts

	sourceIP, actorID, employerEntity                *words[string]
	actorKind, covered, employment, mfa              *values
	via, groups                                      *words[textList]
	employerCountry, homeCountry                     *words[access.Country]
	sessionID                                        *texts
	office, physical, badge, device                  *words[access.Place]
	client                                           *words[string]
	candidates                                       *words[access.CountrySet]
	locationVerdict, expected, confidence            *values
	locationReason, networkOrg                       *words[string]
	addressOnly, contested, asn, networkKind         *values
	evidence                                         *words[evidence]
	action, outcome, form                            *values
	dataset, system                                  *words[string]
	regions, classes, categories                     *words[access.Set]
	storage, destCountry                             *words[access.Country]
	moreItems, justification                         *texts
	exporter, destSystem, destEntity                 *words[string]
	subjects, records, bytes                         *values
	approvalID, approvalScope, ticket, gatewayID     *words[string]
	approvalUntil, approvalState, mechanism, gateway *values
	added                                            *words[access.FieldSet]
	differs                                          *words[[]difference]
	verdict, severity                                *values
}

func newEventColumns() *eventColumns {
	c := &eventColumns{}
	c.offset, c.kafkaTime, c.content = c.int64("offset"), c.columns.time("kafka_time"), c.digest("content")
	c.time, c.seq = c.columns.time("time"), c.int64("seq")
	c.feed, c.scope, c.bundle, c.eventID = c.word("feed"), c.word("scope"), c.word("bundle"), c.text("event_id")
	c.actorColumns()
	c.placeColumns()
	c.dataColumns()
	c.approvalID, c.approvalScope = c.word("approval_id"), c.word("approval_scope")
	c.approvalUntil, c.approvalState = c.columns.time("approval_until"), c.enum("approval_state", "approval_state")
	c.ticket, c.justification, c.mechanism = c.word("ticket_id"), c.text("justification"), c.enum("mechanism", "mechanism")
	c.gatewayID, c.gateway = c.word("gateway_id"), c.enum("gateway_decision", "decision")
	c.added, c.differs = readWords(&c.columns, "added", parseFields), readWords(&c.columns, "differs", parseDifferences)
	c.verdict, c.severity = c.enum("verdict", "verdict"), c.enum("severity", "severity")
	return c
}

func (c *eventColumns) country(name string) *words[access.Country] {
	return readWords(&c.columns, name, parseCountry)
}

func (c *eventColumns) place(name string) *words[access.Place] {
	return readWords(&c.columns, name, access.ParsePlace)
}

func (c *eventColumns) actorColumns() {
	c.sourceIP, c.actorID, c.actorKind = c.word("source_ip"), c.word("actor_id"), c.enum("actor_kind", "actor_kind")
	c.via, c.groups = readWords(&c.columns, "actor_via", parseList), readWords(&c.columns, "actor_groups", parseList)
	c.employerCountry, c.employerEntity = c.country("actor_employer_country"), c.word("actor_employer_entity")
	c.homeCountry, c.covered = c.country("actor_home_country"), c.enum("actor_covered_person", "answer")
	c.employment, c.sessionID, c.mfa = c.enum("actor_employment", "employment"), c.text("session_id"), c.enum("session_mfa", "answer")
}

func (c *eventColumns) placeColumns() {
	c.office, c.physical = c.place("declared_office"), c.place("declared_physical")
	c.badge, c.device, c.client = c.place("presence_badge"), c.place("presence_device"), c.word("presence_client")
	c.candidates = readWords(&c.columns, "location_country", parseCandidates)
	c.locationVerdict, c.locationReason = c.enum("location_verdict", "location_verdict"), c.word("location_reason")
	c.expected, c.confidence = c.enum("location_expected", "expectation"), c.enum("location_confidence", "confidence")
	c.addressOnly, c.contested = c.bool("location_address_only"), c.bool("location_contested")
	c.evidence = readWords(&c.columns, "location_evidence", parseEvidence)
	c.asn, c.networkOrg = c.values("network_asn", "UInt32", 4), c.word("network_org")
	c.networkKind = c.enum("network_kind", "network_kind")
}

func (c *eventColumns) dataColumns() {
	c.action, c.outcome = c.enum("action", "action"), c.enum("outcome", "outcome")
	c.dataset, c.system = c.word("dataset"), c.word("system")
	c.regions = readWords(&c.columns, "subject_regions", parseSet(access.SubjectRegions))
	c.classes = readWords(&c.columns, "classes", parseSet(access.DataClasses))
	c.categories = readWords(&c.columns, "categories", parseSet(access.DataCategories))
	c.form, c.storage = c.enum("form", "data_form"), c.country("storage_country")
	c.moreItems, c.exporter = c.text("more_items"), c.word("exporter_entity")
	c.subjects, c.records, c.bytes = c.int64("subjects"), c.int64("records"), c.int64("bytes")
	c.destSystem, c.destCountry, c.destEntity = c.word("dest_system"), c.country("dest_country"), c.word("dest_entity")
}

// event fills out with a row. at names the partition. The event's strings are valid until the next block.
func (c *eventColumns) event(row int, at *access.Position, out *StoredEvent) error {
	ev := &out.Event
	ev.Reset()
	out.Content, out.Bundle, out.Alerts = c.content.digest(row), *c.bundle.at(row), nil
	out.Outcome, out.Severity = alert.Outcome(c.verdict.byte(row)), alert.Severity(c.severity.byte(row))
	ev.ID, ev.Time = c.eventID.at(row), c.time.millis(row)
	ev.Source = access.Source{Feed: *c.feed.at(row), Scope: *c.scope.at(row), Seq: c.seq.int64(row), Address: *c.sourceIP.at(row)}
	ev.Kafka = *at
	ev.Kafka.Offset, ev.Kafka.Timestamp = c.offset.int64(row), c.kafkaTime.millis(row)
	if ev.Kafka.Timestamp == 0 {
		ev.Kafka.Timestamp = -1 // a record without a timestamp is stored so
	}
	c.actor(row, &ev.Actor)
	ev.Session = access.Session{ID: c.sessionID.at(row), MFA: access.Answer(c.mfa.byte(row))}
	ev.Declared = access.Declared{Office: *c.office.at(row), Physical: *c.physical.at(row)}
	ev.Presence = access.Presence{Badge: *c.badge.at(row), Device: *c.device.at(row), ClientAddress: *c.client.at(row)}
	c.location(row, &ev.Location)
	ev.Network = access.Network{ASN: c.asn.uint32(row), Org: *c.networkOrg.at(row), Kind: access.NetworkKind(c.networkKind.byte(row))}
	ev.Action, ev.Outcome = access.Action(c.action.byte(row)), access.Outcome(c.outcome.byte(row))
	if err := c.data(row, &ev.Data); err != nil {
		return err
	}
	ev.Dest = access.Dest{System: *c.destSystem.at(row), Country: *c.destCountry.at(row), Entity: *c.destEntity.at(row)}
	ev.Approval = access.Approval{ID: *c.approvalID.at(row), Scope: *c.approvalScope.at(row), ValidUntil: c.approvalUntil.millis(row),
		State: access.ApprovalState(c.approvalState.byte(row))}
	ev.Ticket, ev.Reason, ev.Mechanism = *c.ticket.at(row), c.justification.at(row), access.Mechanism(c.mechanism.byte(row))
	ev.Gateway = access.Gateway{ID: *c.gatewayID.at(row), Decision: access.Decision(c.gateway.byte(row))}
	return separate(ev, *c.added.at(row), *c.differs.at(row))
}

func (c *eventColumns) actor(row int, a *access.Actor) {
	a.ID, a.Kind = *c.actorID.at(row), access.ActorKind(c.actorKind.byte(row))
	via, groups := c.via.at(row), c.groups.at(row)
	a.Via, a.ViaGiven = append(a.Via, via.members...), via.given
	a.Groups, a.GroupsGiven = append(a.Groups, groups.members...), groups.given
	a.EmployerCountry, a.EmployerEntity = *c.employerCountry.at(row), *c.employerEntity.at(row)
	a.HomeCountry, a.CoveredPerson = *c.homeCountry.at(row), access.Answer(c.covered.byte(row))
	a.Employment = access.Employment(c.employment.byte(row))
}

func (c *eventColumns) location(row int, l *access.Location) {
	found := c.evidence.at(row)
	l.Candidates, l.Verdict, l.Reason = *c.candidates.at(row), access.LocationVerdict(c.locationVerdict.byte(row)), *c.locationReason.at(row)
	l.Expected, l.Confidence = access.Expectation(c.expected.byte(row)), access.Confidence(c.confidence.byte(row))
	l.AddressOnly, l.Contested = c.addressOnly.bool(row), c.contested.bool(row)
	l.EvidenceCount = found.count
	copy(l.Evidence[:found.count], found.pieces[:found.count])
}

func (c *eventColumns) data(row int, d *access.Data) (err error) {
	d.Items[0] = access.Item{Dataset: *c.dataset.at(row), System: *c.system.at(row), Regions: *c.regions.at(row), Classes: *c.classes.at(row),
		Categories: *c.categories.at(row), Form: access.DataForm(c.form.byte(row)), StorageCountry: *c.storage.at(row)}
	d.ExporterEntity = *c.exporter.at(row)
	d.Subjects, d.Records, d.Bytes = c.subjects.int64(row), c.records.int64(row), c.bytes.int64(row)
	if more := c.moreItems.at(row); more != "" {
		d.Items, err = appendMore(d.Items, more)
	}
	return err
}

func firstOf(s access.FieldSet) access.Field { return access.Field(bits.TrailingZeros64(uint64(s))) }
