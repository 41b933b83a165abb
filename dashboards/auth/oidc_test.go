package auth_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
)

// groupStorage is the provider's store of users, with their groups in the ID token.
type groupStorage struct {
	*storage.Storage
	groups []string
}

func (s *groupStorage) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, r, scopes); err != nil {
		return err
	}
	info.AppendClaims("groups", s.groups)
	return nil
}

// provider starts the OpenID provider of zitadel/oidc.
func provider(t *testing.T, console string, groups ...string) string {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	old := slog.Default()
	t.Cleanup(func() { slog.SetDefault(old) })
	storage.RegisterClients(storage.WebClient("borderwatch", "client-secret", console+auth.CallbackPath))
	users := &groupStorage{storage.NewStorage(storage.NewUserStore(server.URL)), groups}
	handler = exampleop.SetupServer(server.URL, users, slog.New(slog.DiscardHandler), false, op.WithAllowInsecure())
	return server.URL
}

// site is a console with a sign-in at the provider and nothing else.
func site(t *testing.T, groups ...string) (server *httptest.Server, rec *recorder) {
	t.Helper()
	var a *auth.Authenticator
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}
	mux.HandleFunc("GET /signin/oidc", func(w http.ResponseWriter, r *http.Request) { answer(w, a.BeginOIDC(w, r)) })
	mux.HandleFunc("GET "+auth.CallbackPath, func(w http.ResponseWriter, r *http.Request) { answer(w, a.FinishOIDC(w, r)) })
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := a.Identify(r); ok {
			_, _ = w.Write([]byte(id.Name + " " + string(id.Roles[0])))
		}
	})
	server = httptest.NewServer(mux)
	t.Cleanup(server.Close)
	rec = &recorder{}
	a = auth.New(auth.Options{Recorder: rec, OIDC: auth.NewOIDC(auth.OIDCConfig{
		Issuer: provider(t, server.URL, groups...), ClientID: "borderwatch", ClientSecret: "client-secret", RedirectURL: server.URL + auth.CallbackPath,
		Roles: map[string][]service.Role{"security": {service.Analyst}, "partner-firm": {service.Partner}},
	})})
	return server, rec
}

// browse goes to the provider and signs in there; it returns the answer of the console.
func browse(t *testing.T, client *http.Client, console string) *http.Response {
	t.Helper()
	resp, err := client.Get(console + "/signin/oidc")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasSuffix(resp.Request.URL.Path, "/login/username") {
		t.Fatalf("the provider's page: %s %s", resp.Status, resp.Request.URL)
	}
	form := url.Values{"username": {"test-user@" + strings.Split(resp.Request.URL.Host, ":")[0]}, "password": {"verysecure"}, "id": {resp.Request.URL.Query().Get("authRequestID")}}
	resp, err = client.PostForm(resp.Request.URL.String(), form)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// TestOIDC signs in with a real provider: discovery, PKCE, state, nonce, signature, groups.
func TestOIDC(t *testing.T) {
	console, rec := site(t, "security", "chess-club")
	client := browser(t)
	resp := browse(t, client, console.URL)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("back at the console: %s", resp.Status)
	}
	me, err := client.Get(console.URL + "/me")
	if err != nil {
		t.Fatal(err)
	}
	defer me.Body.Close()
	who := make([]byte, 100)
	n, _ := me.Body.Read(who)
	if got := string(who[:n]); got != "id1 analyst" {
		t.Errorf("signed in as %q; recorded %q", got, rec.lines)
	}
}

// TestOIDCWithoutRole knows the person and lets nobody in.
func TestOIDCWithoutRole(t *testing.T) {
	console, rec := site(t, "chess-club")
	if resp := browse(t, browser(t), console.URL); resp.StatusCode != http.StatusForbidden {
		t.Errorf("without a role: %s", resp.Status)
	}
	if len(rec.lines) != 1 || rec.lines[0] != "id1 sign_in oidc false" {
		t.Errorf("recorded %q", rec.lines)
	}
}

// TestOIDCCallback refuses answers that were not asked for in this browser.
func TestOIDCCallback(t *testing.T) {
	console, _ := site(t, "security")
	client := browser(t)
	for _, query := range []string{"", "?code=x&state=y", "?error=access_denied&state=y"} {
		resp, err := client.Get(console.URL + auth.CallbackPath + query)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%q: %s", query, resp.Status)
		}
	}
	resp, err := client.Get(console.URL + "/signin/oidc") // begun, and answered with another's state and code
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, state := range []string{"y", ""} {
		resp, err := client.Get(console.URL + auth.CallbackPath + "?code=x&state=" + state)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("state %q: %s", state, resp.Status)
		}
	}
}
