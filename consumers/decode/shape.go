package decode

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// shape is what a record looks like.
type shape struct {
	adapter string // the adapter that reads it, "" where there is none
	what    string // "CloudTrail record"
}

var (
	nativeShape       = shape{Native, "bw/access/v1 event"}
	ocsfShape         = shape{OCSF, "OCSF event"}
	cloudTrailShape   = shape{CloudTrail, "CloudTrail record"}
	gcpAuditShape     = shape{GCPAudit, "Google Cloud audit log entry"}
	transparencyShape = shape{AccessTransparency, "Google Access Transparency log entry"}
)

// misplaced is the error of a record that came to the wrong adapter.
func (s shape) misplaced(at string) *Malformed {
	advice := "no adapter reads it"
	if s.adapter != "" {
		advice = fmt.Sprintf("the feed's adapter should be %q", s.adapter)
	}
	return &Malformed{CodeShape, fmt.Sprintf("it looks like %s %s, and this feed's adapter is %q: %s", article(s.what), s.what, at, advice), "", -1}
}

func article(what string) string {
	if strings.ContainsRune("AEIOaeio", rune(what[0])) {
		return "an"
	}
	return "a"
}

// Shape tells what a record looks like and which adapter would read it ("" for none), for dead letters and for people
// who set up a feed. False where it looks like nothing that is known.
func Shape(value []byte) (what, adapter string, ok bool) {
	s, ok := shapeOf(value, Limits{}.orDefault())
	return s.what, s.adapter, ok
}

// shapeOf parses anew: it runs for records that are refused only.
func shapeOf(value []byte, limits Limits) (shape, bool) {
	if s, ok := bytesShape(value); ok {
		return s, true
	}
	var t tree
	t.seed = maphash.MakeSeed()
	if err := t.parse(value, limits); err != nil {
		return shape{}, false
	}
	return treeShape(t.root())
}

// bytesShape recognises what is not JSON by its first bytes.
func bytesShape(value []byte) (shape, bool) {
	for _, m := range [...]struct{ start, what string }{
		{"\x1f\x8b", "gzip file"},
		{"\x28\xb5\x2f\xfd", "zstd file"},
		{"Obj\x01", "Avro file"},
		{"PAR1", "Parquet file"},
		{"CEF:", "CEF line"},
		{"LEEF:", "LEEF line"},
		{"<?xml", "XML document"},
		{"\x00", "message with a schema registry's header (Avro or Protobuf)"},
		{"\xef\xbb\xbf", "text with a byte order mark"},
	} {
		if strings.HasPrefix(view(value), m.start) {
			return shape{what: m.what}, true
		}
	}
	if len(value) > 2 && value[0] == '<' && value[1] >= '0' && value[1] <= '9' {
		return shape{what: "syslog line"}, true
	}
	return shape{}, false
}

// marks tell the formats apart by members that each has; the first match wins.
var marks = [...]struct {
	shape   shape
	members []string // dotted paths that must be present
	equal   string   // what the last of them must be or contain, "" for anything
}{
	{nativeShape, []string{"schema"}, "bw/access/"},
	{cloudTrailShape, []string{"detail", "detail.eventSource", "detail.eventName"}, ""},
	{cloudTrailShape, []string{"eventSource", "eventName"}, ""},
	{cloudTrailShape, []string{"Records"}, ""},
	{transparencyShape, []string{"jsonPayload", "jsonPayload.@type"}, "TransparencyLog"},
	{gcpAuditShape, []string{"protoPayload"}, ""},
	{ocsfShape, []string{"class_uid", "metadata"}, ""},
	{shape{what: "Okta System Log event"}, []string{"actor.alternateId", "eventType", "published"}, ""},
	{shape{what: "Kubernetes audit event"}, []string{"auditID", "apiVersion"}, "audit.k8s.io"},
	{shape{what: "Microsoft 365 audit record"}, []string{"CreationTime", "Workload", "Operation"}, ""},
	{shape{what: "Azure activity log record"}, []string{"operationName", "resourceId"}, ""},
	{shape{what: "Elastic Common Schema event"}, []string{"ecs.version"}, ""},
	{shape{what: "CloudEvents envelope"}, []string{"specversion", "data"}, ""},
	{shape{what: "Debezium change event"}, []string{"payload", "payload.op"}, ""},
	{shape{what: "Google Cloud log entry that is no audit log"}, []string{"logName"}, ""},
}

// treeShape recognises a JSON record.
func treeShape(root ref) (shape, bool) {
	for i := range marks {
		m := &marks[i]
		if matches(root, m.members, m.equal) {
			return m.shape, true
		}
	}
	return shape{}, false
}

func matches(root ref, members []string, equal string) bool {
	var last ref
	for _, path := range members {
		if last = root.get(strings.Split(path, ".")...); last.absent() {
			return false
		}
	}
	return equal == "" || strings.Contains(last.str(), equal)
}
