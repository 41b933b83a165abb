package access

// The accessors below are how rules read an event. item selects the data item of a PerItem field and is ignored for
// the others. A pair (value, reference) holds what the source and the reference files say; equal values come back as
// one, a missing side as zero.

// WordOf returns the word of a Word field, and what the reference files say where that differs.
func (e *Event) WordOf(f Field, item int) (value, reference uint8) {
	switch f {
	case FieldActorKind:
		return pair(uint8(e.Actor.Kind), uint8(e.Actor.KindRef))
	case FieldActorCoveredPerson:
		return pair(uint8(e.Actor.CoveredPerson), uint8(e.Actor.CoveredPersonRef))
	case FieldActorEmployment:
		return pair(uint8(e.Actor.Employment), uint8(e.Actor.EmploymentRef))
	case FieldSessionMFA:
		return uint8(e.Session.MFA), 0
	case FieldLocationVerdict:
		return uint8(e.Location.Verdict), 0
	case FieldLocationExpected:
		return uint8(e.Location.Expected), 0
	case FieldLocationConfidence:
		return uint8(e.Location.Confidence), 0
	case FieldNetworkKind:
		return uint8(e.Network.Kind), 0
	case FieldAction:
		return uint8(e.Action), 0
	case FieldOutcome:
		return uint8(e.EffectiveOutcome()), 0
	case FieldForm:
		return pair(uint8(e.Data.Items[item].Form), uint8(e.Data.Items[item].FormRef))
	case FieldMechanism:
		return uint8(e.Mechanism), 0
	case FieldGatewayDecision:
		return uint8(e.Gateway.Decision), 0
	case FieldArrival:
		return uint8(e.Arrival()), 0
	}
	return 0, 0
}

// WordsOf returns the set of a Words field: the union of what source and catalogue say.
func (e *Event) WordsOf(f Field, item int) Set {
	i := &e.Data.Items[item]
	switch f {
	case FieldSubjectRegions:
		return i.EffectiveRegions()
	case FieldClasses:
		return i.EffectiveClasses()
	case FieldCategories:
		return i.EffectiveCategories()
	}
	return 0
}

// CandidatesOf returns the countries that a Nation, Region or Nations field leaves open: all where it is missing.
func (e *Event) CandidatesOf(f Field, item int) CountrySet {
	switch f {
	case FieldLocationCountry:
		return e.Location.Candidates
	case FieldDeclaredOffice:
		return e.Declared.Office.Countries()
	case FieldDeclaredPhysical:
		return e.Declared.Physical.Countries()
	}
	value, reference := e.NationOf(f, item)
	if value == 0 && reference == 0 {
		return AllCountries
	}
	return SetOf(value, reference)
}

// NationOf returns the country of a Nation field, and what the reference files say where that differs.
func (e *Event) NationOf(f Field, item int) (value, reference Country) {
	switch f {
	case FieldActorEmployerCountry:
		return pair(e.Actor.EmployerCountry, e.Actor.EmployerCountryRef)
	case FieldActorHomeCountry:
		return pair(e.Actor.HomeCountry, e.Actor.HomeCountryRef)
	case FieldStorageCountry:
		return pair(e.Data.Items[item].StorageCountry, e.Data.Items[item].StorageCountryRef)
	case FieldDestCountry:
		return e.Dest.Country, 0
	}
	return 0, 0
}

// TextOf returns the string of a Text or Address field, and what the reference files say where that differs. The word
// "unknown" reads as missing.
func (e *Event) TextOf(f Field, item int) (value, reference string) {
	switch f {
	case FieldActorEmployerEntity:
		return pair(known(e.Actor.EmployerEntity), known(e.Actor.EmployerEntityRef))
	case FieldSystem:
		return pair(known(e.Data.Items[item].System), known(e.Data.Items[item].SystemRef))
	case FieldExporterEntity:
		return pair(known(e.Data.ExporterEntity), known(e.Data.ExporterEntityRef))
	}
	if p := e.textField(f, item); p != nil {
		return known(*p), ""
	}
	return "", ""
}

// textField returns where a Text or Address field without a reference is kept; nil for others and for the fields of a
// refused approval.
func (e *Event) textField(f Field, item int) *string {
	switch f {
	case FieldEventID:
		return &e.ID
	case FieldSourceFeed:
		return &e.Source.Feed
	case FieldSourceIP:
		return &e.Source.Address
	case FieldActorID:
		return &e.Actor.ID
	case FieldActorEmployerEntity:
		return &e.Actor.EmployerEntity
	case FieldSessionID:
		return &e.Session.ID
	case FieldNetworkOrg:
		return &e.Network.Org
	case FieldDataset:
		return &e.Data.Items[item].Dataset
	case FieldSystem:
		return &e.Data.Items[item].System
	case FieldExporterEntity:
		return &e.Data.ExporterEntity
	case FieldDestSystem:
		return &e.Dest.System
	case FieldDestEntity:
		return &e.Dest.Entity
	case FieldApprovalID, FieldApprovalScope:
		return e.approvalField(f)
	case FieldTicketID:
		return &e.Ticket
	case FieldJustification:
		return &e.Reason
	case FieldGatewayID:
		return &e.Gateway.ID
	}
	return nil
}

func (e *Event) approvalField(f Field) *string {
	switch {
	case e.Approval.State == ApprovalRefused:
		return nil
	case f == FieldApprovalID:
		return &e.Approval.ID
	}
	return &e.Approval.Scope
}

// TextsOf returns the members of a Texts field, false where it is absent or holds only "unknown". A known empty list is
// given.
func (e *Event) TextsOf(f Field) (members []string, given bool) {
	switch f {
	case FieldActorVia:
		members, given = e.Actor.Via, e.Actor.ViaGiven
	case FieldActorGroups:
		members, given = e.Actor.Groups, e.Actor.GroupsGiven || e.Actor.GroupsAdded > 0
	}
	if len(members) == 1 && known(members[0]) == "" {
		return nil, false
	}
	return members, given
}

// IntegerOf returns the number of an Integer or Time field, false where it is missing.
func (e *Event) IntegerOf(f Field) (int64, bool) {
	switch f {
	case FieldTime:
		return int64(e.Time), true
	case FieldSourceSeq:
		return e.Source.Seq, e.Source.Seq >= 0
	case FieldNetworkASN:
		return int64(e.Network.ASN), e.Network.ASN != 0
	case FieldSubjects:
		return e.Data.Subjects, e.Data.Subjects >= 0
	case FieldRecords:
		return e.Data.Records, e.Data.Records >= 0
	case FieldBytes:
		return e.Data.Bytes, e.Data.Bytes >= 0
	case FieldApprovalValidUntil:
		return int64(e.Approval.ValidUntil), e.Approval.ValidUntil != 0 && e.Approval.State != ApprovalRefused
	}
	return 0, false
}

// Missing reports whether the field is missing: absent, null, "", or unknown. For location.country that is so when
// every country is open.
func (e *Event) Missing(f Field, item int) bool {
	switch fields[f].Type {
	case Text, Address:
		a, b := e.TextOf(f, item)
		return a == "" && b == ""
	case Texts:
		_, given := e.TextsOf(f)
		return !given
	case Word:
		a, b := e.WordOf(f, item)
		return a == 0 && b == 0
	case Words:
		return e.WordsOf(f, item).Missing()
	case Integer, Time:
		_, ok := e.IntegerOf(f)
		return !ok
	}
	s := e.CandidatesOf(f, item)
	return s.All()
}

// pair drops a reference that says the same, and moves it forward where the source says nothing.
func pair[T comparable](value, reference T) (T, T) {
	var zero T
	switch {
	case value == zero:
		return reference, zero
	case value == reference:
		return value, zero
	}
	return value, reference
}

func known(s string) string {
	if s == "unknown" {
		return ""
	}
	return s
}
