package engine

import (
	"strconv"
	"strings"
	"unicode"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// decisive returns the condition that an alert's sentence names as the reason: the one about the place, else about the
// approval, the destination or the storage, else the last one written.
func decisive(r *policy.Rule) string {
	best, rank := "", -1
	consider := func(c *policy.Condition) {
		if k := weight(c.Field); k >= rank {
			best, rank = phrase(c), k
		}
	}
	for _, c := range r.Kind.Implied() {
		consider(&c)
	}
	for i := range r.When.All {
		consider(&r.When.All[i])
	}
	if len(r.When.Any) > 0 && rank < weight(access.FieldLocationVerdict) {
		return alternatives(r.When.Any)
	}
	return best
}

// alternatives writes out the branches of an any block where each is one line.
func alternatives(branches [][]policy.Condition) string {
	var phrases []string
	for _, branch := range branches {
		if len(branch) != 1 || len(branches) > 3 {
			return "one of the alternatives of the rule holds"
		}
		phrases = append(phrases, phrase(&branch[0]))
	}
	return strings.Join(phrases, ", or ")
}

func weight(f access.Field) int {
	switch f {
	case access.FieldLocationCountry:
		return 7
	case access.FieldDestCountry, access.FieldStorageCountry:
		return 6
	case access.FieldActorEmployerCountry, access.FieldActorCoveredPerson, access.FieldActorEmployment:
		return 5
	case access.FieldApprovalID, access.FieldApprovalScope, access.FieldApprovalValidUntil, access.FieldGatewayDecision:
		return 4
	case access.FieldLocationVerdict, access.FieldLocationExpected:
		return 3
	case access.FieldAction, access.FieldActorKind, access.FieldClasses, access.FieldSubjectRegions:
		return 0
	}
	return 1
}

// phrase says a condition as part of a sentence.
func phrase(c *policy.Condition) string {
	texts := make([]string, len(c.Values))
	for i := range c.Values {
		texts[i] = c.Values[i].Text
	}
	list := strings.Join(texts, " or ")
	switch c.Op {
	case policy.Is:
		if c.Values[0].Group != "" {
			return c.Field.String() + " is in " + list
		}
		return c.Field.String() + " is " + list
	case policy.Not:
		if c.Values[0].Group != "" {
			return c.Field.String() + " is not in " + list
		}
		return c.Field.String() + " is not " + list
	case policy.Missing:
		return c.Field.String() + " is missing"
	case policy.AllOf, policy.Only:
		return c.Field.String() + " has " + c.Op.String() + " " + strings.Join(texts, ", ")
	case policy.Within:
		return c.Field.String() + " is within " + list
	case policy.AtLeast, policy.AtMost:
		return c.Field.String() + " is " + c.Op.String() + " " + list
	}
	return c.Field.String() + " " + c.Op.String() + " " + list
}

// verbs say an action in the past tense.
var verbs = [...]string{
	access.ActionUnknown: "accessed", access.ActionView: "viewed", access.ActionRead: "read", access.ActionQuery: "queried", access.ActionList: "listed",
	access.ActionExport: "exported", access.ActionDownload: "downloaded", access.ActionCopy: "copied", access.ActionReplicate: "replicated",
	access.ActionWrite: "wrote", access.ActionDelete: "deleted", access.ActionDecrypt: "decrypted", access.ActionGrant: "granted access to",
	access.ActionAdmin: "administered", access.ActionLogin: "logged in to", access.ActionOther: "accessed",
}

// why says in one sentence who did what to which data from where, which condition decided, and which rule it is.
func (j *judgement) why(a *alert.Item) (sentence string) {
	defer func() {
		if recover() != nil {
			sentence = "Rule " + a.RuleID + " answered " + a.Outcome.String() + "; the event could not be described."
		}
	}()
	ev, item := j.ev, dataItem(j.ev, a.DataItem)
	b := make([]byte, 0, 320)
	b = appendClean(b, ev.Actor.ID, "an unnamed actor")
	b = append(b, " ("...)
	b = append(b, actorKind(ev)...)
	b = append(b, ") "...)
	b = appendAction(b, ev)
	b = append(b, ' ')
	b = appendClean(b, item.Dataset, "an unknown data set")
	b = appendData(b, item)
	b = append(b, " from "...)
	b = appendPlace(b, ev)
	if ev.Dest.Country != 0 {
		b = append(b, " to "...)
		b = append(b, ev.Dest.Country.Name()...)
	}
	if ev.Approval.State == access.ApprovalAsserted {
		b = appendClean(append(b, " under the approval "...), ev.Approval.ID, "without a name")
		b = append(b, " (asserted by the source)"...)
	}
	b = append(b, ": "...)
	return string(j.appendReason(b, a))
}

func actorKind(ev *access.Event) string {
	value, reference := ev.WordOf(access.FieldActorKind, 0)
	if reference != 0 {
		return access.ActorKinds.Word(value) + " or " + access.ActorKinds.Word(reference)
	}
	if value == 0 {
		return "unknown kind"
	}
	return access.ActorKinds.Word(value)
}

func appendAction(b []byte, ev *access.Event) []byte {
	if ev.EffectiveOutcome() != access.OutcomeSuccess {
		return append(append(append(b, "was stopped ("...), ev.EffectiveOutcome().String()...), ") on "+ev.Action.String()+" of"...)
	}
	return append(b, verbs[ev.Action]...)
}

// appendData adds the classes and regions: " [restricted, EU]".
func appendData(b []byte, item *access.Item) []byte {
	classes, regions := item.EffectiveClasses(), item.EffectiveRegions()
	if classes.Members() == 0 && regions.Members() == 0 {
		return b
	}
	b = append(b, " ["...)
	words := append(classes.Words(access.DataClasses), regions.Words(access.SubjectRegions)...)
	b = append(b, strings.Join(words, ", ")...)
	return append(b, ']')
}

// appendPlace says where: "China (agree)", "China or Germany (conflict)", "an unknown place (masked, vpn network)".
func appendPlace(b []byte, ev *access.Event) []byte {
	place := &ev.Location
	switch {
	case open(&place.Candidates):
		b = append(b, "an unknown place"...)
	case place.Candidates.Len() > 4:
		b = strconv.AppendInt(append(b, "one of "...), int64(place.Candidates.Len()), 10)
		b = append(b, " countries"...)
	default:
		for i, c := range place.Candidates.Countries() {
			if i > 0 {
				b = append(b, " or "...)
			}
			b = append(b, c.Name()...)
		}
	}
	b = append(append(b, " ("...), place.Verdict.String()...)
	if place.Verdict == access.LocationMasked && ev.Network.Kind != access.NetworkUnknown {
		b = append(append(append(b, ", "...), ev.Network.Kind.String()...), " network"...)
	}
	if place.Reason != "" {
		b = append(append(b, ", "...), place.Reason...)
	}
	return append(b, ')')
}

func (j *judgement) appendReason(b []byte, a *alert.Item) []byte {
	r := j.engine.byID[a.RuleID]
	switch {
	case a.Outcome == alert.Error:
		b = append(b, "the rule could not be evaluated, which alerts"...)
	case r == nil:
		b = appendRules(append(b, "cannot decide "...), a.Rules)
		return append(append(b, ", missing "...), strings.Join(a.Missing.Names(), ", ")...)
	default:
		b = append(b, r.decisive...)
	}
	b = append(append(append(append(b, ". "...), r.id...), ": "...), r.title...)
	if a.Outcome == alert.Suppressed {
		for i, x := range a.Exceptions {
			b = append(append(b, [2]string{" - suppressed by ", ", "}[min(i, 1)]...), x.ID...)
			b = append(append(append(b, " ("...), x.Ticket...), ')')
		}
	}
	if a.Missing != 0 {
		b = append(b, " - the missing country also leaves open "...)
		b = appendRules(b, others(a))
	}
	return b
}

const maxNamedRules = 4

// appendRules names the first rules and counts the rest, which the alert lists.
func appendRules(b []byte, ids []string) []byte {
	named := ids[:min(len(ids), maxNamedRules)]
	b = append(b, strings.Join(named, ", ")...)
	if more := len(ids) - len(named); more > 0 {
		b = append(strconv.AppendInt(append(b, " and "...), int64(more), 10), " more"...)
	}
	return b
}

// others are the rules that attached to the alert.
func others(a *alert.Item) []string {
	out := make([]string, 0, len(a.Rules))
	for _, id := range a.Rules {
		if id != a.RuleID {
			out = append(out, id)
		}
	}
	return out
}

const maxCleanBytes = 160

// appendClean adds text of an event: without control and format characters, which could forge lines on a terminal, and
// cut at a length. Empty text becomes otherwise.
func appendClean(b []byte, text, otherwise string) []byte {
	if text == "" {
		return append(b, otherwise...)
	}
	start := len(b)
	for _, c := range text {
		if len(b)-start > maxCleanBytes {
			return append(b, "…"...)
		}
		if !unicode.IsPrint(c) {
			c = '?'
		}
		b = append(b, string(c)...)
	}
	return b
}
