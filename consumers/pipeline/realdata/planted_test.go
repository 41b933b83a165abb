package realdata_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"testing"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
)

// planted is a forbidden access of the example company, hidden among the real records.
type planted struct {
	name, adapter string
	rule          string // that has to alert
	value         []byte
}

const (
	plantedTime = "2026-11-20T09:00:00Z"
	account     = "444455556666"
)

// planting writes forbidden accesses. Addresses are taken from the real ones at run time.
type planting struct {
	t    testing.TB
	b    *bundle.Bundle
	all  []planted
	seen map[string]bool
}

// from is a real address of which the bundle says that it lies in the country.
func (p *planting) from(code string) string {
	p.t.Helper()
	want, _ := access.ParseCountry(code)
	for _, row := range labelled(p.t) {
		var ev access.Event
		ev.Reset()
		ev.Source.Address, ev.Actor.Kind = row[0], access.ActorEmployee
		p.b.Enricher.Enrich(&ev)
		if l := &ev.Location; l.Verdict == access.LocationSingle && l.Candidates == access.SetOf(want) && !p.seen[row[0]] {
			p.seen[row[0]] = true
			return row[0]
		}
	}
	p.t.Fatalf("no address in %s among the real ones", code)
	return ""
}

func labelled(t testing.TB) [][]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(read(t, glob(t, "geo/wiki-2015-ip-country.csv")[0]))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (p *planting) add(name, adapter, rule string, value object) {
	p.t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		p.t.Fatal(err)
	}
	p.all = append(p.all, planted{name, adapter, rule, b})
}

// trail plants a CloudTrail record.
func (p *planting) trail(name, rule string, identity object, service, operation, region, address string, request object) {
	p.t.Helper()
	p.add(name, decode.CloudTrail, rule, object{
		"eventVersion": "1.09", "eventID": fmt.Sprintf("planted-%d", len(p.all)), "eventTime": plantedTime,
		"eventSource": service + ".amazonaws.com", "eventName": operation, "awsRegion": region, "sourceIPAddress": address,
		"userIdentity": identity, "requestParameters": request,
	})
}

func user(name string) object {
	return object{"type": "IAMUser", "userName": name, "arn": "arn:aws:iam::" + account + ":user/" + name, "accountId": account}
}

func role(name string) object {
	return object{
		"type": "AssumedRole", "arn": "arn:aws:sts::" + account + ":assumed-role/" + name + "/session", "accountId": account,
		"sessionContext": object{"sessionIssuer": object{"type": "Role", "arn": "arn:aws:iam::" + account + ":role/" + name}},
	}
}

// native plants a native record.
func (p *planting) native(name, rule, actor, action, dataset, address string, more object) {
	p.t.Helper()
	value := object{
		"schema": "bw/access/v1", "event_id": fmt.Sprintf("planted-%d", len(p.all)), "time": plantedTime, "outcome": "success",
		"source.feed": "planted", "source.ip": address, "actor.id": actor, "action": action, "data.dataset": dataset,
	}
	for field, v := range more {
		value[field] = v
	}
	p.add(name, decode.Native, rule, value)
}

// plant lists forbidden accesses of different actors, kinds, rules and data.
func plant(t testing.TB, b *bundle.Bundle) []planted {
	t.Helper()
	p := &planting{t: t, b: b, seen: map[string]bool{}}
	bucket := func(name string) object { return object{"bucketName": name, "key": "part-0001"} }
	p.trail("restricted data opened in China", "EU-101", user("u-4711"), "s3", "GetObject", "eu-central-1", p.from("CN"), bucket("eu.users.contact"))
	p.trail("a covered vendor on American health data", "US-201", user("u-3002"), "s3", "GetObject", "us-east-1", p.from("CN"), bucket("us.health"))
	p.trail("a stolen role used in Russia", "BASE-309", role("svc-billing"), "s3", "GetObject", "eu-central-1", p.from("RU"), bucket("eu.payments"))
	p.trail("a copy into a country where none may be", "EU-105", role("svc-copy"), "s3", "CopyObject", "cn-north-1", "AWS Internal", object{"bucketName": "mirror", "x-amz-copy-source": "eu.backups/part-0001"})
	p.trail("a vendor decrypts without an approval", "EU-114", user("u-3001"), "kms", "Decrypt", "eu-central-1", p.from("IN"), object{"encryptionContext": object{"aws:dynamodb:tableName": "eu.payments"}})
	p.trail("credentials without a ticket", "BASE-308", role("database-admin"), "secretsmanager", "GetSecretValue", "eu-west-1", p.from("IE"), object{"secretId": "core.credentials"})
	p.trail("an open bucket", "EU-115", object{"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}, "s3", "GetObject", "eu-central-1", p.from("BR"), bucket("eu.users.contact"))
	p.trail("access granted from India", "EU-108", user("u-3001"), "s3", "PutBucketPolicy", "eu-central-1", p.from("IN"), bucket("eu.payments"))
	p.native("messages opened in India", "EU-102", "u-3013", "read", "eu.messages", p.from("IN"), nil)
	p.native("on leave", "BASE-302", "u-1083", "read", "eu.payments", p.from("PL"), nil)
	p.native("somebody who has left", "BASE-301", "u-9100", "read", "eu.users.profile", p.from("FR"), object{"actor.kind": "employee", "actor.employment": "left"})
	p.native("a thousand people at once", "EU-112", "u-1061", "download", "eu.payments", p.from("DE"), object{"data.subjects": 5000})
	p.native("advertising identifiers to China", "US-204", "svc-us-export", "replicate", "us.ads", "198.51.100.129", object{"dest.country": "CN", "dest.system": "mirror"})
	p.native("past the gateway", "EU-107", "u-1062", "query", "eu.messages", p.from("DE"), object{"gateway.id": "gate", "gateway.decision": "bypassed"})
	p.native("a covered person grants", "US-206", "u-4712", "grant", "us.health", p.from("CN"), nil)
	p.native("declared in Ireland, seen in China", "BASE-306", "u-1043", "read", "eu.messages", p.from("CN"), object{"declared.physical_country": "IE"})
	return p.all
}
