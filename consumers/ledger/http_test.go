package ledger_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"borderwatch/consumers/ledger"
)

// TestLostAnswer cuts the connection after the ledger took the leaf. The client
// asks again and gets the index the leaf has.
func TestLostAnswer(t *testing.T) {
	l := open(t, t.TempDir())
	s, err := ledger.NewServer(l, ledger.ServerOptions{Tokens: []string{token}})
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%2 == 0 {
			s.Handler().ServeHTTP(w, r)
			return
		}
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	c := client(t, srv.URL)
	prev := int64(-1)
	for i := range int64(5) {
		index := mustAppend(t, c, batch(0, 10*i, 10*i+9, prev))
		if index != i {
			t.Errorf("leaf %d has index %d", i, index)
		}
		prev = index
	}
	if n := requests.Load(); n != 10 {
		t.Errorf("%d requests, want 10", n)
	}
}

func TestClientStatus(t *testing.T) {
	tests := []struct {
		status   int
		body     string
		want     error
		requests int32
	}{
		{http.StatusServiceUnavailable, `{"error":"disk full"}`, ledger.ErrUnavailable, 2},
		{http.StatusBadGateway, "<html>", ledger.ErrUnavailable, 2},
		{http.StatusUnauthorized, `{"error":"no"}`, ledger.ErrUnauthorized, 1},
		{http.StatusBadRequest, `{"error":"line 3"}`, ledger.ErrInvalidLeaf, 1},
		{http.StatusOK, `{"ind`, ledger.ErrUnavailable, 2},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			var requests atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			c, err := ledger.NewClient(srv.URL, ledger.ClientOptions{Token: token, Attempts: 2})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Append(t.Context(), batch(0, 0, 9, -1)); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if n := requests.Load(); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

// TestClosedLogOverHTTP: a server without a working log says so, and the client
// passes it on.
func TestClosedLogOverHTTP(t *testing.T) {
	l := open(t, t.TempDir())
	c, err := ledger.NewClient(serve(t, l), ledger.ClientOptions{Token: token, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, c, batch(0, 0, 9, -1))
	closeLog(t, l)
	k := batch(0, 0, 0, -1).Span().Key
	if _, err := c.Append(t.Context(), batch(0, 10, 19, 0)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("append: error %v, want ErrUnavailable", err)
	}
	if _, _, err := c.Head(t.Context(), k); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("head: error %v, want ErrUnavailable", err)
	}
	for _, err := range c.Leaves(t.Context(), k, 0) {
		if !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("leaves: error %v, want ErrUnavailable", err)
		}
	}
}

func TestLeavesCutOff(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "{\"index\":4,\"leaf\":%q}\n", batch(0, 0, 9, -1).Marshal())
	}))
	defer srv.Close()
	var entries, errs int
	for _, err := range client(t, srv.URL).Leaves(t.Context(), batch(0, 0, 0, -1).Span().Key, 0) {
		if err == nil {
			entries++
		} else if errors.Is(err, ledger.ErrUnavailable) {
			errs++
		}
	}
	if entries != 1 || errs != 1 {
		t.Errorf("%d entries and %d errors, want one of each", entries, errs)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	address := serve(t, open(t, t.TempDir()))
	leaf := string(batch(0, 0, 9, -1).Marshal())
	query := "?source=s&topic=t&partition=0"
	tests := []struct {
		name, method, path, token, body string
		want                            int
	}{
		{"no token", "POST", "/v1/append", "", leaf, 401},
		{"wrong token", "POST", "/v1/append", token + "x", leaf, 401},
		{"head without token", "GET", "/v1/head" + query, "", "", 401},
		{"leaves without token", "GET", "/v1/leaves" + query + "&from=0", "", "", 401},
		{"not a leaf", "POST", "/v1/append", token, "hello\n", 400},
		{"long body", "POST", "/v1/append", token, strings.Repeat("x", ledger.MaxLeafSize+1), 413},
		{"get append", "GET", "/v1/append", token, "", 405},
		{"head of no partition", "GET", "/v1/head?source=s&topic=t", token, "", 400},
		{"head of no topic", "GET", "/v1/head?source=s&partition=0", token, "", 400},
		{"leaves from nowhere", "GET", "/v1/leaves" + query, token, "", 400},
		{"tile climbing out", "GET", "/tile/0/..%2f..%2fsigning.key", "", "", 400},
		{"state file", "GET", "/tile/../.state/treeState", "", "", 404},
		{"tile of no level", "GET", "/tile/99/000", "", "", 400},
		{"tile not there yet", "GET", "/tile/0/000", "", "", 404},
		{"tile far away", "GET", "/tile/0/x999/x999/x999/x999/x999/999", "", "", 404},
		{"other path", "GET", "/signing.key", "", "", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, address+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.token != "" {
				req.Header.Set("Authorization", "Bearer "+tt.token)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); resp.StatusCode != tt.want {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.want, body)
			}
		})
	}
}

// TestAnyoneCanVerify fetches everything a verifier needs without a token.
func TestAnyoneCanVerify(t *testing.T) {
	l := open(t, t.TempDir())
	address := serve(t, l)
	prev := int64(-1)
	for i := range int64(300) {
		prev = mustAppend(t, l, batch(0, i, i, prev))
	}
	get := func(path string) ([]byte, error) {
		resp, err := http.Get(address + "/" + path)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", path, resp.Status)
		}
		return io.ReadAll(resp.Body)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		raw, err := get("checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		tree := parseCheckpoint(t, raw, l.VerifierKey())
		if tree.N == 300 {
			leaves := verifyTree(t, get, tree)
			if want := batch(0, 17, 17, 16).Marshal(); !bytes.Equal(leaves[17], want) {
				t.Errorf("leaf 17 is %q, want %q", leaves[17], want)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the checkpoint covers %d leaves, want 300", tree.N)
		}
	}
}

func TestServerNeedsCredentials(t *testing.T) {
	l := open(t, t.TempDir())
	for name, o := range map[string]ledger.ServerOptions{
		"none":                {},
		"short token":         {Tokens: []string{"short"}},
		"TLS without clients": {TLS: &tls.Config{}},
	} {
		if _, err := ledger.NewServer(l, o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ledger.NewServer(l, ledger.ServerOptions{TLS: &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven}}); err != nil {
		t.Errorf("client certificates: %v", err)
	}
}

func TestServerRun(t *testing.T) {
	s, err := ledger.NewServer(open(t, t.TempDir()), ledger.ServerOptions{Tokens: []string{token}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	mustAppend(t, client(t, "http://"+ln.Addr().String()), batch(0, 0, 9, -1))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClientAddress(t *testing.T) {
	for _, address := range []string{"", "ledger:8443", "ftp://ledger", "http://", "http://[::1"} {
		if _, err := ledger.NewClient(address, ledger.ClientOptions{}); err == nil {
			t.Errorf("%q: accepted", address)
		}
	}
}
