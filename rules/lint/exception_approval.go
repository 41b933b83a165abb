package lint

import (
	"slices"

	"borderwatch/rules/policy"
)

var exceptionApproval = Check{
	ID:       "exception-approval",
	Title:    "an exception has no ticket, no requester, fewer than two approvers, or is approved by its requester",
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
	approvers := slices.Clone(x.ApprovedBy)
	slices.Sort(approvers)
	if n := len(slices.Compact(approvers)); n < 2 {
		p.report(x.Place("approved_by"), "", "the exception %s is approved by %d, it needs two different approvers", x.ID, n)
	}
	if x.RequestedBy != "" && slices.Contains(x.ApprovedBy, x.RequestedBy) {
		p.report(x.Place("approved_by"), "", "the exception %s is approved by %s, who requested it", x.ID, x.RequestedBy)
	}
}
