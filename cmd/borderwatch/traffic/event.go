package traffic

import (
	"net/netip"
	"strconv"
	"time"
)

// event is one native event before it is written.
type event struct {
	id   uint64
	time time.Time
	feed string

	address                                    string
	actor, kind, employerCountry, entity, home string
	covered                                    string // "no" where the source knows so
	groups                                     []string
	session, mfa                               string // mfa is true, false or ""
	office, physical, device                   string // countries, "" where not given
	action, outcome                            string
	dataset, system                            string
	regions, classes, categories               []string
	form, exporter, storage                    string
	subjects, records, bytes                   int64
	destSystem, destCountry, destEntity        string
	approval, scope                            string
	validUntil                                 time.Time
	ticket, justification, mechanism           string
	gateway, decision                          string
}

// marks are where the changing parts of an encoded event begin.
type marks struct{ id, time int }

const (
	timeLayout = "2006-01-02T15:04:05.000Z"
	idPrefix   = "acc-"
	idDigits   = 16
)

const hexDigits = "0123456789abcdef"

// appendID writes the id as idDigits hexadecimal digits.
func appendID(b []byte, id uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[id>>shift&15])
	}
	return b
}

// eventID is the id as the record carries it.
func eventID(id uint64) string { return string(appendID([]byte(idPrefix), id)) }

// appendJSON writes the event in the flat dotted form. Everything it writes comes from reference files and from this
// package; text is escaped all the same.
func (e *event) appendJSON(b []byte) ([]byte, marks) {
	var m marks
	b = append(b, `{"schema":"bw/access/v1","event_id":"`+idPrefix...)
	m.id = len(b)
	b = appendID(b, e.id)
	b = append(b, `","time":"`...)
	m.time = len(b)
	b = e.time.AppendFormat(b, timeLayout)
	b = append(b, '"')
	b = text(b, "source.feed", e.feed)
	b = text(b, "source.ip", e.address)
	b = e.appendActor(b)
	b = e.appendData(b)
	b = text(b, "dest.system", e.destSystem)
	b = text(b, "dest.country", e.destCountry)
	b = text(b, "dest.entity", e.destEntity)
	b = text(b, "approval.id", e.approval)
	b = text(b, "approval.scope", e.scope)
	if !e.validUntil.IsZero() {
		b = text(b, "approval.valid_until", e.validUntil.Format(timeLayout))
	}
	b = text(b, "ticket.id", e.ticket)
	b = text(b, "justification", e.justification)
	b = text(b, "transfer.mechanism", e.mechanism)
	b = text(b, "gateway.id", e.gateway)
	b = text(b, "gateway.decision", e.decision)
	return append(b, '}'), m
}

func (e *event) appendActor(b []byte) []byte {
	b = text(b, "actor.id", e.actor)
	b = text(b, "actor.kind", e.kind)
	b = text(b, "actor.employer_country", e.employerCountry)
	b = text(b, "actor.employer_entity", e.entity)
	b = text(b, "actor.home_country", e.home)
	b = words(b, "actor.groups", e.groups)
	b = text(b, "actor.covered_person", e.covered)
	b = text(b, "session.id", e.session)
	if e.mfa != "" {
		b = append(append(b, `,"session.mfa":`...), e.mfa...)
	}
	b = text(b, "declared.office_country", e.office)
	b = text(b, "declared.physical_country", e.physical)
	if e.device != "" {
		b = append(b, `,"location.evidence":[{"kind":"device","country":"`...)
		b = append(append(b, e.device...), `"}]`...)
	}
	return b
}

func (e *event) appendData(b []byte) []byte {
	b = text(b, "action", e.action)
	b = text(b, "outcome", e.outcome)
	b = text(b, "data.dataset", e.dataset)
	b = text(b, "data.system", e.system)
	b = words(b, "data.subject_regions", e.regions)
	b = words(b, "data.classes", e.classes)
	b = words(b, "data.categories", e.categories)
	b = text(b, "data.form", e.form)
	b = text(b, "data.exporter_entity", e.exporter)
	b = text(b, "data.storage_country", e.storage)
	b = number(b, "data.subjects", e.subjects)
	b = number(b, "data.records", e.records)
	return number(b, "data.bytes", e.bytes)
}

// text writes a field unless it is empty.
func text(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return quote(append(append(append(b, `,"`...), name...), `":`...), value)
}

func number(b []byte, name string, n int64) []byte {
	if n < 0 {
		return b
	}
	return strconv.AppendInt(append(append(append(b, `,"`...), name...), `":`...), n, 10)
}

// words writes a list, nothing for nil; an empty list is written, since it is known to be empty.
func words(b []byte, name string, list []string) []byte {
	if list == nil {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":[`...)
	for i, w := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, w)
	}
	return append(b, ']')
}

// quote writes a JSON string. Control characters, quotes and backslashes are escaped; the rest is UTF-8 already.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// hostIn returns the n-th usable address of an IPv4 prefix, wrapping around.
func hostIn(p netip.Prefix, n uint32) netip.Addr {
	size := uint32(1)<<(32-p.Bits()) - 2
	if p.Bits() >= 31 {
		return p.Addr()
	}
	base := p.Masked().Addr().As4()
	v := uint32(base[0])<<24 | uint32(base[1])<<16 | uint32(base[2])<<8 | uint32(base[3])
	v += 1 + n%size
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
