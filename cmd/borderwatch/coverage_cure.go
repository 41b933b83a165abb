package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"borderwatch/consumers/enrich"
	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
)

// cure is a file to mend and what it would give.
type cure struct {
	File string `json:"file"` // roster, entities, catalogue, networks, geoip, or source for the feed itself
	What string `json:"what"`
}

// The files that cure. cureSource is no file: only the system that writes the events knows.
const (
	cureRoster    = "roster"
	cureEntities  = "entities"
	cureCatalogue = "catalogue"
	cureNetworks  = "networks"
	cureGeoIP     = "geoip"
	cureSource    = "source"
)

// cureFiles are in the order in which they are shown: what the operator can write himself comes first.
var cureFiles = []string{cureRoster, cureEntities, cureCatalogue, cureNetworks, cureGeoIP, cureSource}

// cureOf names the file that fills in a field.
func cureOf(f access.Field) string {
	switch f {
	case access.FieldActorKind, access.FieldActorEmployerEntity, access.FieldActorHomeCountry, access.FieldActorCoveredPerson,
		access.FieldActorEmployment:
		return cureRoster
	case access.FieldActorEmployerCountry:
		return cureEntities
	case access.FieldSystem, access.FieldSubjectRegions, access.FieldClasses, access.FieldCategories, access.FieldForm,
		access.FieldStorageCountry, access.FieldExporterEntity:
		return cureCatalogue
	}
	return cureSource
}

// placeFields are what a rule reads that asks where somebody was.
const placeFields access.FieldSet = 1<<access.FieldLocationCountry | 1<<access.FieldLocationVerdict | 1<<access.FieldLocationConfidence

// curesOf lists by file what would lower the unknowns of a feed and data set, among the fields that rules read.
func curesOf(c *store.Coverage, read access.FieldSet) []cure {
	what := map[string][]string{}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		if share := c.Missing[f.String()]; share > 0 && read.Has(f) {
			file := cureOf(f)
			what[file] = append(what[file], fmt.Sprintf("%s (%s missing)", f, percent(share)))
		}
	}
	if read&placeFields != 0 && c.Verdicts[access.LocationUnknown.String()]+c.Verdicts[access.LocationMasked.String()] > 0 {
		for _, reason := range c.Reasons {
			if file, text, ok := cureOfReason(reason); ok {
				what[file] = append(what[file], text)
			}
		}
	}
	cures := []cure{}
	for _, file := range cureFiles {
		if len(what[file]) > 0 {
			cures = append(cures, cure{file, strings.Join(what[file], "; ")})
		}
	}
	return cures
}

// cureOfReason finds the file that would give a place, false where nothing should.
func cureOfReason(word string) (file, text string, ok bool) {
	reasons := enrich.Reasons()
	i := slices.IndexFunc(reasons, func(r enrich.Reason) bool { return r.Word == word })
	if i < 0 || reasons[i].Cure == "" {
		return "", "", false
	}
	r := reasons[i]
	file, first := cureSource, len(r.Cure)
	for _, name := range slices.Sorted(maps.Keys(cureWords)) {
		if at := strings.Index(r.Cure, name); at >= 0 && at < first {
			file, first = cureWords[name], at
		}
	}
	return file, fmt.Sprintf("%s (%s): %s", r.Word, r.Meaning, strings.TrimPrefix(r.Cure, file+": ")), true
}

// cureWords are how the cures of enrich.Reasons call the files.
var cureWords = map[string]string{"networks": cureNetworks, "roster": cureRoster, "location database": cureGeoIP}
