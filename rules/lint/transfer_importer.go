package lint

import (
	"slices"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var transferImporter = Check{
	ID:    "transfer-importer",
	Title: "a rule rests on GDPR chapter V and does not look at the importer",
	Why: "A transfer needs an importer established in a third country (EDPB Guidelines 05/2021), wherever the person sits. A rule about " +
		"where somebody is rests on Art. 32 and on policy, and should say so.",
	run: func(p *pass) {
		for _, r := range p.set.Rules {
			if slices.ContainsFunc(r.Law, func(law string) bool { return readCitation(law).chapterFive }) {
				p.importer(r)
			}
		}
	},
}

func (p *pass) importer(r *policy.Rule) {
	var destination, employer, entities bool
	r.When.Each(func(c *policy.Condition) {
		destination = destination || c.Field == access.FieldDestCountry || c.Field == access.FieldDestEntity
		employer = employer || c.Field == access.FieldActorEmployerCountry
		entities = entities || c.Op == policy.DiffersFrom && min(c.Field, c.Other) == access.FieldActorEmployerEntity && max(c.Field, c.Other) == access.FieldExporterEntity
	})
	switch {
	case destination || employer && entities:
	case employer:
		p.report(r.Place("when"), "add the line actor.employer_entity differs from: data.exporter_entity", "the rule %s rests on GDPR chapter V and does not ask whether the importer is another entity than the exporter", r.ID)
	default:
		p.report(r.Place("law"), "test actor.employer_country and actor.employer_entity, or dest.country; or rest it on GDPR Art. 32",
			"the rule %s rests on GDPR chapter V and does not look at the importer", r.ID)
	}
}
