package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"borderwatch/schemas/access"
)

// The parsers below read what the columns of event_text.go and references.go write. The server puts an empty text into
// every dictionary, so each accepts it.

const unknownText = "unknown"

func parseCountry(text string) (access.Country, bool) {
	if text == "" || text == unknownText {
		return 0, true
	}
	return access.ParseCountry(text)
}

// textList is a list of texts, not given where nobody said anything.
type textList struct {
	members []string
	given   bool
}

func parseList(text string) (textList, bool) {
	switch text {
	case unknownText:
		return textList{}, true
	case "":
		return textList{given: true}, true
	}
	return textList{strings.Split(text, "\x00"), true}, true
}

func parseCandidates(text string) (set access.CountrySet, ok bool) {
	switch text {
	case "any":
		return access.AllCountries, true
	case "none", "":
		return set, true
	}
	for code := range strings.SplitSeq(text, "|") {
		c, ok := access.ParseCountry(code)
		if !ok {
			return set, false
		}
		set.Add(c)
	}
	return set, true
}

// evidence is the evidence of a location.
type evidence struct {
	pieces [access.MaxEvidence]access.Evidence
	count  uint8
}

func parseEvidence(text string) (e evidence, ok bool) {
	for piece := range strings.FieldsSeq(text) {
		word, code, _ := strings.Cut(piece, "=")
		kind, known := evidenceKinds[word]
		place, valid := access.ParsePlace(code)
		if !known || !valid || int(e.count) == len(e.pieces) {
			return e, false
		}
		e.pieces[e.count] = access.Evidence{Kind: kind, Place: place}
		e.count++
	}
	return e, true
}

var evidenceKinds = func() map[string]access.EvidenceKind {
	kinds := make(map[string]access.EvidenceKind)
	for k := access.EvidenceNone; k <= access.EvidenceRoster; k++ {
		kinds[k.String()] = k
	}
	return kinds
}()

// parseSet returns the parser of a set of words of a vocabulary.
func parseSet(v *access.Vocabulary) func(string) (access.Set, bool) {
	return func(text string) (set access.Set, ok bool) {
		switch text {
		case unknownText:
			return set, true
		case "":
			return access.EmptySet, true
		}
		return setOf(v, strings.Split(text, ","))
	}
}

func setOf(v *access.Vocabulary, list []string) (set access.Set, ok bool) {
	if len(list) == 1 && list[0] == unknownText {
		return set, true
	}
	set = access.EmptySet
	for _, word := range list {
		i, ok := v.Parse(word)
		if !ok {
			return set, false
		}
		set = set.With(i)
	}
	return set, true
}

func parseFields(text string) (fields access.FieldSet, ok bool) {
	for name := range strings.FieldsSeq(text) {
		f, ok := access.FieldNamed(name)
		if !ok {
			return fields, false
		}
		fields = fields.With(f)
	}
	return fields, true
}

// difference is what the source said of a field where the reference files say something else.
type difference struct {
	field access.Field
	item  int
	text  string
}

func parseDifferences(text string) (list []difference, ok bool) {
	if text == "" {
		return nil, true
	}
	for part := range strings.SplitSeq(text, "\x00") {
		name, value, found := strings.Cut(part, "=")
		d := difference{text: value}
		if at := strings.IndexByte(name, '['); at >= 0 {
			n, err := strconv.ParseUint(strings.TrimSuffix(name[at+1:], "]"), 10, 16)
			if err != nil {
				return nil, false
			}
			name, d.item = name[:at], int(n)
		}
		if d.field, ok = access.FieldNamed(name); !ok || !found {
			return nil, false
		}
		list = append(list, d)
	}
	return list, true
}

// appendMore reads the data items beyond the first.
func appendMore(items []access.Item, text string) ([]access.Item, error) {
	var more []struct {
		Dataset    string   `json:"dataset"`
		System     string   `json:"system"`
		Regions    []string `json:"subject_regions"`
		Classes    []string `json:"classes"`
		Categories []string `json:"categories"`
		Form       string   `json:"form"`
		Storage    string   `json:"storage_country"`
	}
	if err := json.Unmarshal([]byte(text), &more); err != nil {
		return nil, fmt.Errorf("more_items: %w", err)
	}
	for i := range more {
		m := &more[i]
		form, ok0 := access.DataForms.Parse(m.Form)
		storage, ok1 := parseCountry(m.Storage)
		regions, ok2 := setOf(access.SubjectRegions, m.Regions)
		classes, ok3 := setOf(access.DataClasses, m.Classes)
		categories, ok4 := setOf(access.DataCategories, m.Categories)
		if !(ok0 && ok1 && ok2 && ok3 && ok4) {
			return nil, fmt.Errorf("more_items: this build cannot read %q", text)
		}
		items = append(items, access.Item{Dataset: m.Dataset, System: m.System, Regions: regions, Classes: classes, Categories: categories,
			Form: access.DataForm(form), StorageCountry: storage})
	}
	return items, nil
}

// separate gives each side its word again: what only the reference files gave, and what the source said where they differ.
// Of equal words one is kept, which judges alike.
func separate(ev *access.Event, added access.FieldSet, differs []difference) error {
	for names := added; names != 0; {
		f := firstOf(names)
		names &^= 1 << f
		for i := range ev.Data.Items {
			toReference(ev, f, i)
			if !f.Info().PerItem {
				break
			}
		}
	}
	for _, d := range differs {
		if d.item >= len(ev.Data.Items) {
			return fmt.Errorf("differs: %s of data item %d of %d", d.field, d.item, len(ev.Data.Items))
		}
		toReference(ev, d.field, d.item)
		if d.field.Info().Type != access.Words {
			if err := ev.SetText(d.field, d.item, d.text); err != nil {
				return fmt.Errorf("differs: %w", err)
			}
			continue
		}
		ev.MarkGiven(d.field, d.item)
		for word := range strings.SplitSeq(d.text, ",") {
			if word == "" {
				continue // known to be empty
			}
			if err := ev.SetText(d.field, d.item, word); err != nil {
				return fmt.Errorf("differs: %w", err)
			}
		}
	}
	return nil
}

// toReference makes the shown value of a field the reference's and empties the source's.
func toReference(ev *access.Event, f access.Field, item int) {
	a, i := &ev.Actor, &ev.Data.Items[item]
	switch f {
	case access.FieldActorKind:
		move(&a.KindRef, &a.Kind)
	case access.FieldActorEmployerCountry:
		move(&a.EmployerCountryRef, &a.EmployerCountry)
	case access.FieldActorEmployerEntity:
		move(&a.EmployerEntityRef, &a.EmployerEntity)
	case access.FieldActorHomeCountry:
		move(&a.HomeCountryRef, &a.HomeCountry)
	case access.FieldActorCoveredPerson:
		move(&a.CoveredPersonRef, &a.CoveredPerson)
	case access.FieldActorEmployment:
		move(&a.EmploymentRef, &a.Employment)
	case access.FieldActorGroups:
		a.GroupsAdded, a.GroupsGiven = len(a.Groups), false
	case access.FieldExporterEntity:
		move(&ev.Data.ExporterEntityRef, &ev.Data.ExporterEntity)
	case access.FieldSystem:
		move(&i.SystemRef, &i.System)
	case access.FieldForm:
		move(&i.FormRef, &i.Form)
	case access.FieldStorageCountry:
		move(&i.StorageCountryRef, &i.StorageCountry)
	case access.FieldSubjectRegions:
		move(&i.RegionsRef, &i.Regions)
	case access.FieldClasses:
		move(&i.ClassesRef, &i.Classes)
	case access.FieldCategories:
		move(&i.CategoriesRef, &i.Categories)
	}
}

// move is made once: a field of several data items may be added in one and differ in another.
func move[T comparable](reference, value *T) {
	var zero T
	if *reference == zero {
		*reference, *value = *value, zero
	}
}
