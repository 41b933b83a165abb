package engine_test

import (
	"slices"
	"strings"
	"testing"

	"borderwatch/rules/engine"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

const (
	eea      = "eea: [DE, FR, IE]"
	concern  = "us_concern: [CN, RU]"
	overseas = `location.country not: "@eea"`
)

// outcomes are worked examples of the settled meanings: an event, a rule and the outcome. The name starts with the number
// of the meaning.
var outcomes = []struct {
	name, when, event string
	keys              []string // of the rule
	want              alert.Outcome
}{
	// 3. Candidates: true for every one, false for none, else unknown.
	{"03-one-country-inside", overseas, "location.country: DE", nil, alert.None},
	{"03-one-country-outside", overseas, "location.country: CN", nil, alert.Alert},
	{"03-conflict-inside-and-outside", overseas, "location.country: [DE, CN]", nil, alert.Unknown},
	{"03-conflict-both-outside", overseas, "location.country: [CN, RU]", nil, alert.Alert},
	{"03-conflict-both-inside", overseas, "location.country: [DE, FR]", nil, alert.None},
	{"03-masked-leaves-all-open", overseas, "location.verdict: masked", nil, alert.Unknown},
	{"03-unknown-leaves-all-open", `location.country: "@eea"`, "location.country: unknown", nil, alert.Unknown},
	{"03-missing-is-definite-yes", "location.country missing: true", "location.verdict: masked", nil, alert.Alert},
	{"03-missing-is-definite-no", "location.country missing: true", "location.country: [DE, CN]", nil, alert.None},
	{"03-region-code-inside", `declared.physical_country: [EUR]`, "declared.physical_country: DE", nil, alert.Alert},
	{"03-region-code-open", `declared.physical_country: DE`, "declared.physical_country: EUR", nil, alert.Unknown},
	{"03-region-code-outside", `declared.physical_country: SG`, "declared.physical_country: EUR", nil, alert.None},

	// 7. Missing: absent and unknown are one thing; every operator is unknown, missing is definite.
	{"07-absent-word", "actor.kind: employee", "actor.id: u-1", nil, alert.Unknown},
	{"07-unknown-word", "actor.kind not: employee", "actor.kind: unknown", nil, alert.Unknown},
	{"07-absent-text", "data.dataset: d", "actor.id: u-1", nil, alert.Unknown},
	{"07-unknown-text", "actor.id not: u-1", "actor.id: unknown", nil, alert.Unknown},
	{"07-absent-number", "data.records at least: 1", "actor.id: u-1", nil, alert.Unknown},
	{"07-absent-prefix", "data.dataset starts with: eu.", "actor.id: u-1", nil, alert.Unknown},
	{"07-absent-address", "source.ip within: 192.0.2.0/24", "actor.id: u-1", nil, alert.Unknown},
	{"07-absent-set", "actor.groups: g", "actor.id: u-1", nil, alert.Unknown},
	{"07-empty-set-is-known", "actor.groups: g", "actor.groups: []", nil, alert.None},
	{"07-empty-words-are-known", "data.classes: restricted", "data.classes: []", nil, alert.None},
	{"07-missing-of-empty-set", "data.classes missing: true", "data.classes: []", nil, alert.None},
	{"07-missing-of-only-unknown", "data.classes missing: true", "data.classes: [unknown]", nil, alert.Alert},
	{"07-approval-missing", "approval.id missing: true", "actor.id: u-1", nil, alert.Alert},
	{"07-approval-in-force", "approval.id missing: true", "approval.id: A, approval.valid_until: 2026-12-01T00:00:00Z", nil, alert.None},
	{"07-approval-past-its-end", "approval.id missing: true", "approval.id: A, approval.valid_until: 2026-11-19T00:00:00Z", nil, alert.Alert},
	{"07-approval-without-end", "approval.id missing: true", "approval.id: A", nil, alert.Alert},
	{"07-outcome-unknown-is-success", "outcome: success", "actor.id: u-1", nil, alert.Alert},
	{"07-failure-is-success", "outcome: success", "outcome: failure", nil, alert.Alert},
	{"07-failure-with-nothing-returned", "outcome: success", "outcome: failure, data.records: 0", nil, alert.None},
	{"07-verdict-unknown-is-a-value", "location.verdict: unknown", "location.country: unknown", nil, alert.Alert},
	{"07-verdict-unknown-is-not-masked", "location.verdict not: masked", "location.country: unknown", nil, alert.Alert},
	{"07-network-unknown-is-a-value", "network.kind: [unknown, tor]", "actor.id: u-1", nil, alert.Alert},

	// 8. Sets.
	{"08-plain-intersects", "data.classes: [restricted, sensitive]", "data.classes: [public, sensitive]", nil, alert.Alert},
	{"08-plain-known-member-decides", "data.classes: restricted", "data.classes: [restricted, unknown]", nil, alert.Alert},
	{"08-plain-unknown-member", "data.classes: restricted", "data.classes: [public, unknown]", nil, alert.Unknown},
	{"08-not-is-disjoint", "data.classes not: public", "data.classes: [public, restricted]", nil, alert.None},
	{"08-not-unknown-member", "data.classes not: public", "data.classes: [restricted, unknown]", nil, alert.Unknown},
	{"08-only-holds", "data.classes only: [public, personal]", "data.classes: [public]", nil, alert.Alert},
	{"08-only-unlisted-member-decides", "data.classes only: [public]", "data.classes: [restricted, unknown]", nil, alert.None},
	{"08-only-unknown-member", "data.classes only: [public]", "data.classes: [public, unknown]", nil, alert.Unknown},
	{"08-all-of-holds", "data.classes all of: [public, personal]", "data.classes: [public, personal, sensitive]", nil, alert.Alert},
	{"08-all-of-lacks-one", "data.classes all of: [public, personal]", "data.classes: [public]", nil, alert.None},
	{"08-all-of-may-have-it", "data.classes all of: [public, personal]", "data.classes: [public, unknown]", nil, alert.Unknown},
	{"08-texts-all-of", "actor.groups all of: [a, b]", "actor.groups: [b, c, a]", nil, alert.Alert},
	{"08-texts-all-of-twice-the-same", "actor.groups all of: [a, b]", "actor.groups: [a, a]", nil, alert.None},
	{"08-texts-only", "actor.groups only: [a, b]", "actor.groups: [a, c]", nil, alert.None},
	{"08-texts-only-unknown", "actor.groups only: [a, b]", "actor.groups: [a, unknown]", nil, alert.Unknown},
	{"08-texts-not", "actor.groups not: [a]", "actor.groups: [b]", nil, alert.Alert},
	{"08-any-one-branch", "any: [{action: read, data.records at least: 5}, {action: list}]", "action: list", nil, alert.Alert},
	{"08-any-lines-are-and", "any: [{action: read, data.records at least: 5}, {action: list}]", "action: read, data.records: 4", nil, alert.None},
	{"08-any-unknown", "any: [{action: read, data.records at least: 5}, {action: list}]", "action: read", nil, alert.Unknown},

	// 9. Several data sets: the worst item decides.
	{"09-one-item-is-bad", "data.classes: restricted", "data.items: [{dataset: a, classes: [public]}, {dataset: b, classes: [restricted]}]", nil, alert.Alert},
	{"09-conditions-hold-within-one-item", "data.classes: restricted, data.subject_regions: EU", "data.items: [{dataset: a, classes: [restricted], subject_regions: [US]}, {dataset: b, classes: [public], subject_regions: [EU]}]", nil, alert.None},
	{"09-unknown-item", "data.classes: restricted", "data.items: [{dataset: a, classes: [public]}, {dataset: b}]", nil, alert.Unknown},
	{"09-field-and-items", "data.classes: restricted", "data.dataset: x, data.classes: [public], data.items: [{dataset: b, classes: [restricted]}]", nil, alert.Alert},

	// 10. Not data access at all.
	{"10-no-data-policy", "action: admin", "action: admin, data.dataset: none", nil, alert.None},
	{"10-unlisted-operation", "data.dataset: d", "action: admin", nil, alert.Unknown},
	{"10-no-data-place-rules-still-judge", "location.verdict: conflict", "action: admin, data.dataset: none, location.country: [DE, CN]", []string{"kind: location_conflict"}, alert.Alert},
	{"10-one-item-without-data", "data.classes missing: true", "data.items: [{dataset: none}, {dataset: b}]", nil, alert.Alert},

	// 16. Kinds add their condition, drafts and retired rules do not judge.
	{"16-anonymiser-adds-masked", "action: read", "action: read, location.country: DE", []string{"kind: anonymiser"}, alert.None},
	{"16-anonymiser-masked", "action: read", "action: read, location.verdict: masked", []string{"kind: anonymiser"}, alert.Alert},
	{"16-conflict", "action: read", "action: read, location.country: [DE, CN]", []string{"kind: location_conflict"}, alert.Alert},
	{"16-unknown-location", "action: read", "action: read, location.country: unknown", []string{"kind: unknown_location"}, alert.Alert},
	{"16-missing-approval", "action: read", "action: read, approval.id: A, approval.valid_until: 2026-12-01T00:00:00Z", []string{"kind: missing_approval"}, alert.None},
	{"16-system-transfer-is-no-person", "dest.country: CN", "actor.kind: employee, action: replicate, dest.country: CN", []string{"kind: system_transfer"}, alert.None},
	{"16-system-transfer", "dest.country: CN", "actor.kind: service, action: replicate, dest.country: CN", []string{"kind: system_transfer"}, alert.Alert},
	{"16-draft", "action: read", "action: read", []string{"status: draft"}, alert.None},
	{"16-retired", "action: read", "action: read", []string{"status: retired"}, alert.None},

	// 22. Dates are UTC days, both inclusive, at the event's time.
	{"22-last-day-of-member", `location.country: "@dated"`, "time: 2026-12-31T23:59:59.999Z, location.country: GB", nil, alert.Alert},
	{"22-day-after", `location.country: "@dated"`, "time: 2027-01-01T00:00:00Z, location.country: GB", nil, alert.None},
	{"22-first-day", `location.country: "@dated"`, "time: 2026-01-01T00:00:00Z, location.country: GB", nil, alert.Alert},
	{"22-day-before", `location.country: "@dated"`, "time: 2025-12-31T23:59:59Z, location.country: GB", nil, alert.None},

	// 23. A transfer needs an importer in a third country.
	{"23-employer-abroad", `actor.employer_country not: "@eea", actor.employer_entity differs from: data.exporter_entity`, "actor.employer_country: IN, actor.employer_entity: v, data.exporter_entity: e, location.country: DE", nil, alert.Alert},
	{"23-own-employee-travels", `actor.employer_country not: "@eea", actor.employer_entity differs from: data.exporter_entity`, "actor.employer_country: IE, actor.employer_entity: e, data.exporter_entity: e, location.country: IN", nil, alert.None},
	{"23-exporter-unknown", `actor.employer_entity differs from: data.exporter_entity`, "actor.employer_entity: v", nil, alert.Unknown},

	// Operators and on_unknown (rules.md).
	{"rules-definite-no-wins", "data.classes: restricted, " + overseas, "data.classes: [public], location.country: unknown", nil, alert.None},
	{"rules-on-unknown-ignore", overseas, "location.country: unknown", []string{"on_unknown: ignore"}, alert.None},
	{"rules-within", "source.ip within: 192.0.2.0/24", "source.ip: '::ffff:192.0.2.7'", nil, alert.Alert},
	{"rules-within-port", "source.ip within: 192.0.2.0/24", "source.ip: '192.0.2.7:443'", nil, alert.Alert},
	{"rules-within-v6-port", "source.ip within: '2001:db8::/32'", "source.ip: '[2001:db8::1]:443'", nil, alert.Alert},
	{"rules-not-within", "source.ip within: 192.0.2.0/24", "source.ip: 198.51.100.1", nil, alert.None},
	{"rules-within-name-of-service", "source.ip within: 192.0.2.0/24", "source.ip: storage.example.com, location.country: DE, location.verdict: service", nil, alert.None},
	{"rules-within-nonsense", "source.ip within: 192.0.2.0/24", "source.ip: private", nil, alert.Unknown},
	{"rules-starts-with", "data.dataset starts with: [us., eu.]", "data.dataset: eu.users", nil, alert.Alert},
	{"rules-at-least", "data.records at least: 10", "data.records: 10", nil, alert.Alert},
	{"rules-at-most", "data.records at most: 10", "data.records: 11", nil, alert.None},
	{"rules-same-as", "location.country differs from: actor.home_country", "location.country: CN, actor.home_country: DE", nil, alert.Alert},
	{"rules-same-as-open", "location.country differs from: actor.home_country", "location.country: [CN, DE], actor.home_country: DE", nil, alert.Unknown},
}

func TestSemantics(t *testing.T) {
	g := "format: borderwatch/groups/v1\ngroups:\n  - {name: eea, kind: countries, members: [DE, FR, IE]}\n  - {name: dated, kind: countries, members: [{code: GB, from: 2026-01-01, until: 2026-12-31}]}\n"
	for _, tt := range outcomes {
		t.Run(tt.name, func(t *testing.T) {
			e := compile(t, g, rule("T-1", tt.when, tt.keys...), rule("Z-9", "actor.id: nobody", "on_unknown: ignore"))
			if got := judge(t, e, event(t, tt.event)).Outcome; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestGroupsOfEveryKind uses groups of more and of fewer members than are compared one by one.
func TestGroupsOfEveryKind(t *testing.T) {
	g := `format: borderwatch/groups/v1
groups:
  - {name: rota, kind: actors, members: [u-1, {id: u-2, until: 2026-11-19}]}
  - {name: crowd, kind: actors, members: [a, b, c, d, e, f, g, h, i, "@rota"]}
  - {name: partners, kind: entities, members: [p-1]}
  - {name: office, kind: networks, members: [192.0.2.0/24, {cidr: "2001:db8::/32", from: 2026-11-21}]}
  - {name: crown, kind: datasets, members: [eu.users]}
`
	for _, tt := range []struct {
		name, when, event string
		want              alert.Outcome
	}{
		{"actor", `actor.id: "@rota"`, "actor.id: u-1", alert.Alert},
		{"actor-no-longer", `actor.id: "@rota"`, "actor.id: u-2", alert.None},
		{"actor-then", `actor.id: "@rota"`, "actor.id: u-2, time: 2026-11-19T23:59:59Z", alert.Alert},
		{"nested", `actor.id not: "@crowd"`, "actor.id: u-1", alert.None},
		{"many", `actor.id: ["@crowd", z]`, "actor.id: z", alert.Alert},
		{"via", `actor.via: "@rota"`, "actor.via: [x, u-1]", alert.Alert},
		{"entity", `dest.entity not: "@partners"`, "dest.entity: p-2", alert.Alert},
		{"network", `source.ip within: "@office"`, "source.ip: 192.0.2.9", alert.Alert},
		{"network-not-yet", `source.ip within: "@office"`, "source.ip: '2001:db8::1'", alert.None},
		{"network-by-then", `source.ip within: "@office"`, "source.ip: '2001:db8::1', time: 2026-11-21T00:00:00Z", alert.Alert},
		{"dataset", `data.dataset: "@crown"`, "data.dataset: eu.users", alert.Alert},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := judge(t, compile(t, g, rule("T-1", tt.when)), event(t, tt.event)).Outcome; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestSemantics06 gives two values where the source and a reference file differ: both stay open.
func TestSemantics06(t *testing.T) {
	for _, tt := range []struct {
		name, when string
		want       alert.Outcome
	}{
		{"06-both-inside", "actor.kind: [employee, vendor]", alert.Alert},
		{"06-one-inside", "actor.kind: employee", alert.Unknown},
		{"06-none-inside", "actor.kind: service", alert.None},
		{"06-not-one", "actor.kind not: employee", alert.Unknown},
		{"06-union-of-classes", "data.classes all of: [public, restricted]", alert.Alert},
		{"06-text", "actor.employer_entity: a", alert.Unknown},
		{"06-text-both", "actor.employer_entity: [a, b]", alert.Alert},
		{"06-text-prefix", "actor.employer_entity starts with: a", alert.Unknown},
		{"06-country", "actor.home_country: DE", alert.Unknown},
		{"06-country-both", "actor.home_country: [DE, CN]", alert.Alert},
		{"06-compared", "actor.employer_entity differs from: dest.entity", alert.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := event(t, "actor.kind: employee, data.classes: [public], actor.employer_entity: a, dest.entity: b, actor.home_country: DE")
			ev.Actor.KindRef, ev.Actor.EmployerEntityRef = access.ActorVendor, "b"
			ev.Actor.HomeCountryRef, _ = access.ParseCountry("CN")
			restricted, _ := access.DataClasses.Parse("restricted")
			ev.Data.Items[0].ClassesRef = access.EmptySet.With(restricted)
			if got := judge(t, compile(t, rule("T-1", tt.when)), ev).Outcome; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSemantics09NamesTheItem(t *testing.T) {
	e := compile(t, rule("T-1", "data.classes: restricted"))
	out := judge(t, e, event(t, "data.items: [{dataset: a, classes: [public]}, {dataset: b}, {dataset: c, classes: [restricted]}]"))
	if out.Alerts[0].DataItem != 2 || !strings.Contains(out.Alerts[0].Why, " c [restricted]") {
		t.Errorf("the alert is %+v", out.Alerts[0])
	}
}

// TestSemantics12 is the arithmetic of severity.
func TestSemantics12(t *testing.T) {
	const read = "action: read, location.country: "
	address := ", location.verdict: single, location.confidence: low"
	for _, tt := range []struct {
		name, severity, event string
		want                  alert.Severity
	}{
		{"12-plain", "critical", read + "BR", alert.Critical},
		{"12-denied", "critical", read + "BR, outcome: denied", alert.High},
		{"12-unknown", "critical", read + "unknown", alert.High},
		{"12-denied-and-unknown-is-one-step", "critical", read + "unknown, outcome: denied", alert.High},
		{"12-never-below-low", "low", read + "BR, outcome: denied", alert.Low},
		{"12-info-stays", "info", read + "BR, outcome: denied", alert.Info},
		{"12-outcome-unknown-is-success", "critical", read + "BR, outcome: unknown", alert.Critical},
		{"12-nothing-returned", "critical", read + "BR, outcome: failure, data.bytes: 0", alert.High},
		{"12-cap", "critical", read + "BR" + address, alert.Medium},
		{"12-cap-if-lower", "low", read + "BR" + address, alert.Low},
		{"12-no-cap-in-concern", "critical", read + "CN" + address, alert.Critical},
		{"12-no-cap-all-candidates-in-concern", "critical", read + "[CN, RU]" + address, alert.Critical},
		{"12-cap-one-candidate-outside", "critical", read + "[CN, BR]" + address, alert.Medium},
		{"12-step-then-no-cap", "critical", read + "CN, outcome: denied" + address, alert.High},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := compile(t, groups(eea, concern), rule("T-1", "action: read, "+overseas, "severity: "+tt.severity))
			if got := judge(t, e, event(t, tt.event)).Alerts[0].Severity; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("12-own-group-without-cap", func(t *testing.T) {
		g := "format: borderwatch/groups/v1\ngroups:\n  - {name: own, kind: countries, no_cap: true, members: [BR]}\n"
		e := compile(t, g, rule("T-1", `location.country: "@own"`))
		if got := judge(t, e, event(t, read+"BR"+address)).Alerts[0].Severity; got != alert.High {
			t.Errorf("got %s", got)
		}
	})
	t.Run("12-a-rule-without-country-has-no-cap", func(t *testing.T) {
		e := compile(t, rule("T-1", "gateway.decision: bypassed"))
		if got := judge(t, e, event(t, "gateway.decision: bypassed, location.country: BR"+address)).Alerts[0].Severity; got != alert.High {
			t.Errorf("got %s", got)
		}
	})
}

// summary writes alerts as "rule outcome severity [rules] {missing}".
func summary(out *alert.Verdict) []string {
	var lines []string
	for _, a := range out.Alerts {
		line := a.RuleID + " " + a.Outcome.String() + " " + a.Severity.String() + " " + strings.Join(a.Rules, ",")
		if a.Missing != 0 {
			line += " missing " + strings.Join(a.Missing.Names(), ",")
		}
		if a.Shadow {
			line += " shadow"
		}
		lines = append(lines, line)
	}
	return lines
}

// TestSemantics13 is the folding of unknowns.
func TestSemantics13(t *testing.T) {
	place := rule("P-1", "location.verdict: masked", "kind: anonymiser", "severity: medium")
	critical := rule("A-1", overseas, "severity: critical")
	low := rule("B-1", "data.classes: restricted", "severity: low")
	shadow := rule("S-1", overseas, "status: shadow", "severity: critical")
	placeShadow := rule("P-1", "location.verdict: masked", "kind: anonymiser", "status: shadow")
	placeExcepted := rule("P-1", "location.verdict: masked", "kind: anonymiser", "exceptions: allowed")
	exception := "format: borderwatch/exception/v1\nid: X-1\nticket: T\nrules: [P-1]\nvalid_from: 2026-11-01\nvalid_until: 2026-11-30\nwhen: {actor.id: u-1}\n"
	const masked = "actor.id: u-1, location.verdict: masked"
	for _, tt := range []struct {
		name, event string
		docs, want  []string
	}{
		{"13-one-alert-for-all", masked, []string{critical, low}, []string{"unknown unknown high A-1,B-1 missing location.country,data.classes"}},
		{"13-attach-and-raise", masked, []string{critical, place}, []string{"P-1 alert high A-1,P-1 missing location.country"}},
		{"13-attach-country-alone", masked, []string{critical, low, place}, []string{"P-1 alert high A-1,P-1 missing location.country", "unknown unknown low B-1 missing data.classes"}},
		{"13-never-to-shadow", masked, []string{critical, placeShadow}, []string{"P-1 alert high P-1 shadow", "unknown unknown high A-1 missing location.country"}},
		{"13-never-to-suppressed", masked, []string{critical, placeExcepted, exception}, []string{"P-1 suppressed high P-1", "unknown unknown high A-1 missing location.country"}},
		{"13-shadow-folds-apart", masked, []string{critical, shadow}, []string{"unknown unknown high A-1 missing location.country", "unknown unknown high S-1 missing location.country shadow"}},
		{"13-shadow-does-not-attach", masked, []string{place, shadow}, []string{"P-1 alert medium P-1", "unknown unknown high S-1 missing location.country shadow"}},
		{"13-conflict-is-open-too", "data.classes: [public], location.country: [DE, CN]", []string{critical, rule("C-1", "location.verdict: conflict", "kind: location_conflict", "severity: medium")}, []string{"C-1 alert high A-1,C-1 missing location.country"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := judge(t, compile(t, append(tt.docs, groups(eea), rule("Z-9", "actor.id: nobody", "on_unknown: ignore"))...), event(t, tt.event+", action: read"))
			if got := summary(out); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestSemantics16NearlyMatched(t *testing.T) {
	docs := []string{groups(eea), rule("A-1", "action: read, "+overseas), rule("B-1", "action: list, "+overseas), rule("C-1", "action: read, approval.id: A, "+overseas),
		rule("D-1", "action: read, any: [{location.country: CN}, {data.classes: public}]")}
	for i := range 20 {
		docs = append(docs, rule("N-"+string(rune('a'+i)), "action: read, location.country: CN"))
	}
	out := judge(t, compile(t, docs...), event(t, "action: read, location.country: DE, data.classes: [restricted], approval.id: B, approval.valid_until: 2026-12-01T00:00:00Z"))
	if out.NearTotal != 23 || len(out.Near) != alert.MaxNear {
		t.Errorf("%d nearly matched, %d stored", out.NearTotal, len(out.Near))
	}
	if got := strings.Join(out.Near[1].False.Names(), ","); out.Near[1].RuleID != "C-1" || got != "location.country,approval.id" {
		t.Errorf("the second is %s, false are %s", out.Near[1].RuleID, got)
	}
	if out.Outcome != alert.None || len(out.Matched) != 0 {
		t.Errorf("verdict is %+v", out)
	}
}

func TestSemantics16NoActiveRule(t *testing.T) {
	for _, docs := range [][]string{{rule("T-1", "action: read", "status: shadow")}, {groups(eea)}} {
		if _, err := engine.Compile(read(t, docs...), engine.Options{}); err != engine.ErrNoActiveRule {
			t.Errorf("error is %v", err)
		}
	}
}

// TestSemantics17 is the exceptions, with point 5 and point 3 of rules.md.
func TestSemantics17(t *testing.T) {
	const x = "format: borderwatch/exception/v1\nid: X-1\nticket: T-9\nrules: [T-1]\nvalid_from: 2026-11-15\nvalid_until: 2026-12-15\n"
	const where = "when: {actor.id: u-1, location.country: SG}\n"
	const read = "action: read, actor.id: u-1, location.country: SG"
	single, service := ", location.verdict: single", ", location.verdict: service"
	for _, tt := range []struct {
		name, exception, event string
		want                   alert.Outcome
	}{
		{"17-applies", x + where, read, alert.Suppressed},
		{"17-other-person", x + where, "action: read, actor.id: u-2, location.country: SG", alert.Alert},
		{"17-other-country", x + where, "action: read, actor.id: u-1, location.country: CN", alert.Alert},
		{"17-first-day", x + where, "time: 2026-11-15T00:00:00Z, " + read, alert.Suppressed},
		{"17-day-before", x + where, "time: 2026-11-14T23:59:59.999Z, " + read, alert.Alert},
		{"17-last-day-inclusive", x + where, "time: 2026-12-15T23:59:59.999Z, " + read, alert.Suppressed},
		{"17-day-after", x + where, "time: 2026-12-16T00:00:00Z, " + read, alert.Alert},
		{"17-condition-unknown", x + "when: {actor.id: u-1, data.dataset: d}\n", read, alert.Alert},
		{"17-never-touches-unknown", x + "when: {actor.id: u-1}\n", "action: read, actor.id: u-1, location.country: unknown", alert.Unknown},
		{"17-denied-is-suppressed-too", x + where, read + ", outcome: denied", alert.Suppressed},
		{"09-exception-covers-every-item", x + "when: {data.dataset: [a, b]}\n", "action: read, location.country: SG, data.items: [{dataset: a}, {dataset: b}]", alert.Suppressed},
		{"09-exception-covers-one-item", x + "when: {data.dataset: a}\n", "action: read, location.country: SG, data.items: [{dataset: a}, {dataset: b}]", alert.Alert},
		{"05-single-is-not-agree", x + where, read + single, alert.Alert},
		{"05-single-is-enough-where-asked", x + "evidence: single\n" + where, read + single, alert.Suppressed},
		{"05-service-counts-as-single", x + "evidence: single\n" + where, read + service, alert.Suppressed},
		{"05-service-is-not-agree", x + where, read + service, alert.Alert},
		{"05-conflict-never", x + "evidence: single\nwhen: {actor.id: u-1, location.country: [SG, JP]}\n", "action: read, actor.id: u-1, location.country: [SG, JP]", alert.Alert},
		{"05-missing-never", x + "when: {actor.id: u-1, location.country missing: true}\n", "action: read, actor.id: u-1, location.country: SG", alert.Alert},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := compile(t, groups(eea), rule("T-1", "action: read, "+overseas, "exceptions: allowed"), tt.exception)
			out := judge(t, e, event(t, tt.event))
			if out.Outcome != tt.want {
				t.Fatalf("got %s, want %s", out.Outcome, tt.want)
			}
			if tt.want == alert.Suppressed && (out.Alerts[0].Exceptions[0] != alert.Exception{ID: "X-1", Ticket: "T-9"} || out.Severity != alert.NoSeverity) {
				t.Errorf("alert is %+v, severity %s", out.Alerts[0], out.Severity)
			}
		})
	}
}

func TestSemantics17ApprovalTimeAndClocks(t *testing.T) {
	set := read(t, groups(eea), rule("T-1", "action: read, "+overseas, "exceptions: allowed"),
		"format: borderwatch/exception/v1\nid: X-1\nrules: [T-1]\nvalid_from: 2026-11-15\nvalid_until: 2026-12-15\nwhen: {actor.id: u-1}\n",
		"format: borderwatch/exception/v1\nid: X-2\nrules: [T-1]\nvalid_from: 2026-11-15\nvalid_until: 2026-12-15\nwhen: {action: read}\n")
	ev := event(t, "action: read, actor.id: u-1, location.country: SG")
	for _, tt := range []struct {
		name     string
		approved access.Millis // relative to the event
		kafka    access.Millis
		want     string
	}{
		{"17-both-stored", -1, 0, "X-1 X-2"},
		{"17-approved-at-that-moment", 0, 0, "X-1 X-2"},
		{"17-not-in-retrospect", 1, 0, "X-2"},
		{"17-clocks-a-day-apart", -1, policy.MillisPerDay, "X-1 X-2"},
		{"17-clocks-more-than-a-day-apart", -1, policy.MillisPerDay + 1, ""},
		{"17-clocks-apart-the-other-way", -1, -policy.MillisPerDay - 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := engine.Compile(set, engine.Options{Approved: map[string]access.Millis{"X-1": ev.Time + tt.approved}})
			if err != nil {
				t.Fatal(err)
			}
			ev.Kafka.Timestamp = ev.Time + tt.kafka
			var got []string
			for _, x := range judge(t, e, ev).Alerts[0].Exceptions {
				got = append(got, x.ID)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestSemantics17NeverMeansNever(t *testing.T) {
	doc := "format: borderwatch/exception/v1\nid: X-1\nrules: [T-1]\nvalid_from: 2026-11-15\nvalid_until: 2026-12-15\nwhen: {action: read}\n"
	_, problems := policy.Read([]policy.Document{{Path: "a.yaml", Data: []byte(rule("T-1", "action: read") + "---\n" + doc)}})
	if !problems.Failed() {
		t.Error("an exception to a rule that allows none was accepted")
	}
}

// TestSemantics18 is which alerts share a case.
func TestSemantics18(t *testing.T) {
	e := compile(t, groups(eea), rule("A-1", "action: read, "+overseas), rule("P-1", "action: read", "kind: anonymiser"), rule("U-1", "action: read, data.classes: restricted"))
	caseOf := func(fields string) (access.Digest, alert.CaseKind) {
		alerts := judge(t, e, event(t, fields)).Alerts
		a := alerts[len(alerts)-1] // the folded unknowns, where there are any
		return a.Case, a.CaseKind
	}
	const policyCase = "data.classes: [public], action: read, actor.id: u-1, location.country: CN"
	const open = "action: read, location.country: DE, data.system: s-1"
	const hidden = "action: read, location.verdict: masked, network.kind: vpn, data.system: s-1"
	const listed = "data.classes: [public], action: read, location.country: unknown, data.system: s-1"
	const gap = "data.classes: [public], action: read, actor.id: u-1, location.verdict: masked, data.system: s-1"
	for _, tt := range []struct {
		name, a, b string
		kind       alert.CaseKind
		same       bool
	}{
		{"18-policy-next-day", policyCase, policyCase + ", time: 2026-11-21T09:00:00Z", alert.CasePolicy, true},
		{"18-policy-other-actor", policyCase, strings.Replace(policyCase, "u-1", "u-2", 1), alert.CasePolicy, false},
		{"18-policy-other-country", policyCase, strings.Replace(policyCase, "CN", "RU", 1), alert.CasePolicy, false},
		{"18-gap-other-actor", gap, strings.Replace(gap, "u-1", "u-2", 1), alert.CaseGap, true},
		{"18-gap-other-day", gap, gap + ", time: 2026-11-21T09:00:00Z", alert.CaseGap, true},
		{"18-gap-other-system", gap, strings.Replace(gap, "s-1", "s-2", 1), alert.CaseGap, false},
		{"18-unknown-by-cure", "data.items: [{dataset: a, classes: [unknown], system: s-1}], action: read, location.country: DE", "data.items: [{dataset: b, system: s-1}], action: read, location.country: DE", alert.CaseGap, true},
		{"18-unlisted-other-place", open, strings.Replace(open, "DE", "unknown", 1), alert.CaseGap, true},
		{"18-unlisted-anonymiser", open, hidden, alert.CaseGap, false},
		{"18-listed-other-place", listed, strings.Replace(listed, "unknown", "[DE, CN]", 1), alert.CaseGap, false},
		{"18-gap-other-severity", gap, gap + ", outcome: denied", alert.CaseGap, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, kind := caseOf(tt.a)
			b, _ := caseOf(tt.b)
			if kind != tt.kind || (a == b) != tt.same {
				t.Errorf("kind %s, same %v", kind, a == b)
			}
		})
	}
}
