package release

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/sumdb/note"

	"borderwatch/rules/policy"
)

// FormatPolicy is the format line of an activation policy.
const FormatPolicy = "borderwatch/activation-policy/v1"

// Policy says whose signatures a bundle needs before it may go live in one environment.
type Policy struct {
	Environment string
	// Development lets one key stand for everybody. For machines on which nothing is at stake; whoever runs with it says so.
	Development bool
	// Digest is the SHA-256 of the file, 64 hexadecimal digits.
	Digest string

	keys                      []key
	author, approver, partner []string // people, partner empty where none is needed
}

// key is a key and who holds it: a person, or a machine that may change some groups of parts and nothing else.
type key struct {
	holder    string
	machine   bool
	mayChange []string
	verifier  note.Verifier
}

// policyFile is an activation policy as it is written.
type policyFile struct {
	Format      string `yaml:"format"`
	Environment string `yaml:"environment"`
	Development bool   `yaml:"development"`
	Keys        []struct {
		Person    string   `yaml:"person"`
		Machine   string   `yaml:"machine"`
		MayChange []string `yaml:"may_change"`
		Key       string   `yaml:"key"`
	} `yaml:"keys"`
	Roles struct {
		Author   []string `yaml:"author"`
		Approver []string `yaml:"approver"`
		Partner  []string `yaml:"partner"`
	} `yaml:"roles"`
}

// policyKeys are the keys of the maps of an activation policy by where they stand.
var policyKeys = map[string][]string{
	"":      {"format", "environment", "development", "keys", "roles"},
	"keys":  {"person", "machine", "may_change", "key"},
	"roles": {"author", "approver", "partner"},
}

// readPolicyFile refuses keys that do not exist, with line and column.
func readPolicyFile(data []byte) (file policyFile, err error) {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&doc); errors.Is(err, io.EOF) {
		return file, errors.New("the file is empty")
	} else if err != nil {
		p := policy.Syntax("", data, err)
		return file, refusal(p.Line, p.Column, p.Message, p.Hint)
	}
	if len(doc.Content) == 0 {
		return file, errors.New("the file is empty")
	}
	if err := knownKeys(doc.Content[0], ""); err != nil {
		return file, err
	}
	return file, doc.Decode(&file)
}

func knownKeys(n *yaml.Node, where string) error {
	if n.Kind == yaml.SequenceNode && where == "keys" {
		for _, item := range n.Content {
			if err := knownKeys(item, where); err != nil {
				return err
			}
		}
		return nil
	}
	if n.Tag == "!!null" && where != "" {
		return nil // what is missing is said later
	}
	if n.Kind != yaml.MappingNode {
		return refusal(n.Line, n.Column, "a map of keys and values is wanted here", "")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !slices.Contains(policyKeys[where], key.Value) {
			return refusal(key.Line, key.Column, fmt.Sprintf("there is no key %q here", key.Value), policy.Nearest(key.Value, policyKeys[where]))
		}
		if where == "" && policyKeys[key.Value] != nil {
			if err := knownKeys(n.Content[i+1], key.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func refusal(line, column int, message, hint string) error {
	if hint != "" {
		message += " (" + hint + ")"
	}
	return fmt.Errorf("%d:%d: %s", line, column, message)
}

// ParsePolicy reads an activation policy.
func ParsePolicy(data []byte) (*Policy, error) {
	file, err := readPolicyFile(data)
	if err != nil {
		return nil, fmt.Errorf("activation policy: %w", err)
	}
	p := &Policy{Environment: file.Environment, Development: file.Development, Digest: digestOf(data),
		author: file.Roles.Author, approver: file.Roles.Approver, partner: file.Roles.Partner}
	if file.Format != FormatPolicy {
		return nil, fmt.Errorf("activation policy: format is %q, want %s", file.Format, FormatPolicy)
	}
	if !isWord(p.Environment) {
		return nil, errors.New("activation policy: environment is one word, such as production")
	}
	for i, k := range file.Keys {
		verifier, err := note.NewVerifier(k.Key)
		if err != nil {
			return nil, fmt.Errorf("activation policy: keys[%d]: key is not a line that rules keygen printed: %w", i, err)
		}
		added := key{holder: k.Person, verifier: verifier, mayChange: k.MayChange}
		if k.Machine != "" {
			added.holder, added.machine = k.Machine, true
		}
		if err := added.check(k.Person != "" && k.Machine != ""); err != nil {
			return nil, fmt.Errorf("activation policy: keys[%d]: %w", i, err)
		}
		p.keys = append(p.keys, added)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("activation policy: %w", err)
	}
	return p, nil
}

func (k *key) check(both bool) error {
	switch {
	case both || k.holder == "":
		return errors.New("a key belongs to a person or to a machine, one of them")
	case !k.machine && len(k.mayChange) > 0:
		return errors.New("may_change is for machines: what people may sign is under roles")
	case k.machine && len(k.mayChange) == 0:
		return fmt.Errorf("the machine %s needs may_change: %s, %s or both", k.holder, GroupRoster, GroupGeoIP)
	}
	for _, group := range k.mayChange {
		if group != GroupRoster && group != GroupGeoIP {
			return fmt.Errorf("a machine may change %s and %s, not %q: that can silence a rule and needs two people", GroupRoster, GroupGeoIP, group)
		}
	}
	return nil
}

// check refuses a policy under which one person could change what silences a rule.
func (p *Policy) check() error {
	holders := make(map[string]string) // of a key, by its text
	for i := range p.keys {
		k := &p.keys[i]
		id := fmt.Sprintf("%s+%08x", k.verifier.Name(), k.verifier.KeyHash())
		if other, ok := holders[id]; ok {
			return fmt.Errorf("the key %s is there twice, for %s and for %s", id, other, k.holder)
		}
		holders[id] = k.holder
	}
	if p.Development {
		if len(p.keys) != 1 || len(p.author)+len(p.approver)+len(p.partner) > 0 {
			return errors.New("development: true goes with one key and no roles")
		}
		return nil
	}
	for _, role := range []struct {
		name   string
		people []string
	}{{"author", p.author}, {"approver", p.approver}, {"partner", p.partner}} {
		if len(role.people) == 0 && role.name != "partner" {
			return fmt.Errorf("roles.%s names nobody", role.name)
		}
		for _, person := range role.people {
			if !p.hasKey(person) {
				return fmt.Errorf("roles.%s names %s, who has no key", role.name, person)
			}
		}
	}
	if people := distinct(slices.Concat(p.author, p.approver)); len(people) < 2 {
		return errors.New("author and approver are one person: two are needed")
	}
	return nil
}

func (p *Policy) hasKey(person string) bool {
	return slices.ContainsFunc(p.keys, func(k key) bool { return !k.machine && same(k.holder, person) })
}

// same compares people as one writes ids: J.Doe and j.doe are one person.
func same(a, b string) bool { return strings.EqualFold(a, b) }

func contains(people []string, person string) bool {
	return slices.ContainsFunc(people, func(p string) bool { return same(p, person) })
}

func distinct(people []string) (out []string) {
	for _, person := range people {
		if !contains(out, person) {
			out = append(out, person)
		}
	}
	return out
}
