package pipeline_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
)

// A commit that the coordinator refuses since another member owns the partition ends the worker's generation: it joins
// again, and what it had stored stays stored once.
func TestFencedCommit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	r.refuseCommit(2)
	l.produce(traffic(150, 1)...)
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	if w.metric("kafka_fenced_commits_total") != 1 || w.metric("kafka_rebalances_total") < 2 {
		t.Errorf("%v commits were fenced in %v generations", w.metric("kafka_fenced_commits_total"), w.metric("kafka_rebalances_total"))
	}
}

// refuseCommit makes the coordinator refuse the n-th commit as one of an old generation.
func (r *rig) refuseCommit(n int32) {
	var seen atomic.Int32
	r.cluster.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		if seen.Add(1) != n {
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range req.(*kmsg.OffsetCommitRequest).Topics {
			answer := kmsg.NewOffsetCommitResponseTopic()
			answer.Topic = topic.Topic
			for _, p := range topic.Partitions {
				one := kmsg.NewOffsetCommitResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, kerr.IllegalGeneration.Code
				answer.Partitions = append(answer.Partitions, one)
			}
			res.Topics = append(res.Topics, answer)
		}
		return res, nil, true
	})
}

// Partitions move between workers of a group while records arrive.
func TestRebalance(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 4, nil)
	first := l.start(parts{config: pipeline.Config{Instance: "first"}})
	l.produce(traffic(200, 4)...)
	eventually(t, "the first worker stores", func() bool { return len(first.Progress().Stored(l.topic)) == 4 })
	second := l.start(parts{config: pipeline.Config{Instance: "second"}})
	eventually(t, "the second worker has partitions", func() bool {
		l.produce(traffic(20, 4)...)
		return len(second.Progress().Stored(l.topic)) > 0
	})
	l.produce(traffic(200, 4)...)
	first.stop()
	l.produce(traffic(200, 4)...)
	l.caughtUp(second)
	l.check(second)
	if n := l.scalar("SELECT uniqExact(worker) FROM %[1]s.receipts WHERE topic = $1", l.topic); n != 2 {
		t.Errorf("%d workers wrote receipts, want 2", n)
	}
}

// The server forgets tokens after a while. A partition that waited longer for its next owner has its rows once all the same.
func TestTakeoverAfterTokensAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	l.crashAt("receipts", 2)
	for _, table := range []string{"alert_rows", "raw_rows", "event_rows", "dead_letter_rows"} {
		for _, window := range []int{0, 200_000} {
			if err := r.conn.Exec(t.Context(), fmt.Sprintf("ALTER TABLE %s.%s MODIFY SETTING non_replicated_deduplication_window = %d", r.database, table, window)); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	if w.metric("takeover_batches_total") != 1 {
		t.Errorf("%v batches were made again, want 1", w.metric("takeover_batches_total"))
	}
}

// Rows of a recorded batch that are not those of the record are a finding: nothing is inserted beside them.
func TestTakeoverFindsOtherRows(t *testing.T) {
	t.Parallel()
	r := newRigAlone(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	leaf := l.crashAt("dead_letter_rows", 2)
	query := fmt.Sprintf("ALTER TABLE %s.event_rows DELETE WHERE topic = '%s' AND offset = %d SETTINGS mutations_sync = 2", r.database, l.topic, leaf.First)
	if err := r.conn.Exec(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	w := l.start(parts{})
	wantWords(t, w.halted("rows_differ"), "event_rows has", fmt.Sprintf("offsets %d to %d", leaf.First, leaf.Last))
}

// Rows that were altered, none more and none less, are found before a receipt makes them visible.
func TestTakeoverFindsAlteredRows(t *testing.T) {
	t.Parallel()
	r := newRigAlone(t)
	for _, test := range []struct{ table, update, says string }{
		{"event_rows", "severity = 'none', alerts = 0", "in event_rows are not those"},
		{"event_rows", "salt = unhex('00112233445566778899aabbccddeeff')", "in raw_rows are not those"},
		{"raw_rows", "value = 'x'", "in raw_rows are not those"},
		{"alert_rows", "alert_id = unhex('00112233445566778899aabbccddeeff')", "in alert_rows are not those"},
		{"alert_rows", "bundle = 'x'", "name another bundle"},
		{"dead_letter_rows", "value = 'x'", "in dead_letter_rows are not those"},
	} {
		t.Run(test.table+" "+test.update, func(t *testing.T) {
			l := r.lane(t, 1, nil)
			l.produce(traffic(100, 1)...)
			leaf := l.crashAt("receipts", 2)
			before := l.scalar("SELECT count() FROM %[1]s.receipts WHERE topic = $1", l.topic)
			query := fmt.Sprintf("ALTER TABLE %[1]s.%[2]s UPDATE %[3]s WHERE topic = '%[4]s' AND offset IN (SELECT max(offset) FROM %[1]s.%[2]s WHERE topic = '%[4]s') SETTINGS mutations_sync = 2",
				r.database, test.table, test.update, l.topic)
			if err := r.conn.Exec(t.Context(), query); err != nil {
				t.Fatal(err)
			}
			w := l.start(parts{})
			wantWords(t, w.halted("rows_differ"), test.says, fmt.Sprintf("offsets %d to %d", leaf.First, leaf.Last))
			if after := l.scalar("SELECT count() FROM %[1]s.receipts WHERE topic = $1", l.topic); after != before {
				t.Errorf("%d receipts, want the %d from before", after, before)
			}
		})
	}
}

// A worker that ends leaves nothing running.
func TestNothingIsLeftRunning(t *testing.T) {
	l := newRig(t).lane(t, 3, nil)
	for range 3 {
		l.produce(traffic(100, 3)...)
		w := l.start(parts{})
		l.caughtUp(w)
		w.stop()
	}
	eventually(t, "all goroutines of workers have ended", func() bool { return len(pipelineGoroutines()) == 0 })
}

// pipelineGoroutines are the stacks that a worker started.
func pipelineGoroutines() (left []string) {
	buffer := make([]byte, 4<<20)
	for _, stack := range strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		for _, line := range strings.Split(stack, "\n") {
			if strings.HasPrefix(line, "borderwatch/consumers/pipeline.") || strings.HasPrefix(line, "borderwatch/consumers/kafka.") {
				left = append(left, stack)
				break
			}
		}
	}
	return left
}

// A changed bundle that is bad leaves the old one in force, tells it in a metric and a notice; a good one judges from an
// offset of each partition on that is recorded.
func TestReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 2, nil)
	w := l.start(parts{})
	l.produce(traffic(100, 2)...)
	l.caughtUp(w)
	first := r.bundles.Current().Digest
	file := filepath.Join("packs", "eu", "EU-101.yaml")

	var told int
	r.bundles.OnRefusal = func(err error) {
		told++
		if err := r.archive.InsertNotice(t.Context(), store.Notice{Kind: "refused_bundle", Subject: "test", Text: err.Error()}); err != nil {
			t.Error(err)
		}
	}
	edit(t, r.bundleDir, file, "status: active", "status: actve")
	for range 2 {
		err := r.bundles.Reload(t.Context())
		if err == nil {
			t.Fatal("a bundle with a typo is in force")
		}
		wantWords(t, err.Error(), file, "actve")
	}
	l.produce(traffic(100, 2)...)
	l.caughtUp(w)
	if told != 1 || r.bundles.Current().Digest != first {
		t.Errorf("told %d times, in force %s", told, r.bundles.Current().Digest)
	}

	edit(t, r.bundleDir, file, "status: actve", "status: shadow")
	if err := r.bundles.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := r.bundles.Current().Digest
	l.produce(traffic(100, 2)...)
	l.caughtUp(w)
	l.check(w)
	for partition := range int32(2) {
		from := l.scalar("SELECT toUInt64(max(from_offset)) FROM %[1]s.activations WHERE topic = $1 AND partition = $2 AND bundle = $3", l.topic, partition, second)
		if from != 100 {
			t.Errorf("partition %d: the bundle took effect at %d, want 100", partition, from)
		}
		wrong := l.scalar("SELECT count() FROM %[1]s.events WHERE topic = $1 AND partition = $2 AND (bundle = $3) != (offset >= $4)", l.topic, partition, second, from)
		if wrong != 0 {
			t.Errorf("partition %d: %d events were judged by the other bundle", partition, wrong)
		}
	}
	if n := l.scalar("SELECT count() FROM %[1]s.activations WHERE topic = $1", l.topic); n != 4 {
		t.Errorf("%d activations are recorded, want one per bundle and partition", n)
	}
	if n := l.scalar("SELECT count() FROM %[1]s.notices WHERE kind = 'refused_bundle'"); n != 1 {
		t.Errorf("%d notices of the refusal", n)
	}
}

// Every restart in the middle of a partition keeps the activations as they are.
func TestActivationsSurviveRestarts(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 1, nil)
	for range 3 {
		l.produce(traffic(60, 1)...)
		l.crashAt("event_rows", 2)
	}
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	if n := l.scalar("SELECT count() FROM %[1]s.activations WHERE topic = $1", l.topic); n != 1 {
		t.Errorf("%d activations are recorded of one bundle", n)
	}
}

// The same trail through two feeds of one scope raises each alert once.
func TestCopiesOfOneTrail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	again := unique("copies")
	l.create(again, 1, nil)
	l.topics = append(l.topics, again)
	l.feeds = []pipeline.Feed{
		{Name: "trail", Adapter: "cloudtrail", Scope: "aws", Topic: l.topic},
		{Name: "bridge", Adapter: "cloudtrail", Scope: "aws", Topic: again},
	}
	const trail = `{"eventVersion":"1.10","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/bob","userName":"bob"},"eventTime":"2026-11-23T10:00:00Z",` +
		`"eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.9","requestParameters":{"bucketName":"example-honey"},"eventID":"%s"}`
	for range 20 {
		value := []byte(fmt.Sprintf(trail, unique("id")))
		l.produce(message{value: value, feed: "trail"})
		kept := l.manifest
		l.produceTo(again, message{value: value, feed: "bridge"})
		l.manifest = kept // the oracle looks at the lane's own topic
	}
	w := l.start(parts{})
	l.caughtUp(w)
	eventually(t, "both topics are stored", func() bool { return l.scalar("SELECT count() FROM %[1]s.events") == 40 })
	raised := l.scalar("SELECT count() FROM %[1]s.alert_rows")
	shown := l.scalar("SELECT count() FROM %[1]s.alerts")
	if raised == 0 || raised != 2*shown {
		t.Errorf("%d alerts were raised, %d are shown, want half of them", raised, shown)
	}
	if n := l.scalar("SELECT count() FROM %[1]s.alerts WHERE copies = 2"); n != shown {
		t.Errorf("%d of %d alerts have two copies", n, shown)
	}
	if n := l.scalar("SELECT count() FROM %[1]s.distinct_events"); n != 20 {
		t.Errorf("%d distinct events, want 20", n)
	}
}
