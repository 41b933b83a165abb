package enrich_test

import (
	"strings"
	"testing"

	"borderwatch/consumers/enrich"
)

func TestImportCSV(t *testing.T) {
	for _, row := range []struct{ format, table, want string }{
		{enrich.FormatRoster, "\xef\xbb\xbfid;kind;home_country;groups;covered_person;covered_basis;employed_from;until\r\nu-1;employee;NO;a | b;yes;residence;2024-01-01;\r\nsvc-*;service;SE;;no;;;2026-12-31\r\n",
			`format: borderwatch/roster/v1
people:
  - id: u-1
    kind: employee
    home_country: "NO"
    groups: [a, b]
    covered_person: {answer: "yes", basis: residence}
    employment: {from: "2024-01-01"}
services:
  - id: svc-*
    kind: service
    home_country: SE
    covered_person: {answer: "no"}
    until: "2026-12-31"
`},
		{enrich.FormatCatalogue, "pattern,subject_regions,classes,title\neu.*,EU|UK,restricted,\"a, b: c\"\n",
			`format: borderwatch/catalogue/v1
datasets:
  - pattern: eu.*
    subject_regions: [EU, UK]
    classes: [restricted]
    title: 'a, b: c'
`},
		{enrich.FormatNetworks, "name,kind,region,prefixes\nx,workload,eu-west-1,192.0.2.0/25|2001:db8::/32\n",
			`format: borderwatch/networks/v1
sites:
  - name: x
    kind: workload
    region: eu-west-1
    prefixes: [192.0.2.0/25, "2001:db8::/32"]
`},
	} {
		yaml, problems := enrich.ImportCSV(row.format, strings.NewReader(row.table))
		if len(problems) > 0 {
			t.Errorf("%s: %v", row.format, problems)
			continue
		}
		if normal(string(yaml)) != normal(row.want) {
			t.Errorf("%s:\n%s\nwant\n%s", row.format, yaml, row.want)
		}
		if e, problems := enrich.New([]enrich.Document{{Path: "x.yaml", Data: yaml}}, nil, enrich.Database{}, enrich.Database{}); e == nil {
			t.Errorf("%s: cannot be read back: %v", row.format, problems)
		}
	}
}

// normal makes quotation marks a matter of taste.
func normal(s string) string { return strings.NewReplacer(`"`, "", "'", "").Replace(s) }

func TestImportCSVProblems(t *testing.T) {
	for _, row := range []struct{ format, table, want string }{
		{enrich.FormatRoster, "id,kind,home_contry\n", `csv:1:3: unknown column "home_contry" (did you mean home_country?)`},
		{enrich.FormatRoster, "id,kind,home_country\nu-1,employee,DE\nu-2,employee,UKR\n", `csv:3:3: home_country: "UKR" is not an ISO 3166-1 alpha-2 country code`},
		{enrich.FormatRoster, "id,kind\nu-1,employee\nu-1,vendor\n", "csv:3:1: id u-1 is given twice for the same days, first in line 2"},
		{enrich.FormatEntities, "id,country,role\nx,DE,boss\n", `csv:2:3: role: "boss" is not one of controller`},
		{enrich.FormatEntities, "id,country,role\nx,DE\n", "csv: record on line 2: wrong number of fields"},
		{enrich.FormatEntities, "", "csv: no table: EOF"},
		{"borderwatch/rule/v1", "id\n", `csv: there is no table for "borderwatch/rule/v1"`},
	} {
		yaml, problems := enrich.ImportCSV(row.format, strings.NewReader(row.table))
		if yaml != nil || len(problems) == 0 || !strings.HasPrefix(problems[0].Error(), row.want) {
			t.Errorf("%q: %v, want %s", row.table, problems, row.want)
		}
	}
}

func FuzzImportCSV(f *testing.F) {
	f.Add(0, "id,kind,covered_person,covered_basis\nu-1,employee,yes,residence\n")
	f.Add(1, "pattern;classes\neu.*;restricted|public\n")
	f.Add(3, "name,kind,region,prefixes\nx,office,eu-west-1,10.0.0.0/8|::/0\n")
	f.Add(4, "id,actors,datasets,from,until\n\"\n\",\x00,<<,2026-01-01,2026-01-02\n")
	f.Fuzz(func(t *testing.T, format int, table string) {
		formats := enrich.Formats()
		yaml, problems := enrich.ImportCSV(formats[uint(format)%uint(len(formats))], strings.NewReader(table))
		if yaml == nil {
			if len(problems) == 0 {
				t.Fatal("refused without a reason")
			}
			return
		}
		e, problems := enrich.New([]enrich.Document{{Path: "x.yaml", Data: yaml}}, nil, enrich.Database{}, enrich.Database{})
		for _, p := range problems {
			if e == nil && !strings.Contains(p.Message, "no entities file has") {
				t.Fatalf("%s cannot be read back: %v", yaml, problems)
			}
		}
	})
}
