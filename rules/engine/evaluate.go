package engine

import (
	"fmt"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Evaluate judges ev and writes the verdict to out, which it resets first. content is the event's content digest. It
// allocates nothing when no rule has anything to say. ev is only read, but out keeps strings of the rules and none of
// the event, so it outlives the event.
func (e *Engine) Evaluate(ev *access.Event, content access.Digest, out *alert.Verdict) {
	j := judgement{engine: e, ev: ev, content: content, day: policy.DayOf(ev.Time), out: out}
	j.run()
}

// EvaluateLate judges an event that arrived late or early. Its own time is the source's word, and what groups and
// reference files said at that time may be more lenient than what they said when it arrived: both stay open. ev is
// completed as of its own time, arrived is the same event completed as of its Kafka timestamp. A rule that only the
// latter meets answers unknown, for want of a time that can be relied on; none is answered more mildly than ev alone is.
func (e *Engine) EvaluateLate(ev, arrived *access.Event, content access.Digest, out *alert.Verdict) {
	j := judgement{engine: e, ev: ev, arrived: arrived, content: content, day: policy.DayOf(ev.Time), out: out}
	j.run()
}

// judgement is the work on one event.
type judgement struct {
	engine  *Engine
	ev      *access.Event
	arrived *access.Event // of a late or early event: as of its Kafka timestamp; nil for others
	content access.Digest
	day     policy.Day
	out     *alert.Verdict
}

func (j *judgement) run() {
	if !j.rules() {
		j.rulesOneByOne()
	}
	if len(j.out.Matched) > 0 {
		j.conclude()
	}
}

// rules judges all rules, false where one of them panicked.
func (j *judgement) rules() (ok bool) {
	j.out.Reset()
	defer func() {
		if !ok {
			recover() // rulesOneByOne finds out which rule it was
		}
	}()
	if j.indexed() {
		j.candidates()
		return true
	}
	for i, r := range j.engine.rules {
		j.record(int32(i), j.finding(r, (*rule).judge))
	}
	return true
}

// indexed reports whether there is an index that can answer: none does for an event without a data item, which no
// decoder makes.
func (j *judgement) indexed() bool {
	return j.engine.index != nil && len(j.ev.Data.Items) > 0 && (j.arrived == nil || len(j.arrived.Data.Items) > 0)
}

// rulesOneByOne judges again after a panic, so that the rules that are well keep their outcome and the others alert.
func (j *judgement) rulesOneByOne() {
	j.out.Reset()
	for i, r := range j.engine.rules {
		j.record(int32(i), j.finding(r, (*rule).judgeSafely))
	}
}

// finding judges the event by one rule, at both its times where those lie apart.
func (j *judgement) finding(r *rule, judge func(*rule, *access.Event, policy.Day) finding) finding {
	own := judge(r, j.ev, j.day)
	if j.arrived == nil {
		return own
	}
	return atBothTimes(own, judge(r, j.arrived, policy.DayOf(j.ev.Kafka.Timestamp)))
}

// atBothTimes joins what a rule says of an event at its own time and at that of its arrival, as a condition is judged
// over the countries that stay open: what only one of the times says is unknown, unless it is the event's own. That holds
// for rules that ignore what is unknown as well: they mean fields that a source may lack, not a time that it may choose.
func atBothTimes(own, arrived finding) finding {
	switch {
	case arrived.outcome <= alert.Suppressed || own.outcome >= alert.Unknown:
		return own
	case arrived.outcome == alert.Error:
		return arrived
	}
	return finding{outcome: alert.Unknown, item: arrived.item, missing: arrived.missing.With(access.FieldArrival)}
}

// finding is what one rule says of an event.
type finding struct {
	outcome alert.Outcome
	item    int // the worst data item
	missing access.FieldSet
	near    bool
	falses  access.FieldSet // of a rule that nearly matched
	reason  string          // of an error
}

func (r *rule) judgeSafely(ev *access.Event, day policy.Day) (f finding) {
	defer func() {
		if problem := recover(); problem != nil {
			f = finding{outcome: alert.Error, reason: fmt.Sprint(problem)}
		}
	}()
	return r.judge(ev, day)
}

// judge judges every data item; the worst one decides.
func (r *rule) judge(ev *access.Event, day policy.Day) finding {
	worst := finding{item: -1}
	for item := range max(len(ev.Data.Items), 1) {
		f := r.judgeItem(ev, item, day)
		if worst.item < 0 || f.outcome > worst.outcome || f.outcome == alert.None && worst.outcome == alert.None && f.near && !worst.near {
			worst = f
			worst.item = item
		}
	}
	return worst
}

// judgeItem judges one data item.
func (r *rule) judgeItem(ev *access.Event, item int, day policy.Day) finding {
	if r.kind.AboutData() && ev.Data.Items[item].Dataset == access.DatasetNone {
		return finding{}
	}
	answer, missing := True, access.FieldSet(0)
	for i := range r.hard {
		switch r.hard[i].match(ev, item, day) {
		case False:
			return finding{}
		case Maybe:
			answer, missing = Maybe, missing|r.hard[i].lacking(ev, item)
		}
	}
	answer, missing, falses, near := r.judgeSoft(ev, item, day, answer, missing)
	switch {
	case answer == False:
		return finding{near: near, falses: falses}
	case answer == Maybe && r.ignore:
		return finding{}
	case answer == Maybe:
		return finding{outcome: alert.Unknown, missing: missing}
	case r.excepted(ev, item, day):
		return finding{outcome: alert.Suppressed}
	}
	return finding{outcome: alert.Alert}
}

// judgeSoft goes on after the hard conditions with those about place and approval and with `any`. near tells that
// nothing but conditions about place and approval is false.
func (r *rule) judgeSoft(ev *access.Event, item int, day policy.Day, answer Truth, missing access.FieldSet) (Truth, access.FieldSet, access.FieldSet, bool) {
	falses, near := access.FieldSet(0), true
	for i := range r.soft {
		c := &r.soft[i]
		switch c.match(ev, item, day) {
		case False:
			answer, falses = False, falses|c.fields
		case Maybe:
			answer, missing = min(answer, Maybe), missing|c.lacking(ev, item)
		}
	}
	if len(r.any) == 0 {
		return answer, missing, falses, near
	}
	any := r.judgeAny(ev, item, day)
	if any.answer == False {
		near, falses = any.near, falses|any.falses
	}
	return min(answer, any.answer), missing | any.missing, falses, near
}

// anyFinding is what an `any` block says.
type anyFinding struct {
	answer  Truth
	missing access.FieldSet
	near    bool // false, and in one branch only because of place or approval
	falses  access.FieldSet
}

func (r *rule) judgeAny(ev *access.Event, item int, day policy.Day) anyFinding {
	var best anyFinding
	for _, branch := range r.any {
		b := anyFinding{answer: True, near: true}
		for i := range branch {
			c := &branch[i]
			switch c.match(ev, item, day) {
			case False:
				b.answer, b.near, b.falses = False, b.near && c.soft, b.falses|c.fields
			case Maybe:
				b.answer, b.missing = min(b.answer, Maybe), b.missing|c.lacking(ev, item)
			}
		}
		switch {
		case b.answer > best.answer || b.answer == False && best.answer == False && b.near && !best.near:
			best = b
		case b.answer == Maybe && best.answer == Maybe:
			best.missing |= b.missing
		}
	}
	if best.answer != Maybe {
		best.missing = 0
	}
	return best
}

// lacking names what made a condition unknown: of two compared fields the missing ones, or both where both are there
// and leave the answer open.
func (c *condition) lacking(ev *access.Event, item int) access.FieldSet {
	if c.fields&(c.fields-1) == 0 {
		return c.fields
	}
	var missing access.FieldSet
	for _, f := range [2]access.Field{c.source.Field, c.source.Other} {
		if ev.Missing(f, item) {
			missing = missing.With(f)
		}
	}
	if missing == 0 {
		return c.fields
	}
	return missing
}

func (r *rule) excepted(ev *access.Event, item int, day policy.Day) bool {
	for i := range r.exceptions {
		if r.exceptions[i].applies(ev, item, day) {
			return true
		}
	}
	return false
}

// record writes down what the rule at i says, where that is anything.
func (j *judgement) record(i int32, f finding) {
	r, out := j.engine.rules[i], j.out
	if f.outcome == alert.None {
		if f.near && takesNear(out, r.id) {
			addNear(out, alert.Near{RuleID: r.id, False: f.falses})
		}
		return
	}
	m := alert.Match{
		RuleID: r.id, Outcome: f.outcome, Severity: j.severity(r, f.outcome), Shadow: r.shadow, DataItem: f.item, Missing: f.missing, Reason: f.reason,
	}
	out.Matched = append(out.Matched, m)
	if !r.shadow {
		out.Outcome = max(out.Outcome, f.outcome)
	}
}

// severity is the rule's, one step down if the access was refused or the outcome is unknown or both, then the cap for
// evidence from an address alone.
func (j *judgement) severity(r *rule, outcome alert.Outcome) alert.Severity {
	s := r.severity
	if outcome == alert.Error {
		return s
	}
	if outcome == alert.Unknown || j.ev.EffectiveOutcome() != access.OutcomeSuccess {
		s = s.StepDown()
	}
	place := &j.ev.Location
	if s > alert.Medium && r.capped && place.AddressOnly && place.Contested && !j.beyondCap(r) {
		return alert.Medium
	}
	return s
}

// beyondCap reports whether every candidate is a country of concern or in the rule's own group marked no_cap.
func (j *judgement) beyondCap(r *rule) bool {
	candidates := &j.ev.Location.Candidates
	if candidates.Empty() {
		return false
	}
	if j.engine.concern != nil && candidates.Within(j.engine.concern.at(j.day)) {
		return true
	}
	for i := range r.noCap {
		if candidates.Within(r.noCap[i].at(j.day)) {
			return true
		}
	}
	return false
}
