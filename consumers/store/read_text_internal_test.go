package store

import (
	"testing"

	"borderwatch/schemas/access"
)

// FuzzReadText reads whatever a row may hold: no text makes the reader panic, and what it takes is a value of the event.
func FuzzReadText(f *testing.F) {
	for _, seed := range []string{"", "unknown", "DE|FR", "any", "none", "declared=DE address=EUR", "restricted,unknown", "actor.kind data.form",
		"actor.kind=vendor\x00data.form[1]=clear\x00data.classes=public,restricted", "data.form[-1]=clear", "data.form[99999]=clear",
		`[{"dataset":"a","classes":["restricted"],"form":"clear","storage_country":"NO"}]`} {
		f.Add(seed, seed, seed)
	}
	f.Fuzz(func(t *testing.T, text, added, differs string) {
		parseCountry(text)
		parseList(text)
		parseSet(access.DataClasses)(text)
		if set, ok := parseCandidates(text); ok && set.String() == "" {
			t.Errorf("%q: %v", text, set)
		}
		if e, ok := parseEvidence(text); ok && int(e.count) > access.MaxEvidence {
			t.Errorf("%q: %d pieces", text, e.count)
		}
		var ev access.Event
		ev.Reset()
		if items, err := appendMore(ev.Data.Items, text); err == nil {
			ev.Data.Items = items
		}
		fields, _ := parseFields(added)
		list, _ := parseDifferences(differs)
		if err := separate(&ev, fields, list); err == nil {
			for item := range ev.Data.Items {
				for field := access.FieldNone + 1; field < access.FieldCount; field++ {
					ev.Missing(field, item)
				}
			}
		}
	})
}
