package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
)

// output collects what a command writes while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await polls until the output matches and returns the first group.
func (o *output) await(t *testing.T, pattern string) string {
	t.Helper()
	re, deadline := regexp.MustCompile(pattern), time.Now().Add(20*time.Second)
	for time.Now().Before(deadline) {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m[1]
		}
		time.Sleep(5 * time.Millisecond) // of a real process there is nothing else to wait for
	}
	t.Fatalf("no %s in\n%s", pattern, o)
	return ""
}

// runningLedger is a ledger command and where it listens.
type runningLedger struct {
	address, ops string
	out          *output
	stop         func() error
}

func startLedger(t *testing.T, set ...string) *runningLedger {
	t.Helper()
	set = append(set, "ledger.serve.listen=127.0.0.1:0", "http.listen=127.0.0.1:0")
	return startLedgerWith(t, config.Options{Set: set, Needs: ledgerNeeds})
}

func startLedgerFile(t *testing.T, file string) *runningLedger {
	t.Helper()
	return startLedgerWith(t, config.Options{File: file, Needs: ledgerNeeds})
}

func startLedgerWith(t *testing.T, o config.Options) *runningLedger {
	t.Helper()
	loaded, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l, done := &runningLedger{out: new(output)}, make(chan error, 1)
	go func() { done <- runLedger(ctx, loaded, l.out) }()
	l.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
	l.address = l.out.await(t, `msg=ledger address=(\S+)`)
	l.ops = l.out.await(t, `msg="metrics and health" address=(\S+)`)
	return l
}

const workerToken = "of-this-test-only-0123456789"

func ledgerLeaf(first, prev int64) ledger.Batch {
	return ledger.Batch{
		Source: "kafka:c1/1", Topic: "access-events", First: first, Last: first + 9, Events: 10,
		Bundle: strings.Repeat("ab", 32), Schema: 1, BatchTime: time.UnixMilli(1_795_000_000_000).UTC(), Prev: prev,
	}
}

// TestLedger appends as a worker does, reads as the partner does, and starts again with what was acknowledged.
func TestLedger(t *testing.T) {
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte("an-old-token-0123456789\n"+workerToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := []string{"ledger.dir=" + filepath.Join(dir, "ledger"), "ledger.serve.tokens_file=" + tokens}
	first := startLedger(t, set...)
	if _, err := ledgerAt(t, first.address, workerToken).Append(t.Context(), ledgerLeaf(0, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := ledgerAt(t, first.address, "not-the-token-0123456789").Append(t.Context(), ledgerLeaf(10, 0)); !errors.Is(err, ledger.ErrUnauthorized) {
		t.Errorf("with a wrong token: %v", err)
	}
	if got := httpGet(t, "http://"+first.ops+"/readyz"); !strings.Contains(got, `"status":"ok"`) {
		t.Errorf("readyz: %s", got)
	}
	metrics := httpGet(t, "http://"+first.ops+"/metrics")
	for _, want := range []string{
		`borderwatch_ledger_requests_total{route="POST /v1/append",status="200"} 1`,
		`borderwatch_ledger_requests_total{route="POST /v1/append",status="401"} 1`,
		"borderwatch_ledger_checkpoint_leaves ",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	second, err := config.Load(config.Options{Set: append(set, "ledger.serve.listen=127.0.0.1:0", "http.listen="), Needs: ledgerNeeds})
	if err != nil {
		t.Fatal(err)
	}
	if err := runLedger(t.Context(), second, io.Discard); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	again := startLedger(t, set...)
	if index, err := ledgerAt(t, again.address, workerToken).Append(t.Context(), ledgerLeaf(10, 0)); err != nil || index != 1 {
		t.Errorf("after a restart: leaf %d, %v", index, err)
	}
	if strings.Contains(first.out.String()+again.out.String(), workerToken) {
		t.Error("the log shows a token")
	}
}

// TestLedgerClientCertificate lets a certificate append and everybody read.
func TestLedgerClientCertificate(t *testing.T) {
	dir := t.TempDir()
	server, worker := writeCertificate(t, dir, "server"), writeCertificate(t, dir, "worker")
	l := startLedger(t, "ledger.dir="+filepath.Join(dir, "ledger"), "ledger.serve.tls.cert_file="+server.cert,
		"ledger.serve.tls.key_file="+server.key, "ledger.serve.tls.client_ca_file="+worker.cert)
	url := "https://" + l.address
	with := config.Ledger{URL: url, TLS: config.TLS{Enabled: true, CAFile: server.cert, CertFile: worker.cert, KeyFile: worker.key}}
	client, err := ledgerClient(with)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Append(t.Context(), ledgerLeaf(0, -1)); err != nil {
		t.Error(err)
	}
	with.TLS.CertFile, with.TLS.KeyFile = "", ""
	if client, err = ledgerClient(with); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Append(t.Context(), ledgerLeaf(10, 0)); !errors.Is(err, ledger.ErrUnauthorized) {
		t.Errorf("without a certificate: %v", err)
	}
	if _, err := client.Checkpoint(t.Context()); err != nil {
		t.Errorf("the partner: %v", err)
	}
}

func ledgerAt(t *testing.T, address, token string) *ledger.Client {
	t.Helper()
	client, err := ledger.NewClient("http://"+address, ledger.ClientOptions{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func httpGet(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

type certificateFiles struct{ cert, key string }

// writeCertificate makes a certificate that is its own authority.
func writeCertificate(t *testing.T, dir, name string) certificateFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := certificateFiles{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{files.cert: {Type: "CERTIFICATE", Bytes: der}, files.key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tls.LoadX509KeyPair(files.cert, files.key); err != nil {
		t.Fatal(err)
	}
	return files
}
