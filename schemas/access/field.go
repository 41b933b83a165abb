package access

// Field names one field of the event for rules, explanations and tables.
type Field uint8

// The fields of bw/access/v1 in canonical order.
const (
	FieldNone Field = iota
	FieldEventID
	FieldTime
	FieldSourceFeed
	FieldSourceSeq
	FieldSourceIP
	FieldActorID
	FieldActorKind
	FieldActorVia
	FieldActorEmployerCountry
	FieldActorEmployerEntity
	FieldActorHomeCountry
	FieldActorGroups
	FieldActorCoveredPerson
	FieldActorEmployment
	FieldSessionID
	FieldSessionMFA
	FieldDeclaredOffice
	FieldDeclaredPhysical
	FieldLocationCountry
	FieldLocationVerdict
	FieldLocationExpected
	FieldLocationConfidence
	FieldNetworkASN
	FieldNetworkOrg
	FieldNetworkKind
	FieldAction
	FieldOutcome
	FieldDataset
	FieldSystem
	FieldSubjectRegions
	FieldClasses
	FieldCategories
	FieldForm
	FieldExporterEntity
	FieldStorageCountry
	FieldSubjects
	FieldRecords
	FieldBytes
	FieldDestSystem
	FieldDestCountry
	FieldDestEntity
	FieldApprovalID
	FieldApprovalScope
	FieldApprovalValidUntil
	FieldTicketID
	FieldJustification
	FieldMechanism
	FieldGatewayID
	FieldGatewayDecision
	FieldArrival // last, since a field's number is part of every content digest
	FieldCount   // number of fields, not a field
)

// Type is the type of a field's value.
type Type uint8

// The types of fields.
const (
	Text    Type = iota // one string
	Texts               // a set of strings
	Word                // one word of the field's Vocabulary
	Words               // a set of words of the field's Vocabulary
	Nation              // one country
	Region              // a country or a region code
	Nations             // the candidate countries of location.country
	Integer             // a non-negative integer
	Time                // a time
	Address             // an IP address or the name of a service
)

// Need tells what the absence of a field means.
type Need uint8

// The needs.
const (
	Optional Need = iota // may be absent
	Key                  // may be unknown, and then a verdict can be unknown
	Required             // a record without it is refused
	Computed             // found by borderwatch, refused in a record
)

// Info describes a field.
type Info struct {
	Name       string // dotted path, as producers and rules write it
	Type       Type
	Need       Need
	Vocabulary *Vocabulary // for Word and Words
	PerItem    bool        // belongs to each data item
}

var fields = [FieldCount]Info{
	FieldEventID:              {Name: "event_id", Type: Text, Need: Required},
	FieldTime:                 {Name: "time", Type: Time, Need: Required},
	FieldSourceFeed:           {Name: "source.feed", Type: Text, Need: Required},
	FieldSourceSeq:            {Name: "source.seq", Type: Integer},
	FieldSourceIP:             {Name: "source.ip", Type: Address, Need: Key},
	FieldActorID:              {Name: "actor.id", Type: Text, Need: Required},
	FieldActorKind:            {Name: "actor.kind", Type: Word, Need: Key, Vocabulary: ActorKinds},
	FieldActorVia:             {Name: "actor.via", Type: Texts},
	FieldActorEmployerCountry: {Name: "actor.employer_country", Type: Nation, Need: Key},
	FieldActorEmployerEntity:  {Name: "actor.employer_entity", Type: Text, Need: Key},
	FieldActorHomeCountry:     {Name: "actor.home_country", Type: Nation, Need: Key},
	FieldActorGroups:          {Name: "actor.groups", Type: Texts},
	FieldActorCoveredPerson:   {Name: "actor.covered_person", Type: Word, Need: Key, Vocabulary: Answers},
	FieldActorEmployment:      {Name: "actor.employment", Type: Word, Vocabulary: Employments},
	FieldSessionID:            {Name: "session.id", Type: Text},
	FieldSessionMFA:           {Name: "session.mfa", Type: Word, Vocabulary: Answers},
	FieldDeclaredOffice:       {Name: "declared.office_country", Type: Region},
	FieldDeclaredPhysical:     {Name: "declared.physical_country", Type: Region},
	FieldLocationCountry:      {Name: "location.country", Type: Nations, Need: Computed},
	FieldLocationVerdict:      {Name: "location.verdict", Type: Word, Need: Computed, Vocabulary: Verdicts},
	FieldLocationExpected:     {Name: "location.expected", Type: Word, Need: Computed, Vocabulary: Expectations},
	FieldLocationConfidence:   {Name: "location.confidence", Type: Word, Need: Computed, Vocabulary: Confidences},
	FieldNetworkASN:           {Name: "network.asn", Type: Integer, Need: Computed},
	FieldNetworkOrg:           {Name: "network.org", Type: Text, Need: Computed},
	FieldNetworkKind:          {Name: "network.kind", Type: Word, Need: Computed, Vocabulary: NetworkKinds},
	FieldAction:               {Name: "action", Type: Word, Need: Key, Vocabulary: Actions},
	FieldOutcome:              {Name: "outcome", Type: Word, Need: Key, Vocabulary: Outcomes},
	FieldDataset:              {Name: "data.dataset", Type: Text, Need: Key, PerItem: true},
	FieldSystem:               {Name: "data.system", Type: Text, Need: Key, PerItem: true},
	FieldSubjectRegions:       {Name: "data.subject_regions", Type: Words, Need: Key, Vocabulary: SubjectRegions, PerItem: true},
	FieldClasses:              {Name: "data.classes", Type: Words, Need: Key, Vocabulary: DataClasses, PerItem: true},
	FieldCategories:           {Name: "data.categories", Type: Words, Need: Key, Vocabulary: DataCategories, PerItem: true},
	FieldForm:                 {Name: "data.form", Type: Word, Need: Key, Vocabulary: DataForms, PerItem: true},
	FieldExporterEntity:       {Name: "data.exporter_entity", Type: Text},
	FieldStorageCountry:       {Name: "data.storage_country", Type: Nation, Need: Key, PerItem: true},
	FieldSubjects:             {Name: "data.subjects", Type: Integer},
	FieldRecords:              {Name: "data.records", Type: Integer},
	FieldBytes:                {Name: "data.bytes", Type: Integer},
	FieldDestSystem:           {Name: "dest.system", Type: Text, Need: Key},
	FieldDestCountry:          {Name: "dest.country", Type: Nation, Need: Key},
	FieldDestEntity:           {Name: "dest.entity", Type: Text, Need: Key},
	FieldApprovalID:           {Name: "approval.id", Type: Text},
	FieldApprovalScope:        {Name: "approval.scope", Type: Text},
	FieldApprovalValidUntil:   {Name: "approval.valid_until", Type: Time},
	FieldTicketID:             {Name: "ticket.id", Type: Text},
	FieldJustification:        {Name: "justification", Type: Text},
	FieldMechanism:            {Name: "transfer.mechanism", Type: Word, Vocabulary: Mechanisms},
	FieldGatewayID:            {Name: "gateway.id", Type: Text, Need: Key},
	FieldGatewayDecision:      {Name: "gateway.decision", Type: Word, Need: Key, Vocabulary: Decisions},
	FieldArrival:              {Name: "source.arrival", Type: Word, Need: Computed, Vocabulary: Arrivals},
}

var fieldByName = func() map[string]Field {
	m := make(map[string]Field, FieldCount)
	for f := FieldNone + 1; f < FieldCount; f++ {
		m[fields[f].Name] = f
	}
	return m
}()

// Info describes the field.
func (f Field) Info() Info { return fields[f] }

// String returns the dotted name.
func (f Field) String() string { return fields[f].Name }

// FieldNamed finds a field by its dotted name.
func FieldNamed(name string) (Field, bool) {
	f, ok := fieldByName[name]
	return f, ok
}

// FieldSet is a set of fields.
type FieldSet uint64

// With returns s with f.
func (s FieldSet) With(f Field) FieldSet { return s | 1<<f }

// Has reports whether f is in s.
func (s FieldSet) Has(f Field) bool { return s&(1<<f) != 0 }

// Names lists the dotted names in canonical order.
func (s FieldSet) Names() []string {
	var names []string
	for f := FieldNone + 1; f < FieldCount; f++ {
		if s.Has(f) {
			names = append(names, fields[f].Name)
		}
	}
	return names
}
