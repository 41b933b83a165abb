package enrich

import "borderwatch/schemas/access"

// Dataset is one catalogue entry: what the data sets of a pattern hold.
type Dataset struct {
	Pattern    string // exact, or a prefix with a trailing *
	Title      string // for people who read the file; decides nothing
	System     string
	Regions    access.Set
	Classes    access.Set
	Categories access.Set
	Form       access.DataForm
	Storage    access.Country
	Exporter   string // id of the entity on whose behalf the data is held
	Valid      Span
}

var datasetKeys = []string{"pattern", "title", "system", "subject_regions", "classes", "categories", "form",
	"storage_country", "storage_region", "exporter_entity", "from", "until"}

// readCatalogue reads one borderwatch/catalogue/v1 document.
func (b *builder) readCatalogue(o object) {
	o.only("format", "version", "datasets")
	for _, e := range o.objects("datasets") {
		e.only(datasetKeys...)
		d := Dataset{
			Pattern: e.required("pattern"), Title: e.text("title"), System: e.text("system"),
			Regions:    e.set("subject_regions", access.SubjectRegions),
			Classes:    e.set("classes", access.DataClasses),
			Categories: e.set("categories", access.DataCategories),
			Form:       access.DataForm(e.word("form", access.DataForms)),
			Storage:    e.placeOf("storage_country", "storage_region"),
			Exporter:   e.text("exporter_entity"), Valid: e.span(),
		}
		add(&b.datasets, e, "pattern", d.Pattern, d.Valid, d)
		b.refer(e, "exporter_entity", d.Exporter)
	}
}
