package ledger_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
)

const bundleHex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

var testTime = time.Date(2026, 11, 23, 17, 22, 0, 123e6, time.UTC)

// batch returns a valid leaf of partition p.
func batch(p int32, first, last, prev int64) ledger.Batch {
	return ledger.Batch{
		Source: "kafka:c1/0", Topic: "access-events", Partition: p,
		First: first, Last: last, Events: last - first + 1,
		RecordsRoot: [32]byte{1, byte(p)}, EventsRoot: [32]byte{2}, AlertsRoot: [32]byte{3}, QuarantineRoot: [32]byte{4}, Bundle: bundleHex,
		Schema: 1, BatchTime: testTime, Prev: prev,
	}
}

func gap(p int32, first, last, prev int64) ledger.Gap {
	return ledger.Gap{
		Source: "kafka:c1/0", Topic: "access-events", Partition: p, First: first, Last: last,
		Reason: "retention: log start 1300000", BatchTime: testTime, Prev: prev,
	}
}

func activation() ledger.Activation {
	return ledger.Activation{
		Bundle: bundleHex, Time: testTime, Note: "approved in change 17",
		From: []ledger.Effective{{"access-events", 0, 10}, {"access-events", 10, 0}, {"audit", 2, 7}},
	}
}

func startup() ledger.Startup {
	return ledger.Startup{
		Instance: "ingest/1", Version: "v0.1.0", Commit: "4a6343e+dirty",
		Binary: [32]byte{3}, Go: "go1.26.8 X:jsonv2", Time: testTime,
	}
}

func admin() ledger.Admin {
	return ledger.Admin{Action: "redrive", Subject: "access-events/3/51877", By: "ops@host", Note: "SEC-812: country was spelt out",
		Digest: [32]byte{4}, Time: testTime}
}

func erasure() ledger.Erasure {
	return ledger.Erasure{Source: "kafka:c1/0", Topic: "access-events", Partition: 3, Offsets: []int64{4, 7, 51877}, Ticket: "DSR-12",
		Ground: "LIT-4: released by counsel", Approvers: []string{"ada", "bob"}, By: "ops@host", Tombstones: [32]byte{5}, Time: testTime}
}

func TestErasureInvalid(t *testing.T) {
	for name, change := range map[string]func(*ledger.Erasure){
		"no offset":          func(e *ledger.Erasure) { e.Offsets = nil },
		"not ascending":      func(e *ledger.Erasure) { e.Offsets = []int64{7, 4} },
		"twice":              func(e *ledger.Erasure) { e.Offsets = []int64{4, 4} },
		"too many":           func(e *ledger.Erasure) { e.Offsets = make([]int64, ledger.MaxErased+1) },
		"one approver":       func(e *ledger.Erasure) { e.Approvers = []string{"ada"} },
		"one approver twice": func(e *ledger.Erasure) { e.Approvers = []string{"ada", "ada"} },
		"no ticket":          func(e *ledger.Erasure) { e.Ticket = "" },
		"a line end":         func(e *ledger.Erasure) { e.Ground = "a\nb" },
	} {
		e := erasure()
		change(&e)
		if err := e.Validate(); !errors.Is(err, ledger.ErrInvalidLeaf) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMarshalText(t *testing.T) {
	b := batch(7, 1200000, 1219999, 48211)
	b.Events, b.Quarantined, b.Control, b.Alerts = 19996, 3, 1, 41
	zeros := strings.Repeat("0", 60)
	tests := []struct {
		name string
		leaf ledger.Leaf
		want string
	}{
		{"batch", b, "borderwatch-batch/v1\n" +
			"source kafka:c1/0\ntopic access-events\npartition 7\nrange 1200000 1219999\n" +
			"counts events=19996 quarantined=3 control=1 compacted=0 alerts=41\n" +
			"records sha256:0107" + zeros + "\nevents sha256:0200" + zeros + "\n" +
			"alerts sha256:0300" + zeros + "\nquarantine sha256:0400" + zeros + "\n" +
			"bundle sha256:" + bundleHex + "\nschema 1\nbatch-time 2026-11-23T17:22:00.123Z\nprev 48211\n"},
		{"gap", gap(7, 5, 9, -1), "borderwatch-gap/v1\n" +
			"source kafka:c1/0\ntopic access-events\npartition 7\nrange 5 9\n" +
			"reason retention: log start 1300000\nbatch-time 2026-11-23T17:22:00.123Z\nprev -1\n"},
		{"bundle", activation(), "borderwatch-bundle/v1\nbundle sha256:" + bundleHex + "\n" +
			"effective access-events 0 10\neffective access-events 10 0\neffective audit 2 7\n" +
			"note approved in change 17\ntime 2026-11-23T17:22:00.123Z\n"},
		{"config", startup(), "borderwatch-config/v1\ninstance ingest/1\nversion v0.1.0\ncommit 4a6343e+dirty\n" +
			"binary sha256:0300" + zeros + "\ngo go1.26.8 X:jsonv2\ntime 2026-11-23T17:22:00.123Z\n"},
		{"admin", admin(), "borderwatch-admin/v1\naction redrive\nsubject access-events/3/51877\nby ops@host\n" +
			"note SEC-812: country was spelt out\ndigest sha256:0400" + zeros + "\ntime 2026-11-23T17:22:00.123Z\n"},
		{"heartbeat", ledger.Heartbeat{Time: testTime}, "borderwatch-heartbeat/v1\ntime 2026-11-23T17:22:00.123Z\n"},
		{"erasure", erasure(), "borderwatch-erasure/v1\nsource kafka:c1/0\ntopic access-events\npartition 3\noffsets 4 7 51877\nticket DSR-12\n" +
			"ground LIT-4: released by counsel\napprovers ada bob\nby ops@host\ntombstones sha256:0500" + zeros + "\ntime 2026-11-23T17:22:00.123Z\n"},
		{"retention", ledger.Retention{Table: "raw_rows", Month: "202601", Rows: 12, By: "ops@host", Policy: "raw records: 9 months", Time: testTime},
			"borderwatch-retention/v1\ntable raw_rows\nmonth 202601\nrows 12\nby ops@host\npolicy raw records: 9 months\ntime 2026-11-23T17:22:00.123Z\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.leaf.Marshal()
			if string(got) != tt.want {
				t.Errorf("text:\n%s\nwant:\n%s", got, tt.want)
			}
			back, err := ledger.ParseLeaf(got)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, tt.leaf) {
				t.Errorf("parsed %+v, want %+v", back, tt.leaf)
			}
		})
	}
}

func TestThisBuild(t *testing.T) {
	leaf, err := ledger.ThisBuild("test/1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf.Validate(); err != nil {
		t.Error(err)
	}
	if leaf.Binary == [32]byte{} {
		t.Error("no digest of the executable")
	}
}

func TestLargestBatchFits(t *testing.T) {
	b := batch(math.MaxInt32, 0, math.MaxInt64, math.MaxInt64)
	b.Source, b.Topic = strings.Repeat("s", 200), strings.Repeat("t", 249)
	b.Events, b.Quarantined, b.Control, b.Compacted = 1<<61, 1<<61, 1<<61, 1<<61
	b.Alerts, b.Schema = math.MaxInt64, math.MaxInt32
	if err := b.Validate(); err != nil {
		t.Error(err)
	}
	if n := len(b.Marshal()); n >= 1200 {
		t.Errorf("%d bytes, want less than 1200", n)
	}
}

func TestValidate(t *testing.T) {
	edit := func(f func(*ledger.Batch)) ledger.Leaf {
		b := batch(0, 10, 19, 3)
		f(&b)
		return b
	}
	tests := []struct {
		name string
		leaf ledger.Leaf
		want string // part of the message
	}{
		{"no source", edit(func(b *ledger.Batch) { b.Source = "" }), "source"},
		{"source with space", edit(func(b *ledger.Batch) { b.Source = "a b" }), "source"},
		{"topic with newline", edit(func(b *ledger.Batch) { b.Topic = "a\nb" }), "topic"},
		{"negative partition", edit(func(b *ledger.Batch) { b.Partition = -1 }), "partition"},
		{"empty range", edit(func(b *ledger.Batch) { b.Last = 9; b.Events = 0 }), "range"},
		{"offset unaccounted for", edit(func(b *ledger.Batch) { b.Events-- }), "1 offsets"},
		{"offset counted twice", edit(func(b *ledger.Batch) { b.Control++ }), "counts"},
		{"counts that wrap around", edit(func(b *ledger.Batch) {
			b.Events, b.Quarantined, b.Control, b.Compacted = math.MaxInt64, math.MaxInt64, 12, 0
		}), "counts"},
		{"negative count", edit(func(b *ledger.Batch) { b.Events += 1; b.Control = -1 }), "counts"},
		{"negative alerts", edit(func(b *ledger.Batch) { b.Alerts = -1 }), "alerts"},
		{"short bundle", edit(func(b *ledger.Batch) { b.Bundle = "abc" }), "bundle"},
		{"upper-case bundle", edit(func(b *ledger.Batch) { b.Bundle = strings.ToUpper(bundleHex) }), "bundle"},
		{"no schema", edit(func(b *ledger.Batch) { b.Schema = 0 }), "schema"},
		{"microseconds", edit(func(b *ledger.Batch) { b.BatchTime = testTime.Add(time.Microsecond) }), "millisecond"},
		{"zero time", edit(func(b *ledger.Batch) { b.BatchTime = time.Time{} }), "year"},
		{"prev", edit(func(b *ledger.Batch) { b.Prev = -2 }), "prev"},
		{"gap without reason", ledger.Gap{Source: "s", Topic: "t", BatchTime: testTime}, "reason"},
		{"reason of two lines", ledger.Gap{Source: "s", Topic: "t", Reason: "a\nb", BatchTime: testTime}, "reason"},
		{"activation without place", ledger.Activation{Bundle: bundleHex, Time: testTime}, "note"},
		{"activation out of order", ledger.Activation{Bundle: bundleHex, Time: testTime,
			From: []ledger.Effective{{"b", 0, 0}, {"a", 0, 0}}}, "ascending"},
		{"activation twice", ledger.Activation{Bundle: bundleHex, Time: testTime,
			From: []ledger.Effective{{"a", 0, 0}, {"a", 0, 5}}}, "ascending"},
		{"admin without a reason", ledger.Admin{Action: "redrive", Subject: "t/0/1", By: "ops", Time: testTime}, "note"},
		{"startup without version", ledger.Startup{Instance: "i", Commit: "c", Go: "go", Time: testTime}, "version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.leaf.Validate()
			if !errors.Is(err, ledger.ErrInvalidLeaf) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want ErrInvalidLeaf about %q", err, tt.want)
			}
			if tt.name == "microseconds" {
				return // the text has none
			}
			if _, err := ledger.ParseLeaf(tt.leaf.Marshal()); !errors.Is(err, ledger.ErrInvalidLeaf) {
				t.Errorf("parsed: error %v, want ErrInvalidLeaf", err)
			}
		})
	}
}

func TestParseLeafIsStrict(t *testing.T) {
	good := string(batch(7, 10, 19, 3).Marshal())
	tests := []struct{ name, old, new, want string }{
		{"unknown kind", "batch/v1", "batch/v9", "unknown kind"},
		{"no last newline", "prev 3\n", "prev 3", "line 14"},
		{"trailing text", "prev 3\n", "prev 3\n\n", "line 15"},
		{"line left out", "topic access-events\n", "", "line 3"},
		{"leading zero", "partition 7", "partition 07", "canonical"},
		{"plus sign", "range 10", "range +10", "canonical"},
		{"not a number", "partition 7", "partition x", "line 4"},
		{"too large", "partition 7", "partition 2147483648", "line 4"},
		{"double space", "range 10 19", "range 10  19", "line 5"},
		{"other count", "control=", "comtrol=", "line 6"},
		{"short digest", "records sha256:01", "records sha256:", "line 7"},
		{"upper-case digest", "bundle sha256:9f", "bundle sha256:9F", "canonical"},
		{"carriage return", "schema 1\n", "schema 1\r\n", "line 12"},
		{"other zone", "00.123Z", "00.123+00:00", "line 13"},
		{"no milliseconds", "00.123Z", "00Z", "line 13"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.old, tt.new, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := ledger.ParseLeaf([]byte(text))
			if !errors.Is(err, ledger.ErrInvalidLeaf) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want ErrInvalidLeaf about %q", err, tt.want)
			}
		})
	}
}

func FuzzParseLeaf(f *testing.F) {
	for _, leaf := range []ledger.Leaf{batch(7, 10, 19, 3), gap(0, 0, 0, -1), activation(), startup(), admin()} {
		f.Add(leaf.Marshal())
	}
	f.Add([]byte("borderwatch-batch/v1\n"))
	f.Add([]byte("borderwatch-bundle/v1\nbundle sha256:\neffective a 0 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		leaf, err := ledger.ParseLeaf(text)
		if err != nil {
			if !errors.Is(err, ledger.ErrInvalidLeaf) {
				t.Errorf("error %v does not wrap ErrInvalidLeaf", err)
			}
			return
		}
		if err := leaf.Validate(); err != nil {
			t.Errorf("parsed leaf is invalid: %v", err)
		}
		if !bytes.Equal(leaf.Marshal(), text) {
			t.Errorf("text changed: %q to %q", text, leaf.Marshal())
		}
	})
}
