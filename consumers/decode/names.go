package decode

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"borderwatch/schemas/access"
)

// slot is what a key of a native record means: a field of the event (its access.Field), or one of the values below.
type slot uint8

const (
	slotUnknown  slot = 0 // a key the format does not know
	slotSchema        = slot(access.FieldCount) + iota - 1
	slotItems         // data.items
	slotEvidence      // location.evidence
	slotAdded         // kafka.* and raw, which borderwatch adds
	slotGroup         // the first object of fields; the rest follow: see groups
)

// groups are the objects that fields may be nested in. Group i has the slot slotGroup+i and the scope i+1.
var groups = [...]string{
	"source", "actor", "session", "declared", "location", "network", "data", "dest", "approval", "ticket", "transfer", "gateway",
}

const slotCount = int(slotGroup) + len(groups)

// Scopes of keys: the record itself, its groups, and a further data item.
const (
	scopeRecord uint8 = 0
	scopeItem   uint8 = uint8(len(groups)) + 1
	scopeCount        = int(scopeItem) + 1
)

func (l slot) isGroup() bool { return l >= slotGroup }

// scope is the scope of the keys in a group's object.
func (l slot) scope() uint8 { return uint8(l-slotGroup) + 1 }

// name is what a slot is called in a record.
func (l slot) name() string {
	switch {
	case l.isGroup():
		return groups[l-slotGroup]
	case l == slotSchema:
		return "schema"
	case l == slotItems:
		return "data.items"
	case l == slotEvidence:
		return "location.evidence"
	case l == slotUnknown || l >= slotAdded:
		return ""
	}
	return access.Field(l).String()
}

// names is what the keys of a native record mean, by scope.
type names struct {
	slots  [scopeCount]map[string]slot
	known  [scopeCount][]string          // the keys of slots
	quoted [scopeCount][slotCount]string // the key and its colon, as most records write it; "" where it is not written so

	types    [access.FieldCount]access.Type
	computed access.FieldSet // fields that a record may not give
	perItem  uint64          // bit per field that each data item has of its own
}

// nameTable returns the table of names, which decoders share and none changes.
var nameTable = sync.OnceValue(newNameTable)

// newNameTable builds the table of names from the fields of the event.
func newNameTable() *names {
	t := new(names)
	for i := range t.slots {
		t.slots[i] = make(map[string]slot)
	}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		t.types[f] = f.Info().Type
		if f.Info().Need == access.Computed {
			t.computed = t.computed.With(f)
		}
	}
	for l := slot(1); int(l) < slotCount; l++ {
		t.add(scopeRecord, l.name(), l)
		group, rest, nested := strings.Cut(l.name(), ".")
		for i := range groups {
			if nested && groups[i] == group {
				t.add(uint8(i)+1, rest, l)
			}
		}
		if l < slotSchema && access.Field(l).Info().PerItem {
			t.add(scopeItem, rest, l)
			t.perItem |= 1 << l
		}
	}
	for _, name := range []string{"kafka", "kafka.topic", "kafka.partition", "kafka.offset", "kafka.timestamp", "raw"} {
		t.slots[scopeRecord][name] = slotAdded
	}
	for scope := range t.slots {
		t.known[scope] = slices.Sorted(maps.Keys(t.slots[scope]))
	}
	return t
}

func (t *names) add(scope uint8, name string, l slot) {
	if name == "" {
		return
	}
	t.slots[scope][name] = l
	t.quoted[scope][l] = `"` + name + `":`
}

// otherCase returns the known name that differs from the given unknown one only in case.
func (t *names) otherCase(scope uint8, name string) (string, bool) {
	if isLower(name) {
		return "", false
	}
	for _, known := range t.known[scope] { // EqualFold knows letters such as the Kelvin sign too
		if strings.EqualFold(known, name) {
			return known, true
		}
	}
	return "", false
}

// isLower reports whether a name has neither capitals nor anything beyond ASCII, so that it can fold to no other.
func isLower(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= 0x80 || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

// fullName is the dotted path of a key in a scope, for messages.
func fullName(scope uint8, name string) string {
	switch scope {
	case scopeRecord:
		return name
	case scopeItem:
		return "data.items." + name
	}
	return groups[scope-1] + "." + name
}
