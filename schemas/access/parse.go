package access

import (
	"fmt"
	"strconv"
	"time"
)

// ValueError says why a value does not fit a field.
type ValueError struct {
	Field Field
	Value string
	Why   string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("%s: %q %s", e.Field, e.Value, e.Why)
}

// SetText sets a field of one value from its text, as JSON, YAML and CSV write it: "", "unknown" and (for places) "??"
// are unknown. Set-valued fields add the value; MarkGiven records an empty one. The error is a *ValueError.
func (e *Event) SetText(f Field, item int, value string) error {
	switch info := &fields[f]; info.Type {
	case Text, Address:
		return e.setText(f, item, value)
	case Texts:
		e.addText(f, value)
		return nil
	case Word:
		return e.setWord(f, item, value)
	case Words:
		return e.addWord(f, item, value)
	case Nation, Region:
		return e.setPlace(f, item, value)
	case Integer:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return &ValueError{f, value, "is not a whole number from 0 to 9223372036854775807"}
		}
		return e.SetInteger(f, n)
	case Time:
		t, ok := ParseTime(value)
		if !ok {
			return &ValueError{f, value, "is not an RFC 3339 time between 1970 and 2262"}
		}
		return e.SetInteger(f, int64(t))
	}
	return &ValueError{f, value, "is computed by borderwatch and cannot be given"}
}

// MarkGiven records that a set-valued field was given, if only as an empty list.
func (e *Event) MarkGiven(f Field, item int) {
	switch f {
	case FieldActorVia:
		e.Actor.ViaGiven = true
	case FieldActorGroups:
		e.Actor.GroupsGiven = true
	default:
		if p := e.setField(f, item); p != nil {
			*p |= EmptySet
		}
	}
}

// SetInteger sets an Integer or Time field.
func (e *Event) SetInteger(f Field, n int64) error {
	switch f {
	case FieldTime:
		e.Time = Millis(n)
	case FieldSourceSeq:
		e.Source.Seq = n
	case FieldSubjects:
		e.Data.Subjects = n
	case FieldRecords:
		e.Data.Records = n
	case FieldBytes:
		e.Data.Bytes = n
	case FieldApprovalValidUntil:
		e.Approval.ValidUntil = Millis(n)
	default:
		return &ValueError{f, strconv.FormatInt(n, 10), "is not a number that can be given"}
	}
	return nil
}

func (e *Event) setText(f Field, item int, value string) error {
	p := e.textField(f, item)
	if p == nil || fields[f].Need == Computed {
		return &ValueError{f, value, "is computed by borderwatch and cannot be given"}
	}
	*p = value
	return nil
}

func (e *Event) addText(f Field, value string) {
	e.MarkGiven(f, 0)
	switch f {
	case FieldActorVia:
		e.Actor.Via = append(e.Actor.Via, value)
	case FieldActorGroups:
		e.Actor.Groups = append(e.Actor.Groups, value)
	}
}

func (e *Event) setWord(f Field, item int, value string) error {
	v := fields[f].Vocabulary
	i, ok := v.Parse(value)
	if !ok {
		return &ValueError{f, value, "is not one of " + v.String() + ", unknown"}
	}
	switch f {
	case FieldActorKind:
		e.Actor.Kind = ActorKind(i)
	case FieldActorCoveredPerson:
		e.Actor.CoveredPerson = Answer(i)
	case FieldActorEmployment:
		e.Actor.Employment = Employment(i)
	case FieldSessionMFA:
		e.Session.MFA = Answer(i)
	case FieldAction:
		e.Action = Action(i)
	case FieldOutcome:
		e.Outcome = Outcome(i)
	case FieldForm:
		e.Data.Items[item].Form = DataForm(i)
	case FieldMechanism:
		e.Mechanism = Mechanism(i)
	case FieldGatewayDecision:
		e.Gateway.Decision = Decision(i)
	default:
		return &ValueError{f, value, "is computed by borderwatch and cannot be given"}
	}
	return nil
}

func (e *Event) addWord(f Field, item int, value string) error {
	v := fields[f].Vocabulary
	i, ok := v.Parse(value)
	p := e.setField(f, item)
	if !ok || p == nil {
		return &ValueError{f, value, "is not one of " + v.String() + ", unknown"}
	}
	*p = p.With(i)
	return nil
}

// setField returns where the source's side of a Words field is kept.
func (e *Event) setField(f Field, item int) *Set {
	i := &e.Data.Items[item]
	switch f {
	case FieldSubjectRegions:
		return &i.Regions
	case FieldClasses:
		return &i.Classes
	case FieldCategories:
		return &i.Categories
	}
	return nil
}

func (e *Event) setPlace(f Field, item int, value string) error {
	place, ok := ParsePlace(value)
	if !ok {
		return &ValueError{f, value, "is not an ISO 3166-1 alpha-2 country code" + regionHint(f)}
	}
	if place.IsRegion() && fields[f].Type == Nation {
		return &ValueError{f, value, "is a region code where one country is wanted"}
	}
	switch f {
	case FieldActorEmployerCountry:
		e.Actor.EmployerCountry = place.Country()
	case FieldActorHomeCountry:
		e.Actor.HomeCountry = place.Country()
	case FieldStorageCountry:
		e.Data.Items[item].StorageCountry = place.Country()
	case FieldDestCountry:
		e.Dest.Country = place.Country()
	case FieldDeclaredOffice:
		e.Declared.Office = place
	case FieldDeclaredPhysical:
		e.Declared.Physical = place
	}
	return nil
}

func regionHint(f Field) string {
	if fields[f].Type == Region {
		return ", a region code (ASI EUR OCE AFR NAM SAM ANT ANY) or ??"
	}
	return ""
}

// ParseTime reads an RFC 3339 time between MinTime and MaxTime; finer parts than milliseconds are cut off.
func ParseTime(s string) (Millis, bool) {
	if m, ok := parseUTC(s); ok {
		return m, true
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, false
	}
	m := Millis(t.UnixMilli())
	return m, m >= MinTime && m < MaxTime
}

// parseUTC is the fast path for 2006-01-02T15:04:05Z with up to nine digits of fraction.
func parseUTC(s string) (Millis, bool) {
	if len(s) < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[len(s)-1] != 'Z' {
		return 0, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	millis, ok7 := fraction(s[19 : len(s)-1])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	days, ok := daysSinceEpoch(year, month, day)
	m := Millis((((int64(days)*24+int64(hour))*60+int64(minute))*60+int64(second))*1000 + int64(millis))
	return m, ok && m >= MinTime && m < MaxTime
}

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int(d)
	}
	return n, true
}

// fraction reads "" or ".d…" with one to nine digits as milliseconds.
func fraction(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != '.' || len(s) < 2 || len(s) > 10 {
		return 0, false
	}
	n, ok := digits(s[1:])
	for range 10 - len(s) {
		n *= 10
	}
	return n / 1_000_000, ok
}

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// daysSinceEpoch counts days from 1970-01-01 by the civil calendar.
func daysSinceEpoch(year, month, day int) (int, bool) {
	if month < 1 || month > 12 || day < 1 {
		return 0, false
	}
	leap := year%4 == 0 && (year%100 != 0 || year%400 == 0)
	if day > monthDays[month] && !(leap && month == 2 && day == 29) {
		return 0, false
	}
	y := year
	if month <= 2 {
		y--
		month += 12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*(month-3)+2)/5 + day - 1 - 719468, true
}

// AsTime returns the time in UTC.
func (m Millis) AsTime() time.Time { return time.UnixMilli(int64(m)).UTC() }

// String is RFC 3339 with milliseconds.
func (m Millis) String() string { return m.AsTime().Format("2006-01-02T15:04:05.000Z") }
