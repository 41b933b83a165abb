package decode_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
)

var update = flag.Bool("update", false, "write the seeds of the fuzz targets anew")

// seeds are invented records of every shape, by fuzz target. They lie in testdata/fuzz as well, so that a change of a
// record here does not take a seed away.
var seeds = map[string][]string{
	"FuzzNative": {
		fullFlat, fullNested, fmt.Sprintf(minimal, ""), with(`"x":{"y":[1,2.5e-3,true,null,"\u00e9"]},"actor":{"shoe":1}`),
		with(`"data.items":[{"dataset":"a","x":{}},{}]`), with(`"action":"peek"`), with(`"a":"\ud83d\ude00\/","b":"\ud800"`),
		with(`"data":{"form":"clear"},"data.form":"clear"`), plainTrail, "", "\x1f\x8b", `{"schema":"bw/access/v1","schema":1}`,
	},
	"FuzzCloudTrail": {
		plainTrail, serviceTrail, bridgedTrail, deniedTrail, sharedTrail, batchTrail, `{"Records":[` + deniedTrail + `]}`,
		`{"Records":[` + deniedTrail + `,` + batchTrail + `]}`, `{"Records":[1]}`, `{"detail-type":"x","detail":{}}`, fullFlat,
	},
	"FuzzGCPAudit":           {plainAudit, queryAudit, `{"protoPayload":{"status":{"code":"7"}}}`, plainTransparency},
	"FuzzAccessTransparency": {plainTransparency, `{"jsonPayload":{"@type":"x","accesses":[{}],"location":[]}}`, plainAudit},
	"FuzzOCSF":               {plainDatastore, plainAPI, `{"class_uid":6003,"metadata":{"uid":"x"},"time":1e3}`, fullNested},
}

// TestSeeds compares the seeds in testdata/fuzz with those above; -update writes them.
func TestSeeds(t *testing.T) {
	for target, values := range seeds {
		dir := filepath.Join("testdata", "fuzz", target)
		for i, value := range values {
			file := filepath.Join(dir, fmt.Sprintf("seed-%02d", i))
			want := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", value)
			if *update {
				if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, []byte(want), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != want {
				t.Errorf("%s is not the seed of the test: run with -update (%v)", file, err)
			}
		}
	}
}

// addReal adds the real records where they are; they are never written to the tree.
func addReal(f *testing.F, pattern, member string) {
	if _, ok := findRealData(); !ok {
		f.Log("no real records at ../shared/data")
		return
	}
	for _, value := range records(f, pattern, member) {
		f.Add([]byte(value))
	}
}

// syntaxCodes are the refusals that say that a text is no JSON. The others refuse valid JSON for what it says.
var syntaxCodes = []decode.Code{decode.CodeEmpty, decode.CodeSyntax, decode.CodeUTF8, decode.CodeTrailing, decode.CodeDuplicateKey}

// FuzzNative holds the scanner against go-json-experiment, which is strict about duplicate keys and UTF-8 too: they agree
// on what is JSON, and on every value that reaches the event.
func FuzzNative(f *testing.F) {
	addReal(f, "stratus-red-team/*.json", "")
	d, err := decode.New(decode.Native, decode.Feed{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var ev access.Event
		ev.Reset()
		err := d.Decode(&decode.Record{Value: value}, &ev)
		valid := jsontext.Value(value).IsValid()
		if err == nil && !valid {
			t.Fatalf("accepted what is no JSON: %q", value)
		}
		var m *decode.Malformed
		if err != nil && (!errors.As(err, &m) || m.Reason == "" || m.Code == "" || !utf8.ValidString(m.Error())) {
			t.Fatalf("error %v", err)
		}
		if m != nil && valid && slices.Contains(syntaxCodes, m.Code) && !flatTwin(value, m) {
			t.Fatalf("refused valid JSON as no JSON: %v in %q", m, value)
		}
		if err == nil {
			compare(t, value, &ev)
			canonical(t, &ev)
		}
	})
}

// flatTwin reports whether an unknown member is given in flat and in nested form, which is a duplicate to us only.
func flatTwin(value []byte, m *decode.Malformed) bool {
	var record map[string]any
	if m.Code != decode.CodeDuplicateKey || json.Unmarshal(value, &record) != nil {
		return false
	}
	for name := range record {
		group, rest, _ := strings.Cut(name, ".")
		nested, _ := record[group].(map[string]any)
		if _, twice := nested[rest]; twice {
			return true
		}
	}
	return false
}

// compare looks every text and number of the event up in the oracle's reading of the record.
func compare(t *testing.T, value []byte, ev *access.Event) {
	t.Helper()
	var record map[string]any
	if err := json.Unmarshal(value, &record); err != nil {
		t.Fatalf("the oracle does not read it: %v", err)
	}
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		given := lookUp(record, f.String())
		switch info := f.Info(); info.Type {
		case access.Text, access.Address:
			want, _ := given.(string)
			if got, _ := ev.TextOf(f, 0); info.Need != access.Computed && got != strings.TrimSuffix(want, "unknown") && want != got {
				t.Errorf("%s = %q, the oracle reads %q", f, got, want)
			}
		case access.Texts:
			want, _ := given.([]any)
			if got, _ := ev.TextsOf(f); got != nil && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s = %v, the oracle reads %v", f, got, want)
			}
		case access.Integer:
			want, ok := given.(float64)
			if got, given := ev.IntegerOf(f); given != ok || given && float64(got) != want {
				t.Errorf("%s = %d, the oracle reads %v", f, got, want)
			}
		}
	}
}

// lookUp finds a field in flat or in nested form.
func lookUp(record map[string]any, name string) any {
	if value, ok := record[name]; ok {
		return value
	}
	group, rest, _ := strings.Cut(name, ".")
	nested, _ := record[group].(map[string]any)
	return nested[rest]
}

// canonical checks what every decoder promises of an event: required fields, sane times and counts, valid words.
func canonical(t *testing.T, ev *access.Event) {
	t.Helper()
	if ev.ID == "" || ev.Actor.ID == "" || ev.Time < access.MinTime || ev.Time >= access.MaxTime || len(ev.Data.Items) == 0 {
		t.Fatalf("incomplete event %+v", ev)
	}
	if ev.Data.Records < access.Unknown || ev.Data.Bytes < access.Unknown || ev.Data.Subjects < access.Unknown {
		t.Errorf("counts %+v", ev.Data)
	}
	if text, _ := ev.TextOf(access.FieldJustification, 0); !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		t.Errorf("justification %q", text)
	}
	for i := range ev.Data.Items {
		if !utf8.ValidString(ev.Data.Items[i].Dataset) || strings.ContainsRune(ev.Data.Items[i].Dataset, 0) {
			t.Errorf("data set %q", ev.Data.Items[i].Dataset)
		}
	}
	ev.AppendContent(nil)
}

// fuzzAdapter checks that a decoder never panics, explains each refusal, and reads the same record the same twice.
func fuzzAdapter(f *testing.F, adapter string) {
	d, err := decode.New(adapter, decode.Feed{Name: "feed-1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var first, second access.Event
		first.Reset()
		second.Reset()
		err := d.Decode(&decode.Record{Value: value}, &first)
		var m *decode.Malformed
		if err != nil {
			if !errors.As(err, &m) || m.Reason == "" || m.Code == "" || m.Position > len(value) || !utf8.ValidString(m.Error()) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if !jsontext.Value(value).IsValid() {
			t.Fatalf("accepted what is no JSON: %q", value)
		}
		canonical(t, &first)
		content := first.AppendContent(nil)
		if err := d.Decode(&decode.Record{Value: value}, &second); err != nil || string(second.AppendContent(nil)) != string(content) {
			t.Fatalf("read differently a second time: %v", err)
		}
	})
}

func FuzzCloudTrail(f *testing.F) {
	addReal(f, "stratus-red-team/*.json", "")
	addReal(f, "panther-analysis/aws_cloudtrail_rules.ndjson.gz", "log")
	fuzzAdapter(f, decode.CloudTrail)
}

func FuzzGCPAudit(f *testing.F) {
	addReal(f, "panther-analysis/gcp_audit_rules.ndjson.gz", "log")
	addReal(f, "cloud-custodian/gcp-audit-events/*.json", "")
	fuzzAdapter(f, decode.GCPAudit)
}

func FuzzAccessTransparency(f *testing.F) {
	addReal(f, "gcp-access-transparency/sample.json", "")
	fuzzAdapter(f, decode.AccessTransparency)
}

func FuzzOCSF(f *testing.F) { fuzzAdapter(f, decode.OCSF) }
