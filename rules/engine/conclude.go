package engine

import (
	"cmp"
	"slices"
	"strings"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// countryAlone is what is missing when nothing but the country is.
const countryAlone = access.FieldSet(1 << access.FieldLocationCountry)

// conclude turns what matched into alerts: one for each rule, and one for the unknowns of active rules and one for those
// of shadow rules. Unknowns that stem from the country alone attach to an alert of an active rule that already says that
// the place is not known well enough.
func (j *judgement) conclude() {
	out := j.out
	host := -1 // the alert that unknowns of the country attach to
	for i := range out.Matched {
		m := &out.Matched[i]
		if m.Outcome == alert.Unknown {
			continue
		}
		r := j.engine.byID[m.RuleID]
		out.Alerts = append(out.Alerts, j.item(r, m))
		if last := len(out.Alerts) - 1; r.kind.AboutPlace() && m.Outcome == alert.Alert && !m.Shadow && (host < 0 || m.Severity > out.Alerts[host].Severity) {
			host = last
		}
	}
	j.fold(host, false)
	j.fold(-1, true)
	for i := range out.Alerts {
		a := &out.Alerts[i]
		j.identify(a)
		a.Why = j.why(a)
		if !a.Shadow && a.Outcome != alert.Suppressed {
			out.Severity = max(out.Severity, a.Severity)
		}
	}
	slices.SortStableFunc(out.Alerts, byRule)
}

func byRule(a, b alert.Item) int {
	if a.RuleID == b.RuleID {
		return cmp.Compare(shadowByte(a.Shadow), shadowByte(b.Shadow))
	}
	return strings.Compare(a.RuleID, b.RuleID)
}

func (j *judgement) item(r *rule, m *alert.Match) alert.Item {
	a := alert.Item{RuleID: r.id, Outcome: m.Outcome, Severity: m.Severity, Shadow: m.Shadow, DataItem: m.DataItem, Rules: r.self}
	if r.kind.MakesGaps() {
		a.CaseKind = alert.CaseGap
	}
	if m.Outcome == alert.Suppressed {
		a.Exceptions = j.suppressors(r)
	}
	return a
}

// suppressors lists the exceptions that cover a data set on which the rule would alert. Of several data sets each may
// be covered by another one.
func (j *judgement) suppressors(r *rule) (names []alert.Exception) {
	for i := range r.exceptions {
		x := &r.exceptions[i]
		for item := range max(len(j.ev.Data.Items), 1) {
			if x.applies(j.ev, item, j.day) && r.judgeItem(j.ev, item, j.day).outcome == alert.Suppressed {
				names = append(names, x.name)
				break
			}
		}
	}
	return names
}

// fold makes one alert of the unknowns of the active or of the shadow rules, leaving out those that attach to the host.
func (j *judgement) fold(host int, shadow bool) {
	out := j.out
	folded := alert.Item{RuleID: alert.UnknownRule, Outcome: alert.Unknown, Shadow: shadow, CaseKind: alert.CaseGap}
	for i := range out.Matched {
		m := &out.Matched[i]
		if m.Outcome != alert.Unknown || m.Shadow != shadow {
			continue
		}
		if host >= 0 && m.Missing == countryAlone {
			attach(&out.Alerts[host], m)
			continue
		}
		if m.Severity > folded.Severity {
			folded.Severity, folded.DataItem = m.Severity, m.DataItem
		}
		folded.Rules = append(folded.Rules, m.RuleID)
		folded.Missing |= m.Missing
	}
	if len(folded.Rules) > 0 {
		out.Alerts = append(out.Alerts, folded)
	}
}

// attach adds an unknown rule to an alert about the place. The alert keeps its identity.
func attach(a *alert.Item, m *alert.Match) {
	if a.Missing == 0 {
		a.Rules = slices.Clone(a.Rules) // it was the rule's own list
	}
	i, _ := slices.BinarySearch(a.Rules, m.RuleID)
	a.Rules = slices.Insert(a.Rules, i, m.RuleID)
	a.Missing |= m.Missing
	a.Severity = max(a.Severity, m.Severity)
}
