package lint

import (
	"slices"
	"strings"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

var exceptionApproval = Check{
	ID:       "exception-approval",
	Title:    "an exception has no ticket, no requester, fewer than two approvers, or is approved by its requester or by whom it excepts",
	Why:      "Everything that can silence a rule needs four eyes and a trail.",
	Silences: true,
	run: func(p *pass) {
		for _, x := range p.set.Exceptions {
			p.approval(x)
		}
	},
}

func (p *pass) approval(x *policy.Exception) {
	if x.Ticket == "" {
		p.report(x.Pos, "", "the exception %s has no ticket", x.ID)
	}
	if x.RequestedBy == "" {
		p.report(x.Pos, "", "the exception %s does not say who requested it (requested_by)", x.ID)
	}
	approvers := make([]string, len(x.ApprovedBy)) // as one writes ids: J.Doe and j.doe are one person
	for i, id := range x.ApprovedBy {
		approvers[i] = strings.ToLower(id)
	}
	slices.Sort(approvers)
	approvers = slices.Compact(approvers)
	if len(approvers) < 2 {
		p.report(x.Place("approved_by"), "", "the exception %s is approved by %d, it needs two different approvers", x.ID, len(approvers))
	}
	if x.RequestedBy != "" && slices.Contains(approvers, strings.ToLower(x.RequestedBy)) {
		p.report(x.Place("approved_by"), "", "the exception %s is approved by %s, who requested it", x.ID, x.RequestedBy)
	}
	for _, c := range x.When {
		for _, v := range c.Values {
			if c.Field == access.FieldActorID && slices.Contains(approvers, strings.ToLower(v.Text)) {
				p.report(x.Place("approved_by"), "", "the exception %s is approved by %s, whom it excepts", x.ID, v.Text)
			}
		}
	}
}
