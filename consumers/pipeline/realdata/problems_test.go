package realdata_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/decode"
)

// problem is a reason to refuse a record, as code and field: what a decoder has to find if there is one.
type problem struct{ code, field string }

// problems reads a record with encoding/json and lists every reason to refuse it. A record without one has to be stored.
func problems(t testing.TB, adapter string, raw []byte) []problem {
	t.Helper()
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	switch adapter {
	case decode.CloudTrail:
		if detail, ok := o["detail"].(object); ok {
			o = detail
		}
		return trailProblems(o)
	case decode.GCPAudit:
		return auditProblems(o)
	}
	return nil
}

func trailProblems(o object) []problem {
	f := finder{o: o}
	f.spelt(o, "", "eventID eventTime eventSource eventName userIdentity awsRegion sourceIPAddress apiVersion requestParameters responseElements errorCode")
	f.texts("", "eventID", "eventTime", "eventSource", "eventName")
	f.time("eventTime")
	identity, ok := o["userIdentity"].(object)
	if !ok {
		f.add("missing_field", "userIdentity")
	}
	f.spelt(identity, "userIdentity.", "type userName principalId arn accountId accessKeyId sessionContext invokedBy")
	return f.found
}

func auditProblems(o object) []problem {
	f := finder{o: o}
	f.spelt(o, "", "insertId logName receiveTimestamp protoPayload resource severity timestamp")
	f.texts("", "insertId", "timestamp")
	f.time("timestamp")
	payload, ok := o["protoPayload"].(object)
	if !ok {
		f.add("missing_field", "protoPayload")
		return f.found
	}
	f.o = payload
	f.texts("protoPayload.", "serviceName", "methodName")
	if meta, given := payload["requestMetadata"]; given {
		if _, ok := meta.(object); !ok {
			f.add("wrong_type", "protoPayload.requestMetadata")
		}
	}
	return f.found
}

type finder struct {
	o     object
	found []problem
}

func (f *finder) add(code, field string) { f.found = append(f.found, problem{code, field}) }

func (f *finder) texts(within string, names ...string) {
	for _, name := range names {
		if text, _ := f.o[name].(string); text == "" {
			f.add("missing_field", within+name)
		}
	}
}

// time wants a time of today's or of an older form, where there is text at all.
func (f *finder) time(name string) {
	text, _ := f.o[name].(string)
	if text == "" {
		return
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05"} {
		if _, err := time.Parse(layout, text); err == nil {
			return
		}
	}
	f.add("bad_value", name)
}

// spelt wants members spelt as the format spells them.
func (f *finder) spelt(o object, within, names string) {
	for member := range o {
		for name := range strings.FieldsSeq(names) {
			if strings.EqualFold(member, name) && member != name {
				f.add("key_case", within+member)
			}
		}
	}
}
