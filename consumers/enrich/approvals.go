package enrich

import (
	"borderwatch/schemas/access"
)

// Approval is one entry of an approvals file: who may open which data sets, and until when.
type Approval struct {
	ID       string
	Actors   []string
	Datasets []string // patterns: exact, or a prefix with a trailing *
	Scope    string   // the scope as sources write it in approval.scope; "" where they write none
	Ticket   string
	Valid    Span
}

// readApprovals reads one borderwatch/approvals/v1 document.
func (b *builder) readApprovals(o object) {
	b.haveApprovals = true
	o.only("format", "version", "approvals")
	for _, e := range o.objects("approvals") {
		e.only("id", "actors", "datasets", "scope", "ticket", "from", "until")
		a := Approval{ID: e.required("id"), Actors: e.texts("actors"), Datasets: e.texts("datasets"), Scope: e.text("scope"),
			Ticket: e.text("ticket"), Valid: e.span()}
		for _, key := range []string{"actors", "datasets"} {
			if len(e.list(key)) == 0 {
				e.fail(e.at(key), "", "%s is missing", key)
			}
		}
		e.required("from")
		e.required("until")
		add(&b.approvals, e, "id", a.ID, a.Valid, a)
	}
}

// approve judges the approval an event refers to. One past its end, without an end, of another actor or scope, or not
// in the file is refused; without a file the source's word stands as asserted, as far as it has an end.
func (e *Enricher) approve(ev *access.Event, t access.Millis) {
	a := &ev.Approval
	if a.ID == "" && a.Scope == "" && a.ValidUntil == 0 {
		a.State = access.ApprovalNone
		return
	}
	a.State = access.ApprovalRefused
	if a.ValidUntil != 0 && a.ValidUntil < t {
		return
	}
	if !e.haveApprovals {
		if a.ValidUntil != 0 {
			a.State = access.ApprovalAsserted
		}
		return
	}
	if entry := at(e.approvals.exact[a.ID], t); entry != nil && entry.covers(ev) {
		a.State = access.ApprovalConfirmed
	}
}

// covers reports whether the entry is for the event's actor, for the scope it claims and for each of its data sets.
func (a *Approval) covers(ev *access.Event) bool {
	if !contains(a.Actors, ev.Actor.ID) {
		return false
	}
	if ev.Approval.Scope != "" && ev.Approval.Scope != a.Scope && !contains(a.Datasets, ev.Approval.Scope) {
		return false
	}
	for i := range ev.Data.Items {
		if !a.coversDataset(ev.Data.Items[i].Dataset) {
			return false
		}
	}
	return true
}

func (a *Approval) coversDataset(name string) bool {
	if name == access.DatasetNone {
		return true
	}
	for _, pattern := range a.Datasets {
		if matches(pattern, name) {
			return true
		}
	}
	return false
}
