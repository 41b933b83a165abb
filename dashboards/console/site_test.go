package console_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/console"
	"borderwatch/dashboards/service"
	"borderwatch/dashboards/service/servicetest"
	"borderwatch/schemas/casework"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// site is a console on a memory, with one case.
type site struct {
	*httptest.Server
	memory *servicetest.Memory
	auth   *auth.Authenticator
	log    *bytes.Buffer
}

func newSite(t *testing.T, change func(*service.Parts)) *site {
	t.Helper()
	s := &site{memory: servicetest.New(noon), log: new(bytes.Buffer)}
	s.memory.Add(casework.Alert{ID: servicetest.ID(7)})
	parts := s.memory.Parts()
	if change != nil {
		change(&parts)
	}
	svc := service.New(parts)
	tokens, err := auth.OpenTokens("")
	if err != nil {
		t.Fatal(err)
	}
	s.auth = auth.New(auth.Options{Tokens: tokens, Recorder: svc, Now: s.memory.Now})
	c, err := console.New(console.Options{Service: svc, Auth: s.auth, Pulse: s.memory, Log: slog.New(slog.NewTextHandler(s.log, nil)), Version: "v0.0.0", Now: s.memory.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(c)
	t.Cleanup(s.Close)
	return s
}

// as returns a browser in which somebody with these roles has signed in.
func (s *site) as(t *testing.T, name string, roles ...service.Role) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	resp, err := client.Get(s.URL + s.auth.NewLink(service.Person{Name: name, Roles: roles}))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// ask sends a request and returns status and body.
func (s *site) ask(t *testing.T, client *http.Client, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)
