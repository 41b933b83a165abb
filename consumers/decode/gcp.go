package decode

import (
	"strings"

	"borderwatch/schemas/access"
)

// The members of a log entry and of its audit log. Source: Google Cloud Logging, "LogEntry"; Cloud Audit Logs,
// "AuditLog".
var (
	entryMembers = []string{
		"logName", "resource", "protoPayload", "textPayload", "jsonPayload", "timestamp", "receiveTimestamp", "severity",
		"insertId", "httpRequest", "labels", "metadata", "operation", "trace", "spanId", "traceSampled",
		"sourceLocation", "split", "errorGroups", "apphub",
	}
	auditMembers = []string{
		"@type", "serviceName", "methodName", "resourceName", "resourceLocation", "resourceOriginalState",
		"numResponseItems", "status", "authenticationInfo", "authorizationInfo", "policyViolationInfo",
		"requestMetadata", "request", "response", "metadata", "serviceData",
	}
)

// audit is one audit log entry on its way into an event.
type audit struct {
	*adapter
	entry, payload  ref
	service, method string
	ev              *access.Event
}

// gcpAudit maps a log entry whose payload is a Cloud Audit log.
func gcpAudit(a *adapter, root ref, ev *access.Event) error {
	if err := a.envelope(root, "", entryMembers); err != nil {
		return err
	}
	g := &audit{adapter: a, entry: root, ev: ev}
	if err := g.core(); err != nil {
		return err
	}
	g.outcome()
	g.what()
	return nil
}

func (g *audit) core() (err error) {
	ev, r := g.ev, g.entry
	if g.payload, err = g.object(r.get("protoPayload"), "protoPayload"); err != nil {
		return err
	}
	if g.payload.absent() {
		return &Malformed{CodeMissing, "is missing; every " + g.shape.what + " has it", "protoPayload", -1}
	}
	if ev.ID, err = g.required(r.get("insertId"), "insertId"); err != nil {
		return err
	}
	if ev.Time, err = g.time(r.get("timestamp"), "timestamp"); err != nil {
		return err
	}
	if err = g.envelope(g.payload, "protoPayload.", auditMembers); err != nil {
		return err
	}
	if g.service, err = g.required(g.payload.get("serviceName"), "protoPayload.serviceName"); err != nil {
		return err
	}
	if g.method, err = g.required(g.payload.get("methodName"), "protoPayload.methodName"); err != nil {
		return err
	}
	ev.Source.Service = g.service
	if err = g.from(); err != nil {
		return err
	}
	return g.who()
}

// from reads the caller's address and the region of what was called.
func (g *audit) from() error {
	request, err := g.object(g.payload.get("requestMetadata"), "protoPayload.requestMetadata")
	if err != nil {
		return err
	}
	if g.ev.Source.Address, err = g.text(request.get("callerIp"), "protoPayload.requestMetadata.callerIp"); err != nil {
		return err
	}
	labels := g.entry.get("resource", "labels")
	region := firstOf(labels.get("location").str(), labels.get("region").str(), labels.get("zone").str(),
		g.payload.get("resourceLocation", "currentLocations").first().str())
	g.ev.Source.Region = strings.ToLower(region)
	return nil
}

// who reads the caller. Google leaves the identity out for public resources and, for some refused calls, redacts it: the
// actor is then unknown.
func (g *audit) who() error {
	auth, err := g.object(g.payload.get("authenticationInfo"), "protoPayload.authenticationInfo")
	if err != nil {
		return err
	}
	email, err := g.text(auth.get("principalEmail"), "protoPayload.authenticationInfo.principalEmail")
	if err != nil {
		return err
	}
	actor := &g.ev.Actor
	actor.ID = firstOf(email, auth.get("principalSubject").str(), "unknown")
	actor.Kind = gcpKind(actor.ID)
	for d := auth.get("serviceAccountDelegationInfo").first(); d.at != 0; d = d.following() {
		name := firstOf(d.get("firstPartyPrincipal", "principalEmail").str(), d.get("principalSubject").str(),
			d.get("thirdPartyPrincipal", "thirdPartyClaims", "sub").str())
		if name != "" {
			actor.Via, actor.ViaGiven = append(actor.Via, name), true
		}
	}
	return nil
}

// gcpKind tells service accounts by their domain; an account that is none may be anybody's.
func gcpKind(id string) access.ActorKind {
	switch {
	case strings.HasSuffix(id, "gserviceaccount.com"):
		return access.ActorService
	case strings.HasPrefix(id, "system:"):
		return access.ActorSystem
	}
	return access.ActorUnknown
}

// outcome reads the status, a google.rpc.Code: absent or 0 is success, 7 and 16 refuse the caller.
func (g *audit) outcome() {
	code, _ := g.payload.get("status", "code").integer()
	switch code {
	case 0:
		g.ev.Outcome = access.OutcomeSuccess
		if n, ok := g.payload.get("numResponseItems").integer(); ok {
			g.ev.Data.Records = n
		}
	case 7, 16:
		g.ev.Outcome = access.OutcomeDenied
	default:
		g.ev.Outcome, g.ev.Data.Records = access.OutcomeFailure, 0
	}
}

// what reads action and data sets by the table of operations.
func (g *audit) what() {
	ev := g.ev
	item := &ev.Data.Items[0]
	item.System = g.service
	op := gcpOperations().find(strings.TrimSuffix(g.service, ".googleapis.com"), g.method)
	if op != nil && !op.data {
		ev.Action = op.action
		noUserData(item)
		return
	}
	item.StorageCountry = g.storage()
	d := datasets{ev: ev, system: g.service, country: item.StorageCountry}
	if op == nil {
		ev.Action = guess(lastPart(g.method))
		return
	}
	ev.Action = op.action
	for _, path := range op.dataset {
		collect(g.payload, path, func(name string) { d.add(g.dataset(name)) })
		if path == "referencedTables" {
			g.referenced(&d)
		}
		if d.named > 0 {
			break
		}
	}
	if op.dest != "" {
		collect(g.payload, op.dest, func(name string) { ev.Dest.System = firstOf(ev.Dest.System, g.dataset(name)) })
	}
}

// storage is the country of the data: of all its locations where they agree, else of the resource.
func (g *audit) storage() access.Country {
	var country access.Country
	for l := g.payload.get("resourceLocation", "currentLocations").first(); l.at != 0; l = l.following() {
		c, ok := access.RegionCountry(strings.ToLower(l.str()))
		if !ok || country != 0 && c != country {
			return access.CountryUnknown
		}
		country = c
	}
	if country == 0 {
		country, _ = access.RegionCountry(g.ev.Source.Region)
	}
	return country
}

// referenced adds the tables that a finished BigQuery query read, in the older form of three members each.
func (g *audit) referenced(d *datasets) {
	job := g.payload.get("serviceData", "jobCompletedEvent", "job")
	for t := job.get("jobStatistics", "referencedTables").first(); t.at != 0; t = t.following() {
		d.add(g.join(t.get("projectId").str(), ".", t.get("datasetId").str(), ".", t.get("tableId").str()))
	}
}

// dataset is the name by which a catalogue knows a resource: a bucket or secret by its name, a table as
// project.dataset.table, never an object's key.
func (g *audit) dataset(resource string) string {
	var project, outer, inner string
	parts := strings.Split(strings.Trim(resource, "/"), "/")
	for i := 0; i+1 < len(parts); i++ {
		switch name := parts[i+1]; parts[i] {
		case "projects":
			project = name
		case "buckets", "secrets", "topics", "subscriptions", "cryptoKeys", "snapshots", "disks", "images", "services":
			return name
		case "datasets", "instances":
			outer = name
		case "tables", "databases":
			inner = name
		}
	}
	switch {
	case outer != "" && inner != "":
		return g.join(project, ".", outer, ".", inner)
	case outer != "":
		return g.join(project, ".", outer)
	case inner != "":
		return g.join(project, ".", inner)
	}
	return resource
}

// lastPart is what stands behind the last point of a method's name.
func lastPart(method string) string { return method[strings.LastIndexByte(method, '.')+1:] }
