package decode_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
)

// fields reads an event as its fields' texts, for comparison with what a test wants.
func fields(ev *access.Event) map[string]string {
	var sets []string
	for i := range ev.Data.Items {
		sets = append(sets, ev.Data.Items[i].Dataset)
	}
	return map[string]string{
		"id": ev.ID, "time": ev.Time.String(), "feed": ev.Source.Feed, "scope": ev.Source.Scope, "address": ev.Source.Address,
		"region": ev.Source.Region, "service": ev.Source.Service, "actor": ev.Actor.ID, "kind": ev.Actor.Kind.String(),
		"via": strings.Join(ev.Actor.Via, ","), "session": ev.Session.ID, "mfa": ev.Session.MFA.String(),
		"action": ev.Action.String(), "outcome": ev.Outcome.String(), "effective": ev.EffectiveOutcome().String(),
		"datasets": strings.Join(sets, ","), "system": ev.Data.Items[0].System, "stored": ev.Data.Items[0].StorageCountry.String(),
		"dest": ev.Dest.System, "dest.country": ev.Dest.Country.String(), "dest.entity": ev.Dest.Entity,
		"office": ev.Declared.Office.String(), "physical": ev.Declared.Physical.String(), "reason": ev.Reason,
		"employer": ev.Actor.EmployerEntity, "groups": strings.Join(ev.Actor.Groups, ","), "approval": ev.Approval.ID,
		"classes": ev.Data.Items[0].Classes.Format(access.DataClasses), "gateway": ev.Gateway.Decision.String(),
	}
}

func TestAdapters(t *testing.T) {
	tests := []struct {
		name, adapter, value string
		want                 map[string]string
	}{
		{"CloudTrail data event", decode.CloudTrail, plainTrail, map[string]string{
			"id": "11111111-2222-3333-4444-555555555555", "time": "2026-03-01T10:00:00.000Z", "feed": "feed-1", "scope": "scope-1",
			"address": "203.0.113.7", "region": "eu-central-1", "service": "s3.amazonaws.com",
			"actor": "arn:aws:iam::111122223333:role/team/analyst", "kind": "unknown", "session": "ada", "mfa": "yes", "via": "ada@example.com",
			"action": "read", "outcome": "success", "datasets": "example-profiles", "stored": "DE"}},
		{"CloudTrail service", decode.CloudTrail, serviceTrail, map[string]string{
			"actor": "cloudtrail.amazonaws.com", "kind": "service", "via": "", "address": "cloudtrail.amazonaws.com",
			"action": "other", "datasets": "none", "classes": "", "stored": "unknown"}},
		{"CloudTrail in EventBridge", decode.CloudTrail, bridgedTrail, map[string]string{
			"id": "b-2", "actor": "arn:aws:iam::111122223333:root", "address": "AWS Internal", "outcome": "denied", "action": "admin", "datasets": "none"}},
		{"CloudTrail anonymous", decode.CloudTrail, deniedTrail, map[string]string{
			"actor": "anonymous", "kind": "anonymous", "outcome": "denied", "action": "list", "datasets": "example-honey", "stored": "US"}},
		{"CloudTrail share of a snapshot", decode.CloudTrail, sharedTrail, map[string]string{
			"action": "grant", "datasets": "orders-1", "dest.entity": "444455556666", "stored": "IE"}},
		{"CloudTrail share taken back", decode.CloudTrail, strings.Replace(sharedTrail, "valuesToAdd", "valuesToRemove", 1), map[string]string{
			"action": "admin", "datasets": "orders-1", "dest.entity": ""}},
		{"CloudTrail several", decode.CloudTrail, batchTrail, map[string]string{
			"datasets": "/a,/b", "outcome": "failure", "effective": "failure", "action": "read", "address": "::ffff:203.0.113.9"}},
		{"CloudTrail file of one", decode.CloudTrail, `{"Records":[` + deniedTrail + `]}`, map[string]string{"id": "d-1"}},
		{"CloudTrail unlisted", decode.CloudTrail, strings.Replace(deniedTrail, "ListObjects", "GetSomethingNew", 1), map[string]string{
			"action": "read", "datasets": "", "classes": "unknown"}},
		{"CloudTrail person behind an instance role", decode.CloudTrail, strings.Replace(plainTrail, `"sourceIdentity"`, `"ec2RoleDelivery":"2.0","sourceIdentity"`, 1), map[string]string{
			"kind": "service", "via": "ada@example.com"}},
		{"CloudTrail Insights", decode.CloudTrail, `{"eventVersion":"1.07","eventTime":"2026-03-01T10:00:00Z","awsRegion":"us-east-1","eventID":"n-1","eventType":"AwsCloudTrailInsight",
"eventSource":"s3.amazonaws.com","eventName":"GetObject","recipientAccountId":"111122223333","insightDetails":{"state":"Start"},"eventCategory":"Insight"}`, map[string]string{
			"actor": "cloudtrail.amazonaws.com", "kind": "system", "action": "other", "datasets": "none"}},
		{"CloudTrail copy", decode.CloudTrail, strings.NewReplacer("ListObjects", "CopyObject", `"bucketName"`, `"x-amz-copy-source":"/example-source/k","bucketName"`).Replace(deniedTrail), map[string]string{
			"action": "copy", "datasets": "example-source", "dest": "example-honey", "stored": "unknown", "dest.country": "US"}},
		{"audit log", decode.GCPAudit, plainAudit, map[string]string{
			"id": "i-1", "time": "2026-03-01T10:00:00.500Z", "actor": "etl@example.iam.gserviceaccount.com", "kind": "service", "via": "ada@example.com",
			"address": "203.0.113.7", "region": "europe-west3", "action": "read", "datasets": "example-profiles", "stored": "DE", "outcome": "success"}},
		{"audit log of a query", decode.GCPAudit, queryAudit, map[string]string{
			"time": "2026-03-01T10:00:00.500Z", "address": "private", "outcome": "denied", "action": "query",
			"datasets": "example.crm.users,example.crm.orders", "stored": "unknown", "kind": "unknown"}},
		{"audit log without an identity", decode.GCPAudit, strings.Replace(queryAudit, `"principalEmail":"ada@example.com"`, "", 1), map[string]string{"actor": "unknown"}},
		{"Access Transparency", decode.AccessTransparency, plainTransparency, map[string]string{
			"id": "t-1", "actor": "Example Cloud LLC", "employer": "Example Cloud LLC", "kind": "vendor", "groups": "Support", "office": "US", "physical": "EUR",
			"action": "read", "datasets": "example-profiles,example-orders", "system": "Cloud Storage", "session": "ev-1",
			"reason": "CUSTOMER_INITIATED_SUPPORT: Case 1; GOOGLE_INITIATED_REVIEW", "approval": "projects/1/approvalRequests/a"}},
		{"OCSF datastore", decode.OCSF, plainDatastore, map[string]string{
			"id": "o-1", "time": "2026-03-01T10:00:00.123Z", "actor": "u-1042", "groups": "analysts", "employer": "example-de", "session": "s-1", "mfa": "yes",
			"address": "203.0.113.7", "action": "query", "datasets": "crm.users", "system": "warehouse", "stored": "DE", "classes": "restricted,personal",
			"outcome": "success", "gateway": "allowed"}},
		{"OCSF API", decode.OCSF, plainAPI, map[string]string{
			"actor": "ada", "via": "lambda.amazonaws.com", "address": "AWS Internal", "action": "read", "outcome": "denied", "datasets": "db", "stored": "IE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := decodeOne(t, tt.adapter, tt.value)
			if err != nil {
				t.Fatal(err)
			}
			got := fields(&ev)
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("%s = %q, want %q", name, got[name], want)
				}
			}
		})
	}
}

func TestAdapterRefusals(t *testing.T) {
	tests := []struct {
		name, adapter, value string
		code                 decode.Code
		field                string
	}{
		{"several records", decode.CloudTrail, `{"Records":[` + deniedTrail + `,` + batchTrail + `]}`, decode.CodeSeveral, "Records"},
		{"no record", decode.CloudTrail, `{"Records":[]}`, decode.CodeMissing, "Records"},
		{"no identity", decode.CloudTrail, strings.Replace(deniedTrail, `"d-1"`, "null", 1), decode.CodeMissing, "eventID"},
		{"hostile time", decode.CloudTrail, strings.Replace(deniedTrail, "2026-", "9999-", 1), decode.CodeValue, "eventTime"},
		{"case", decode.CloudTrail, strings.Replace(deniedTrail, "awsRegion", "AwsRegion", 1), decode.CodeKeyCase, "AwsRegion"},
		{"list for a name", decode.CloudTrail, strings.Replace(deniedTrail, `"ListObjects"`, `["ListObjects"]`, 1), decode.CodeType, "eventName"},
		{"control character", decode.CloudTrail, strings.Replace(deniedTrail, "198.51.100.9", `\u0007`, 1), decode.CodeControl, "sourceIPAddress"},
		{"duplicate deep down", decode.CloudTrail, strings.Replace(deniedTrail, `"bucketName"`, `"bucketName":"x","bucketName"`, 1), decode.CodeDuplicateKey, ""},
		{"audit log without payload", decode.GCPAudit, `{"insertId":"i"}`, decode.CodeMissing, "protoPayload"},
		{"text for metadata", decode.GCPAudit, strings.Replace(plainAudit, `{"callerIp":"203.0.113.7"}`, `"redacted"`, 1), decode.CodeType, "protoPayload.requestMetadata"},
		{"no Access Transparency", decode.AccessTransparency, `{"insertId":"i","timestamp":"2026-03-01T10:00:00Z","jsonPayload":{}}`, decode.CodeMissing, "jsonPayload"},
		{"other class", decode.OCSF, strings.Replace(plainDatastore, "6005", "3002", 1), decode.CodeShape, "class_uid"},
		{"hostile time in OCSF", decode.OCSF, strings.Replace(plainDatastore, "1772359200123", "9214646400000", 1), decode.CodeValue, "time"},
		{"too deep", decode.GCPAudit, strings.Repeat(`{"a":`, 40), decode.CodeTooDeep, ""},
		{"no JSON", decode.OCSF, "hello", decode.CodeSyntax, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeOne(t, tt.adapter, tt.value)
			var m *decode.Malformed
			if !errors.As(err, &m) || m.Code != tt.code || m.Field != tt.field {
				t.Errorf("%v, want code %s of %q", err, tt.code, tt.field)
			}
		})
	}
}

// More data sets than an event keeps end in one that is unknown: none is silently left out.
func TestTooManyDatasets(t *testing.T) {
	var names strings.Builder
	for i := range decode.MaxItems + 100 {
		fmt.Fprintf(&names, `"/p%d",`, i)
	}
	value := strings.Replace(batchTrail, `"/a",`, names.String(), 1)
	ev, err := decodeOne(t, decode.CloudTrail, value)
	if err != nil {
		t.Fatal(err)
	}
	items := ev.Data.Items
	if last := items[len(items)-1]; len(items) != decode.MaxItems+1 || last.Dataset != "" || last.System == "" {
		t.Errorf("%d data sets, the last %q of %q", len(items), last.Dataset, last.System)
	}
}
