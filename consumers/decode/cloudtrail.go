package decode

import (
	"fmt"
	"strings"

	"borderwatch/schemas/access"
)

// The members of a CloudTrail record. Source: AWS CloudTrail User Guide, "CloudTrail record contents" and "userIdentity
// element", versions 1.0 to 1.11.
var (
	trailMembers = []string{
		"eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
		"userAgent", "errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData",
		"requestID", "eventID", "eventType", "apiVersion", "managementEvent", "readOnly", "resources",
		"recipientAccountId", "serviceEventDetails", "sharedEventID", "vpcEndpointId", "vpcEndpointAccountId",
		"eventCategory", "addendum", "sessionCredentialFromConsole", "edgeDeviceDetails", "tlsDetails", "eventContext",
		"insightDetails",
	}
	identityMembers = []string{
		"type", "userName", "principalId", "arn", "accountId", "accessKeyId", "sessionContext", "invokedBy",
		"onBehalfOf", "inScopeOf", "credentialId", "identityProvider", "userId", "identityStoreArn",
	}
)

// trail is one CloudTrail record on its way into an event.
type trail struct {
	*adapter
	record, identity, request ref
	service, operation        string
	ev                        *access.Event
}

// cloudTrail maps a CloudTrail record: as delivered by CloudTrail Lake and log shippers, as the detail of an EventBridge
// event, or as a log file of exactly one record.
func cloudTrail(a *adapter, root ref, ev *access.Event) error {
	record, err := a.oneRecord(root)
	if err != nil {
		return err
	}
	if err := a.envelope(record, "", trailMembers); err != nil {
		return err
	}
	t := &trail{adapter: a, record: record, ev: ev, request: record.get("requestParameters")}
	if err := t.core(); err != nil {
		return err
	}
	t.who()
	t.outcome()
	t.what()
	return nil
}

// oneRecord takes the record out of its wrapping.
func (a *adapter) oneRecord(root ref) (ref, error) {
	if detail := root.get("detail"); detail.isObject() && !root.get("detail-type").absent() {
		return detail, nil
	}
	list := root.get("Records")
	if list.absent() || list.node().kind != '[' {
		return root, nil
	}
	first := list.first()
	if !first.isObject() {
		return ref{}, &Malformed{CodeMissing, "the log file holds no record", "Records", list.node().pos}
	}
	count := 0
	for r := first; r.at != 0; r = r.following() {
		count++
	}
	if count > 1 {
		reason := fmt.Sprintf("the log file holds %d records: split it and send one record a message, so that each has an offset and a verdict of its own", count)
		return ref{}, &Malformed{CodeSeveral, reason, "Records", list.node().pos}
	}
	return first, nil
}

// core reads what a record cannot do without, and where it came from.
func (t *trail) core() (err error) {
	ev, r := t.ev, t.record
	if ev.ID, err = t.required(r.get("eventID"), "eventID"); err != nil {
		return err
	}
	if ev.Time, err = t.time(r.get("eventTime"), "eventTime"); err != nil {
		return err
	}
	if t.service, err = t.required(r.get("eventSource"), "eventSource"); err != nil {
		return err
	}
	if t.operation, err = t.required(r.get("eventName"), "eventName"); err != nil {
		return err
	}
	if t.identity, err = t.object(r.get("userIdentity"), "userIdentity"); err != nil {
		return err
	}
	if t.identity.absent() && r.get("insightDetails").absent() {
		return &Malformed{CodeMissing, "is missing; every " + t.shape.what + " has it", "userIdentity", -1}
	}
	if err := t.envelope(t.identity, "userIdentity.", identityMembers); err != nil {
		return err
	}
	if ev.Source.Address, err = t.text(r.get("sourceIPAddress"), "sourceIPAddress"); err != nil {
		return err
	}
	ev.Source.Service = t.service
	ev.Source.Region, err = t.text(r.get("awsRegion"), "awsRegion")
	return err
}

// denials are parts of the error codes with which AWS refuses a caller.
var denials = [...]string{"AccessDenied", "Unauthorized", "Forbidden", "AuthFailure", "InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch", "NotAuthorized"}

// outcome reads errorCode. A call that failed returned nothing, which the count of records says.
func (t *trail) outcome() {
	code := t.record.get("errorCode").str()
	failed := code != "" || t.record.get("errorMessage").str() != ""
	if t.record.get("responseElements", "ConsoleLogin").str() == "Failure" {
		code = "AccessDenied"
	}
	switch {
	case containsAny(code, denials[:]):
		t.ev.Outcome = access.OutcomeDenied
	case failed:
		t.ev.Outcome, t.ev.Data.Records = access.OutcomeFailure, 0
	default:
		t.ev.Outcome = access.OutcomeSuccess
		if n, ok := t.record.get("additionalEventData", "bytesTransferredOut").integer(); ok {
			t.ev.Data.Bytes = n
		}
	}
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// what reads action and data sets by the table of operations.
func (t *trail) what() {
	ev := t.ev
	item := &ev.Data.Items[0]
	item.System = t.service
	op := awsOperations().find(strings.TrimSuffix(t.service, ".amazonaws.com"), baseName(t.operation))
	switch {
	case t.identity.absent():
		ev.Action = access.ActionOther
		noUserData(item)
		return
	case op == nil:
		ev.Action = guess(t.operation)
		t.storage(nil)
		return
	case !op.data:
		ev.Action = op.action
		noUserData(item)
		return
	}
	ev.Action = op.action
	t.storage(op)
	t.datasets(op)
	t.destination(op)
}

// baseName cuts the date and version off that Lambda writes behind its operations: Invoke20150331v2.
func baseName(operation string) string {
	if at := strings.Index(operation, "20"); at > 0 && len(operation) >= at+8 {
		if strings.Trim(operation[at:at+8], "0123456789") == "" {
			return operation[:at]
		}
	}
	return operation
}

// storage places the data in the endpoint's region, unless the service logs in one region wherever it is called. What is
// copied from another region lies in that one; where S3 keeps the source of a copy the record does not tell.
func (t *trail) storage(op *operation) {
	region := t.ev.Source.Region
	if access.GlobalService(t.service, region) {
		return
	}
	if op != nil && op.action == access.ActionCopy {
		t.ev.Dest.Country, _ = access.RegionCountry(region)
		region = firstOf(t.request.get("sourceRegion").str(), region)
		if !t.request.get(copySourceMember).absent() {
			return
		}
	}
	t.ev.Data.Items[0].StorageCountry, _ = access.RegionCountry(region)
}

// datasets names what the operation's first telling member names, then the record's resources.
func (t *trail) datasets(op *operation) {
	item := &t.ev.Data.Items[0]
	d := datasets{ev: t.ev, system: t.service, country: item.StorageCountry}
	for _, path := range op.dataset {
		if path == "none" && t.request.isObject() {
			noUserData(item)
			return
		}
		t.collect(path, func(name string) {
			if path == copySourceMember {
				name = copySource(name)
			}
			d.add(awsName(name))
		})
		if d.named > 0 {
			break
		}
	}
	for r := t.record.get("resources").first(); r.at != 0; r = r.following() {
		kind := r.get("type").str()
		if strings.HasPrefix(kind, "AWS::IAM::") || kind == "AWS::KMS::Key" && d.named > 0 {
			continue
		}
		d.add(awsName(firstOf(r.get("ARN").str(), r.get("arn").str())))
	}
}

// collect calls do with every text at a path of the request or, where it has none, of what a service says of an event of
// its own.
func (t *trail) collect(path string, do func(string)) (found bool) {
	for _, where := range [...]ref{t.request, t.record.get("serviceEventDetails"), t.record.get("additionalEventData")} {
		collect(where, path, func(name string) {
			found = true
			do(name)
		})
		if found {
			return true
		}
	}
	return false
}

// destination reads who is given access or where a copy goes.
func (t *trail) destination(op *operation) {
	if op.dest == "" {
		return
	}
	dest := &t.ev.Dest
	found := t.collect(op.dest, func(name string) {
		if op.action == access.ActionGrant {
			dest.Entity = firstOf(dest.Entity, name)
			return
		}
		dest.System = firstOf(dest.System, awsName(name))
	})
	if !found && op.action == access.ActionGrant && t.request.isObject() {
		t.ev.Action = access.ActionAdmin
	}
}

// collect calls do with every text at a dotted path; a list on the way stands for each of its elements, and an object at
// the end for the names of its members.
func collect(r ref, path string, do func(string)) {
	if r.at == 0 {
		return
	}
	switch n := r.node(); {
	case n.kind == '[':
		for e := r.first(); e.at != 0; e = e.following() {
			collect(e, path, do)
		}
	case n.kind == '{' && path == "":
		for m := r.first(); m.at != 0; m = m.following() {
			do(m.node().name)
		}
	case n.kind == '{':
		head, rest, _ := strings.Cut(path, ".")
		collect(r.member(head), rest, do)
	case path == "" && r.str() != "":
		do(r.str())
	}
}
