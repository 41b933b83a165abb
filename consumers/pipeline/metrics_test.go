package pipeline_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/pipeline"
)

// moved collects which metrics were ever other than zero, over several workers.
type moved struct {
	t    testing.TB
	ever map[string]bool
}

// look notes what has moved so far. Every registered metric is known from the start or with its first series.
func (m *moved) look(w *worker) {
	m.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, family := range families {
		name := family.GetName()
		for _, series := range family.Metric {
			m.ever[name] = m.ever[name] || series.GetCounter().GetValue()+series.GetGauge().GetValue() != 0
		}
		if family.GetHelp() == "" {
			m.t.Errorf("%s has no help", name)
		}
	}
}

// until waits until each of the metrics has moved.
func (m *moved) until(w *worker, names ...string) {
	m.t.Helper()
	for _, name := range names {
		eventually(m.t, name+" moves", func() bool {
			m.look(w)
			return m.ever["borderwatch_"+name]
		})
	}
}

// allMetrics are the names that operators rely on. A metric that is registered and not listed fails the test, and one
// that is listed and never moves.
var allMetrics = []string{
	"events_total", "rule_verdicts_total", "location_verdicts_total", "arrivals_total", "unknown_members_total", "dead_letters_total", "stage_seconds_total",
	"batches_total", "gap_offsets_total", "takeover_batches_total", "retries_total", "partition_halted", "lag_records", "stored_offset",
	"stored_timestamp_seconds", "batch_memory_bytes", "bundle_refusals_total", "bundle_refused", "bundle_info", "bundle_signed", "geoip_build_timestamp_seconds",
	"kafka_fetches_total", "kafka_bytes_total", "kafka_records_total", "kafka_control_offsets_total", "kafka_aborted_offsets_total",
	"kafka_compacted_offsets_total", "kafka_crc_errors_total", "kafka_too_large_total", "kafka_out_of_range_total", "kafka_retries_total",
	"kafka_rebalances_total", "kafka_commits_total", "kafka_fenced_commits_total",
}

// TestEveryMetricMoves makes each metric other than zero by what it is there for.
func TestEveryMetricMoves(t *testing.T) {
	t.Parallel()
	m := &moved{t: t, ever: map[string]bool{}}
	m.traffic()
	m.takeover()
	m.tooLarge()
	m.corrupt()
	m.fenced()
	m.bundles()
	for _, name := range allMetrics {
		if !m.ever["borderwatch_"+name] {
			t.Errorf("%s never moved", name)
		}
	}
	for name := range m.ever {
		if !slices.Contains(allMetrics, name[len("borderwatch_"):]) {
			t.Errorf("%s is not in the list of names", name)
		}
	}
}

// traffic moves what good and bad records, transactions and a full pipeline move.
func (m *moved) traffic() {
	l := newRig(m.t).lane(m.t, 2, nil)
	l.produce(traffic(200, 2)...)
	l.transactional().some(4)
	stuck := newGate()
	w := l.start(parts{around: stuck.at("event_rows", 1)})
	<-stuck.reached
	m.until(w, "batch_memory_bytes", "lag_records")
	stuck.open()
	l.caughtUp(w)
	m.until(w, "events_total", "rule_verdicts_total", "location_verdicts_total", "unknown_members_total", "dead_letters_total", "stage_seconds_total",
		"batches_total", "stored_offset", "stored_timestamp_seconds", "bundle_info", "kafka_fetches_total", "kafka_bytes_total", "kafka_records_total",
		"kafka_control_offsets_total", "kafka_aborted_offsets_total", "kafka_rebalances_total", "kafka_commits_total")
	for _, stage := range []string{"decode", "enrich", "evaluate", "columns", "ledger", "insert", "dead_letters", "commit"} {
		if w.metric("stage_seconds_total", stage) <= 0 {
			m.t.Errorf("no time is counted for stage %s", stage)
		}
	}
	if got := w.metric("events_total"); got != 200*0.9+27 { // three of four transactions of ten, nine of ten good
		m.t.Errorf("%v events are counted, want 207", got)
	}
}

// takeover moves what a crash, retention and a broker that stumbles move.
func (m *moved) takeover() {
	r := newRig(m.t)
	l := r.lane(m.t, 1, nil)
	l.produce(traffic(100, 1)...)
	l.crashAt("event_rows", 1)
	stumbles := 0 // the broker runs one control function at a time
	r.cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		if stumbles++; stumbles > 5 {
			return nil, nil, false
		}
		return nil, errors.New("close the connection"), true
	})
	stuck := newGate()
	w := l.start(parts{around: stuck.at("event_rows", 3), config: pipeline.Config{MaxRows: 10, Fetch: kafka.FetchConfig{MaxBytes: 1}}})
	<-stuck.reached
	for range 10 {
		l.produce(traffic(10, 1)...) // in small batches, of which few are read ahead
	}
	l.deleteBefore(190)
	stuck.open()
	m.until(w, "takeover_batches_total", "kafka_retries_total", "gap_offsets_total", "kafka_out_of_range_total", "retries_total")
	l.caughtUp(w)
}

func (m *moved) tooLarge() {
	l := newRig(m.t).lane(m.t, 1, nil)
	l.produce(event(1))
	w := l.start(parts{config: pipeline.Config{Fetch: kafka.FetchConfig{MaxBatch: 50}}})
	m.until(w, "kafka_too_large_total", "partition_halted")
}

// corrupt moves what a hole left by compaction and a flipped byte move.
func (m *moved) corrupt() {
	r := newRig(m.t)
	l := r.compacting(m.t)
	l.wait()
	w := l.start(parts{})
	l.caughtUp(w)
	m.until(w, "kafka_compacted_offsets_total")
	w.stop()
	r.cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		return brokenBatch(req.(*kmsg.FetchRequest)), nil, true
	})
	w = l.start(parts{})
	m.until(w, "kafka_crc_errors_total")
}

// brokenBatch answers a fetch with a batch whose checksum is wrong.
func brokenBatch(asked *kmsg.FetchRequest) kmsg.Response {
	res := asked.ResponseKind().(*kmsg.FetchResponse)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.TopicID = asked.Topics[0].Topic, asked.Topics[0].TopicID
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition = asked.Topics[0].Partitions[0].Partition
	p.HighWatermark, p.LastStableOffset = 1000, 1000
	batch := kmsg.RecordBatch{FirstOffset: asked.Topics[0].Partitions[0].FetchOffset, Length: 49, Magic: 2, CRC: 1}
	p.RecordBatches = batch.AppendTo(nil)
	topic.Partitions = append(topic.Partitions, p)
	res.Topics = append(res.Topics, topic)
	return res
}

func (m *moved) fenced() {
	r := newRig(m.t)
	l := r.lane(m.t, 1, nil)
	r.refuseCommit(1)
	l.produce(traffic(50, 1)...)
	w := l.start(parts{})
	m.until(w, "kafka_fenced_commits_total")
	l.caughtUp(w)
}

// bundles moves what a changed directory and a location database move.
func (m *moved) bundles() {
	r := newRig(m.t)
	l := r.lane(m.t, 1, nil)
	withGeo := bundle.NewManager(bundle.Source{Dir: r.bundleDir, GeoIP: embeddedtest.GeoIP(m.t)}, r.archive, quiet())
	if err := withGeo.Start(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	w := l.start(parts{bundles: withGeo})
	withGeo.OnRefusal = func(error) { w.metrics.BundleRefused() }
	edit(m.t, r.bundleDir, "packs/eu/EU-101.yaml", "status: active", "status: actve")
	if err := withGeo.Reload(m.t.Context()); err == nil {
		m.t.Error("a typo is accepted")
	}
	m.until(w, "geoip_build_timestamp_seconds", "bundle_info", "bundle_signed", "bundle_refusals_total", "bundle_refused")
}
