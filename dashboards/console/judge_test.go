package console_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"borderwatch/dashboards/service"
	"borderwatch/dashboards/service/servicetest"
	"borderwatch/rules/engine"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/casework"
)

const ruleText = `format: borderwatch/rule/v1
id: EU-101
title: Restricted EU user data opened from a country that is not approved
status: active
severity: critical
kind: policy
owner: dpo-office
law: ["GDPR Art. 32"]
why: Data seen on a screen in an unapproved country is out of our hands.
respond: Call the manager of the actor.
when:
  data.classes: restricted
  action: [view, read]
  location.country not: [DE, FR]
`

// fixedJudge judges every alert by one rule and one event.
type fixedJudge struct{ engine *engine.Engine }

func newFixedJudge(t *testing.T) fixedJudge {
	t.Helper()
	set, problems := policy.Read([]policy.Document{{Path: "EU-101.yaml", Data: []byte(ruleText)}})
	if problems.Failed() {
		t.Fatal(problems)
	}
	e, err := engine.Compile(set, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fixedJudge{e}
}

func (j fixedJudge) Judgement(context.Context, *casework.Alert) (service.Judgement, error) {
	ev := new(access.Event)
	ev.Reset()
	ev.ID, ev.Actor.ID, ev.Action = "e-1", "u-1042", access.ActionRead
	ev.Data.Items[0].Dataset = "eu.users.contact"
	china, _ := access.ParseCountry("CN")
	ev.Location.Candidates, ev.Location.Verdict = access.SetOf(china), access.LocationAgree
	return service.Judgement{Event: ev, Engine: j.engine, Text: ruleText}, nil
}

// TestExplanation: each condition with its outcome, and a word where judging again gives something else.
func TestExplanation(t *testing.T) {
	j := newFixedJudge(t)
	s := newSite(t, func(p *service.Parts) { p.Judge = j })
	client := s.as(t, "anna", service.Viewer)
	_, text := s.ask(t, client, "GET", "/api/v1/alerts/"+servicetest.ID(7), "")
	var page service.AlertPage
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for _, c := range page.Explanation.Conditions {
		answers[c.Text] = c.Answer
	}
	// The event names no class, so the rule cannot decide; the stored alert says that it matched.
	for condition, want := range map[string]string{"data.classes": "unknown", "action": "true", "location.country": "true"} {
		found := false
		for text, answer := range answers {
			found = found || strings.HasPrefix(text, condition) && answer == want
		}
		if !found {
			t.Errorf("%s is not %s in %v", condition, want, answers)
		}
	}
	if page.Explanation.Same || page.Explanation.Outcome != "unknown" {
		t.Errorf("same %v, outcome %s", page.Explanation.Same, page.Explanation.Outcome)
	}
	if _, text := s.ask(t, client, "GET", "/alerts/"+servicetest.ID(7), ""); !strings.Contains(text, "run the verifier") || !strings.Contains(text, "Call the manager") {
		t.Error("the page says neither that it differs nor what to do")
	}
}
