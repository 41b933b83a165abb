package decode_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
)

// minimal is a native record with only what is required; %s takes further members.
const minimal = `{"schema":"bw/access/v1","event_id":"e-1","time":"2026-03-01T10:00:00Z","source.feed":"crm","actor.id":"u-1042"%s}`

func with(members string) string { return fmt.Sprintf(minimal, ","+members) }

func newDecoder(t testing.TB, adapter string) decode.Decoder {
	t.Helper()
	d, err := decode.New(adapter, decode.Feed{Name: "feed-1", Scope: "scope-1"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// decodeOne decodes one value with a decoder of its own.
func decodeOne(t testing.TB, adapter, value string) (access.Event, error) {
	t.Helper()
	var ev access.Event
	ev.Reset()
	err := newDecoder(t, adapter).Decode(&decode.Record{Value: []byte(value)}, &ev)
	return ev, err
}

const fullFlat = `{"schema":"bw/access/v1","event_id":"e-77","time":"2026-03-01T10:00:00.123Z","source.feed":"crm","source.seq":9007199254740993,
"source.ip":"203.0.113.7","actor.id":"u-1042","actor.kind":"employee","actor.via":["jump-host","batch"],"actor.employer_country":"DE",
"actor.employer_entity":"example-de","actor.home_country":"UK","actor.groups":[],"actor.covered_person":"no","actor.employment":"active",
"session.id":"s-1","session.mfa":true,"declared.office_country":"EUR","declared.physical_country":"??","action":"export","outcome":"success",
"data.dataset":"profiles","data.system":"warehouse","data.subject_regions":["EU","unknown"],"data.classes":["restricted"],
"data.categories":["health","financial"],"data.form":"pseudonymised","data.exporter_entity":"example-ie","data.storage_country":"IE",
"data.subjects":10,"data.records":20,"data.bytes":0,"data.items":[{"dataset":"orders","system":"lake","classes":[],"storage_country":"US"}],
"dest.system":"bi","dest.country":"IN","dest.entity":"example-in","approval.id":"a-1","approval.scope":"support",
"approval.valid_until":"2026-04-01T00:00:00+02:00","ticket.id":"T-1","justification":"line one\nline two \u20ac \ud83d\ude00",
"transfer.mechanism":"scc","gateway.id":"gw-1","gateway.decision":"allowed",
"location.evidence":[{"kind":"badge","country":"DE"},{"kind":"device","country":"FR"},{"kind":"client_address","address":"198.51.100.4"}]}`

const fullNested = `{"schema":"bw/access/v1","event_id":"e-77","time":"2026-03-01T10:00:00.123Z",
"gateway":{"decision":"allowed","id":"gw-1"},"transfer":{"mechanism":"scc"},"ticket":{"id":"T-1"},
"location":{"evidence":[{"country":"DE","kind":"badge"},{"country":"FR","kind":"device"},{"address":"198.51.100.4","kind":"client_address"}]},
"source":{"feed":"crm","seq":9007199254740993,"ip":"203.0.113.7"},
"actor":{"id":"u-1042","kind":"employee","via":["jump-host","batch"],"employer_country":"DE","employer_entity":"example-de",
 "home_country":"GB","groups":[],"covered_person":"no","employment":"active"},
"session":{"id":"s-1","mfa":"yes"},"declared":{"office_country":"EUR","physical_country":null},"action":"export","outcome":"success",
"data":{"dataset":"profiles","system":"warehouse","subject_regions":["unknown","EU"],"classes":["restricted"],
 "categories":["financial","health"],"form":"pseudonymised","exporter_entity":"example-ie","storage_country":"IE",
 "subjects":10,"records":20,"bytes":0,"items":[{"system":"lake","dataset":"orders","classes":[],"storage_country":"US"}]},
"dest":{"system":"bi","country":"IN","entity":"example-in"},
"approval":{"id":"a-1","scope":"support","valid_until":"2026-03-31T22:00:00Z"},
"justification":"line one\u000aline two € 😀"}`

// Every field arrives, and the flat and the nested form of a record are one event.
func TestNativeForms(t *testing.T) {
	flat, err := decodeOne(t, decode.Native, fullFlat)
	if err != nil {
		t.Fatal(err)
	}
	nested, err := decodeOne(t, decode.Native, fullNested)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := flat.ContentDigest(nil)
	b, _ := nested.ContentDigest(nil)
	if a != b {
		t.Errorf("flat and nested differ:\n%+v\n%+v", flat, nested)
	}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		if f.Info().Need != access.Computed && f != access.FieldDeclaredPhysical && flat.Missing(f, 0) {
			t.Errorf("%s did not arrive", f)
		}
	}
	if flat.Source.Seq != 9007199254740993 || flat.Data.Bytes != 0 || !flat.Actor.GroupsGiven || len(flat.Actor.Groups) != 0 {
		t.Errorf("numbers or the empty list: %+v", flat)
	}
	if item := flat.Data.Items[1]; item.Dataset != "orders" || !item.Classes.Given() || item.Classes.Missing() || item.StorageCountry.String() != "US" {
		t.Errorf("second data set: %+v", item)
	}
	if flat.Reason != "line one\nline two € 😀" {
		t.Errorf("justification %q", flat.Reason)
	}
	if p := flat.Presence; p.Badge.String() != "DE" || p.Device.String() != "FR" || p.ClientAddress != "198.51.100.4" {
		t.Errorf("presence %+v", p)
	}
	if flat.Source.Scope != "scope-1" || flat.Approval.State != access.ApprovalAsserted {
		t.Errorf("scope %q, approval %v", flat.Source.Scope, flat.Approval.State)
	}
}

var nativeRefusals = []struct {
	name, value string
	code        decode.Code
	field       string
}{
	{"nothing", "", decode.CodeEmpty, ""},
	{"white space", " \n\t", decode.CodeEmpty, ""},
	{"no object", `[1]`, decode.CodeType, ""},
	{"cut off", `{"schema":"bw/access/v1"`, decode.CodeSyntax, ""},
	{"no end of a string", `{"schema":"bw`, decode.CodeSyntax, ""},
	{"trailing comma", with(`"action":"read",`), decode.CodeSyntax, ""},
	{"comment", `{/**/}`, decode.CodeSyntax, ""},
	{"leading zero", with(`"x":01`), decode.CodeSyntax, ""},
	{"NaN", with(`"x":NaN`), decode.CodeSyntax, ""},
	{"single quotes", with(`'x':1`), decode.CodeSyntax, ""},
	{"bad escape", with(`"x":"\q"`), decode.CodeSyntax, ""},
	{"raw line break", with("\"x\":\"a\nb\""), decode.CodeControl, ""},
	{"escaped NUL", with(`"x":"a\u0000b"`), decode.CodeControl, ""},
	{"NUL in a key", with(`"x\u0000":1`), decode.CodeControl, ""},
	{"NUL in a nested key", with(`"x":{"\u0000":1}`), decode.CodeControl, ""},
	{"escape character in an id", with(`"session.id":"\u001b[31m"`), decode.CodeControl, "session.id"},
	{"line break in an id", with(`"session.id":"a\nb"`), decode.CodeControl, "session.id"},
	{"lone surrogate", with(`"x":"\ud800"`), decode.CodeUTF8, ""},
	{"bad UTF-8", with("\"x\":\"\xff\""), decode.CodeUTF8, ""},
	{"two records", fmt.Sprintf(minimal, "") + `{}`, decode.CodeTrailing, ""},
	{"too deep", with(`"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32)), decode.CodeTooDeep, ""},
	{"too large", with(`"x":"` + strings.Repeat("a", 1<<20) + `"`), decode.CodeTooLarge, ""},
	{"a key twice", with(`"action":"read","action":"read"`), decode.CodeDuplicateField, "action"},
	{"flat and nested", with(`"data.form":"clear","data":{"form":"clear"}`), decode.CodeDuplicateField, "data.form"},
	{"a group twice", with(`"data":{},"data":{}`), decode.CodeDuplicateKey, "data"},
	{"an escaped key twice", with(`"action":"read","actio\u006e":"read"`), decode.CodeDuplicateField, "action"},
	{"an unknown key twice", with(`"x":1,"x":2`), decode.CodeDuplicateKey, ""},
	{"an unknown key flat and nested", with(`"actor.shoe":1,"actor":{"shoe":2}`), decode.CodeDuplicateKey, ""},
	{"twice deep in an unknown object", with(`"x":[{"y":{"a":1,"b":2,"a":3}}]`), decode.CodeDuplicateKey, ""},
	{"twice in a data item", with(`"data.items":[{"dataset":"a","dataset":"b"}]`), decode.CodeDuplicateKey, "data.dataset"},
	{"unknown twice in a data item", with(`"data.items":[{"x":1,"x":2}]`), decode.CodeDuplicateKey, ""},
	{"schema twice", with(`"schema":"bw/access/v1"`), decode.CodeDuplicateField, "schema"},
	{"case of a flat key", with(`"Actor.Kind":"employee"`), decode.CodeKeyCase, "Actor.Kind"},
	{"case of a nested key", with(`"data":{"Form":"clear"}`), decode.CodeKeyCase, "data.Form"},
	{"case of a group", with(`"DATA":{}`), decode.CodeKeyCase, "DATA"},
	{"Kelvin sign", with(`"actor.\u212aind":"employee"`), decode.CodeKeyCase, "actor.\u212aind"},
	{"case in a data item", with(`"data.items":[{"Dataset":"a"}]`), decode.CodeKeyCase, "data.items.Dataset"},
	{"number for a string", with(`"session.id":5`), decode.CodeType, "session.id"},
	{"string for a number", with(`"data.records":"5"`), decode.CodeType, "data.records"},
	{"string for a list", with(`"data.classes":"public"`), decode.CodeType, "data.classes"},
	{"null in a list", with(`"data.classes":[null]`), decode.CodeType, "data.classes"},
	{"list for a group", with(`"data":[]`), decode.CodeType, "data"},
	{"number for a time", strings.Replace(fmt.Sprintf(minimal, ""), `"2026-03-01T10:00:00Z"`, "1772359200", 1), decode.CodeType, "time"},
	{"unknown word", with(`"action":"peek"`), decode.CodeValue, "action"},
	{"unknown word in a set", with(`"data.classes":["public","secret"]`), decode.CodeValue, "data.classes"},
	{"word in other case", with(`"action":"Read"`), decode.CodeValue, "action"},
	{"no country", with(`"data.storage_country":"Germany-ish"`), decode.CodeValue, "data.storage_country"},
	{"region for a country", with(`"data.storage_country":"EUR"`), decode.CodeValue, "data.storage_country"},
	{"negative", with(`"data.records":-1`), decode.CodeValue, "data.records"},
	{"minus zero", with(`"data.records":-0`), decode.CodeValue, "data.records"},
	{"fraction", with(`"data.records":1.0`), decode.CodeValue, "data.records"},
	{"2^63", with(`"data.records":9223372036854775808`), decode.CodeValue, "data.records"},
	{"before 1970", strings.Replace(fmt.Sprintf(minimal, ""), "2026-", "1969-", 1), decode.CodeValue, "time"},
	{"after 2262", strings.Replace(fmt.Sprintf(minimal, ""), "2026-", "2262-", 1), decode.CodeValue, "time"},
	{"no such day", strings.Replace(fmt.Sprintf(minimal, ""), "-03-01", "-02-30", 1), decode.CodeValue, "time"},
	{"time without a zone", strings.Replace(fmt.Sprintf(minimal, ""), "00Z", "00", 1), decode.CodeValue, "time"},
	{"other schema", `{"schema":"bw/access/v2"}`, decode.CodeValue, "schema"},
	{"no schema", `{"event_id":"e"}`, decode.CodeMissing, "schema"},
	{"no event id", `{"schema":"bw/access/v1"}`, decode.CodeMissing, "event_id"},
	{"null event id", strings.Replace(fmt.Sprintf(minimal, ""), `"e-1"`, "null", 1), decode.CodeMissing, "event_id"},
	{"unknown actor", strings.Replace(fmt.Sprintf(minimal, ""), `"u-1042"`, `"unknown"`, 1), decode.CodeMissing, "actor.id"},
	{"empty time", strings.Replace(fmt.Sprintf(minimal, ""), "2026-03-01T10:00:00Z", "", 1), decode.CodeMissing, "time"},
	{"computed place", with(`"location.country":"DE"`), decode.CodeComputed, "location.country"},
	{"computed verdict", with(`"location":{"verdict":"agree"}`), decode.CodeComputed, "location.verdict"},
	{"computed, not a field", with(`"location":{"city":"Bonn"}`), decode.CodeComputed, "location"},
	{"computed arrival", with(`"source.arrival":"prompt"`), decode.CodeComputed, "source.arrival"},
	{"computed network", with(`"network":{"asn":64496}`), decode.CodeComputed, "network.asn"},
	{"computed organisation", with(`"network.org":"x"`), decode.CodeComputed, "network.org"},
	{"hostile name of a computed field", with(`"network.\u001b[31m":1`), decode.CodeComputed, "network"},
	{"kafka position", with(`"kafka.offset":5`), decode.CodeComputed, ""},
	{"kafka object", with(`"kafka":{"offset":5}`), decode.CodeComputed, ""},
	{"evidence of another kind", with(`"location.evidence":[{"kind":"hunch","country":"DE"}]`), decode.CodeValue, "location.evidence"},
	{"evidence without a country", with(`"location.evidence":[{"kind":"badge","country":"XX"}]`), decode.CodeValue, "location.evidence"},
	{"evidence key twice", with(`"location.evidence":[{"kind":"badge","kind":"badge"}]`), decode.CodeDuplicateKey, ""},
}

func TestNativeRefusals(t *testing.T) {
	for _, tt := range nativeRefusals {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeOne(t, decode.Native, tt.value)
			var m *decode.Malformed
			if !errors.As(err, &m) {
				t.Fatalf("error %v, want code %s", err, tt.code)
			}
			if m.Code != tt.code || m.Field != tt.field {
				t.Errorf("got %s %q (%v), want %s %q", m.Code, m.Field, err, tt.code, tt.field)
			}
			if m.Reason == "" || m.Position >= len(tt.value)+1 {
				t.Errorf("reason %q at %d of %d bytes", m.Reason, m.Position, len(tt.value))
			}
		})
	}
}

var nativeAccepted = []struct {
	name, value string
	extra       int
}{
	{"minimal", fmt.Sprintf(minimal, ""), 0},
	{"white space everywhere", "\t" + strings.NewReplacer(":\"", " :\t\"", ",", "\r\n , ", "{", "{ ", "}", " }\n").Replace(fmt.Sprintf(minimal, "")), 0},
	{"invalid address", with(`"source.ip":"255.18.064.253"`), 0},
	{"name of a service", with(`"source.ip":"AWS Internal"`), 0},
	{"nulls and empties", with(`"action":null,"data":null,"data.items":null,"session.id":"","source.seq":null,"location.evidence":[]`), 0},
	{"unknown members", with(`"x":{"y":[1,2.5e-3,true,false,null,"\u00e9"]},"actor":{"shoe_size":43},"data.items":[{"z":{}}]`), 3},
	{"as deep as allowed", with(`"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31)), 1},
	{"UK for GB", with(`"data.storage_country":"UK"`), 0},
	{"many unknown members", with(manyMembers(500)), 500},
	{"escaped known key", with(`"ac\u0074ion":"read"`), 0},
}

func TestNativeAccepts(t *testing.T) {
	for _, tt := range nativeAccepted {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder(t, decode.Native)
			var ev access.Event
			ev.Reset()
			err := d.Decode(&decode.Record{Value: []byte(tt.value)}, &ev)
			if err != nil {
				t.Fatal(err)
			}
			if d.Extra() != tt.extra {
				t.Errorf("%d unknown members, want %d", d.Extra(), tt.extra)
			}
		})
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"x%d":{"a":%d},`, i, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// An unknown word is refused with the words that are allowed and where it stands.
func TestUnknownWordSaysWhatIsAllowed(t *testing.T) {
	value := with(`"action":"peek"`)
	_, err := decodeOne(t, decode.Native, value)
	var m *decode.Malformed
	if !errors.As(err, &m) {
		t.Fatal(err)
	}
	if !strings.Contains(m.Reason, `"peek"`) || !strings.Contains(m.Reason, "decrypt") || m.Position != strings.Index(value, `"peek"`) {
		t.Errorf("%v", m)
	}
}

// One decoder reads records of many shapes in turn: what it has learnt from one never changes another.
func TestDecoderKeepsNothing(t *testing.T) {
	values := []string{fullFlat, fmt.Sprintf(minimal, ""), fullNested, with(`"action":"read","x":1`), `{"schema":`, with(`"data":{"form":"clear","records":3}`), fullFlat}
	d := newDecoder(t, decode.Native)
	for round := range 3 {
		for i, value := range values {
			var got access.Event
			got.Reset()
			err := d.Decode(&decode.Record{Value: []byte(value)}, &got)
			want, wantErr := decodeOne(t, decode.Native, value)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("round %d, record %d: %v, want %v", round, i, err, wantErr)
			}
			if err != nil {
				continue
			}
			a, _ := got.ContentDigest(nil)
			b, _ := want.ContentDigest(nil)
			if a != b {
				t.Errorf("round %d, record %d: events differ", round, i)
			}
		}
	}
}

func TestForeignRecordsAreNamed(t *testing.T) {
	tests := []struct{ name, adapter, value, want string }{
		{"CloudTrail", decode.Native, plainTrail, `"cloudtrail"`},
		{"audit log", decode.Native, plainAudit, `"gcp-audit"`},
		{"Access Transparency", decode.GCPAudit, plainTransparency, `"gcp-access-transparency"`},
		{"OCSF", decode.Native, plainDatastore, `"ocsf"`},
		{"native", decode.CloudTrail, fullFlat, `"native"`},
		{"gzip", decode.Native, "\x1f\x8b\x08", "gzip"},
		{"schema registry", decode.Native, "\x00\x00\x00\x00\x01", "schema registry"},
		{"syslog", decode.OCSF, "<134>1 2026-01-01 host app", "syslog"},
		{"Okta", decode.Native, `{"actor":{"alternateId":"x"},"eventType":"user.session.start","published":"2026-01-01T00:00:00Z"}`, "Okta"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeOne(t, tt.adapter, tt.value)
			var m *decode.Malformed
			if !errors.As(err, &m) || m.Code != decode.CodeShape || !strings.Contains(m.Reason, tt.want) {
				t.Errorf("%v, want code %s naming %s", err, decode.CodeShape, tt.want)
			}
		})
	}
}

func TestUnknownAdapter(t *testing.T) {
	if _, err := decode.New("nativ", decode.Feed{}); err == nil || !strings.Contains(err.Error(), "native, ocsf") {
		t.Errorf("%v", err)
	}
}
