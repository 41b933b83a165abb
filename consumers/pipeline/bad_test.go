package pipeline_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borderwatch/consumers/decode"
	"borderwatch/consumers/pipeline"
)

func edit(t testing.TB, dir, name, old, new string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range []string{file} {
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("%s does not hold %q", entry, old)
		}
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte(old), []byte(new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBadRecords sends what no decoder can read through the whole path: each is a dead letter with its bytes.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	good := string(event(1).value)
	for _, bad := range []struct{ code, value string }{
		{"syntax", `{`}, {"empty", ``}, {"invalid_utf8", "{\"event_id\":\"\xff\"}"}, {"duplicate_field", strings.Replace(good, `"action":"read"`, `"action":"read","action":"read"`, 1)},
		{"bad_value", strings.Replace(good, `"read"`, `"peek"`, 1)}, {"wrong_type", strings.Replace(good, `"read"`, `7`, 1)},
		{"bad_value", strings.Replace(good, "2026-11-23T", "2462-11-23T", 1)}, {"trailing_bytes", good + "{}"},
		{"control_char", strings.Replace(good, `"crm"`, `"c\u0000m"`, 1)}, {"key_case", strings.Replace(good, `"action"`, `"Action"`, 1)},
		{"duplicate_key", `{"x":{"a":1,"a":2}}`}, {"missing_field", strings.Replace(good, `"event_id"`, `"other_id"`, 1)}, {"too_large", good[:len(good)-1] + `,"x":"` + strings.Repeat("x", decode.DefaultMaxBytes) + `"}`},
		{"too_deep", `{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`}, {"computed_field", strings.Replace(good, `"action"`, `"location":{"country":"DE"},"action"`, 1)},
		{"unknown_shape", `{"eventVersion":"1.08","userIdentity":{"type":"Root"},"eventTime":"2026-11-23T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","eventID":"a"}`},
	} {
		l.produce(message{value: []byte(bad.value), code: bad.code})
		l.produce(event(2))
	}
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	if n := w.metric("dead_letters_total"); n != 16 {
		t.Errorf("dead_letters_total is %v", n)
	}
}

// TestBrokenFeedStopsItsPartition looks at the partition that stops, and at the one that goes on.
func TestBrokenFeedStopsItsPartition(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 2, nil)
	for range 60 {
		l.produce(message{value: []byte("{"), code: "syntax"})
	}
	l.produce(message{partition: 1, value: event(3).value})
	w := l.start(parts{config: pipeline.Config{DeadLettersInARow: 50}})
	eventually(t, "the partition stops", func() bool { return len(w.Progress().Halts()) == 1 })
	eventually(t, "the other one goes on", func() bool { return w.Progress().Stored(l.topic)[1] == 1 })
	for where, err := range w.Progress().Halts() {
		if !strings.Contains(where, "[0]") || !strings.Contains(err.Error(), "could not be decoded") {
			t.Errorf("%s: %v", where, err)
		}
	}
	if err := w.Progress().Ready(); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("a worker with a stopped partition is ready: %v", err)
	}
	if w.metric("partition_halted", "dead_letters") != 1 {
		t.Error("no metric tells that a partition stopped")
	}
}

// TestRetentionAhead deletes records before they are read.
func TestRetentionAhead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(50, 1)...)
	w := l.start(parts{})
	l.caughtUp(w)
	w.stop()
	l.produce(traffic(50, 1)...)
	l.deleteBefore(80)
	l.produce(traffic(20, 1)...)
	w = l.start(parts{})
	l.caughtUp(w)
	if n := w.metric("gap_offsets_total"); n != 30 {
		t.Errorf("gap_offsets_total is %v, want 30", n)
	}
	if l.scalar("SELECT count() FROM %[1]s.notices WHERE kind = 'gap' AND topic = $1 AND first_offset = 50 AND last_offset = 79", l.topic) != 1 {
		t.Error("no notice tells of the gap")
	}
}
