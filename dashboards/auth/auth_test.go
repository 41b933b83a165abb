package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const password = "correct horse battery"

// recorder keeps what was recorded.
type recorder struct {
	mu    sync.Mutex
	lines []string
	err   error
}

func (r *recorder) SignedIn(_ context.Context, p service.Person, what, subject string, done bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprint(p.Name, " ", what, " ", subject, " ", done))
	return r.err
}

// door is an authenticator with one user, and a clock.
type door struct {
	*auth.Authenticator
	now   time.Time
	users string
	rec   recorder
}

func newDoor(t *testing.T) *door {
	t.Helper()
	hash, err := auth.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{now: noon, users: filepath.Join(t.TempDir(), "users.yaml")}
	write(t, d.users, "format: borderwatch/users/v1\nusers:\n  - {name: anna, roles: [analyst, viewer], password: '"+hash+"'}\n")
	users, err := auth.OpenUsers(d.users)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.OpenTokens(filepath.Join(t.TempDir(), "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	d.Authenticator = auth.New(auth.Options{Users: users, Tokens: tokens, Recorder: &d.rec, Secure: true, Now: func() time.Time { return d.now }})
	return d
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func request(from string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = from + ":1"
	return r
}

// signIn returns a request with the cookie of the session.
func (d *door) signIn(t *testing.T) *http.Request {
	t.Helper()
	w := httptest.NewRecorder()
	if err := d.SignIn(w, request("192.0.2.1"), "anna", password); err != nil {
		t.Fatal(err)
	}
	r := request("192.0.2.1")
	for _, c := range w.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(c.Name, "__Host-") || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %+v", c)
		}
		r.AddCookie(c)
	}
	return r
}

func TestSession(t *testing.T) {
	d := newDoor(t)
	r := d.signIn(t)
	id, ok := d.Identify(r)
	if !ok || id.Name != "anna" || !id.Has(service.Analyst) || id.Token {
		t.Fatalf("%+v, %v", id, ok)
	}
	if _, ok := d.Identify(request("192.0.2.1")); ok {
		t.Error("known without a cookie")
	}
	for range 5 { // used all the time, and still over after twelve hours
		d.now = d.now.Add(2 * time.Hour)
		if _, ok := d.Identify(r); !ok {
			t.Fatalf("over at %v", d.now.Sub(noon))
		}
	}
	d.now = d.now.Add(2*time.Hour + time.Second)
	if _, ok := d.Identify(r); ok {
		t.Error("a session without an end")
	}
	r = d.signIn(t)
	d.now = d.now.Add(2*time.Hour + time.Second)
	if _, ok := d.Identify(r); ok {
		t.Error("an unused session goes on")
	}
	r = d.signIn(t)
	if err := d.SignOut(httptest.NewRecorder(), r); err != nil {
		t.Error(err)
	}
	if _, ok := d.Identify(r); ok {
		t.Error("known after signing out")
	}
}

// TestTakenOut: who is taken out of the file is out at once, and a changed role counts.
func TestTakenOut(t *testing.T) {
	d := newDoor(t)
	r := d.signIn(t)
	id, _ := d.Identify(r)
	_, secret, err := d.Tokens().Make(&id, "x", []service.Role{service.Analyst}, time.Hour, d.now)
	if err != nil {
		t.Fatal(err)
	}
	bearer := request("192.0.2.1")
	bearer.Header.Set("Authorization", "Bearer "+secret)
	if id, ok := d.Identify(bearer); !ok || !id.Token || !id.Has(service.Analyst) || id.Has(service.Viewer) {
		t.Errorf("token: %+v, %v", id, ok)
	}
	text, err := os.ReadFile(d.users)
	if err != nil {
		t.Fatal(err)
	}
	write(t, d.users, strings.Replace(string(text), "analyst, viewer", "viewer", 1))
	if id, ok := d.Identify(r); !ok || id.Has(service.Analyst) {
		t.Errorf("after the role was taken: %+v, %v", id, ok)
	}
	if id, ok := d.Identify(bearer); !ok || len(id.Roles) != 0 {
		t.Errorf("the token after the role was taken: %+v, %v", id, ok)
	}
	write(t, d.users, "format: borderwatch/users/v1\nusers: []\n")
	if _, ok := d.Identify(r); ok {
		t.Error("known after being taken out")
	}
	write(t, d.users, "broken")
	if _, ok := d.Identify(r); ok {
		t.Error("a file that cannot be read lets people in")
	}
}

func TestWrongPasswords(t *testing.T) {
	d := newDoor(t)
	for name, try := range map[string][2]string{"password": {"anna", "wrong"}, "name": {"nobody", password}, "both empty": {"", ""}, "long": {"anna", strings.Repeat("x", 2000)}} {
		if err := d.SignIn(httptest.NewRecorder(), request("192.0.2.1"), try[0], try[1]); !errors.Is(err, auth.ErrSignIn) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 10 {
		_ = d.SignIn(httptest.NewRecorder(), request("192.0.2.9"), "anna", "wrong")
	}
	if err := d.SignIn(httptest.NewRecorder(), request("192.0.2.9"), "anna", password); !errors.Is(err, auth.ErrTooMany) {
		t.Errorf("the right password after ten wrong ones: %v", err)
	}
	if err := d.SignIn(httptest.NewRecorder(), request("192.0.2.10"), "anna", password); err != nil {
		t.Errorf("its owner from elsewhere: %v", err)
	}
	d.now = d.now.Add(15 * time.Minute)
	if err := d.SignIn(httptest.NewRecorder(), request("192.0.2.9"), "anna", password); err != nil {
		t.Errorf("a quarter of an hour later: %v", err)
	}
	if len(d.rec.lines) == 0 || !strings.Contains(strings.Join(d.rec.lines, "\n"), "anna sign_in password false") {
		t.Errorf("recorded: %q", d.rec.lines)
	}
}

// TestUnrecordedSignIn: what cannot be recorded does not count.
func TestUnrecordedSignIn(t *testing.T) {
	d := newDoor(t)
	d.rec.err = errors.New("away")
	w := httptest.NewRecorder()
	if err := d.SignIn(w, request("192.0.2.1"), "anna", password); err == nil || len(w.Result().Cookies()) != 0 {
		t.Errorf("%v, cookies %v", err, w.Result().Cookies())
	}
}

func TestLinks(t *testing.T) {
	d := newDoor(t)
	secret := func() string {
		return strings.TrimPrefix(d.NewLink(service.Person{Name: "p", Roles: []service.Role{service.Partner}}), auth.LinkPath)
	}
	one := secret()
	if err := d.OpenLink(httptest.NewRecorder(), request("192.0.2.1"), one); err != nil {
		t.Fatal(err)
	}
	old := secret()
	d.now = d.now.Add(25 * time.Hour)
	for name, link := range map[string]string{"used": one, "old": old, "wrong": "x", "empty": ""} {
		if err := d.OpenLink(httptest.NewRecorder(), request("192.0.2.1"), link); !errors.Is(err, auth.ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokensAreKeptHashed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.json")
	tokens, err := auth.OpenTokens(file)
	if err != nil {
		t.Fatal(err)
	}
	id := &auth.Identity{Person: service.Person{Name: "anna", Roles: []service.Role{service.Viewer}}}
	token, secret, err := tokens.Make(id, "x", id.Roles, auth.MaxTokenLife, noon)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), secret) {
		t.Errorf("%v; the secret is in the file: %s", err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again, err := auth.OpenTokens(file)
	if err != nil || len(again.Of("anna", noon)) != 1 || len(again.Of("bert", noon)) != 0 {
		t.Errorf("read again: %v", err)
	}
	if ok, err := again.Revoke("bert", token.ID); ok || err != nil {
		t.Errorf("somebody else ends it: %v, %v", ok, err)
	}
	if _, _, err := tokens.Make(id, "x", []service.Role{service.Analyst}, time.Hour, noon); !errors.Is(err, auth.ErrTokens) {
		t.Errorf("a role that one does not have: %v", err)
	}
}

func TestUsersFile(t *testing.T) {
	for name, test := range map[string][2]string{
		"format":   {"format: x\n", "want borderwatch/users/v1"},
		"key":      {"format: borderwatch/users/v1\nusers: [{nmae: a}]\n", "nmae"},
		"role":     {"format: borderwatch/users/v1\nusers: [{name: a, roles: [boss]}]\n", `"boss" is no role`},
		"name":     {"format: borderwatch/users/v1\nusers: [{name: 'a b'}]\n", "letters, digits"},
		"password": {"format: borderwatch/users/v1\nusers: [{name: a, password: secret}]\n", "argon2id"},
		"weak":     {"format: borderwatch/users/v1\nusers: [{name: a, password: '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5aw'}]\n", "outside of what is accepted"},
		"costly":   {"format: borderwatch/users/v1\nusers: [{name: a, password: '$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5aw'}]\n", "outside of what is accepted"},
	} {
		if _, err := auth.ParseUsers([]byte(test[0])); err == nil || !strings.Contains(err.Error(), test[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := auth.HashPassword("short"); !errors.Is(err, auth.ErrWeakPassword) {
		t.Errorf("a short password: %v", err)
	}
}

// FuzzParseUsers: a file is read or refused.
func FuzzParseUsers(f *testing.F) {
	f.Add([]byte("format: borderwatch/users/v1\nusers:\n  - {name: a, roles: [viewer], password: '$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5aw'}\n"))
	f.Add([]byte("format: borderwatch/users/v1\nusers: [{name: a, password: '$$$$$'}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := auth.ParseUsers(text)
		for name := range users {
			if err != nil || name == "" {
				t.Errorf("%q, %v", name, err)
			}
		}
	})
}
