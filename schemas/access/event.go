// Package access is the vocabulary of borderwatch: the data-access event bw/access/v1, its fields, its words, and the
// digest that identifies its content. It imports nothing of ours and does no input or output.
package access

// SchemaV1 is the value of an event's schema field.
const SchemaV1 = "bw/access/v1"

// Millis is a time in milliseconds since 1970-01-01 UTC.
type Millis int64

// The times an event may carry: what ClickHouse's DateTime64(3) holds without wrapping.
const (
	MinTime Millis = 0                 // 1970-01-01T00:00:00Z
	MaxTime Millis = 9_214_646_400_000 // 2262-01-01T00:00:00Z
)

// Unknown is the value of a count that the source did not give.
const Unknown int64 = -1

// Event is one data access: who opened whose data, with what action, from where, under which approval.
//
// Strings point into the record they were decoded from: an Event is valid until that record's buffer is released, and
// one Event is reused for many records. A field and its Ref twin are what the source and the reference files (roster,
// catalogue, entities) say; where both speak and differ, both stay open.
//
// The zero value is not an empty event; Reset makes one.
type Event struct {
	ID     string
	Time   Millis
	Source Source

	Actor     Actor
	Session   Session
	Declared  Declared
	Presence  Presence
	Action    Action
	Outcome   Outcome
	Data      Data
	Dest      Dest
	Approval  Approval
	Ticket    string
	Reason    string // justification as the actor wrote it
	Mechanism Mechanism
	Gateway   Gateway

	Location Location // computed
	Network  Network  // computed
	Kafka    Position // added
}

// Source tells which feed delivered the event and which address the actor came from.
type Source struct {
	Feed    string
	Scope   string // identity scope: feeds that deliver copies of the same records share one
	Seq     int64  // Unknown where the feed does not number its events
	Address string // an IP, or the name of a cloud service, as the source wrote it
	Region  string // cloud region of the endpoint that was called ("eu-central-1"); says nothing about a caller with an address
	Service string // the cloud's name of that endpoint ("iam.amazonaws.com"); some log in one region wherever they are called
}

// Actor is who opened the data.
type Actor struct {
	ID                                  string
	Kind, KindRef                       ActorKind
	Via                                 []string // the chain a person acts through, outermost first
	EmployerCountry, EmployerCountryRef Country  // place of establishment of the employer
	EmployerEntity, EmployerEntityRef   string
	HomeCountry, HomeCountryRef         Country
	Groups                              []string
	GroupsAdded                         int    // the last GroupsAdded of Groups were added by the roster
	ViaGiven, GroupsGiven               bool   // the source gave the list: an empty one is known to be empty
	CoveredPerson, CoveredPersonRef     Answer // 28 CFR 202.211
	Employment, EmploymentRef           Employment
}

// Session is the session of the access.
type Session struct {
	ID  string
	MFA Answer
}

// Declared is what the source itself says about the actor's place. Office is an expectation, Physical is evidence.
type Declared struct {
	Office, Physical Place
}

// Presence is further evidence of presence that a source gives in location.evidence.
type Presence struct {
	Badge, Device Place
	ClientAddress string // the session's client address behind a remote-access egress
}

// Data is what was opened. Items[0] is the data set of the data.* fields; further ones come from data.items.
type Data struct {
	Items                    []Item
	ExporterEntity           string
	ExporterEntityRef        string
	Subjects, Records, Bytes int64 // Unknown where not given
}

// Item is one data set of an access.
type Item struct {
	Dataset                           string // DatasetNone where the operation touches no user data
	System, SystemRef                 string
	Regions, RegionsRef               Set
	Classes, ClassesRef               Set
	Categories, CategoriesRef         Set
	Form, FormRef                     DataForm
	StorageCountry, StorageCountryRef Country
}

// DatasetNone marks a listed operation that touches no user data: policy rules answer none on it.
const DatasetNone = "none"

// Dest is where a copy goes.
type Dest struct {
	System  string
	Country Country
	Entity  string
}

// Approval is the permission an actor refers to.
type Approval struct {
	ID, Scope  string
	ValidUntil Millis // 0 where not given
	State      ApprovalState
}

// ApprovalState tells what the approvals file says of an approval. A refused one makes every approval.* field missing.
type ApprovalState uint8

// The states of an approval.
const (
	ApprovalNone      ApprovalState = iota // the event names none
	ApprovalAsserted                       // only the source says so; there is no approvals file
	ApprovalConfirmed                      // found, in force at the event's time and of the right scope
	ApprovalRefused                        // past its end, without one, of another scope, or not in the file
)

func (s ApprovalState) String() string {
	return [...]string{"none", "asserted", "confirmed", "refused"}[s]
}

// Gateway is the data gateway the access passed.
type Gateway struct {
	ID       string
	Decision Decision
}

// Network is the network the address belongs to.
type Network struct {
	ASN  uint32 // 0 where unknown
	Org  string
	Kind NetworkKind
}

// Position is where in Kafka the event lies.
type Position struct {
	Source    string // cluster id and epoch: kafka:<cluster-id>/<epoch>
	Topic     string
	Partition int32
	Offset    int64
	Timestamp Millis
}

// Location is the finding about where an access really came from.
type Location struct {
	Candidates CountrySet // the countries the evidence leaves open; all for masked and unknown
	Verdict    LocationVerdict
	Reason     string // short fixed word that explains the verdict: "private-address", "via-service", …
	Expected   Expectation
	Confidence Confidence
	// AddressOnly is true where an address is all the evidence there is; Contested where location databases disagree
	// about it or the network is a cloud back end. Both together cap an alert's severity.
	AddressOnly, Contested bool
	Evidence               [MaxEvidence]Evidence // the first EvidenceCount are set
	EvidenceCount          uint8
}

// MaxEvidence is the most pieces of evidence that one event has: an address behind a remote access and the client's own,
// each with a prefix and two databases, and declaration, device, badge, two offices and the roster.
const MaxEvidence = 12

// Evidence is one piece of evidence about a place, or one expectation.
type Evidence struct {
	Kind  EvidenceKind
	Place Place
}

// EvidenceKind names where a piece of evidence comes from. Two location databases are one kind of evidence.
type EvidenceKind uint8

// The kinds of evidence. Office and roster are expectations: they never make a place agree.
const (
	EvidenceNone EvidenceKind = iota
	EvidenceDeclared
	EvidenceAddress       // first location database
	EvidenceAddressSecond // second location database
	EvidencePrefix        // operator's network file or a cloud's published prefix
	EvidenceDevice
	EvidenceBadge
	EvidenceRegion // region a service runs in
	EvidenceOffice
	EvidenceRoster
)

func (k EvidenceKind) String() string {
	return [...]string{"none", "declared", "address", "address-2", "prefix", "device", "badge", "region", "office", "roster"}[k]
}

// AddEvidence records one piece of evidence; unknown places and more than MaxEvidence pieces are left out.
func (l *Location) AddEvidence(kind EvidenceKind, place Place) {
	if place == 0 || int(l.EvidenceCount) == MaxEvidence {
		return
	}
	l.Evidence[l.EvidenceCount] = Evidence{kind, place}
	l.EvidenceCount++
}

// Reset makes e an empty event with one empty data item, keeping the capacity of its slices.
func (e *Event) Reset() {
	items, via, groups := e.Data.Items, e.Actor.Via[:0], e.Actor.Groups[:0]
	if cap(items) == 0 {
		items = make([]Item, 1, 4)
	}
	items = items[:1]
	items[0] = Item{}
	*e = Event{}
	e.Data.Items, e.Actor.Via, e.Actor.Groups = items, via, groups
	e.Source.Seq = Unknown
	e.Data.Subjects, e.Data.Records, e.Data.Bytes = Unknown, Unknown, Unknown
}

// AddItem appends a further empty data item and returns it. The pointer is valid until the next AddItem.
func (e *Event) AddItem() *Item {
	e.Data.Items = append(e.Data.Items, Item{})
	return &e.Data.Items[len(e.Data.Items)-1]
}

// EffectiveOutcome reads an unknown outcome as success, and a failure too unless the record shows that nothing was
// returned (zero records or zero bytes).
func (e *Event) EffectiveOutcome() Outcome {
	switch e.Outcome {
	case OutcomeDenied:
		return OutcomeDenied
	case OutcomeFailure:
		if e.Data.Records == 0 || e.Data.Bytes == 0 {
			return OutcomeFailure
		}
	}
	return OutcomeSuccess
}

// EffectiveRegions joins what source and catalogue say about the regions of the data subjects.
func (i *Item) EffectiveRegions() Set { return i.Regions.Union(i.RegionsRef) }

// EffectiveClasses joins what source and catalogue say about the classes.
func (i *Item) EffectiveClasses() Set { return i.Classes.Union(i.ClassesRef) }

// EffectiveCategories joins what source and catalogue say about the categories.
func (i *Item) EffectiveCategories() Set { return i.Categories.Union(i.CategoriesRef) }
