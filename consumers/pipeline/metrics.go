package pipeline

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// stage is one step of the path, as the stage label names it.
type stage int

const (
	stageDecode stage = iota
	stageEnrich
	stageEvaluate
	stageColumns
	stageLedger
	stageInsert
	stageDeadLetters
	stageCommit
	stageCount
)

var stageNames = [stageCount]string{"decode", "enrich", "evaluate", "columns", "ledger", "insert", "dead_letters", "commit"}

// Metrics are what operators watch. Names and labels are stable; labels never carry ids of people, events or alerts.
type Metrics struct {
	events      *prometheus.CounterVec
	verdicts    *prometheus.CounterVec
	locations   *prometheus.CounterVec
	arrivals    *prometheus.CounterVec
	extra       *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	stages      *prometheus.CounterVec
	batches     *prometheus.CounterVec
	gaps        *prometheus.CounterVec
	takeovers   *prometheus.CounterVec
	retries     *prometheus.CounterVec
	halted      *prometheus.GaugeVec
	lag         *prometheus.GaugeVec
	position    *prometheus.GaugeVec
	freshness   *prometheus.GaugeVec
	memory      prometheus.Gauge
	refusals    prometheus.Counter
	refused     prometheus.Gauge
	inForce     *prometheus.GaugeVec
	signed      *prometheus.GaugeVec
	geoBuilt    *prometheus.GaugeVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "borderwatch", Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "borderwatch", Name: name, Help: help}, labels)
		reg.MustRegister(g)
		return g
	}
	m := &Metrics{
		events:      counter("events_total", "Events judged, by feed and outcome of the verdict.", "feed", "outcome"),
		verdicts:    counter("rule_verdicts_total", "Outcomes other than none, by rule.", "rule", "outcome"),
		locations:   counter("location_verdicts_total", "Events by feed and location verdict.", "feed", "verdict"),
		arrivals:    counter("arrivals_total", "Events by feed and arrival: prompt, or late or early by more than 24 hours against Kafka's time.", "feed", "arrival"),
		extra:       counter("unknown_members_total", "Members of records that the format does not know; they are kept in the raw bytes only.", "feed"),
		deadLetters: counter("dead_letters_total", "Records that could not be decoded and were kept in the dead letters.", "feed", "code"),
		stages:      counter("stage_seconds_total", "Time spent in each stage of the path. Stages of single records are sampled and scaled.", "stage"),
		batches:     counter("batches_total", "Batches whose receipt was written.", "topic"),
		gaps:        counter("gap_offsets_total", "Offsets that Kafka no longer had and that are recorded as missing.", "topic"),
		takeovers:   counter("takeover_batches_total", "Recorded batches that were made again because their receipt was missing.", "topic"),
		retries:     counter("retries_total", "Operations tried again, by operation.", "operation"),
		halted:      gauge("partition_halted", "1 for a partition that stopped and needs a person, by reason.", "topic", "partition", "reason"),
		lag:         gauge("lag_records", "Offsets between what is stored and the high watermark.", "topic", "partition"),
		position:    gauge("stored_offset", "First offset that is not stored yet.", "topic", "partition"),
		freshness:   gauge("stored_timestamp_seconds", "Kafka timestamp of the newest stored record.", "topic", "partition"),
	}
	m.memory = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "borderwatch", Name: "batch_memory_bytes", Help: "Bytes that batches hold between fetch and receipt."})
	m.refusals = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "borderwatch", Name: "bundle_refusals_total", Help: "Changed bundles that were refused; the old one stayed in force."})
	m.refused = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "borderwatch", Name: "bundle_refused", Help: "1 while the bundle folder is not fit for use and an older bundle judges."})
	reg.MustRegister(m.memory, m.refusals, m.refused)
	m.inForce = gauge("bundle_info", "1 for the bundle in force, by digest.", "digest")
	m.signed = gauge("bundle_signed", "1 for how the bundle in force is signed: signed, development or unsigned.", "by")
	m.geoBuilt = gauge("geoip_build_timestamp_seconds", "When the location databases in force were built, 0 for one that is missing or damaged.", "name")
	return m
}

// BundleInForce shows which bundle judges and how old its location databases are.
func (m *Metrics) BundleInForce(b *bundle.Bundle) {
	m.refused.Set(0)
	m.inForce.Reset()
	m.inForce.WithLabelValues(b.Digest).Set(1)
	m.signed.Reset()
	m.signed.WithLabelValues(b.Signatures()).Set(1)
	m.geoBuilt.Reset()
	for _, db := range b.Enricher.Geo() {
		switch {
		case db.Problem != "":
			m.geoBuilt.WithLabelValues(db.Name).Set(0) // so that the alert for old ones fires
		case !db.Built.IsZero():
			m.geoBuilt.WithLabelValues(db.Name).Set(float64(db.Built.Unix()))
		}
	}
}

// Retried counts an operation that is tried again.
func (m *Metrics) Retried(operation string) { m.retries.WithLabelValues(operation).Inc() }

// BundleRefused counts a changed bundle that was not fit for use.
func (m *Metrics) BundleRefused() {
	m.refusals.Inc()
	m.refused.Set(1)
}

// RegisterKafka exposes a client's counters.
func RegisterKafka(reg prometheus.Registerer, c *kafka.Counters) {
	for _, m := range []struct {
		name, help string
		value      interface{ Load() int64 }
	}{
		{"kafka_fetches_total", "Answered fetches.", &c.Fetches},
		{"kafka_bytes_total", "Bytes of record batches read from Kafka.", &c.Bytes},
		{"kafka_records_total", "Records read from Kafka.", &c.Records},
		{"kafka_control_offsets_total", "Offsets of control records.", &c.Control},
		{"kafka_aborted_offsets_total", "Offsets of records of aborted transactions.", &c.Aborted},
		{"kafka_compacted_offsets_total", "Offsets that no longer hold a record.", &c.Compacted},
		{"kafka_crc_errors_total", "Record batches refused because their checksum or structure is wrong.", &c.Corrupt},
		{"kafka_too_large_total", "Record batches refused for their size.", &c.TooLarge},
		{"kafka_out_of_range_total", "Fetches of offsets that the log does not hold.", &c.OutOfRange},
		{"kafka_retries_total", "Requests tried again.", &c.Retries},
		{"kafka_rebalances_total", "Generations of the consumer group begun.", &c.Rebalances},
		{"kafka_commits_total", "Accepted offset commits.", &c.Commits},
		{"kafka_fenced_commits_total", "Commits refused because another member owns the partition.", &c.Fenced},
	} {
		reg.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Namespace: "borderwatch", Name: m.name, Help: m.help},
			func() float64 { return float64(m.value.Load()) }))
	}
}

// partitionMetrics counts for one partition without locks and flushes per batch: a labelled counter costs more than a
// rule. It belongs to one goroutine.
type partitionMetrics struct {
	shared    *Metrics
	topic     string
	partition string

	feeds   map[string]*feedCounts // by configured name: what a record claims is no label
	rules   map[ruleOutcome]int64
	letters map[[2]string]int64
	samples [stageCount]time.Duration
}

type feedCounts struct {
	outcomes  [alert.Error + 1]int64
	locations [access.LocationService + 1]int64
	arrivals  [access.ArrivalEarly + 1]int64
	extra     int64
}

type ruleOutcome struct {
	rule    string
	outcome alert.Outcome
}

func (m *Metrics) partition(topic string, partition int32) *partitionMetrics {
	for _, c := range []*prometheus.CounterVec{m.gaps, m.takeovers, m.batches} {
		c.WithLabelValues(topic) // a series that is there from the start shows its first increase
	}
	return &partitionMetrics{shared: m, topic: topic, partition: strconv.Itoa(int(partition)),
		feeds: map[string]*feedCounts{}, rules: map[ruleOutcome]int64{}, letters: map[[2]string]int64{}}
}

func (p *partitionMetrics) judged(feed *feedCounts, ev *access.Event, v *alert.Verdict, extra int) {
	feed.extra += int64(extra)
	feed.outcomes[v.Outcome]++
	feed.locations[ev.Location.Verdict]++
	feed.arrivals[ev.Arrival()]++
	for i := range v.Matched {
		p.rules[ruleOutcome{v.Matched[i].RuleID, v.Matched[i].Outcome}]++
	}
}

// feed returns the counts of a configured feed.
func (p *partitionMetrics) feed(name string) *feedCounts {
	c := p.feeds[name]
	if c == nil {
		c = &feedCounts{}
		p.feeds[name] = c
	}
	return c
}

func (p *partitionMetrics) deadLetter(feed, code string) { p.letters[[2]string{feed, code}]++ }

func (p *partitionMetrics) stageSample(s stage, d time.Duration) { p.samples[s] += d * sampleEvery }

func (m *Metrics) stage(s stage, d time.Duration) {
	m.stages.WithLabelValues(stageNames[s]).Add(d.Seconds())
}

// flush adds what was counted to the shared metrics. It is called when a batch is cut.
func (p *partitionMetrics) flush() {
	for feed, c := range p.feeds {
		for o, n := range c.outcomes {
			addTo(p.shared.events, n, feed, alert.Outcome(o).String())
		}
		for v, n := range c.locations {
			addTo(p.shared.locations, n, feed, access.LocationVerdict(v).String())
		}
		for a, n := range c.arrivals {
			addTo(p.shared.arrivals, n, feed, access.Arrival(a).String())
		}
		addTo(p.shared.extra, c.extra, feed)
		*c = feedCounts{}
	}
	for key, n := range p.rules {
		addTo(p.shared.verdicts, n, key.rule, key.outcome.String())
	}
	for key, n := range p.letters {
		addTo(p.shared.deadLetters, n, key[0], key[1])
	}
	for s, d := range p.samples {
		p.shared.stage(stage(s), d)
	}
	clear(p.rules)
	clear(p.letters)
	p.samples = [stageCount]time.Duration{}
}

func addTo(c *prometheus.CounterVec, n int64, labels ...string) {
	if n > 0 {
		c.WithLabelValues(labels...).Add(float64(n))
	}
}

// stored records the place up to which a partition is stored.
func (p *partitionMetrics) stored(next int64, newest access.Millis) {
	p.shared.position.WithLabelValues(p.topic, p.partition).Set(float64(next))
	if newest > 0 {
		p.shared.freshness.WithLabelValues(p.topic, p.partition).Set(float64(newest) / 1000)
	}
}

// lagging shows how many offsets are not stored, whenever something is read.
func (p *partitionMetrics) lagging(offsets int64) {
	p.shared.lag.WithLabelValues(p.topic, p.partition).Set(float64(max(offsets, 0)))
}
