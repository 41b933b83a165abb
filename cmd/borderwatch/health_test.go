package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthCommand(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(r.URL.Path))
	}))
	defer server.Close()
	for _, c := range []struct {
		status, exit int
		stderr       string
	}{
		{http.StatusOK, exitOK, ""},
		{http.StatusServiceUnavailable, exitFailure, "503"},
		{http.StatusNotFound, exitFailure, "404"},
	} {
		status = c.status
		var stdout, stderr strings.Builder
		if exit := run([]string{"health", server.URL + "/readyz"}, &stdout, &stderr); exit != c.exit {
			t.Errorf("status %d: exit %d, want %d", c.status, exit, c.exit)
		}
		if stdout.String() != "/readyz" || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("status %d: wrote %q and %q", c.status, stdout.String(), stderr.String())
		}
	}
	server.Close()
	var stdout, stderr strings.Builder
	if exit := run([]string{"health", server.URL}, &stdout, &stderr); exit != exitFailure || stderr.Len() == 0 {
		t.Errorf("nobody listens: exit %d, %q", exit, stderr.String())
	}
}
