package engine

import (
	"slices"

	"borderwatch/schemas/access"
)

// Words with few values are asked together: a joint table has a row for each combination of the values of some fields,
// the AND of the rows of their columns. An event has one key in each table, made without a branch.
const (
	jointAction = iota
	jointSession
	jointNetwork
	jointClasses
	jointRegions
	jointCount
)

// jointField is a field's place in a key.
type jointField struct {
	field       access.Field
	shift, bits uint8
}

// jointFields are the fields of each table. Those that are sets have a bit for each word and bit 0 for unknown members.
var jointFields = [jointCount][]jointField{
	jointAction: {{access.FieldAction, 0, 4}, {access.FieldActorKind, 4, 3}, {access.FieldGatewayDecision, 7, 2}, {access.FieldActorEmployment, 9, 2}},
	jointSession: {{access.FieldOutcome, 0, 2}, {access.FieldSessionMFA, 2, 2}, {access.FieldActorCoveredPerson, 4, 2}, {access.FieldForm, 6, 3},
		{access.FieldArrival, 9, 2}},
	jointNetwork: {{access.FieldNetworkKind, 0, 4}, {access.FieldMechanism, 4, 3}},
	jointClasses: {{access.FieldClasses, 0, 5}},
	jointRegions: {{access.FieldSubjectRegions, 0, 8}},
}

// jointKeys are the keys of an event with one data item, false where the source and a reference differ about a word: two
// values have no key.
func jointKeys(ev *access.Event, keys *[jointCount]uint32) bool {
	item := &ev.Data.Items[0]
	kind, sameKind := oneWord(uint32(ev.Actor.Kind), uint32(ev.Actor.KindRef))
	employment, sameEmployment := oneWord(uint32(ev.Actor.Employment), uint32(ev.Actor.EmploymentRef))
	covered, sameCovered := oneWord(uint32(ev.Actor.CoveredPerson), uint32(ev.Actor.CoveredPersonRef))
	form, sameForm := oneWord(uint32(item.Form), uint32(item.FormRef))
	keys[jointAction] = uint32(ev.Action) | kind<<4 | uint32(ev.Gateway.Decision)<<7 | employment<<9
	keys[jointSession] = uint32(ev.EffectiveOutcome()) | uint32(ev.Session.MFA)<<2 | covered<<4 | form<<6 | uint32(ev.Arrival())<<9
	keys[jointNetwork] = uint32(ev.Network.Kind) | uint32(ev.Mechanism)<<4
	keys[jointClasses] = setKey(item.EffectiveClasses())
	keys[jointRegions] = setKey(item.EffectiveRegions())
	return sameKind && sameEmployment && sameCovered && sameForm
}

func oneWord(value, reference uint32) (uint32, bool) {
	return max(value, reference), value == 0 || reference == 0 || value == reference
}

func setKey(s access.Set) uint32 {
	if s.HasUnknown() {
		return 1
	}
	return s.Members()
}

// isJoint reports whether a column is asked in a joint table.
func isJoint(field access.Field, kind columnKind) bool {
	if kind != byWord && kind != byWords {
		return false
	}
	return slices.ContainsFunc(jointFields[:], func(fields []jointField) bool {
		return slices.ContainsFunc(fields, func(f jointField) bool { return f.field == field })
	})
}

// joint builds a table: by key where in index.rows its row begins.
func (b *builder) joint(fields []jointField, columns []column) []uint32 {
	size := uint8(0)
	for _, f := range fields {
		size = f.shift + f.bits
	}
	table := make([]uint32, 1<<size)
	for key := range table {
		row := slices.Clone(b.all)
		for _, f := range fields {
			value := key >> f.shift & (1<<f.bits - 1)
			for i := range columns {
				if c := &columns[i]; c.field == f.field && (c.kind == byWord || c.kind == byWords) {
					c.keep(row, b.ix, value)
				}
			}
		}
		table[key] = b.row(row) * uint32(b.ix.words)
	}
	return table
}

// keep leaves in a row the rules that a value of a key does: a word, or for sets a bit for each.
func (c *column) keep(row []uint64, ix *index, value int) {
	if c.kind == byWord {
		if value < len(c.values) && (value != 0 || c.literal) {
			and(row, ix.bits(c.values[value]))
		}
		return
	}
	if value&1 != 0 {
		return
	}
	any := slices.Clone(ix.bits(c.base))
	for word, of := range c.values {
		if value>>word&1 != 0 {
			or(any, ix.bits(of))
		}
	}
	and(row, any)
}

func and(row, other []uint64) {
	for i := range row {
		row[i] &= other[i]
	}
}

func or(row, other []uint64) {
	for i := range row {
		row[i] |= other[i]
	}
}
