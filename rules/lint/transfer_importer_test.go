package lint_test

import "testing"

func TestTransferImporter(t *testing.T) {
	const none = "rests on GDPR chapter V and does not look at the importer (test actor.employer_country"
	const another = "does not ask whether the importer is another entity than the exporter (add the line actor.employer_entity differs from: data.exporter_entity)"
	for _, tt := range []struct {
		law, when string
		want      []string
	}{
		{"GDPR Art. 44", "location.country: CN", []string{none}},
		{"GDPR Article 46(1)", "location.country: CN", []string{none}},
		{"GDPR chapter V", "location.country: CN", []string{none}},
		{"GDPR Art. 44", "actor.employer_country: CN", []string{another}},
		{"GDPR Art. 44", "actor.employer_country: CN; actor.employer_entity differs from: data.exporter_entity", nil},
		{"GDPR Art. 44", "actor.employer_country: CN; data.exporter_entity differs from: actor.employer_entity", nil},
		{"GDPR Art. 44", "actor.employer_country: CN; actor.employer_entity same as: data.exporter_entity", []string{another}},
		{"GDPR Art. 44", "dest.country: CN", nil},
		{"GDPR Art. 32", "location.country: CN", nil},
		{"GDPR Art. 4(5)", "location.country: CN", nil},
		{"28 CFR 202.401", "location.country: CN", nil},
	} {
		t.Run(tt.law+" "+tt.when, func(t *testing.T) {
			expect(t, find(t, "transfer-importer", today, rule(tt.when, "law: ['GDPR Art. 5', '"+tt.law+"']\n")), tt.want...)
		})
	}
}
