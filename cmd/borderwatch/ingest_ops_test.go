package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
)

// TestIngestFromOutside looks at a worker as a monitoring system does: when it starts, works, and stops one partition.
func TestIngestFromOutside(t *testing.T) {
	s := newSite(t)
	s.migrate(t)
	l := newLane(t, s.fakeCluster(t)(embedded.Plain))
	l.produce(t, 120)
	file := s.file(t, s.config(l.cluster, l), ownLedger(t))
	p := ingest(t, file, "--set", "http.listen=127.0.0.1:0", "--set", "bundle.geoip="+embeddedtest.GeoIP(t), "--set", "limits.dead_letters_in_row=20",
		"--set", "notices.every=1s")
	base := "http://" + p.out.await(t, `msg="metrics and health" address=(\S+)`)
	until(t, "it is ready", func() bool { status, _ := ask(t, base+"/readyz"); return status == http.StatusOK })
	l.await(t, s)
	metrics := scrape(t, base)
	for _, pattern := range []string{
		`borderwatch_bundle_info\{digest="[0-9a-f]{64}"\} 1`,
		`borderwatch_geoip_build_timestamp_seconds\{name="[^"]+"\} 1\.[0-9]+e\+09`,
		`borderwatch_events_total\{feed="trail-audit",outcome="\w+"\} [1-9]`,
		`borderwatch_dead_letters_total\{code="no_feed",feed=""\} [1-9]`,
		`borderwatch_dead_letters_total\{code="syntax",feed="` + l.events + `"\} [1-9]`,
		`borderwatch_location_verdicts_total\{feed="trail-main",verdict="\w+"\} [1-9]`,
		`borderwatch_kafka_records_total 120\n`,
		`borderwatch_kafka_rebalances_total 1\n`,
		`borderwatch_stored_offset\{partition="3",topic="` + l.events + `"\} 20\n`,
		`borderwatch_stage_seconds_total\{stage="insert"\} [0-9]`,
		`borderwatch_arrivals_total\{arrival="\w+",feed="[^"]+"\} [1-9]`,
		`borderwatch_batches_total\{topic="` + l.trails + `"\} [1-9]`,
	} {
		if !regexp.MustCompile(pattern).MatchString(metrics) {
			t.Errorf("no %s in\n%s", pattern, metrics)
		}
	}
	if status, body := ask(t, base+"/debug/pprof/cmdline"); status != http.StatusOK || !strings.Contains(body, "ingest") {
		t.Errorf("profiles: %d %s", status, body)
	}
	l.noticed(t, base)
	s.halted(t, l, base)
	p.terminate(exitOK)
	again := ingest(t, file, "--until-caught-up", "--set", "limits.dead_letters_in_row=20")
	again.wantExit(exitFailure)
	again.out.await(t, `borderwatch: [^\n]*records (in) a row`)

	quiet := ingest(t, file, "--set", "http.listen=127.0.0.1:0", "--set", "http.profiling=false")
	base = "http://" + quiet.out.await(t, `msg="metrics and health" address=(\S+)`)
	if status, _ := ask(t, base+"/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("profiles that are turned off: %d", status)
	}
	if status, _ := ask(t, base+"/livez"); status != http.StatusOK {
		t.Errorf("livez: %d", status)
	}
	quiet.terminate(exitOK)
}

// noticed sends an event id again with another content, and waits until the questions over stored rows have found it.
func (l *lane) noticed(t *testing.T, base string) {
	t.Helper()
	value := nativeEvent(l.name+"-reused", 1)
	for _, v := range []string{value, strings.Replace(value, `"action":"`, `"ticket":{"id":"T-1"},"action":"`, 1)} {
		if err := l.client.ProduceSync(t.Context(), &kgo.Record{Topic: l.events, Partition: 2, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "a notice is counted", func() bool {
		metrics := scrape(t, base)
		return strings.Contains(metrics, `borderwatch_notices_total{kind="identity_reused"} 1`) &&
			!strings.Contains(metrics, "borderwatch_notices_asked_timestamp_seconds 0\n")
	})
}

// halted breaks a feed: its partition stops and says so, and the others go on.
func (s *site) halted(t *testing.T, l *lane, base string) {
	t.Helper()
	var broken []*kgo.Record
	for range 30 {
		broken = append(broken, &kgo.Record{Topic: l.events, Partition: 1, Value: []byte("<xml/>")})
	}
	if err := l.client.ProduceSync(t.Context(), broken...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var body string
	until(t, "it is not ready", func() (done bool) {
		var status int
		status, body = ask(t, base+"/readyz")
		return status == http.StatusServiceUnavailable
	})
	for _, word := range []string{"partition 1 of topic " + l.events + " stopped", "records in a row", "could not be decoded"} {
		if !strings.Contains(body, word) {
			t.Errorf("readyz does not say %q: %s", word, body)
		}
	}
	if status, body := ask(t, base+"/livez"); status != http.StatusOK {
		t.Errorf("livez: %d %s", status, body)
	}
	if want := `borderwatch_partition_halted{partition="1",reason="dead_letters",topic="` + l.events + `"} 1`; !strings.Contains(scrape(t, base), want) {
		t.Errorf("no %s", want)
	}
	before, _ := l.stored(t, s)
	healthy := &kgo.Record{Topic: l.events, Partition: 2, Value: []byte(nativeEvent(l.name+"-after", 1))}
	if err := l.client.ProduceSync(t.Context(), healthy).FirstErr(); err != nil {
		t.Fatal(err)
	}
	until(t, "another partition goes on", func() bool { now, _ := l.stored(t, s); return now > before })
}

func scrape(t *testing.T, base string) string {
	t.Helper()
	status, body := ask(t, base+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("metrics: %d %s", status, body)
	}
	return body
}

func ask(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
