package access

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest is the first 16 bytes of a SHA-256: enough that nobody finds a second event with the same one by accident, and
// that a deliberate pair shows as one identity with two contents.
type Digest [16]byte

// contentVersion starts every content that is hashed, so that a change of the encoding changes every digest.
const contentVersion = "bw-content/v1\x00"

// AppendContent appends the canonical encoding of what the source said: every given field but source.feed, source.seq,
// the Kafka position, the raw bytes, and whatever borderwatch computed or added. Two copies of a record that came
// through two feeds have the same content.
//
// Each field is its number, then: a string as uvarint length and bytes; a number, word, set or place as 8 bytes
// big-endian; a list as uvarint count and strings. A data item starts with the byte 0xff. Missing fields are left out.
func (e *Event) AppendContent(b []byte) []byte {
	b = append(b, contentVersion...)
	b = appendText(b, FieldEventID, e.ID)
	b = appendNumber(b, FieldTime, uint64(e.Time))
	b = e.Source.appendContent(b)
	b = e.Actor.appendContent(b)
	b = appendText(b, FieldSessionID, e.Session.ID)
	b = appendNumber(b, FieldSessionMFA, uint64(e.Session.MFA))
	b = appendNumber(b, FieldDeclaredOffice, uint64(e.Declared.Office))
	b = appendNumber(b, FieldDeclaredPhysical, uint64(e.Declared.Physical))
	b = e.Presence.appendContent(b)
	b = appendNumber(b, FieldAction, uint64(e.Action))
	b = appendNumber(b, FieldOutcome, uint64(e.Outcome))
	b = e.Data.appendContent(b)
	b = appendText(b, FieldDestSystem, e.Dest.System)
	b = appendNumber(b, FieldDestCountry, uint64(e.Dest.Country))
	b = appendText(b, FieldDestEntity, e.Dest.Entity)
	b = appendText(b, FieldApprovalID, e.Approval.ID)
	b = appendText(b, FieldApprovalScope, e.Approval.Scope)
	b = appendNumber(b, FieldApprovalValidUntil, uint64(e.Approval.ValidUntil))
	b = appendText(b, FieldTicketID, e.Ticket)
	b = appendText(b, FieldJustification, e.Reason)
	b = appendNumber(b, FieldMechanism, uint64(e.Mechanism))
	b = appendText(b, FieldGatewayID, e.Gateway.ID)
	return appendNumber(b, FieldGatewayDecision, uint64(e.Gateway.Decision))
}

// appendContent writes the endpoint's region and service under the computed network fields, which a source cannot give.
func (s *Source) appendContent(b []byte) []byte {
	b = appendText(b, FieldSourceIP, s.Address)
	b = appendText(b, FieldNetworkKind, s.Region)
	return appendText(b, FieldNetworkOrg, s.Service)
}

func (a *Actor) appendContent(b []byte) []byte {
	b = appendText(b, FieldActorID, a.ID)
	b = appendNumber(b, FieldActorKind, uint64(a.Kind))
	b = appendTexts(b, FieldActorVia, a.Via, a.ViaGiven)
	b = appendNumber(b, FieldActorEmployerCountry, uint64(a.EmployerCountry))
	b = appendText(b, FieldActorEmployerEntity, a.EmployerEntity)
	b = appendNumber(b, FieldActorHomeCountry, uint64(a.HomeCountry))
	b = appendTexts(b, FieldActorGroups, a.Groups[:len(a.Groups)-a.GroupsAdded], a.GroupsGiven)
	b = appendNumber(b, FieldActorCoveredPerson, uint64(a.CoveredPerson))
	return appendNumber(b, FieldActorEmployment, uint64(a.Employment))
}

// appendContent writes the presence evidence under the field of location.country, which a source cannot give itself.
func (p *Presence) appendContent(b []byte) []byte {
	b = appendNumber(b, FieldLocationCountry, uint64(p.Badge)<<16|uint64(p.Device))
	return appendText(b, FieldLocationCountry, p.ClientAddress)
}

func (d *Data) appendContent(b []byte) []byte {
	for i := range d.Items {
		item := &d.Items[i]
		b = append(b, 0xff)
		b = appendText(b, FieldDataset, item.Dataset)
		b = appendText(b, FieldSystem, item.System)
		b = appendNumber(b, FieldSubjectRegions, uint64(item.Regions))
		b = appendNumber(b, FieldClasses, uint64(item.Classes))
		b = appendNumber(b, FieldCategories, uint64(item.Categories))
		b = appendNumber(b, FieldForm, uint64(item.Form))
		b = appendNumber(b, FieldStorageCountry, uint64(item.StorageCountry))
	}
	b = appendText(b, FieldExporterEntity, d.ExporterEntity)
	b = appendNumber(b, FieldSubjects, uint64(d.Subjects+1))
	b = appendNumber(b, FieldRecords, uint64(d.Records+1))
	return appendNumber(b, FieldBytes, uint64(d.Bytes+1))
}

func appendText(b []byte, f Field, s string) []byte {
	if s == "" {
		return b
	}
	b = binary.AppendUvarint(append(b, byte(f)), uint64(len(s)))
	return append(b, s...)
}

func appendNumber(b []byte, f Field, n uint64) []byte {
	if n == 0 {
		return b
	}
	return binary.BigEndian.AppendUint64(append(b, byte(f)), n)
}

func appendTexts(b []byte, f Field, list []string, given bool) []byte {
	if !given {
		return b
	}
	b = binary.AppendUvarint(append(b, byte(f)), uint64(len(list)))
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// ContentDigest hashes the canonical content. scratch is overwritten and returned for reuse.
func (e *Event) ContentDigest(scratch []byte) (Digest, []byte) {
	scratch = e.AppendContent(scratch[:0])
	sum := sha256.Sum256(scratch)
	return Digest(sum[:16]), scratch
}
