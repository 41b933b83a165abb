package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// machine refuses a machine's release that changes anything else than what its key may, compared with the bundle by two
// people that it builds on.
func (p *Policy) machine(k key, parts []Part, r *Release, at Context) error {
	base := r.Statement().Base
	if base == "" {
		return fmt.Errorf("signed by the machine %s alone, and not said to build on a bundle that people signed", k.holder)
	}
	i := slices.IndexFunc(r.notes[1:], func(n signedNote) bool { return n.statement.Content == base })
	if i < 0 {
		return fmt.Errorf("the statement that people signed about sha256:%.12s…, on which the machine %s builds, is missing", base, k.holder)
	}
	under := &r.notes[1+i]
	if under.statement.Environment != p.Environment {
		return fmt.Errorf("what the machine %s builds on was signed for the environment %s", k.holder, under.statement.Environment)
	}
	keys, err := p.verified(under)
	if err != nil {
		return fmt.Errorf("what the machine %s builds on: %w", k.holder, err)
	}
	if _, err := p.people(under.statement, keys); err != nil {
		return fmt.Errorf("what the machine %s builds on: %w", k.holder, err)
	}
	if at.Base == nil {
		return errors.New("what the machine builds on cannot be had here")
	}
	old, err := at.Base(base)
	if err != nil {
		return fmt.Errorf("what the machine %s builds on: %w", k.holder, err)
	}
	if old = Content(old); Digest(old) != base {
		return fmt.Errorf("what the machine %s builds on is not sha256:%.12s…", k.holder, base)
	}
	if err := k.allows(old, Content(parts)); err != nil {
		return fmt.Errorf("the key of the machine %s cannot sign this: %w", k.holder, err)
	}
	return nil
}

// allows compares two bundles and refuses a difference that the key may not make.
func (k *key) allows(old, parts []Part) error {
	for _, name := range groupNames {
		of := func(all []Part) []Part {
			return slices.DeleteFunc(slices.Clone(all), func(p Part) bool { return groupOf(&p) != name })
		}
		before, after := of(old), of(parts)
		if Digest(before) == Digest(after) {
			continue
		}
		if !slices.Contains(k.mayChange, name) {
			return fmt.Errorf("the %s differ from what people signed", name)
		}
		if name == GroupRoster {
			if err := joinersAndLeavers(before, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// line is one entry of a roster.
type line struct {
	list string // people or services
	id   string
	node *yaml.Node
}

func rosterLines(parts []Part) (lines []line, err error) {
	for _, p := range parts {
		err := eachDocument(p.Data, func(root *yaml.Node) error {
			for _, list := range []string{"people", "services"} {
				entries := child(root, list)
				for i := 0; entries != nil && i < len(entries.Content); i++ {
					id := child(entries.Content[i], "id")
					if id == nil {
						return fmt.Errorf("line %d: an entry without id", entries.Content[i].Line)
					}
					lines = append(lines, line{list, id.Value, entries.Content[i]})
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Path, err)
		}
	}
	return lines, nil
}

// joinersAndLeavers accepts new people and ends of employment, and nothing else: every other change of a roster can
// silence a rule. The lines that were there stay in their order.
func joinersAndLeavers(before, after []Part) error {
	old, err := rosterLines(before)
	if err != nil {
		return err
	}
	lines, err := rosterLines(after)
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, l := range old {
		known[l.id] = true
	}
	next := 0
	for _, l := range lines {
		if !known[l.id] {
			if err := joiner(l); err != nil {
				return err
			}
			continue
		}
		if next == len(old) || old[next].id != l.id || old[next].list != l.list {
			return fmt.Errorf("the roster's line of %s was added, moved or follows one that is gone", l.id)
		}
		if path := differ(old[next].node, l.node, ""); path != "" {
			return fmt.Errorf("the roster changes %s of %s; a machine may set employment.until and until, and only to an earlier day", path, l.id)
		}
		next++
	}
	if next < len(old) {
		return fmt.Errorf("the roster's line of %s is gone; a leaver keeps it, with an end", old[next].id)
	}
	return nil
}

// joinerKeys are what a machine may say of somebody new. Groups and covered_person can exempt somebody from a rule.
var joinerKeys = []string{"id", "title", "kind", "employer", "home_country", "home_region", "office_country", "employment", "from"}

func joiner(l line) error {
	if l.list != "people" {
		return fmt.Errorf("the service %s is new: only people join without two signatures", l.id)
	}
	for i := 0; i+1 < len(l.node.Content); i += 2 {
		name, value := l.node.Content[i].Value, l.node.Content[i+1]
		if !slices.Contains(joinerKeys, name) && !(name == "covered_person" && value.Value == "unknown") {
			return fmt.Errorf("the roster gives the new person %s %s, which needs two people", l.id, name)
		}
	}
	return nil
}

// differ returns the first path at which two entries differ in more than an earlier end, "" where there is none.
func differ(old, now *yaml.Node, path string) string {
	if old.Kind != now.Kind || now.Kind == yaml.AliasNode || old.Kind == yaml.ScalarNode && old.Value != now.Value {
		return path
	}
	if old.Kind == yaml.ScalarNode {
		return ""
	}
	if old.Kind == yaml.SequenceNode {
		if len(old.Content) != len(now.Content) {
			return path
		}
		for i := range old.Content {
			if at := differ(old.Content[i], now.Content[i], path); at != "" {
				return at
			}
		}
		return ""
	}
	return differMap(old, now, path)
}

func differMap(old, now *yaml.Node, path string) string {
	for _, n := range []*yaml.Node{old, now} {
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			at := strings.TrimPrefix(path+"."+name, ".")
			was, is := child(old, name), child(now, name)
			if ends(at, was, is) {
				continue
			}
			if was == nil || is == nil {
				return at
			}
			if found := differ(was, is, at); found != "" {
				return found
			}
		}
	}
	return ""
}

// ends tells whether a line gets an end, or an earlier one. Days as text are in the order of days.
func ends(path string, was, is *yaml.Node) bool {
	if path != "until" && path != "employment.until" || is == nil || is.Kind != yaml.ScalarNode {
		return false
	}
	return was == nil || was.Kind == yaml.ScalarNode && is.Value <= was.Value && is.Value != ""
}
