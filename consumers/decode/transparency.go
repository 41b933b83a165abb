package decode

import (
	"borderwatch/schemas/access"
)

// accessTransparency maps a log entry of Google Access Transparency: what Google's own staff did to a customer's data,
// and from which country. It names no person; the actor is the employer, its job title a group.
//
// Source: Google Cloud, "Access Transparency: reading logs".
func accessTransparency(a *adapter, root ref, ev *access.Event) (err error) {
	if err := a.envelope(root, "", entryMembers); err != nil {
		return err
	}
	if ev.ID, err = a.required(root.get("insertId"), "insertId"); err != nil {
		return err
	}
	if ev.Time, err = a.time(root.get("timestamp"), "timestamp"); err != nil {
		return err
	}
	payload, err := a.object(root.get("jsonPayload"), "jsonPayload")
	if err != nil {
		return err
	}
	if payload.get("@type").str() == "" || payload.get("accesses").absent() && payload.get("location").absent() {
		return &Malformed{CodeMissing, "is no Access Transparency log", "jsonPayload", -1}
	}
	ev.Session.ID = payload.get("eventId").str()
	a.staff(payload, ev)
	a.accesses(payload, ev)
	ev.Reason = a.reasons(payload.get("reason"))
	if approval := payload.get("accessApprovals").first().str(); approval != "" {
		ev.Approval.ID, ev.Approval.State = approval, access.ApprovalAsserted
	}
	return nil
}

func (a *adapter) staff(payload ref, ev *access.Event) {
	location := payload.get("location")
	employer := location.get("principalEmployingEntity").str()
	ev.Actor.ID = firstOf(employer, "unknown")
	ev.Actor.Kind = access.ActorVendor
	ev.Actor.EmployerEntity = employer
	if title := payload.get("principalJobTitle").str(); title != "" {
		ev.Actor.Groups, ev.Actor.GroupsGiven = append(ev.Actor.Groups, title), true
	}
	ev.Declared.Office = place(location.get("principalOfficeCountry"))
	ev.Declared.Physical = place(location.get("principalPhysicalLocationCountry"))
}

// accesses reads the resources and the gravest kind of access. Access Transparency logs accesses to customer data only.
func (a *adapter) accesses(payload ref, ev *access.Event) {
	g := audit{adapter: a, ev: ev}
	d := datasets{ev: ev, system: payload.get("product").first().str()}
	ev.Data.Items[0].System = d.system
	for r := payload.get("accesses").first(); r.at != 0; r = r.following() {
		d.add(g.dataset(r.get("resourceName").str()))
		if ev.Action == access.ActionUnknown {
			ev.Action = guess(lastPart(r.get("methodName").str()))
		}
	}
	for p := payload.get("permissionDetails").first(); p.at != 0; p = p.following() {
		switch p.get("permissionType").str() {
		case "DATA_WRITE":
			ev.Action = access.ActionWrite
		case "DATA_READ":
			if ev.Action == access.ActionUnknown {
				ev.Action = access.ActionRead
			}
		}
	}
	ev.Outcome = access.OutcomeSuccess
}

// reasons joins the justifications: "TYPE: detail; TYPE: detail".
func (a *adapter) reasons(list ref) string {
	from := len(a.arena)
	for r := list.first(); r.at != 0; r = r.following() {
		separator := "; "
		for _, part := range [...]string{r.get("type").prose(), r.get("detail").prose()} {
			if part == "" {
				continue
			}
			if len(a.arena) > from {
				a.arena = append(a.arena, separator...)
			}
			a.arena = append(a.arena, part...)
			separator = ": "
		}
	}
	return view(a.arena[from:])
}
