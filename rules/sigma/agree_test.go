package sigma_test

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"borderwatch/rules/engine"
	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
	"borderwatch/rules/sigma"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestAgreesWithBorderwatch exports every shipped rule with all losses accepted and judges the events of its own tests
// by both: whatever borderwatch calls an alert, or suppresses, must match; what it calls none or unknown must not.
func TestAgreesWithBorderwatch(t *testing.T) {
	set := shipped(t)
	compared := map[alert.Outcome]int{}
	for _, r := range set.Rules {
		for i := range r.Tests {
			test := &r.Tests[i]
			ev, err := engine.EventOf(&test.Event)
			if err != nil {
				t.Fatal(err)
			}
			rule, problems := sigma.Convert(set, r, sigma.Options{Day: policy.DayOf(ev.Time), Accept: everything})
			if rule == nil {
				if !strings.Contains(problems.Error(), "has no member on") {
					t.Fatal(problems)
				}
				continue
			}
			matched := evaluate(t, checkSpecification(t, rule.YAML), ev)
			switch test.Expect {
			case alert.Alert, alert.Suppressed:
				if !matched {
					t.Errorf("%s %q: borderwatch says %s and Sigma nothing", r.ID, test.Name, test.Expect)
				}
			case alert.None, alert.Unknown:
				if matched {
					t.Errorf("%s %q: borderwatch says %s and Sigma matches", r.ID, test.Name, test.Expect)
				}
			}
			compared[test.Expect]++
		}
	}
	if compared[alert.Alert] < 50 || compared[alert.None] < 40 || compared[alert.Unknown] < 20 {
		t.Errorf("only %v compared", compared)
	}
}

func shipped(t *testing.T) *policy.Set {
	t.Helper()
	var docs []policy.Document
	err := fs.WalkDir(packs.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		data, err := packs.Files.ReadFile(name)
		docs = append(docs, policy.Document{Path: name, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	set, problems := policy.Read(docs)
	if problems.Failed() {
		t.Fatal(problems)
	}
	return set
}

// evaluate judges an event as the specification says, one record for each data set.
func evaluate(t *testing.T, r *sigmaRule, ev *access.Event) bool {
	t.Helper()
	for item := range ev.Data.Items {
		record := recordOf(ev, item)
		holds := map[string]bool{}
		for name, node := range r.Detection {
			if name != "condition" {
				holds[name] = selected(t, &node, record)
			}
		}
		condition := r.Detection["condition"]
		p := &expression{tokens: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(condition.Value)), holds: holds}
		if p.or() {
			return true
		}
	}
	return false
}

// recordOf writes an event as sigma.Definition says.
func recordOf(ev *access.Event, item int) map[string][]string {
	record := map[string][]string{}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		if values := valuesOf(ev, f, item); values != nil {
			record[f.String()] = values
		}
	}
	return record
}

func valuesOf(ev *access.Event, f access.Field, item int) (values []string) {
	info := f.Info()
	add := func(texts ...string) {
		for _, text := range texts {
			if text != "" && text != "unknown" {
				values = append(values, text)
			}
		}
	}
	switch info.Type {
	case access.Word:
		value, reference := ev.WordOf(f, item)
		if f == access.FieldLocationVerdict || f == access.FieldNetworkKind {
			return []string{info.Vocabulary.Word(value)}
		}
		add(info.Vocabulary.Word(value), info.Vocabulary.Word(reference))
	case access.Words:
		members := ev.WordsOf(f, item).Members()
		for i, word := range info.Vocabulary.Words() {
			if members>>i&1 != 0 {
				add(word)
			}
		}
	case access.Nation, access.Region, access.Nations:
		candidates := ev.CandidatesOf(f, item)
		if !candidates.All() {
			for _, c := range candidates.Countries() {
				add(c.String())
			}
		}
	case access.Texts:
		members, _ := ev.TextsOf(f)
		add(members...)
	case access.Integer, access.Time:
		if n, ok := ev.IntegerOf(f); ok {
			add(strconv.FormatInt(n, 10))
		}
	default:
		if !ev.Missing(f, item) {
			add(fmt.Sprint(first(ev.TextOf(f, item))))
		}
	}
	return values
}

func first(value, _ string) string { return value }

func selected(t *testing.T, selection *yaml.Node, record map[string][]string) bool {
	t.Helper()
	for i := 0; i+1 < len(selection.Content); i += 2 {
		name, modifiers, _ := strings.Cut(selection.Content[i].Value, "|")
		wanted := []*yaml.Node{selection.Content[i+1]}
		if wanted[0].Kind == yaml.SequenceNode {
			wanted = wanted[0].Content
		}
		if !matches(t, record, name, strings.Split(modifiers, "|"), wanted) {
			return false
		}
	}
	return true
}

// matches is one line of a selection: any value of the field with any wanted one, or with all of them.
func matches(t *testing.T, record map[string][]string, name string, modifiers []string, wanted []*yaml.Node) bool {
	t.Helper()
	found := 0
	for _, w := range wanted {
		if slices.ContainsFunc(record[name], func(have string) bool { return matchesOne(t, record, have, modifiers, w.Value) }) {
			found++
		}
	}
	switch {
	case slices.Contains(modifiers, "exists"):
		return (len(record[name]) > 0) == (wanted[0].Value == "true")
	case slices.Contains(modifiers, "all"):
		return found == len(wanted)
	}
	return found > 0
}

func matchesOne(t *testing.T, record map[string][]string, have string, modifiers []string, want string) bool {
	t.Helper()
	number := func(text string) int {
		n, _ := strconv.Atoi(text)
		return n
	}
	switch modifiers[0] {
	case "", "cased", "all":
		return have == strings.NewReplacer(`\\`, `\`, `\*`, `*`, `\?`, `?`).Replace(want)
	case "exists":
		return true
	case "gte":
		return number(have) >= number(want)
	case "lte":
		return number(have) <= number(want)
	case "fieldref":
		return slices.Contains(record[want], have)
	case "startswith":
		return strings.HasPrefix(have, want)
	case "cidr":
		address, err := netip.ParseAddr(have)
		return err == nil && netip.MustParsePrefix(want).Contains(address)
	}
	t.Fatalf("there is no modifier %q", modifiers)
	return false
}

// expression reads a condition: not binds most, then and, then or.
type expression struct {
	tokens []string
	holds  map[string]bool
}

func (p *expression) accept(token string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == token {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *expression) or() bool {
	result := p.and()
	for p.accept("or") {
		result = p.and() || result
	}
	return result
}

func (p *expression) and() bool {
	result := p.not()
	for p.accept("and") {
		result = p.not() && result
	}
	return result
}

func (p *expression) not() bool {
	if p.accept("not") {
		return !p.not()
	}
	if p.accept("(") {
		result := p.or()
		p.accept(")")
		return result
	}
	name := p.tokens[0]
	p.tokens = p.tokens[1:]
	return p.holds[name]
}
