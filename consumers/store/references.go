package store

import (
	"strconv"

	"borderwatch/schemas/access"
)

// references collects how source and reference files disagree about an event.
type references struct {
	added access.FieldSet // given by the reference alone
	text  []byte          // field=value of the source, separated by NUL
}

func (r *references) compare(ev *access.Event) {
	a := &ev.Actor
	word(r, access.FieldActorKind, a.Kind, a.KindRef)
	word(r, access.FieldActorEmployerCountry, a.EmployerCountry, a.EmployerCountryRef)
	word(r, access.FieldActorHomeCountry, a.HomeCountry, a.HomeCountryRef)
	word(r, access.FieldActorCoveredPerson, a.CoveredPerson, a.CoveredPersonRef)
	word(r, access.FieldActorEmployment, a.Employment, a.EmploymentRef)
	r.name(access.FieldActorEmployerEntity, 0, a.EmployerEntity, a.EmployerEntityRef)
	if a.GroupsAdded > 0 && !a.GroupsGiven {
		r.added = r.added.With(access.FieldActorGroups)
	}
	for i := range ev.Data.Items {
		r.item(&ev.Data.Items[i], i)
	}
	r.name(access.FieldExporterEntity, 0, ev.Data.ExporterEntity, ev.Data.ExporterEntityRef)
}

// name compares two texts. The word unknown says as little as none.
func (r *references) name(f access.Field, n int, value, reference string) {
	if reference == "" {
		return
	}
	switch value {
	case reference:
	case "", "unknown":
		r.added = r.added.With(f)
	default:
		r.differ(f, n, value)
	}
}

func (r *references) item(i *access.Item, n int) {
	r.name(access.FieldSystem, n, i.System, i.SystemRef)
	if i.FormRef != 0 {
		itemWord(r, access.FieldForm, n, i.Form, i.FormRef)
	}
	if i.StorageCountryRef != 0 {
		itemWord(r, access.FieldStorageCountry, n, i.StorageCountry, i.StorageCountryRef)
	}
	if i.RegionsRef != 0 {
		r.set(access.FieldSubjectRegions, n, i.Regions, i.EffectiveRegions())
	}
	if i.ClassesRef != 0 {
		r.set(access.FieldClasses, n, i.Classes, i.EffectiveClasses())
	}
	if i.CategoriesRef != 0 {
		r.set(access.FieldCategories, n, i.Categories, i.EffectiveCategories())
	}
}

// set notes what the source said where the union with the catalogue is more than that.
func (r *references) set(f access.Field, n int, source, union access.Set) {
	switch {
	case source == union:
	case source.Missing():
		r.added = r.added.With(f)
	default:
		r.differ(f, n, source.Format(f.Info().Vocabulary))
	}
}

type closed interface {
	~uint8
	String() string
}

func word[T closed](r *references, f access.Field, value, reference T) {
	if reference != 0 {
		itemWord(r, f, 0, value, reference)
	}
}

func itemWord[T closed](r *references, f access.Field, n int, value, reference T) {
	switch value {
	case reference:
	case 0:
		r.added = r.added.With(f)
	default:
		r.differ(f, n, value.String())
	}
}

// differ writes field=value, with the number of the data item after the field where it is not the first: data.form[1].
func (r *references) differ(f access.Field, item int, value string) {
	if len(r.text) > 0 {
		r.text = append(r.text, 0)
	}
	r.text = append(r.text, f.String()...)
	if item > 0 {
		r.text = strconv.AppendInt(append(r.text, '['), int64(item), 10)
		r.text = append(r.text, ']')
	}
	r.text = append(append(r.text, '='), value...)
}
