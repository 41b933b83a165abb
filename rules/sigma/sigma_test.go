package sigma_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"borderwatch/rules/policy"
	"borderwatch/rules/sigma"
)

var update = flag.Bool("update", false, "write the golden files anew")

var everything = sigma.Losses()

// setOf reads rule and group documents.
func setOf(t *testing.T, texts ...string) *policy.Set {
	t.Helper()
	var docs []policy.Document
	for i, text := range texts {
		docs = append(docs, policy.Document{Path: string(rune('a'+i)) + ".yaml", Data: []byte(text)})
	}
	set, problems := policy.Read(docs)
	if problems.Failed() {
		t.Fatal(problems)
	}
	return set
}

func day(t *testing.T, text string) policy.Day {
	t.Helper()
	d, ok := policy.ParseDay(text)
	if !ok {
		t.Fatal(text)
	}
	return d
}

// head is a rule without its conditions that loses nothing it would have to accept.
const head = "format: borderwatch/rule/v1\nid: T-1\ntitle: A test\nstatus: active\nseverity: high\nkind: policy\nowner: dpo-office\n" +
	"law: [Policy]\nwhy: Because.\nrespond: Look.\non_unknown: ignore\n"

const groups = `format: borderwatch/groups/v1
groups:
  - {name: home, kind: countries, members: [DE, "NO"]}
  - {name: passing, kind: countries, members: [DE, {code: FR, until: 2026-12-31}, {code: GB, until: 2020-01-31}]}
  - {name: coming, kind: countries, members: [{code: HR, from: 2027-01-01}]}
  - {name: staff, kind: actors, members: [u-1, u-2]}
  - {name: offices, kind: networks, members: [192.0.2.0/24, "2001:db8::/32"]}
`

// TestTranslation shows every operator and type in Sigma's words: a rule file beside each golden file.
func TestTranslation(t *testing.T) {
	names, err := filepath.Glob("testdata/*.rule.yaml")
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			set := setOf(t, string(data), groups)
			rule, problems := sigma.Convert(set, set.Rules[0], sigma.Options{Day: day(t, "2026-11-24"), Accept: everything})
			if rule == nil {
				t.Fatal(problems)
			}
			checkSpecification(t, rule.YAML)
			golden := strings.TrimSuffix(name, ".rule.yaml") + ".sigma.yml"
			if *update {
				if err := os.WriteFile(golden, rule.YAML, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(rule.YAML) != string(want) {
				t.Errorf("got\n%s\nwant\n%s", rule.YAML, want)
			}
		})
	}
}

// TestRefusals: what Sigma cannot say is refused with its place, and only what may be accepted can be.
func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		rule   string
		accept sigma.Loss // makes it pass, "" where nothing does
		want   string
	}{
		"unknown alerts":     {strings.Replace(head, "on_unknown: ignore\n", "", 1) + "when: {action: read}\n", sigma.Unknown, "T-1 alerts where something it needs is missing"},
		"exceptions":         {head + "exceptions: allowed\nwhen: {action: read}\n", sigma.Exceptions, "T-1 has exceptions with dates"},
		"a member that ends": {head + "when: {location.country: '@passing'}\n", sigma.Dates, "@passing changes on 2027-01-01"},
		"only":               {head + "when: {data.classes only: public}\n", "", "data.classes only asks of every member"},
		"a time":             {head + "when: {approval.valid_until at most: 2026-11-01}\n", "", "approval.valid_until at most compares times"},
		"lists of countries": {head + "when: {location.country differs from: actor.home_country}\n", "", "location.country differs from actor.home_country compares lists"},
		"draft":              {strings.Replace(head, "active", "draft", 1) + "when: {action: read}\n", "", "T-1 is draft and judges nothing"},
		"retired":            {strings.Replace(head, "active", "retired", 1) + "when: {action: read}\n", "", "T-1 is retired"},
		"a long title":       {strings.Replace(head, "A test", strings.Repeat("é", 257), 1) + "when: {action: read}\n", "", "has 257 characters, Sigma allows 256"},
		"nobody in it yet":   {head + "when: {location.country: '@coming'}\n", "", "@coming has no member on 2026-11-24"},
	} {
		t.Run(name, func(t *testing.T) {
			set := setOf(t, tt.rule, groups)
			opt := sigma.Options{Day: day(t, "2026-11-24")}
			rule, problems := sigma.Convert(set, set.Rules[0], opt)
			if rule != nil || !strings.Contains(problems.Error(), tt.want) {
				t.Fatalf("%v, want %q in it", problems, tt.want)
			}
			for i := range problems {
				if problems[i].Line == 0 || !strings.HasPrefix(problems[i].Check, "sigma-") {
					t.Errorf("no place or check: %+v", problems[i])
				}
			}
			for _, loss := range everything {
				opt.Accept = []sigma.Loss{loss}
				rule, _ := sigma.Convert(set, set.Rules[0], opt)
				if (rule != nil) != (loss == tt.accept) {
					t.Errorf("accepting %s: exported %v", loss, rule != nil)
				}
				if rule != nil && len(rule.Lost) != 3 {
					t.Errorf("it states %q", rule.Lost)
				}
			}
		})
	}
}

func TestNothingToAccept(t *testing.T) {
	set := setOf(t, head+"when: {location.country: '@home'}\n", groups)
	first, problems := sigma.Convert(set, set.Rules[0], sigma.Options{Day: day(t, "2026-11-24")})
	if first == nil || len(first.Lost) != 2 {
		t.Fatal(problems, first)
	}
	again, _ := sigma.Convert(set, set.Rules[0], sigma.Options{Day: day(t, "2026-11-24")})
	if string(first.YAML) != string(again.YAML) {
		t.Error("two exports differ")
	}
}

var (
	uuid       = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	tag        = regexp.MustCompile(`^[a-z0-9_-]+\.[a-z0-9._-]+$`)
	identifier = regexp.MustCompile(`[a-z_0-9]+`)
)

// sigmaRule is what the specification says of a rule.
type sigmaRule struct {
	Title          string
	ID             string
	Status         string
	Description    string
	References     []string
	Author         string
	Tags           []string
	Logsource      struct{ Category, Product, Definition string }
	Detection      map[string]yaml.Node
	Fields         []string
	Falsepositives []string
	Level          string
}

// checkSpecification holds a rule against the constraints of the Sigma rules specification 2.0.0 (its JSON schema of
// 2024-08-12): what is required, closed lists, lengths, unique items, the pattern of tags.
func checkSpecification(t *testing.T, data []byte) *sigmaRule {
	t.Helper()
	var r sigmaRule
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if n := len([]rune(r.Title)); n == 0 || n > 256 || len(r.Description) > 65535 || !uuid.MatchString(r.ID) {
		t.Errorf("title, description or id: %q %q", r.Title, r.ID)
	}
	if !slices.Contains([]string{"stable", "test", "experimental", "deprecated", "unsupported"}, r.Status) {
		t.Errorf("status %q", r.Status)
	}
	if !slices.Contains([]string{"informational", "low", "medium", "high", "critical"}, r.Level) {
		t.Errorf("level %q", r.Level)
	}
	if r.Logsource.Category == "" || r.Logsource.Product == "" {
		t.Error("no log source")
	}
	for _, texts := range [][]string{r.References, r.Fields, r.Falsepositives, r.Tags} {
		if len(slices.Compact(slices.Sorted(slices.Values(texts)))) != len(texts) {
			t.Errorf("%q repeats itself", texts)
		}
	}
	if len(r.Tags) != 1 || !tag.MatchString(r.Tags[0]) {
		t.Errorf("tags %q", r.Tags)
	}
	checkCondition(t, &r)
	return &r
}

// checkCondition: the condition names all selections and no other.
func checkCondition(t *testing.T, r *sigmaRule) {
	t.Helper()
	condition, ok := r.Detection["condition"]
	if !ok || condition.Kind != yaml.ScalarNode {
		t.Fatal("no condition")
	}
	var named []string
	for _, word := range identifier.FindAllString(condition.Value, -1) {
		if word != "and" && word != "or" && word != "not" {
			named = append(named, word)
		}
	}
	for _, name := range named {
		if _, ok := r.Detection[name]; !ok {
			t.Errorf("the condition %q names %s, which is no selection", condition.Value, name)
		}
	}
	if len(named) != len(r.Detection)-1 {
		t.Errorf("%d selections, %d in the condition %q", len(r.Detection)-1, len(named), condition.Value)
	}
}
