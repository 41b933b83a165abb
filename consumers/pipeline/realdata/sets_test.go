package realdata_test

import (
	"encoding/json"
	"testing"

	"borderwatch/consumers/decode"
)

// set is one collection of real records, as a feed of its own.
type set struct {
	name, adapter string
	scope         string
	published     int // how many records the source says it has
	records       func(t testing.TB) [][]byte
}

func values(pattern, member string) func(testing.TB) [][]byte {
	return func(t testing.TB) [][]byte { return jsonValues(t, pattern, member) }
}

// trails are the CloudTrail records, of which an organisation would have one identity scope.
var trails = []set{
	{"invictus", decode.CloudTrail, "trail", 2900, values("invictus-cloudtrail/events.ndjson.gz", "")},
	{"stratus", decode.CloudTrail, "trail", 310, values("stratus-red-team/*.json", "")},
	{"panther-trail", decode.CloudTrail, "trail", 461, values("panther-analysis/aws_cloudtrail_rules.ndjson.gz", "log")},
}

// sets are all collections. exfiltration went through Logstash, which moved eventTime to @timestamp: as it is, no record
// of it is a CloudTrail record; restored has the member's name put right.
var sets = append(append([]set{}, trails...),
	set{"exfiltration", decode.CloudTrail, "logstash", 103, values(exfiltrationFile, "")},
	set{"restored", decode.CloudTrail, "restored", 103, restored},
	set{"eventbridge", decode.CloudTrail, "eventbridge", 20, values("cloud-custodian/cwe/*.json", "")},
	set{"panther-audit", decode.GCPAudit, "audit", 143, values("panther-analysis/gcp_audit_rules.ndjson.gz", "log")},
	set{"custodian-audit", decode.GCPAudit, "custodian", 47, values("cloud-custodian/gcp-audit-events/*.json", "")},
	set{"transparency", decode.AccessTransparency, "transparency", 1, values("gcp-access-transparency/sample.json", "")},
	set{"edits", decode.Native, "edits", 39_244, edits},
	set{"web", decode.Native, "web", 10_000, webReads},
	set{"bucket", decode.Native, "bucket", 301, bucketReads},
)

const exfiltrationFile = "otrf-security-datasets/ec2_proxy_s3_exfiltration_*.json"

func restored(t testing.TB) [][]byte {
	var out [][]byte
	for _, raw := range jsonValues(t, exfiltrationFile, "") {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		o["eventTime"] = o["@timestamp"]
		value, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, value)
	}
	return out
}
