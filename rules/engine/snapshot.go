package engine

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// snapshot is what the words of an event with one data item say, read once for all rules. For a word it is the set of
// words that stay open: one, two where the source and the reference differ, all where it is missing. For a set of words
// it is the known members, and bit 0 where the set holds something unknown.
type snapshot [slotCount]uint32

// The slots of a snapshot.
const (
	slotAction = iota
	slotActorKind
	slotClasses
	slotRegions
	slotCategories
	slotEmployment
	slotCovered
	slotMFA
	slotOutcome
	slotForm
	slotMechanism
	slotDecision
	slotNetwork
	slotVerdict
	slotExpected
	slotPlaceMissing
	slotArrival
	slotCount
)

// slotOf finds the slot of a field, false where the snapshot does not hold it.
func slotOf(f access.Field) (uint8, bool) {
	switch f {
	case access.FieldAction:
		return slotAction, true
	case access.FieldActorKind:
		return slotActorKind, true
	case access.FieldClasses:
		return slotClasses, true
	case access.FieldSubjectRegions:
		return slotRegions, true
	case access.FieldCategories:
		return slotCategories, true
	case access.FieldActorEmployment:
		return slotEmployment, true
	case access.FieldActorCoveredPerson:
		return slotCovered, true
	case access.FieldSessionMFA:
		return slotMFA, true
	case access.FieldOutcome:
		return slotOutcome, true
	case access.FieldForm:
		return slotForm, true
	case access.FieldMechanism:
		return slotMechanism, true
	case access.FieldGatewayDecision:
		return slotDecision, true
	case access.FieldNetworkKind:
		return slotNetwork, true
	case access.FieldLocationVerdict:
		return slotVerdict, true
	case access.FieldLocationExpected:
		return slotExpected, true
	case access.FieldArrival:
		return slotArrival, true
	}
	return 0, false
}

func (s *snapshot) take(ev *access.Event) {
	item := &ev.Data.Items[0]
	s[slotAction] = openWord(uint8(ev.Action), 0)
	s[slotActorKind] = openWord(uint8(ev.Actor.Kind), uint8(ev.Actor.KindRef))
	s[slotClasses] = openSet(item.EffectiveClasses())
	s[slotRegions] = openSet(item.EffectiveRegions())
	s[slotCategories] = openSet(item.EffectiveCategories())
	s[slotEmployment] = openWord(uint8(ev.Actor.Employment), uint8(ev.Actor.EmploymentRef))
	s[slotCovered] = openWord(uint8(ev.Actor.CoveredPerson), uint8(ev.Actor.CoveredPersonRef))
	s[slotMFA] = openWord(uint8(ev.Session.MFA), 0)
	s[slotOutcome] = 1 << ev.EffectiveOutcome()
	s[slotForm] = openWord(uint8(item.Form), uint8(item.FormRef))
	s[slotMechanism] = openWord(uint8(ev.Mechanism), 0)
	s[slotDecision] = openWord(uint8(ev.Gateway.Decision), 0)
	s[slotNetwork] = 1 << ev.Network.Kind // unknown is an ordinary value of this and the next
	s[slotVerdict] = 1 << ev.Location.Verdict
	s[slotExpected] = openWord(uint8(ev.Location.Expected), 0)
	s[slotArrival] = openWord(uint8(ev.Arrival()), 0)
	s[slotPlaceMissing] = 1
	if open(&ev.Location.Candidates) {
		s[slotPlaceMissing] = 2
	}
}

const everyWord = ^uint32(0)

func openWord(value, reference uint8) uint32 {
	bits := (uint32(1)<<value | uint32(1)<<reference) &^ 1
	if bits == 0 {
		return everyWord
	}
	return bits
}

func openSet(s access.Set) uint32 {
	if s.HasUnknown() {
		return s.Members() | 1
	}
	return s.Members()
}

// quickTest is a condition put to a snapshot.
type quickTest struct {
	op   uint8 // 0 where the snapshot cannot answer
	slot uint8
	mask uint32
}

const (
	quickWord  = 1 // true if all open words are in the mask, false if none
	quickWords = 2 // true if a known member is in the mask, false if none and nothing is unknown
)

// quickOf translates a matcher, the zero test where the snapshot cannot answer it. A mask that all or no words meet is
// left to the matcher, because a missing word would look decided.
func quickOf(m matcher) quickTest {
	switch m := m.(type) {
	case wordMatch:
		slot, ok := slotOf(m.field)
		if !ok || m.mask == 0 {
			return quickTest{}
		}
		if m.not {
			return quickTest{quickWord, slot, ^m.mask}
		}
		return quickTest{quickWord, slot, m.mask}
	case wordsMatch:
		if slot, ok := slotOf(m.field); ok && m.op == policy.Is {
			return quickTest{quickWords, slot, m.mask}
		}
	case missingMatch:
		if m.field == access.FieldLocationCountry {
			return quickTest{quickWord, slotPlaceMissing, 2}
		}
	}
	return quickTest{}
}

func (t *quickTest) answer(s *snapshot) Truth {
	bits := s[t.slot]
	if t.op == quickWords {
		switch {
		case bits&t.mask != 0:
			return True
		case bits&1 != 0:
			return Maybe
		}
		return False
	}
	switch {
	case bits&t.mask == 0:
		return False
	case bits&^t.mask == 0:
		return True
	}
	return Maybe
}

// filter is what a rule asks of a snapshot at least: it leaves out rules of which a condition is definitely false, and
// only those that could not even nearly match.
type filter []quickTest

func (r *rule) filter() filter {
	var f filter
	for i := range r.hard {
		if q := r.hard[i].quick; q.op != 0 {
			f = append(f, q)
		}
	}
	return f
}

func (f filter) admits(s *snapshot) bool {
	for i := range f {
		t := &f[i]
		bits := s[t.slot]
		if bits&t.mask == 0 && (t.op == quickWord || bits&1 == 0) {
			return false
		}
	}
	return true
}
