package decode_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
)

// findRealData looks for the folder of real records beside the repository.
func findRealData() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			data := filepath.Join(dir, "..", "shared", "data")
			_, err := os.Stat(data)
			return data, err == nil
		}
	}
	return "", false
}

func realData(t testing.TB) string {
	t.Helper()
	data, ok := findRealData()
	if !ok {
		t.Skip("no real records at ../shared/data")
	}
	return data
}

// records reads the JSON values of the files that match: one a line, one after another, or a list of them. member picks
// one member of each, where the record is wrapped.
func records(t testing.TB, pattern, member string) []json.RawMessage {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(realData(t), pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	var all []json.RawMessage
	for _, file := range files {
		dec := json.NewDecoder(bytes.NewReader(readAll(t, file)))
		for dec.More() {
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, unwrap(t, value, member)...)
		}
	}
	return all
}

func unwrap(t testing.TB, value json.RawMessage, member string) []json.RawMessage {
	t.Helper()
	if value[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if member != "" {
		var wrapped map[string]json.RawMessage
		if err := json.Unmarshal(value, &wrapped); err != nil {
			t.Fatal(err)
		}
		value = wrapped[member]
	}
	return []json.RawMessage{value}
}

func readAll(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return data
	}
	r, err := gzip.NewReader(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type object = map[string]any

func asObject(t testing.TB, raw json.RawMessage) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func text(o object, name string) string { s, _ := o[name].(string); return s }

// wellFormedTrail says, without our decoder, whether a record has what every CloudTrail record has, spelt as CloudTrail
// spells it.
func wellFormedTrail(o object) bool {
	if detail, ok := o["detail"].(object); ok {
		o = detail
	}
	identity, ok := o["userIdentity"].(object)
	if !ok {
		return false
	}
	for _, name := range []string{"eventID", "eventTime", "eventSource", "eventName"} {
		if text(o, name) == "" {
			return false
		}
	}
	for name := range identity {
		if lower := strings.ToLower(name); lower == name && (lower == "accesskeyid" || lower == "principalid") {
			return false
		}
	}
	return len(text(o, "eventTime")) >= 19
}

// wellFormedAudit says the same of an entry with an audit log.
func wellFormedAudit(o object) bool {
	payload, ok := o["protoPayload"].(object)
	if !ok || text(o, "insertId") == "" || text(o, "timestamp") == "" {
		return false
	}
	if meta, given := payload["requestMetadata"]; given {
		if _, ok := meta.(object); !ok {
			return false
		}
	}
	for _, lower := range []string{"insertid", "logname", "receivetimestamp", "protopayload"} {
		if _, ok := o[lower]; ok {
			return false
		}
	}
	return text(payload, "methodName") != "" && text(payload, "serviceName") != ""
}

// trueReason checks a refusal against the record, read by encoding/json: what is said to be missing is not there, a key
// said to be misspelt is, a value said to be of the wrong type or form is.
func trueReason(o object, m *decode.Malformed) bool {
	var value any = o
	if detail, ok := o["detail"].(object); ok {
		value = detail
	}
	for name := range strings.SplitSeq(m.Field, ".") {
		members, _ := value.(object)
		value = members[name]
	}
	switch m.Code {
	case decode.CodeMissing:
		return value == nil || value == ""
	case decode.CodeKeyCase:
		return value != nil
	case decode.CodeType:
		_, isObject := value.(object)
		_, isText := value.(string)
		return strings.Contains(m.Reason, "object") && !isObject || strings.Contains(m.Reason, "string") && !isText
	case decode.CodeValue:
		_, err := time.Parse(time.RFC3339, value.(string))
		_, err2 := time.Parse("2006-01-02 15:04:05", value.(string))
		return err != nil && err2 != nil
	}
	return false
}

func TestRealRecords(t *testing.T) {
	tests := []struct {
		name, pattern, member, adapter string
		wellFormed                     func(object) bool
	}{
		{"invictus", "invictus-cloudtrail/events.ndjson.gz", "", decode.CloudTrail, wellFormedTrail},
		{"stratus", "stratus-red-team/*.json", "", decode.CloudTrail, wellFormedTrail},
		{"panther CloudTrail", "panther-analysis/aws_cloudtrail_rules.ndjson.gz", "log", decode.CloudTrail, wellFormedTrail},
		{"EventBridge", "cloud-custodian/cwe/*.json", "", decode.CloudTrail, wellFormedTrail},
		{"panther audit logs", "panther-analysis/gcp_audit_rules.ndjson.gz", "log", decode.GCPAudit, wellFormedAudit},
		{"custodian audit logs", "cloud-custodian/gcp-audit-events/*.json", "", decode.GCPAudit, wellFormedAudit},
		{"Access Transparency", "gcp-access-transparency/sample.json", "", decode.AccessTransparency, func(object) bool { return true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder(t, tt.adapter)
			stored, none, unlisted, refused := 0, 0, 0, map[string]int{}
			all := records(t, tt.pattern, tt.member)
			for _, raw := range all {
				var ev access.Event
				ev.Reset()
				err := d.Decode(&decode.Record{Value: raw}, &ev)
				if want := tt.wellFormed(asObject(t, raw)); want != (err == nil) {
					t.Errorf("well-formed %v, decoder says %v\n%.300s", want, err, raw)
				}
				var m *decode.Malformed
				if errors.As(err, &m) {
					if !trueReason(asObject(t, raw), m) {
						t.Errorf("the reason is not true: %v", m)
					}
					refused[string(m.Code)+" "+m.Field]++
					continue
				}
				stored++
				switch ev.Data.Items[0].Dataset {
				case access.DatasetNone:
					none++
				case "":
					unlisted++
				}
			}
			if stored+sum(refused) != len(all) {
				t.Errorf("%d stored and %d refused of %d", stored, sum(refused), len(all))
			}
			t.Logf("%d records: %d stored (%d touch no user data, %d without a data set), refused: %v", len(all), stored, none, unlisted, refused)
		})
	}
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// The records of this set went through Logstash, which moved eventTime to @timestamp and flattened nothing else.
func TestRealLogstashRecords(t *testing.T) {
	d := newDecoder(t, decode.CloudTrail)
	actions := map[string]int{}
	all := records(t, "otrf-security-datasets/ec2_proxy_s3_exfiltration_2020-09-14011940.json", "")
	for _, raw := range all {
		o := asObject(t, raw)
		o["eventTime"] = o["@timestamp"]
		value, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var ev access.Event
		ev.Reset()
		if err := d.Decode(&decode.Record{Value: value}, &ev); err != nil {
			t.Errorf("%v\n%.300s", err, value)
			continue
		}
		if ev.Source.Service == "s3.amazonaws.com" && text(o, "eventName") == "GetObject" {
			bucket := text(o["requestParameters"].(object), "bucketName")
			if ev.Action != access.ActionRead || ev.Data.Items[0].Dataset != bucket || len(ev.Data.Items) != 1 {
				t.Errorf("%s %+v", ev.Action, ev.Data.Items)
			}
		}
		actions[ev.Action.String()]++
	}
	t.Logf("%d records: %v", len(all), actions)
	if len(all) != 103 || actions["read"] != 2 {
		t.Errorf("%d records, %d reads; want 103 and the 2 of the exfiltration", len(all), actions["read"])
	}
}
