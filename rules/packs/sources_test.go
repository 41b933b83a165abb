package packs_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"borderwatch/rules/policy"
)

// The tables below were written from the sources they name and not from the packs, so that a slip in one of the two
// shows. They change only with their source.

// eeaMembers: the 27 member states of the Union (european-union.europa.eu, country profiles) and the three EFTA states
// in the EEA (efta.int, "GDPR entered into force in the EEA", 20 July 2018), by name so that a code cannot be copied.
var eeaMembers = map[string]string{
	"Austria": "AT", "Belgium": "BE", "Bulgaria": "BG", "Croatia": "HR", "Cyprus": "CY", "Czechia": "CZ", "Denmark": "DK",
	"Estonia": "EE", "Finland": "FI", "France": "FR", "Germany": "DE", "Greece": "GR", "Hungary": "HU", "Ireland": "IE",
	"Italy": "IT", "Latvia": "LV", "Lithuania": "LT", "Luxembourg": "LU", "Malta": "MT", "Netherlands": "NL", "Poland": "PL",
	"Portugal": "PT", "Romania": "RO", "Slovakia": "SK", "Slovenia": "SI", "Spain": "ES", "Sweden": "SE",
	"Iceland": "IS", "Liechtenstein": "LI", "Norway": "NO",
}

// euTerritory: TFEU Art. 355(1) as consolidated in OJ C 202, 7.6.2016, p. 197 (without the Azores, Madeira and the
// Canary Islands, which have no code in ISO 3166-1), and Art. 355(4).
var euTerritory = map[string]string{
	"Guadeloupe": "GP", "French Guiana": "GF", "Martinique": "MQ", "Mayotte": "YT", "Réunion": "RE", "Saint-Martin": "MF", "Åland": "AX",
}

// countriesOfConcern: 28 CFR 202.601(a) in the eCFR of 2026-04-05, and 202.208 for the two regions of China.
var countriesOfConcern = map[string]string{
	"China": "CN", "Hong Kong": "HK", "Macau": "MO", "Cuba": "CU", "Iran": "IR", "North Korea": "KP", "Russia": "RU", "Venezuela": "VE",
}

// concernSince is the effective date of 28 CFR Part 202 (90 FR 1636 of 8 January 2025).
const concernSince = "2025-04-08"

// decision is an adequacy decision: its number, the day it was adopted, its end, and whether it covers a part of the
// importers only.
type decision struct {
	number, adopted, until string
	part                   bool
}

// decisions: the title of Implementing Decision (EU) 2016/2295 names the eleven of Directive 95/46/EC; days and scopes
// are those of the titles and first articles on EUR-Lex. The list of countries is the Commission's page on adequacy
// decisions with Brazil (OJ L, 2026/179, 28.1.2026) added. The end for the United Kingdom is that of the renewal of 19
// December 2025. Of Guernsey and the Faroe Islands only month and year, or the year, could be compared.
var decisions = map[string]decision{
	"CH": {number: "2000/518/EC", adopted: "2000-07-26"},
	"CA": {number: "2002/2/EC", adopted: "2001-12-20", part: true}, // recipients under PIPEDA
	"AR": {number: "2003/490/EC", adopted: "2003-06-30"},
	"GG": {number: "2003/821/EC", adopted: "2003-11-21"},
	"IM": {number: "2004/411/EC", adopted: "2004-04-28"},
	"JE": {number: "2008/393/EC", adopted: "2008-05-08"},
	"FO": {number: "2010/146/EU", adopted: "2010-03-05", part: true}, // recipients under the Faroese act
	"AD": {number: "2010/625/EU", adopted: "2010-10-19"},
	"IL": {number: "2011/61/EU", adopted: "2011-01-31"},
	"UY": {number: "2012/484/EU", adopted: "2012-08-21"},
	"NZ": {number: "2013/65/EU", adopted: "2012-12-19"},
	"JP": {number: "(EU) 2019/419", adopted: "2019-01-23", part: true}, // business operators under the APPI
	"GB": {number: "(EU) 2021/1772", adopted: "2021-06-28", until: "2031-12-27"},
	"KR": {number: "(EU) 2022/254", adopted: "2021-12-17", part: true}, // not religious and political bodies, nor credit data
	"BR": {number: "(EU) 2026/179", adopted: "2026-01-26"},
}

// listedOnly: Art. 1 of Implementing Decision (EU) 2023/1795, organisations on the Data Privacy Framework List.
var listedOnly = map[string]decision{"US": {number: "(EU) 2023/1795", adopted: "2023-07-10", part: true}}

func TestCountriesAgainstTheirSources(t *testing.T) {
	set := read(t)
	for group, want := range map[string]map[string]string{"eea": eeaMembers, "eu_territory": euTerritory, "us_concern": countriesOfConcern} {
		compareCodes(t, group, slices.Sorted(maps.Values(want)), codes(set, group))
	}
	if len(eeaMembers) != 30 {
		t.Errorf("%d members of the EEA, want 27 and 3", len(eeaMembers))
	}
	for _, m := range set.Flatten("us_concern") {
		if m.From.String() != concernSince || m.Until != policy.NoDay {
			t.Errorf("us_concern: %s holds from %s until %s, want from %s", m.Text, m.From, m.Until, concernSince)
		}
	}
	compareCodes(t, "eea and eu_territory", nil, common(codes(set, "eea"), codes(set, "eu_territory")))
	compareCodes(t, "eea and adequacy", nil, common(codes(set, "eea"), codes(set, "adequacy")))
}

func TestAdequacyAgainstItsSources(t *testing.T) {
	set := read(t)
	compareDecisions(t, set, "adequacy", decisions)
	compareDecisions(t, set, "adequacy_listed_organisations", listedOnly)
	var parts []string
	for code, d := range decisions {
		if d.part {
			parts = append(parts, code)
		}
	}
	slices.Sort(parts)
	compareCodes(t, "adequacy_in_part", parts, codes(set, "adequacy_in_part"))
}

func compareDecisions(t *testing.T, set *policy.Set, group string, want map[string]decision) {
	t.Helper()
	compareCodes(t, group, slices.Sorted(maps.Keys(want)), codes(set, group))
	for _, m := range set.Group(group).Members {
		w := want[m.Text]
		until := ""
		if m.Until != policy.NoDay {
			until = m.Until.String()
		}
		if !strings.Contains(m.Source, w.number) || m.From.String() != w.adopted || until != w.until || m.Limited != (w.until != "") {
			t.Errorf("%s: %s is %q from %s until %q, want %+v", group, m.Text, m.Source, m.From, until, w)
		}
		if m.Scope == "" || m.Scope == "all" && w.part {
			t.Errorf("%s: the scope of %s is %q", group, m.Text, m.Scope)
		}
	}
}

func codes(set *policy.Set, group string) []string {
	var out []string
	for _, m := range set.Flatten(group) {
		out = append(out, m.Text)
	}
	slices.Sort(out)
	return out
}

func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(c string) bool { return !slices.Contains(b, c) })
}

func compareCodes(t *testing.T, what string, want, got []string) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf("%s has %v, want %v", what, got, want)
	}
}

// TestGroupsSayWhereTheyComeFrom: a country list is compared with a source, or says that it is a choice; all are checked.
func TestGroupsSayWhereTheyComeFrom(t *testing.T) {
	law := []string{"adequacy", "adequacy_in_part", "adequacy_listed_organisations", "eea", "eu_territory", "us_concern"}
	for _, g := range read(t).Groups {
		if g.Checked == policy.NoDay || g.Title == "" || g.Source == "" {
			t.Errorf("%s lacks checked, title or source", g.Name)
		}
		if slices.Contains(law, g.Name) == strings.HasPrefix(g.Source, startingValue) {
			t.Errorf("%s: the source is %q; a list that is no law starts with %q", g.Name, g.Source, startingValue)
		}
	}
}

// startingValue marks in a rule's law, and in a group's source, what is a choice of ours and not law.
const startingValue = "Starting value: "

// references are all texts that the packs may cite, each with what it is about. Those of 28 CFR were read in the eCFR
// of April 2026, GDPR Art. 32 and 44 to 46, TFEU, the EDPB's guidelines (version 2.0 of 14 February 2023) and ISO's
// control in full text; what the others say is written from memory and not held against the text.
var references = map[string]string{
	"GDPR Art. 4(5)":            "what pseudonymisation is",
	"GDPR Art. 5(1)(c)":         "data minimisation",
	"GDPR Art. 5(2)":            "accountability",
	"GDPR Art. 28(3)(a)":        "a processor acts on documented instructions, transfers among them",
	"GDPR Art. 29":              "whoever has access acts on instructions only",
	"GDPR Art. 32":              "security of processing",
	"GDPR Art. 32(1)(a)":        "pseudonymisation and encryption",
	"GDPR Art. 32(4)":           "persons under the controller's authority act on instructions only",
	"GDPR Art. 44":              "general principle for transfers",
	"GDPR Art. 45":              "transfers on the basis of an adequacy decision",
	"GDPR Art. 46":              "transfers subject to appropriate safeguards",
	"EDPB Guidelines 05/2021":   "what a transfer is; an own employee abroad is none",
	"28 CFR 202.201":            "access is the ability, too",
	"28 CFR 202.205":            "bulk, over twelve months; devices for geolocation",
	"28 CFR 202.206":            "whether anonymised, pseudonymised, de-identified or encrypted",
	"28 CFR 202.211":            "covered person",
	"28 CFR 202.211(a)(1)":      "entities owned or organised in a country of concern",
	"28 CFR 202.211(a)(2)":      "entities owned by covered persons",
	"28 CFR 202.211(a)(3)":      "employees and contractors of these",
	"28 CFR 202.211(a)(4)":      "who primarily resides in a country of concern",
	"28 CFR 202.222":            "government-related data, regardless of volume",
	"28 CFR 202.249":            "sensitive personal data",
	"28 CFR 202.301":            "prohibited data brokerage",
	"28 CFR 202.303":            "prohibited transactions of human 'omic data",
	"28 CFR 202.401":            "restricted transactions: vendors, employees, investors",
	"28 CFR 202.601":            "countries of concern",
	"ISO/IEC 27001:2022 A.5.18": "access rights are removed when somebody leaves",
	"NIST SP 800-63B":           "authentication and authenticators",
}

// byLawAlone are the rules of which nothing but severity, owner and response is a choice of ours.
var byLawAlone = []string{"BASE-301", "EU-102", "EU-104", "EU-116", "EU-119", "US-202"}

// TestLawAndChoiceAreApart holds each rule's law against the references, and demands the mark of a choice where there
// is one.
func TestLawAndChoiceAreApart(t *testing.T) {
	cited := map[string]bool{}
	for _, r := range read(t).Rules {
		law, choices := 0, 0
		for _, entry := range r.Law {
			if choice, ok := strings.CutPrefix(entry, startingValue); ok {
				choices++
				if choice == "" {
					t.Errorf("%s: a starting value does not say what it is", r.ID)
				}
				continue
			}
			law++
			cited[entry] = true
			if references[entry] == "" {
				t.Errorf("%s cites %q, which is in no source", r.ID, entry)
			}
		}
		if law == 0 || choices > 1 {
			t.Errorf("%s has %d references and %d starting values, want some and at most one", r.ID, law, choices)
		}
		if choices == 0 != slices.Contains(byLawAlone, r.ID) {
			t.Errorf("%s has %d starting values; by law alone are %v", r.ID, choices, byLawAlone)
		}
		if choices == 0 && choosing(r) != "" {
			t.Errorf("%s is by law alone and chooses %s", r.ID, choosing(r))
		}
	}
	for entry := range references {
		if !cited[entry] {
			t.Errorf("no rule cites %s", entry)
		}
	}
}

// choosing finds a condition that no law writes: a number, a list of ours, or only a part of the personal data.
func choosing(r *policy.Rule) (found string) {
	r.When.Each(func(c *policy.Condition) {
		text := c.String()
		switch {
		case c.Op == policy.AtLeast || c.Op == policy.AtMost,
			strings.Contains(text, "@approved") || strings.Contains(text, "@eu_never"),
			strings.HasPrefix(text, "data.classes: ") && !strings.Contains(text, "personal"):
			found = text
		}
	})
	return found
}

var belowThreshold = regexp.MustCompile(`(?i)below (the |a )?threshold|under the threshold|not bulk`)

// TestUnitedStatesRules: no form of data exempts, none speaks of less than bulk, exceptions need a licence.
func TestUnitedStatesRules(t *testing.T) {
	covered := 0
	for _, r := range read(t).Rules {
		if !strings.HasPrefix(r.ID, "US-") {
			continue
		}
		if text := fmt.Sprint(r.Title, r.Why, r.Respond, r.Law); belowThreshold.MatchString(text) {
			t.Errorf("%s says that something lies below a threshold: %s", r.ID, text)
		}
		if r.Exceptions && r.Licence == "" {
			t.Errorf("%s allows exceptions and names no licence", r.ID)
		}
		r.When.Each(func(c *policy.Condition) {
			switch c.Field.String() {
			case "data.form", "data.records", "data.subjects":
				t.Errorf("%s tests %s", r.ID, c)
			case "actor.covered_person":
				covered++
			}
		})
	}
	if covered == 0 {
		t.Error("no rule tests the covered person")
	}
}

func TestPackSizes(t *testing.T) {
	count := map[string]int{}
	for _, r := range read(t).Rules {
		pack, _, _ := strings.Cut(r.ID, "-")
		count[pack]++
	}
	for pack, least := range map[string]int{"EU": 16, "US": 8, "BASE": 10} {
		if count[pack] < least {
			t.Errorf("%d rules of %s, want at least %d", count[pack], pack, least)
		}
	}
}
