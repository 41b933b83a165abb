package decode

import (
	"fmt"
	"strings"

	"borderwatch/schemas/access"
)

// The classes of OCSF that are data accesses. Source: OCSF schema 1.8.0.
const (
	classAPIActivity       = 6003
	classDatastoreActivity = 6005
)

// ocsfMembers are the members of both classes and of the profiles that they often carry.
var ocsfMembers = []string{
	"activity_id", "activity_name", "actor", "api", "attacks", "authorizations", "category_name", "category_uid",
	"class_name", "class_uid", "cloud", "count", "database", "databucket", "device", "disposition", "disposition_id",
	"action", "action_id", "dst_endpoint", "duration", "end_time", "end_time_dt", "enrichments", "firewall_rule",
	"http_request", "http_response", "is_alert", "malware", "message", "metadata", "observables", "osint", "policy",
	"query_info", "raw_data", "raw_data_hash", "raw_data_size", "resources", "risk_details", "risk_level",
	"risk_level_id", "risk_score", "severity", "severity_id", "src_endpoint", "start_time", "start_time_dt", "status",
	"status_code", "status_detail", "status_id", "table", "time", "time_dt", "timezone_offset", "trace", "type",
	"type_id", "type_name", "type_uid", "unmapped", "confidence", "confidence_id", "confidence_score",
}

// activity is one OCSF event on its way into ours.
type activity struct {
	*adapter
	root  ref
	class int64
	ev    *access.Event
}

// ocsf maps Datastore Activity (6005) and API Activity (6003).
func ocsf(a *adapter, root ref, ev *access.Event) error {
	if err := a.envelope(root, "", ocsfMembers); err != nil {
		return err
	}
	o := &activity{adapter: a, root: root, ev: ev}
	if err := o.core(); err != nil {
		return err
	}
	o.who()
	o.outcome()
	o.what()
	return nil
}

func (o *activity) core() (err error) {
	class := o.root.get("class_uid")
	if class.absent() {
		return &Malformed{CodeMissing, "is missing; every " + o.shape.what + " has it", "class_uid", -1}
	}
	o.class, _ = class.integer()
	if o.class != classAPIActivity && o.class != classDatastoreActivity {
		reason := fmt.Sprintf("class %s is no data access: %d (Datastore Activity) and %d (API Activity) are read", clip(class.node().text), classDatastoreActivity, classAPIActivity)
		return &Malformed{CodeShape, reason, "class_uid", class.node().pos}
	}
	if o.ev.ID, err = o.required(o.root.get("metadata", "uid"), "metadata.uid"); err != nil {
		return err
	}
	if err := o.when(); err != nil {
		return err
	}
	if n, ok := o.root.get("metadata", "sequence").integer(); ok {
		o.ev.Source.Seq = n
	}
	if o.ev.Source.Feed == "" {
		o.ev.Source.Feed = o.root.get("metadata", "product", "name").str()
		o.ev.Source.Scope = firstOf(o.ev.Source.Scope, o.ev.Source.Feed)
	}
	src := o.root.get("src_endpoint")
	if o.ev.Source.Address, err = o.text(src.get("ip"), "src_endpoint.ip"); err != nil {
		return err
	}
	o.ev.Source.Address = firstOf(o.ev.Source.Address, src.get("svc_name").str())
	o.ev.Source.Region = firstOf(o.root.get("cloud", "region").str(), o.root.get("databucket", "region").str())
	o.ev.Source.Service = o.root.get("api", "service", "name").str()
	return nil
}

// when reads time (milliseconds) or time_dt (RFC 3339).
func (o *activity) when() (err error) {
	ms := o.root.get("time")
	if ms.absent() {
		o.ev.Time, err = o.time(o.root.get("time_dt"), "time_dt")
		return err
	}
	n, ok := ms.integer()
	if t := access.Millis(n); ok && t < access.MaxTime {
		o.ev.Time = t
		return nil
	}
	return &Malformed{CodeValue, "is not a number of milliseconds between 1970 and 2262", "time", ms.node().pos}
}

func (o *activity) who() {
	actor := o.root.get("actor")
	user, session := actor.get("user"), actor.get("session")
	a := &o.ev.Actor
	a.ID = firstOf(user.get("uid").str(), user.get("email_addr").str(), user.get("name").str(), user.get("uid_alt").str())
	invoker := actor.get("invoked_by").str()
	switch kind, _ := user.get("type_id").integer(); kind {
	case 3:
		a.Kind = access.ActorSystem
	case 4:
		a.Kind = access.ActorService
	}
	for _, link := range [...]string{firstOf(actor.get("idp", "name").str(), actor.get("idp", "uid").str()), invoker} {
		if link != "" && a.ID != "" {
			a.Via, a.ViaGiven = append(a.Via, link), true
		}
	}
	a.ID = firstOf(a.ID, invoker, actor.get("app_uid").str(), actor.get("app_name").str(), "unknown")
	for g := user.get("groups").first(); g.at != 0; g = g.following() {
		if name := firstOf(g.get("name").str(), g.get("uid").str()); name != "" {
			a.Groups, a.GroupsGiven = append(a.Groups, name), true
		}
	}
	a.EmployerEntity = firstOf(user.get("org", "uid").str(), user.get("org", "name").str())
	o.ev.Session.ID = session.get("uid").str()
	if yes, ok := session.get("is_mfa").boolean(); ok {
		o.ev.Session.MFA = access.AnswerOf(yes)
	}
}

// outcome reads status and disposition: a failure with a refusing code, or a blocked one, is denied.
func (o *activity) outcome() {
	status, _ := o.root.get("status_id").integer()
	word := strings.ToLower(o.root.get("status").str())
	code := firstOf(o.root.get("api", "response", "error").str(), o.root.get("status_code").str())
	disposition, _ := o.root.get("disposition_id").integer()
	switch disposition {
	case 1:
		o.ev.Gateway.Decision = access.DecisionAllowed
	case 2:
		o.ev.Gateway.Decision = access.DecisionBlocked
	}
	switch {
	case disposition == 2:
		o.ev.Outcome = access.OutcomeDenied
	case status == 1, status == 0 && word == "success":
		o.ev.Outcome = access.OutcomeSuccess
	case status != 2 && word != "failure":
	case containsAny(code, denials[:]):
		o.ev.Outcome = access.OutcomeDenied
	default:
		o.ev.Outcome = access.OutcomeFailure
	}
}

// datastoreActions and apiActions are the activities of the two classes.
var (
	datastoreActions = [...]access.Action{1: access.ActionRead, 2: access.ActionWrite, 3: access.ActionLogin,
		4: access.ActionQuery, 5: access.ActionWrite, 6: access.ActionWrite, 7: access.ActionDelete,
		8: access.ActionList, 9: access.ActionOther, 10: access.ActionDecrypt}
	apiActions = [...]access.Action{1: access.ActionWrite, 2: access.ActionRead, 3: access.ActionWrite, 4: access.ActionDelete}
)

// what reads action and data sets. An API Activity of AWS goes by the table of its operations.
func (o *activity) what() {
	item := &o.ev.Data.Items[0]
	dst := o.root.get("dst_endpoint")
	item.System = firstOf(o.ev.Source.Service, dst.get("svc_name").str(), dst.get("hostname").str(), dst.get("ip").str())
	o.ev.Action = o.action()
	if op := o.awsOperation(); op != nil {
		o.ev.Action = op.action
		if !op.data {
			noUserData(item)
			return
		}
	}
	if !access.GlobalService(o.ev.Source.Service, o.ev.Source.Region) {
		item.StorageCountry, _ = access.RegionCountry(o.ev.Source.Region)
	}
	if item.StorageCountry == 0 {
		item.StorageCountry, _ = access.ParseCountry(dst.get("location", "country").str())
	}
	o.classify(item)
	o.datasets()
}

func (o *activity) action() access.Action {
	actions := apiActions[:]
	if o.class == classDatastoreActivity {
		actions = datastoreActions[:]
	}
	if id, ok := o.root.get("activity_id").integer(); ok && id > 0 && int(id) < len(actions) {
		return actions[id]
	}
	word, _ := access.Actions.Parse(strings.ToLower(o.root.get("activity_name").str()))
	return access.Action(word)
}

func (o *activity) awsOperation() *operation {
	if o.class != classAPIActivity || !strings.HasSuffix(o.ev.Source.Service, ".amazonaws.com") {
		return nil
	}
	name := o.root.get("api", "operation").str()
	return awsOperations().find(strings.TrimSuffix(o.ev.Source.Service, ".amazonaws.com"), baseName(name))
}

func (o *activity) datasets() {
	item := o.ev.Data.Items[0]
	d := datasets{ev: o.ev, system: item.System, country: item.StorageCountry}
	database, table := o.root.get("database", "name").str(), o.root.get("table", "name").str()
	if database != "" && table != "" {
		table = o.join(database, ".", table)
	}
	d.add(firstOf(table, database))
	d.add(o.root.get("databucket", "name").str())
	if o.class == classDatastoreActivity {
		return
	}
	for r := o.root.get("resources").first(); r.at != 0; r = r.following() {
		d.add(awsName(firstOf(r.get("name").str(), r.get("uid").str())))
	}
}

// confidentialities are confidentiality_id 1 to 6 as classes of ours: not confidential, confidential, secret, top secret,
// private, restricted.
var confidentialities = [...]string{1: "public", 2: "sensitive", 3: "restricted", 4: "restricted", 5: "personal", 6: "restricted"}

// classify reads the data classification of table, bucket or event.
func (o *activity) classify(item *access.Item) {
	for _, where := range [...]string{"databucket", "database", "table", ""} {
		at := o.root
		if where != "" {
			at = o.root.get(where)
		}
		classification(at.get("data_classification"), item)
		for c := at.get("data_classifications").first(); c.at != 0; c = c.following() {
			classification(c, item)
		}
	}
}

func classification(c ref, item *access.Item) {
	if id, ok := c.get("confidentiality_id").integer(); ok && id > 0 && int(id) < len(confidentialities) {
		word, _ := access.DataClasses.Parse(confidentialities[id])
		item.Classes = item.Classes.With(word)
	}
	category := ""
	switch id, _ := c.get("category_id").integer(); id {
	case 1:
		word, _ := access.DataClasses.Parse("personal")
		item.Classes = item.Classes.With(word)
	case 2, 5:
		category = "government_related"
	case 3:
		category = "financial"
	}
	if category != "" {
		word, _ := access.DataCategories.Parse(category)
		item.Categories = item.Categories.With(word)
	}
}
