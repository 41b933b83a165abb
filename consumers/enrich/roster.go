package enrich

import (
	"go.yaml.in/yaml/v3"

	"borderwatch/schemas/access"
)

// Person is one roster entry: somebody, or a service account, that opens data.
type Person struct {
	ID       string // exact; for a service account it may end in * and then stands for every id with that prefix
	Title    string // for people who read the file; decides nothing
	Kind     access.ActorKind
	Employer string         // id of an entity
	Home     access.Country // where the person lives, or the country of the service's region: an expectation
	Office   access.Country // an expectation too
	Groups   []string
	Valid    Span

	covered    []covered
	employment *employment
}

// covered is whether somebody is a covered person (28 CFR 202.211), and since when.
type covered struct {
	Span
	answer access.Answer
}

type employment struct {
	Span
	leave []Span
}

// The grounds on which somebody is a covered person: 28 CFR 202.211(a)(1) to (5).
var coveredBases = []string{"entity", "employer", "residence", "designated"}

// CoveredAt tells whether the person is a covered person at t. Outside every stated span it is unknown.
func (p *Person) CoveredAt(t access.Millis) access.Answer {
	for _, c := range p.covered {
		if c.Holds(t) {
			return c.answer
		}
	}
	return access.AnswerUnknown
}

// EmploymentAt tells the state of the employment at t: left after its end, unknown before its start.
func (p *Person) EmploymentAt(t access.Millis) access.Employment {
	e := p.employment
	if e == nil || t < e.From {
		return access.EmploymentUnknown
	}
	if !e.Holds(t) {
		return access.EmploymentLeft
	}
	for _, s := range e.leave {
		if s.Holds(t) {
			return access.EmploymentLeave
		}
	}
	return access.EmploymentActive
}

var rosterKeys = []string{"id", "title", "kind", "employer", "home_country", "home_region", "office_country",
	"covered_person", "employment", "groups", "from", "until"}

// readRoster reads one borderwatch/roster/v1 document.
func (b *builder) readRoster(o object) {
	o.only("format", "version", "people", "services")
	for _, e := range o.objects("people") {
		b.readPerson(e, []string{"employee", "contractor", "vendor"}, access.ActorUnknown)
	}
	for _, e := range o.objects("services") {
		b.readPerson(e, []string{"service", "system"}, access.ActorService)
	}
}

func (b *builder) readPerson(o object, kinds []string, standard access.ActorKind) {
	o.only(rosterKeys...)
	p := Person{ID: o.required("id"), Title: o.text("title"), Employer: o.text("employer"), Kind: standard,
		Home: o.placeOf("home_country", "home_region"), Office: o.country("office_country"), Groups: o.texts("groups"), Valid: o.span()}
	if standard == access.ActorUnknown || o.values["kind"] != nil {
		if i := o.oneOf("kind", kinds); kinds[i] == o.text("kind") {
			kind, _ := access.ActorKinds.Parse(kinds[i])
			p.Kind = access.ActorKind(kind)
		}
	}
	if standard == access.ActorUnknown && p.ID != "" && p.ID[len(p.ID)-1] == '*' {
		o.fail(o.at("id"), "", "id: a person needs an exact id, only a service may end in *")
	}
	p.covered = o.covered()
	p.employment = o.employment()
	add(&b.people, o, "id", p.ID, p.Valid, p)
	b.refer(o, "employer", p.Employer)
}

// covered reads covered_person: yes, no, or a list of {answer, basis, from, until}. A yes names its basis.
func (o object) covered() []covered {
	var out []covered
	for _, n := range o.list("covered_person") {
		if n.Kind == yaml.ScalarNode {
			i, ok := access.Answers.Parse(n.Value)
			switch {
			case !ok:
				o.fail(n, "", "covered_person: %q is not one of %s, unknown", n.Value, access.Answers)
			case access.Answer(i) == access.Yes:
				o.fail(n, "{answer: yes, basis: residence, from: 2026-01-01}", "covered_person: yes needs its basis")
			}
			out = append(out, covered{answer: access.Answer(i)})
			continue
		}
		e, ok := o.object(n)
		if !ok {
			continue
		}
		e.only("answer", "basis", "from", "until")
		c := covered{Span: e.span(), answer: access.Answer(e.word("answer", access.Answers))}
		if c.answer == access.Yes || e.values["basis"] != nil {
			e.oneOf("basis", coveredBases)
		}
		for _, earlier := range out {
			if earlier.overlaps(c.Span) {
				e.fail(n, "", "covered_person: two answers for the same days")
			}
		}
		out = append(out, c)
	}
	return out
}

// employment reads {from, until, leave: [{from, until}]}.
func (o object) employment() *employment {
	n := o.values["employment"]
	if n == nil || isNull(n) {
		return nil
	}
	e, ok := o.object(n)
	if !ok {
		return nil
	}
	e.only("from", "until", "leave")
	out := &employment{Span: e.span()}
	for _, l := range e.objects("leave") {
		l.only("from", "until")
		out.leave = append(out.leave, l.span())
	}
	return out
}
