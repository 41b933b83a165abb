package policy

import (
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/schemas/access"
)

// Prefix is a range of addresses.
type Prefix = netip.Prefix

var fieldNames = func() []string {
	var names []string
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		names = append(names, f.String())
	}
	return names
}()

// operatorsOf lists the operators that each type of field takes.
var operatorsOf = map[access.Type][]Op{
	access.Text:    {Is, Not, StartsWith, Missing, SameAs, DiffersFrom},
	access.Address: {Is, Not, Within, StartsWith, Missing, SameAs, DiffersFrom},
	access.Texts:   {Is, Not, AllOf, Only, Missing},
	access.Word:    {Is, Not, Missing, SameAs, DiffersFrom},
	access.Words:   {Is, Not, AllOf, Only, Missing},
	access.Nation:  {Is, Not, Missing, SameAs, DiffersFrom},
	access.Region:  {Is, Not, Missing, SameAs, DiffersFrom},
	access.Nations: {Is, Not, Missing, SameAs, DiffersFrom},
	access.Integer: {Is, Not, AtLeast, AtMost, Missing, SameAs, DiffersFrom},
	access.Time:    {AtLeast, AtMost, Missing, SameAs, DiffersFrom},
}

// field finds a field. words are what else can stand there, for the hint.
func (r *reader) field(at *yaml.Node, name string, words ...string) (access.Field, bool) {
	f, ok := access.FieldNamed(name)
	if !ok {
		r.refuse(at, "unknown-field", nearest(name, append(words, fieldNames...)), "there is no field %q", name)
	}
	return f, ok
}

// condition reads one line of `when`: the key is the field and the operator, the value what it is compared with.
func (r *reader) condition(key, value *yaml.Node, words ...string) (Condition, bool) {
	name, operator, _ := strings.Cut(strings.TrimSpace(key.Value), " ")
	field, ok := r.field(key, name, words...)
	if !ok {
		return Condition{}, false
	}
	op, ok := r.operator(key, field, strings.TrimSpace(operator))
	if !ok {
		return Condition{}, false
	}
	c := Condition{Pos: r.at(key), Field: field, Op: op}
	nodes := r.list(value, key.Value)
	if len(nodes) == 0 {
		if value.Kind == yaml.SequenceNode && len(value.Content) == 0 {
			r.refuse(value, "value", "", "%s has an empty list, so it could never hold", key.Value)
		}
		return c, false
	}
	if op >= Missing || op == AtLeast || op == AtMost {
		if len(nodes) > 1 || value.Kind == yaml.SequenceNode {
			r.refuse(value, "value", "", "%s takes one value, not a list", key.Value)
			return c, false
		}
	}
	sound := true
	for _, n := range nodes {
		v, ok := r.value(&c, n)
		sound = sound && ok
		c.Values = append(c.Values, v)
	}
	return c, sound
}

func (r *reader) operator(key *yaml.Node, f access.Field, word string) (Op, bool) {
	allowed := operatorsOf[f.Info().Type]
	for op, w := range opWords {
		if w != word {
			continue
		}
		for _, a := range allowed {
			if a == Op(op) {
				return a, true
			}
		}
		r.refuse(key, "unknown-operator", "it takes "+operatorWords(allowed), "%s does not take the operator %q", f, displayOp(Op(op)))
		return 0, false
	}
	r.refuse(key, "unknown-operator", nearest(word, opWords[1:]), "there is no operator %q; operators are %s", word, oneOf(opWords[1:]))
	return 0, false
}

func displayOp(op Op) string {
	if op == Is {
		return "is"
	}
	return op.String()
}

func operatorWords(ops []Op) string {
	words := make([]string, len(ops))
	for i, op := range ops {
		words[i] = displayOp(op)
	}
	return strings.Join(words, ", ")
}

// value reads one value of a condition.
func (r *reader) value(c *Condition, n *yaml.Node) (Value, bool) {
	v := Value{Pos: r.at(n), Text: n.Value, Plain: n.Style == 0}
	switch c.Op {
	case Missing:
		if n.Value != "true" {
			r.refuse(n, "value", "", "missing is written %s missing: true", c.Field)
			return v, false
		}
		return v, true
	case SameAs, DiffersFrom:
		return v, r.other(c, n)
	}
	if name, ok := strings.CutPrefix(n.Value, "@"); ok {
		v.Group = name
		return v, r.groupFits(c, n)
	}
	return v, r.literal(c, n, &v)
}

// other reads the field that a condition compares with.
func (r *reader) other(c *Condition, n *yaml.Node) bool {
	f, ok := r.field(n, n.Value)
	if !ok {
		return false
	}
	if family(f) != family(c.Field) || (family(f) == access.Word && f.Info().Vocabulary != c.Field.Info().Vocabulary) || f == c.Field {
		r.refuse(n, "value", "", "%s and %s cannot be compared", c.Field, f)
		return false
	}
	c.Other = f
	return true
}

// family joins the types whose values can be compared with each other.
func family(f access.Field) access.Type {
	switch t := f.Info().Type; t {
	case access.Address:
		return access.Text
	case access.Region, access.Nations:
		return access.Nation
	default:
		return t
	}
}

// GroupKindOf tells which kind of group a field can be compared with, false where there is none.
func GroupKindOf(f access.Field) (GroupKind, bool) {
	switch f {
	case access.FieldActorID, access.FieldActorVia:
		return Actors, true
	case access.FieldActorEmployerEntity, access.FieldDestEntity, access.FieldExporterEntity:
		return Entities, true
	case access.FieldSourceIP:
		return Networks, true
	case access.FieldDataset:
		return Datasets, true
	}
	return Countries, family(f) == access.Nation
}

func (r *reader) groupFits(c *Condition, n *yaml.Node) bool {
	kind, ok := GroupKindOf(c.Field)
	if ok && kind == Networks {
		ok = c.Op == Within
	}
	if !ok || c.Op == StartsWith {
		r.refuse(n, "unknown-group", "", "%s cannot be compared with a group", strings.TrimSpace(c.Field.String()+" "+c.Op.String()))
		return false
	}
	return true
}

// literal reads a value by the type of the field.
func (r *reader) literal(c *Condition, n *yaml.Node, v *Value) bool {
	info := c.Field.Info()
	switch info.Type {
	case access.Word, access.Words:
		i, ok := info.Vocabulary.Parse(n.Value)
		if !ok {
			r.refuse(n, "unknown-word", nearest(n.Value, info.Vocabulary.Words()[1:]), "%s cannot be %q: it is %s", c.Field, n.Value, oneOf(info.Vocabulary.Words()[1:]))
		}
		v.Word = i
		return ok
	case access.Nation, access.Nations, access.Region:
		return r.country(n, info.Type == access.Region, v)
	case access.Integer:
		number, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || number < 0 {
			r.refuse(n, "value", "", "%s must be a whole number, not %q", c.Field, n.Value)
			return false
		}
		v.Number = number
	case access.Time:
		return r.time(c, n, v)
	case access.Address:
		if c.Op == Within {
			return r.prefix(n, v)
		}
	}
	return true
}

// country reads an ISO code, and a region code where the field may hold one.
func (r *reader) country(n *yaml.Node, regions bool, v *Value) bool {
	if n.Value == unknownWord {
		return true
	}
	if country, ok := access.ParseCountry(n.Value); ok && n.Value != "UK" {
		v.Places = access.SetOf(country)
		return true
	}
	if place, ok := access.ParsePlace(n.Value); ok && regions && place.IsRegion() && place.Known() {
		v.Places = place.Countries()
		return true
	}
	hint := countryHint(n.Value)
	if hint == "" && regions {
		hint = nearest(n.Value, regionCodes)
	}
	r.refuse(n, "country-code", hint, "%q is not an ISO 3166-1 alpha-2 country code", n.Value)
	return false
}

// regionCodes are for hints.
var regionCodes = []string{"AFR", "ANT", "ASI", "EUR", "NAM", "OCE", "SAM"}

func countryHint(code string) string {
	switch code {
	case "UK":
		return "did you mean GB?"
	case "EL":
		return "did you mean GR?"
	case "EU", "EEA":
		return "did you mean @eea?"
	}
	if country, ok := access.CountryNamed(code); ok {
		return "did you mean " + country.String() + "?"
	}
	if country, ok := access.ParseCountry(strings.ToUpper(code)); ok {
		return "did you mean " + country.String() + "?"
	}
	return ""
}

func (r *reader) time(c *Condition, n *yaml.Node, v *Value) bool {
	if day, ok := ParseDay(n.Value); ok {
		v.Number = int64(day.Start())
		if c.Op == AtMost {
			v.Number += MillisPerDay - 1 // the day is inclusive
		}
		return true
	}
	t, ok := access.ParseTime(n.Value)
	if !ok {
		r.refuse(n, "value", "", "%s must be a day like 2026-11-23 or a time like 2026-11-23T09:00:00Z, not %q", c.Field, n.Value)
	}
	v.Number = int64(t)
	return ok
}

func (r *reader) prefix(n *yaml.Node, v *Value) bool {
	p, err := netip.ParsePrefix(n.Value)
	if err != nil {
		addr, err := netip.ParseAddr(n.Value)
		if err != nil {
			r.refuse(n, "value", "", "%q is not an address range like 192.0.2.0/24", n.Value)
			return false
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if p != p.Masked() {
		r.refuse(n, "value", "did you mean "+p.Masked().String()+"?", "%q has bits set behind its length", n.Value)
		return false
	}
	v.Prefix = p
	return true
}
