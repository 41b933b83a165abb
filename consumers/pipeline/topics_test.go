package pipeline_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/kafka"
	"borderwatch/consumers/pipeline"
)

// halted waits until the worker's only partition has stopped, and returns why.
func (w *worker) halted(word string) string {
	w.t.Helper()
	eventually(w.t, "the partition stops", func() bool { return len(w.Progress().Halts()) == 1 })
	if w.metric("partition_halted", word) != 1 {
		w.t.Errorf("no metric says %s", word)
	}
	for _, err := range w.Progress().Halts() {
		return err.Error()
	}
	return ""
}

func wantWords(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
}

// remake deletes the lane's topic and makes it again under its name.
func (l *lane) remake(partitions int32) {
	l.t.Helper()
	if _, err := l.admin.DeleteTopic(l.t.Context(), l.topic); err != nil {
		l.t.Fatal(err)
	}
	l.create(l.topic, partitions, nil)
	l.other.PurgeTopicsFromClient(l.topic)
	l.manifest = nil
}

func TestEmptyTopic(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 2, nil)
	w := l.start(parts{})
	eventually(t, "partitions are assigned", func() bool { return w.Progress().Ready() == nil && len(w.Progress().Stored(l.topic)) == 2 })
	l.produce(traffic(50, 2)...)
	l.caughtUp(w)
	l.check(w)
}

// A topic that does not exist yet is waited for.
func TestTopicThatComesLater(t *testing.T) {
	t.Parallel()
	l := newRig(t).lane(t, 1, nil)
	if _, err := l.admin.DeleteTopic(t.Context(), l.topic); err != nil {
		t.Fatal(err)
	}
	w := l.start(parts{})
	_, err := w.client.Partitions(t.Context(), l.topic)
	if err == nil {
		t.Fatal("the topic is there")
	}
	wantWords(t, err.Error(), l.topic, "does not exist")
	l.create(l.topic, 1, nil)
	l.produce(traffic(50, 1)...)
	l.caughtUp(w)
	l.check(w)
}

// A topic that is deleted and made again is another source: its offsets start over, whatever the group has committed and
// however far the old ones went.
func TestTopicMadeAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		running bool // while a worker reads it
		records int  // of the new topic, 100 of the old one
	}{
		{"shorter, while stopped", false, 30}, {"longer, while stopped", false, 200},
		{"shorter, while running", true, 30}, {"longer, while running", true, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newRig(t).lane(t, 1, nil)
			l.produce(traffic(100, 1)...)
			w := l.start(parts{})
			l.caughtUp(w)
			before := l.source(w, l.topic)
			l.check(w)
			if !test.running {
				w.stop()
			}
			l.remake(1)
			l.produce(traffic(test.records, 1)...)
			if !test.running {
				w = l.start(parts{})
			}
			after := l.source(w, l.topic)
			if before == after {
				t.Fatal("the broker gave the topic the same id")
			}
			eventually(t, "all of the new topic is stored", func() bool {
				return l.scalar("SELECT count() FROM %[1]s.events WHERE source = $1", after)+l.scalar("SELECT count() FROM %[1]s.dead_letters WHERE source = $1", after) == uint64(test.records)
			})
			l.caughtUp(w)
			l.check(w)
			if n := l.scalar("SELECT count() FROM %[1]s.events WHERE source = $1", before); n != 90 {
				t.Errorf("%d events of the old topic are left, want 90", n)
			}
		})
	}
}

// A log that ends before what was read is not the log that was read.
func TestTruncatedLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(50, 1)...)
	w := l.start(parts{})
	l.caughtUp(w)
	source := l.source(w, l.topic)
	w.stop()
	// The ledger says that more was read than there is.
	r.pretend(t, source, l.topic, 50, 99)
	w = l.start(parts{})
	wantWords(t, w.halted("truncated"), "offset 100", "ends at 50", "truncated")
}

// Retention that runs ahead of a running worker leaves a gap on record; it is no reason to stop.
func TestRetentionOvertakesRunningWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	stuck := newGate()
	w := l.start(parts{around: stuck.at("event_rows", 2), config: pipeline.Config{MaxRows: 10, ReadAhead: 1, Fetch: kafka.FetchConfig{MaxBytes: 1}}})
	<-stuck.reached
	for range 20 {
		l.produce(traffic(10, 1)...) // in small batches, of which few are read ahead
	}
	l.deleteBefore(250)
	stuck.open()
	l.caughtUp(w)
	if w.metric("gap_offsets_total") == 0 {
		t.Error("no gap is counted")
	}
	gap := l.scalar("SELECT toUInt64(sum(last_offset - first_offset + 1)) FROM %[1]s.notices WHERE kind = 'gap' AND topic = $1", l.topic)
	if shown := l.scalar("SELECT sum(events + dead_letters) FROM %[1]s.batches WHERE topic = $1", l.topic); gap+shown != 300 {
		t.Errorf("%d offsets are stored and %d are noticed as gone, of 300", shown, gap)
	}
}

// A recorded batch that Kafka deletes before its rows are stored is lost: everybody is told, and the partition goes on.
func TestRecordedBatchIsDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	leaf := l.crashAt("event_rows", 2)
	l.deleteBefore(leaf.Last + 1)
	w := l.start(parts{})
	l.caughtUp(w)
	if got, want := w.metric("gap_offsets_total"), float64(leaf.Last-leaf.First+1); got != want {
		t.Errorf("gap_offsets_total is %v, want %v", got, want)
	}
	if l.scalar("SELECT count() FROM %[1]s.notices WHERE topic = $1 AND first_offset = $2 AND why LIKE '%%deleted from the log before they were stored%%'", l.topic, leaf.First) != 1 {
		t.Error("no notice tells of the lost batch")
	}
	w.stop()
	l.produce(traffic(10, 1)...)
	w = l.start(parts{})
	l.caughtUp(w) // the next owner does not stumble over it
}

// Where some of a recorded batch is left, a person has to look.
func TestRecordedBatchIsPartlyDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(100, 1)...)
	leaf := l.crashAt("event_rows", 2)
	l.deleteBefore(leaf.First + 1)
	w := l.start(parts{})
	wantWords(t, w.halted("bytes_gone"), "were recorded", "log starts at")
}

// Another ledger, or an empty one, does not know what was read: going on would contradict it.
func TestLostLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(50, 1)...)
	w := l.start(parts{})
	l.caughtUp(w)
	w.stop()
	r.openLedger(t)
	w = l.start(parts{})
	wantWords(t, w.halted("ledger"), "offset 50", "the ledger has no leaf")
}

// A database that was stored into under another ledger is not stored into again, under no group: a new group starts where
// the ledger ends, and this one does not know what is there.
func TestOtherLedger(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		older bool // copy of the ledger, not an empty one
		words []string
	}{
		{"empty", false, []string{"receipts", "up to offset 49", "has no leaf", "put the ledger back"}},
		{"older copy", true, []string{"receipts", "up to offset 49", "ends at offset 19", "put the ledger back"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			l := r.lane(t, 1, nil)
			l.produce(traffic(50, 1)...)
			w := l.start(parts{})
			l.caughtUp(w)
			l.check(w)
			source := l.source(w, l.topic)
			w.stop()
			r.openLedger(t)
			if test.older {
				r.pretend(t, source, l.topic, 0, 19)
			}
			l.group = unique("group")
			w = l.start(parts{})
			wantWords(t, w.halted("ledger"), test.words...)
			if n := l.scalar("SELECT count() FROM %[1]s.raw_rows WHERE topic = $1", l.topic); n != 50 {
				t.Errorf("%d records are stored, want 50", n)
			}
		})
	}
}

// What another tool committed is where a new group starts.
func TestForeignCommit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.lane(t, 1, nil)
	l.produce(traffic(50, 1)...)
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: l.topic, At: 20, LeaderEpoch: -1})
	if err := l.admin.CommitAllOffsets(t.Context(), l.group, offsets); err != nil {
		t.Fatal(err)
	}
	w := l.start(parts{})
	l.caughtUp(w)
	l.gone[0] = 20
	l.check(w)
}

// compacting is a lane whose topic loses records to the broker's cleaner.
func (r *rig) compacting(t testing.TB) *lane {
	t.Helper()
	configs := map[string]*string{}
	for name, value := range map[string]string{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "min.compaction.lag.ms": "0"} {
		configs[name] = &value
	}
	l := r.lane(t, 1, configs)
	for i := range 60 {
		m := event(i)
		m.key = []byte{byte('a' + i%3)}
		if i == 0 {
			m.key = []byte("stays") // so that the log starts where it did
		}
		l.produce(m)
	}
	return l
}

// wait waits until the cleaner has removed records, ends its work, and takes those from the manifest that an independent
// client no longer reads.
func (l *lane) wait() {
	l.t.Helper()
	eventually(l.t, "the broker compacts", func() bool {
		m := event(0)
		m.key = []byte("last") // the segment that is written to is never cleaned
		l.produce(m)
		if l.rig.cluster != nil {
			l.rig.cluster.Compact()
		}
		return len(l.offsets()) < len(l.manifest)
	})
	never := "delete"
	if _, err := l.admin.AlterTopicConfigs(l.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &never}}, l.topic); err != nil {
		l.t.Fatal(err)
	}
	var left map[int64]bool
	eventually(l.t, "the cleaner rests", func() bool {
		before := left
		<-time.After(time.Second)
		left = l.offsets()
		return len(left) == len(before)
	})
	l.manifest = slices.DeleteFunc(l.manifest, func(p produced) bool { return !left[p.offset] })
}

// offsets are those that an independent client reads in partition 0.
func (l *lane) offsets() map[int64]bool {
	l.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(l.rig.brokers...), kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	left := map[int64]bool{}
	for last := l.ends()[0] - 1; !left[last]; {
		fetches := client.PollFetches(l.t.Context())
		if err := fetches.Err(); err != nil {
			l.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { left[r.Offset] = true })
	}
	return left
}

// Offsets that compaction took away are accounted for and no loss.
func TestCompactedTopic(t *testing.T) {
	t.Parallel()
	newRig(t).testCompacted(t)
}

func (r *rig) testCompacted(t *testing.T) {
	l := r.compacting(t)
	l.wait()
	total := l.ends()[0]
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	if n := l.scalar("SELECT toUInt64(sum(compacted)) FROM %[1]s.batches WHERE topic = $1", l.topic); n != uint64(total)-uint64(len(l.manifest)) {
		t.Errorf("%d offsets are counted as compacted, want %d less %d", n, total, len(l.manifest))
	}
}
