package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"borderwatch/dashboards/service"
)

// What a sign-in can be refused for. None of them tells whether a name exists.
var (
	ErrSignIn   = errors.New("name or password is wrong")
	ErrLink     = errors.New("this link was used, or is too old; ask for another one")
	ErrTooMany  = errors.New("too many attempts; wait a while")
	ErrNoRole   = errors.New("you are known, and none of your groups has a role here")
	errDisabled = errors.New("this way to sign in is not configured")
)

// Recorder keeps a record of who signed in or out, or failed to.
type Recorder interface {
	SignedIn(ctx context.Context, p service.Person, what, subject string, done bool) error
}

// Identity is who somebody is and how we know.
type Identity struct {
	service.Person
	Local bool // of the users' file
	Token bool // a script with an API token
}

// Options of an Authenticator. Users and OIDC may be nil: then that way in is closed.
type Options struct {
	Users    *UserFile
	Tokens   *Tokens
	OIDC     *OIDC
	Recorder Recorder
	// Secure marks cookies as for https only. Leave it off only for one machine.
	Secure bool
	Now    func() time.Time // nil: time.Now
}

// How long a session lives: as a whole, and without being used.
const (
	sessionLife = 12 * time.Hour
	sessionIdle = 2 * time.Hour
	linkLife    = 24 * time.Hour
	maxSessions = 10_000
	quarter     = 15 * time.Minute // in which failed sign-ins are counted
)

// Authenticator knows who is who. Sessions and links live in memory: a restart ends them. It is safe for concurrent use.
type Authenticator struct {
	opt    Options
	byName *limiter
	byAddr *limiter
	byBoth *limiter
	hashes chan struct{} // bounds the memory of password hashing

	mu       sync.Mutex
	sessions map[string]*session // by digest of the cookie
	links    map[string]link     // by digest of the secret
}

type session struct {
	id            Identity
	created, used time.Time
}

type link struct {
	person  service.Person
	expires time.Time
}

// New returns an authenticator.
func New(opt Options) *Authenticator {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Authenticator{
		opt: opt, byName: newLimiter(100, quarter), byAddr: newLimiter(50, quarter), byBoth: newLimiter(10, quarter), hashes: make(chan struct{}, 2),
		sessions: map[string]*session{}, links: map[string]link{},
	}
}

// Ways tells which ways to sign in there are.
func (a *Authenticator) Ways() (password, oidc bool) { return a.opt.Users != nil, a.opt.OIDC != nil }

// Tokens are the API tokens.
func (a *Authenticator) Tokens() *Tokens { return a.opt.Tokens }

// Identify tells who sends a request: by API token or by session.
func (a *Authenticator) Identify(r *http.Request) (Identity, bool) {
	if secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return a.byToken(secret)
	}
	cookie, err := r.Cookie(a.cookieName())
	if err != nil {
		return Identity{}, false
	}
	now := a.opt.Now()
	key := digest(cookie.Value)
	a.mu.Lock()
	s := a.sessions[key]
	if s == nil || now.Sub(s.created) > sessionLife || now.Sub(s.used) > sessionIdle {
		delete(a.sessions, key)
		a.mu.Unlock()
		return Identity{}, false
	}
	s.used = now
	id := s.id
	a.mu.Unlock()
	return a.asOfNow(id)
}

// asOfNow gives a local user the roles that the file says now.
func (a *Authenticator) asOfNow(id Identity) (Identity, bool) {
	if !id.Local {
		return id, true
	}
	user, ok, err := a.opt.Users.Lookup(id.Name)
	if err != nil || !ok {
		return Identity{}, false
	}
	var roles []service.Role
	for _, r := range user.Roles {
		if !id.Token || id.Has(r) {
			roles = append(roles, r)
		}
	}
	id.Roles = roles
	return id, true
}

func (a *Authenticator) byToken(secret string) (Identity, bool) {
	if a.opt.Tokens == nil {
		return Identity{}, false
	}
	t, ok := a.opt.Tokens.find(secret, a.opt.Now())
	if !ok || t.Local && a.opt.Users == nil {
		return Identity{}, false
	}
	return a.asOfNow(Identity{Person: service.Person{Name: t.Name, Roles: t.Roles, Channel: service.API}, Local: t.Local, Token: true})
}

// SignIn checks name and password and begins a session.
func (a *Authenticator) SignIn(w http.ResponseWriter, r *http.Request, name, password string) error {
	if a.opt.Users == nil {
		return errDisabled
	}
	if err := a.limit(r, name); err != nil {
		return err
	}
	person := service.Person{Name: name, Channel: service.Page}
	user, err := a.check(r.Context(), name, password)
	if err != nil {
		if !userName.MatchString(name) {
			person.Name = "" // what was typed may be a password
		}
		return errors.Join(err, a.opt.Recorder.SignedIn(r.Context(), person, "sign_in", "password", false))
	}
	a.succeeded(r, name)
	person.Roles = user.Roles
	return a.begin(w, r, Identity{Person: person, Local: true}, "password")
}

// limit counts an attempt by address, by name, and by both: the last is the narrowest, so that somebody who does not know a
// password keeps its owner out only by coming from many addresses. An empty name is a way in without one.
func (a *Authenticator) limit(r *http.Request, name string) error {
	now, from := a.opt.Now(), host(r)
	ok := a.byAddr.take(from, now)
	if name != "" {
		ok = a.byName.take(name, now) && ok
		ok = a.byBoth.take(name+" "+from, now) && ok
	}
	if !ok {
		return ErrTooMany
	}
	return nil
}

func (a *Authenticator) succeeded(r *http.Request, name string) {
	from := host(r)
	a.byAddr.give(from)
	a.byName.give(name)
	a.byBoth.give(name + " " + from)
}

func host(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// check takes the same time whether or not there is such a user.
func (a *Authenticator) check(ctx context.Context, name, password string) (User, error) {
	if len(password) > maxPassword {
		return User{}, ErrSignIn
	}
	user, ok, err := a.opt.Users.Lookup(name)
	if err != nil {
		return User{}, err
	}
	compared := &user.hash
	if !ok {
		compared = &nobody
	}
	select {
	case a.hashes <- struct{}{}:
	case <-ctx.Done():
		return User{}, ctx.Err()
	}
	matches := compared.matches(password)
	<-a.hashes
	if !matches || !ok {
		return User{}, ErrSignIn
	}
	return user, nil
}

// NewLink makes a link that signs a person in once. It returns the path, to be put behind the console's address.
func (a *Authenticator) NewLink(p service.Person) string {
	secret := rand.Text()
	p.Channel = service.Page
	a.mu.Lock()
	defer a.mu.Unlock()
	a.links[digest(secret)] = link{p, a.opt.Now().Add(linkLife)}
	return LinkPath + secret
}

// LinkPath begins the path of one-time links.
const LinkPath = "/signin/link/"

// OpenLink uses up a one-time link and begins a session.
func (a *Authenticator) OpenLink(w http.ResponseWriter, r *http.Request, secret string) error {
	if err := a.limit(r, ""); err != nil {
		return err
	}
	key := digest(secret)
	a.mu.Lock()
	l, ok := a.links[key]
	delete(a.links, key)
	a.mu.Unlock()
	if !ok || a.opt.Now().After(l.expires) {
		return ErrLink
	}
	a.succeeded(r, "")
	return a.begin(w, r, Identity{Person: l.person}, "link")
}

// begin records the sign-in and sets the cookie of a new session.
func (a *Authenticator) begin(w http.ResponseWriter, r *http.Request, id Identity, how string) error {
	if len(id.Roles) == 0 {
		return errors.Join(ErrNoRole, a.opt.Recorder.SignedIn(r.Context(), id.Person, "sign_in", how, false))
	}
	if err := a.opt.Recorder.SignedIn(r.Context(), id.Person, "sign_in", how, true); err != nil {
		return fmt.Errorf("a sign-in that cannot be recorded does not count: %w", err)
	}
	secret, now := rand.Text(), a.opt.Now()
	a.mu.Lock()
	a.forget(now)
	a.sessions[digest(secret)] = &session{id, now, now}
	a.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: a.cookieName(), Value: secret, Path: "/", MaxAge: int(sessionLife.Seconds()), Secure: a.opt.Secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
	return nil
}

// forget drops sessions that are over, and the least used one where there are too many.
func (a *Authenticator) forget(now time.Time) {
	oldest := ""
	for key, s := range a.sessions {
		if now.Sub(s.created) > sessionLife || now.Sub(s.used) > sessionIdle {
			delete(a.sessions, key)
			continue
		}
		if oldest == "" || s.used.Before(a.sessions[oldest].used) {
			oldest = key
		}
	}
	if len(a.sessions) >= maxSessions {
		delete(a.sessions, oldest)
	}
}

// SignOut ends the session.
func (a *Authenticator) SignOut(w http.ResponseWriter, r *http.Request) error {
	id, ok := a.Identify(r)
	if cookie, err := r.Cookie(a.cookieName()); err == nil {
		a.mu.Lock()
		delete(a.sessions, digest(cookie.Value))
		a.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: a.cookieName(), Path: "/", MaxAge: -1, Secure: a.opt.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	if !ok {
		return nil
	}
	return a.opt.Recorder.SignedIn(r.Context(), id.Person, "sign_out", "", true)
}

// cookieName has the prefix with which browsers refuse a cookie from a subdomain or over plain HTTP.
func (a *Authenticator) cookieName() string {
	if a.opt.Secure {
		return "__Host-borderwatch"
	}
	return "borderwatch"
}
