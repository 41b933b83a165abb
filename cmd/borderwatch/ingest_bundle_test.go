package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borderwatch/consumers/embedded"
)

// TestIngestWithABadBundle spoils the folder of a running worker, takes its ledger away, and starts it again: it goes on
// with the bundle that judged last, and shows both.
func TestIngestWithABadBundle(t *testing.T) {
	s := newSite(t)
	s.migrate(t)
	l := newLane(t, s.fakeCluster(t)(embedded.Plain))
	l.produce(t, 120)
	shared, _ := s.sharedLedger(t)
	behind, err := url.Parse(shared["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(httputil.NewSingleHostReverseProxy(behind))
	defer func() { front.Close() }()
	worker := s.config(l.cluster, l)
	worker["bundle"] = settings{"dir": s.bundle, "unsigned": true, "reload": "1s"}
	file := s.file(t, worker, settings{"url": front.URL, "token_file": shared["token_file"]})

	p := ingest(t, file, "--set", "http.listen=127.0.0.1:0")
	base := "http://" + p.out.await(t, `msg="metrics and health" address=(\S+)`)
	p.out.await(t, `level=WARN msg="UNSIGNED: this worker judges by whatever lies in the folder \(bundle.unsigned\)" (folder)=`)
	shows := func(status int, words ...string) {
		t.Helper()
		var body string
		until(t, strings.Join(words, " and ")+" in /readyz", func() bool {
			got, text := ask(t, base+"/readyz")
			body = text
			for _, word := range words {
				if !strings.Contains(body, word) {
					return false
				}
			}
			return got == status
		})
	}
	shows(http.StatusOK, `"status":"degraded"`, `"warning":"unsigned: judged by whatever lies in bundle.dir"`)
	l.await(t, s)

	rule := filepath.Join(s.bundle, "packs", "eu", "EU-101.yaml")
	good, err := os.ReadFile(rule)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rule, []byte(strings.Replace(string(good), "severity:", "severty:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	shows(http.StatusOK, `"warning":"refused, the one before stays in force: packs/eu/EU-101.yaml:`, "severty")
	metrics := scrape(t, base)
	for _, want := range []string{"borderwatch_bundle_refused 1\n", "borderwatch_bundle_refusals_total 1\n", `borderwatch_bundle_signed{by="unsigned"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	front.Close()
	shows(http.StatusServiceUnavailable, `"status":"failing"`, `{"name":"ledger","ok":false`)
	p.terminate(exitOK)

	front = httptest.NewServer(httputil.NewSingleHostReverseProxy(behind))
	again := ingest(t, file, "--until-caught-up", "--set", "ledger.url="+front.URL)
	again.wantExit(exitOK)
	again.out.await(t, `level=ERROR msg="the bundle was refused, the old one stays in force" in_force=[0-9a-f]{64} (error)=`)
	var notices uint64
	if err := s.admin.QueryRow(t.Context(), "SELECT uniqExact(notice_id) FROM bw.notices WHERE kind = 'refused_bundle' AND why LIKE '%severty%'").Scan(&notices); err != nil || notices != 1 {
		t.Errorf("%d notices of the refusal, %v", notices, err)
	}
}
