package lint_test

import (
	"bytes"
	"strings"
	"testing"

	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

const westAndEast = "format: borderwatch/groups/v1\ngroups:\n  - {name: west, kind: countries, members: [DE, FR]}\n  - {name: east, kind: countries, members: [CN, RU, KP]}\n"

func TestBorderHole(t *testing.T) {
	const all = "data.subject_regions: [EU, UK, CH, US, IN, CN, OTHER]; actor.kind: [employee, contractor, vendor, service, system, subject, anonymous]; " +
		"action: [view, read, query, list, export, download, copy, replicate, write, delete, decrypt, grant, admin, login, other]; "
	for _, tt := range []struct {
		name, when, keys string
		want             []string
	}{
		{"everything is decided", all + "data.classes only: [restricted, sensitive, personal, public]", "", nil},
		{"approved countries decide all", "location.country not: '@west'", "", nil},
		{"one class is left", "data.classes: [restricted, sensitive, personal]", "",
			[]string{"accesses to data of EU, UK, CH, US, IN, CN, OTHER public: any actor: any action from anywhere"}},
		{"forbidden countries decide themselves", "location.country: '@east'", "", []string{"any actor: any action from anywhere but @east"}},
		{"a further condition", "location.country: '@east'; data.form: clear", "", []string{"from anywhere (under further conditions from some)"}},
		{"only further conditions", "data.form: clear", "", []string{"any actor: any action from anywhere (only under further conditions)"}},
		{"kind of actor and action", "actor.kind not: service; action not: [login, other]", "",
			[]string{"employee, contractor, vendor, system, subject, anonymous: login, other from anywhere; service: any action from anywhere"}},
		{"a set of two classes is not one class", "data.classes all of: [restricted, sensitive]", "", []string{"any actor: any action from anywhere"}},
		{"nobody knows the place", "location.country missing: true", "", []string{"any actor: any action from anywhere"}},
		{"branches of any", "any: [{data.classes: restricted}, {data.classes: [sensitive, personal, public], location.country: [DE, FR, CN]}]", "",
			[]string{"any action from anywhere but @west, CN"}},
		{"on trial", "location.country not: '@west'", "shadow", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := rule(tt.when, "")
			if tt.keys == "shadow" {
				text = strings.Replace(text, "status: active", "status: shadow", 1)
			}
			expect(t, find(t, "border-hole", today, westAndEast, text), tt.want...)
		})
	}
}

// TestBorderAgreesWithRules compares the matrix with a plain reading of a rule, cell by cell.
func TestBorderAgreesWithRules(t *testing.T) {
	set := read(t, westAndEast, rule("data.subject_regions: [EU, UK]; data.classes: restricted; action: [read, query]; actor.kind: vendor; location.country: '@east'", ""))
	border := lint.NewBorder(set, day(t, today))
	east := access.SetOf()
	for _, code := range []string{"CN", "RU", "KP"} {
		c, _ := access.ParseCountry(code)
		east.Add(c)
	}
	decided := 0
	for region := range access.SubjectRegions.Words()[1:] {
		for class := range access.DataClasses.Words()[1:] {
			for actor := range access.ActorKinds.Words()[1:] {
				for action := range access.Actions.Words()[1:] {
					cell := lint.Cell{Region: uint8(region + 1), Class: uint8(class + 1), Actor: uint8(actor + 1), Action: uint8(action + 1)}
					undecided, untouched := border.Open(cell)
					in := region < 2 && class == 0 && actor == 2 && (action == 1 || action == 2)
					if in != undecided.Disjoint(&east) || undecided != untouched || undecided.Len() < access.CountryCount-3 {
						t.Fatalf("%+v: undecided from %s", cell, undecided)
					}
					if in {
						decided++
					}
				}
			}
		}
	}
	if decided != 4 {
		t.Errorf("%d cells are decided, want 4", decided)
	}
}

func TestWriteMatrix(t *testing.T) {
	set := read(t, westAndEast, rule("data.classes: [restricted, sensitive]; actor.kind: employee", ""),
		strings.Replace(rule("data.subject_regions: UK; actor.kind: system; action: read", ""), "T-1", "T-3", 1),
		strings.Replace(rule("data.subject_regions: EU; actor.kind: vendor; data.form: clear", ""), "T-1", "T-2", 1))
	var out bytes.Buffer
	if err := lint.NewBorder(set, day(t, today)).WriteMatrix(&out); err != nil {
		t.Fatal(err)
	}
	compare(t, "testdata/matrix.golden", out.Bytes())
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasSuffix(line, " ") {
			t.Errorf("%q ends in a space", line)
		}
	}
}

func TestBorderHasNoNotesWithoutActiveRules(t *testing.T) {
	for _, f := range lint.Run(read(t, strings.Replace(rule("action: read", ""), "active", "draft", 1)), day(t, today)) {
		if f.Severity == policy.SeverityNote {
			t.Error(f.Error())
		}
	}
}
