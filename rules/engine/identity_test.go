package engine_test

import (
	"testing"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// TestSemantics14 is what makes two alerts one.
func TestSemantics14(t *testing.T) {
	id := func(t *testing.T, when string, change func(*access.Event), keys ...string) access.Digest {
		ev := event(t, "action: read, location.country: CN")
		if change != nil {
			change(ev)
		}
		return judge(t, compile(t, groups(eea), rule("T-1", when, keys...), rule("Z-9", "actor.id: nobody", "on_unknown: ignore")), ev).Alerts[0].ID
	}
	base := id(t, overseas, nil)
	for _, tt := range []struct {
		name   string
		when   string
		keys   []string
		change func(*access.Event)
		same   bool
	}{
		{"14-other-feed", overseas, nil, func(e *access.Event) { e.Source.Feed, e.Source.Seq = "other", 7 }, true},
		{"14-other-offset", overseas, nil, func(e *access.Event) { e.Kafka.Offset = 9 }, true},
		{"14-other-scope", overseas, nil, func(e *access.Event) { e.Source.Scope = "other" }, false},
		{"14-other-event", overseas, nil, func(e *access.Event) { e.ID = "e-2" }, false},
		{"14-other-owner-and-severity", overseas, []string{"owner: o", "severity: low"}, nil, true},
		{"14-other-condition", overseas + ", action: read", nil, nil, false},
		{"14-shadow", overseas, []string{"status: shadow"}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := id(t, tt.when, tt.change, tt.keys...); (got == base) != tt.same {
				t.Errorf("same id: %v, want %v", got == base, tt.same)
			}
		})
	}
}

func TestSemantics14Content(t *testing.T) {
	e := compile(t, rule("T-1", "action: read"))
	ev := event(t, "action: read")
	var one, two alert.Verdict
	e.Evaluate(ev, access.Digest{1}, &one)
	e.Evaluate(ev, access.Digest{2}, &two)
	if one.Alerts[0].ID == two.Alerts[0].ID {
		t.Error("the same identity with other content is folded away")
	}
}

// TestSemantics14Folded: the identity of folded unknowns is over the sorted missing fields, not over the rules.
func TestSemantics14Folded(t *testing.T) {
	ev := event(t, "action: read")
	one := judge(t, compile(t, rule("A-1", "data.classes: public")), ev).Alerts[0]
	two := judge(t, compile(t, rule("B-1", "data.classes: public"), rule("C-1", "data.classes: restricted")), ev).Alerts[0]
	other := judge(t, compile(t, rule("A-1", "actor.kind: employee")), ev).Alerts[0]
	if one.ID != two.ID || one.ID == other.ID {
		t.Errorf("ids are %x %x %x", one.ID, two.ID, other.ID)
	}
}
