package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"borderwatch/dashboards/service"
)

// OIDCConfig says how people of an OpenID Connect provider sign in.
type OIDCConfig struct {
	Issuer       string // as in the provider's discovery document
	ClientID     string
	ClientSecret string
	RedirectURL  string // the console's address with CallbackPath
	// GroupsClaim of the ID token holds the groups. Default groups.
	GroupsClaim string
	// NameClaim is what a person is called in records: it must be unique and not chosen by the person. Default sub.
	NameClaim string
	Scopes    []string // beside openid
	Roles     map[string][]service.Role
	HTTP      *http.Client // nil: http.DefaultClient
}

// CallbackPath is where the provider sends people back to.
const CallbackPath = "/signin/oidc/callback"

// OIDC signs people in with an OpenID Connect provider: authorization code with PKCE (RFC 7636), state and nonce.
type OIDC struct {
	cfg OIDCConfig

	mu       sync.Mutex
	provider *oidc.Provider
}

// NewOIDC returns a client of a provider. The provider is asked at the first sign-in, so that the console starts without it.
func NewOIDC(cfg OIDCConfig) *OIDC {
	if cfg.GroupsClaim == "" {
		cfg.GroupsClaim = "groups"
	}
	if cfg.NameClaim == "" {
		cfg.NameClaim = "sub"
	}
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	return &OIDC{cfg: cfg}
}

func (o *OIDC) client(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		// The provider keeps the context for fetching keys, beyond this request.
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), o.cfg.HTTP), o.cfg.Issuer)
		if err != nil {
			return nil, nil, fmt.Errorf("OpenID Connect provider: %w", err)
		}
		o.provider = p
	}
	config := &oauth2.Config{
		ClientID: o.cfg.ClientID, ClientSecret: o.cfg.ClientSecret, Endpoint: o.provider.Endpoint(), RedirectURL: o.cfg.RedirectURL,
		Scopes: append([]string{oidc.ScopeOpenID}, o.cfg.Scopes...),
	}
	return config, o.provider.Verifier(&oidc.Config{ClientID: o.cfg.ClientID}), nil
}

const flowSeconds = 600

func (a *Authenticator) flowCookie() string { return a.cookieName() + "-oidc" }

// BeginOIDC sends a person to the provider.
func (a *Authenticator) BeginOIDC(w http.ResponseWriter, r *http.Request) error {
	if a.opt.OIDC == nil {
		return errDisabled
	}
	config, _, err := a.opt.OIDC.client(r.Context())
	if err != nil {
		return err
	}
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	http.SetCookie(w, &http.Cookie{
		Name: a.flowCookie(), Value: state + "." + nonce + "." + verifier, Path: "/", MaxAge: flowSeconds, Secure: a.opt.Secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
	return nil
}

// errFlow is told to a person who comes back from the provider with what is not theirs, or too late.
var errFlow = errors.New("the sign-in was not begun here, or too long ago; begin again")

// FinishOIDC takes a person back from the provider and begins a session.
func (a *Authenticator) FinishOIDC(w http.ResponseWriter, r *http.Request) error {
	if a.opt.OIDC == nil {
		return errDisabled
	}
	cookie, err := r.Cookie(a.flowCookie())
	if err != nil {
		return errFlow
	}
	http.SetCookie(w, &http.Cookie{Name: a.flowCookie(), Path: "/", MaxAge: -1, Secure: a.opt.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	flow := strings.Split(cookie.Value, ".")
	if len(flow) != 3 || subtle.ConstantTimeCompare([]byte(flow[0]), []byte(r.URL.Query().Get("state"))) != 1 {
		return errFlow
	}
	person, err := a.opt.OIDC.person(r.Context(), r.URL.Query(), flow[1], flow[2])
	if err != nil {
		return errors.Join(err, a.opt.Recorder.SignedIn(r.Context(), person, "sign_in", "oidc", false))
	}
	return a.begin(w, r, Identity{Person: person}, "oidc")
}

// person exchanges the code for an ID token, verifies it and maps groups to roles.
func (o *OIDC) person(ctx context.Context, answer url.Values, nonce, verifier string) (service.Person, error) {
	p := service.Person{Channel: service.Page}
	if word := answer.Get("error"); word != "" {
		return p, fmt.Errorf("the provider says %.100q", word)
	}
	config, check, err := o.client(ctx)
	if err != nil {
		return p, err
	}
	ctx = oidc.ClientContext(ctx, o.cfg.HTTP)
	token, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return p, fmt.Errorf("exchange the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return p, errors.New("the provider gave no ID token")
	}
	id, err := check.Verify(ctx, raw)
	if err != nil {
		return p, fmt.Errorf("ID token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return p, errFlow
	}
	return o.claims(id)
}

func (o *OIDC) claims(id *oidc.IDToken) (service.Person, error) {
	p := service.Person{Channel: service.Page}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return p, fmt.Errorf("claims: %w", err)
	}
	p.Name, _ = claims[o.cfg.NameClaim].(string)
	if !userName.MatchString(p.Name) {
		return p, fmt.Errorf("the claim %s is no name of at most 64 letters, digits and . _ @ -", o.cfg.NameClaim)
	}
	groups, _ := claims[o.cfg.GroupsClaim].([]any)
	for _, g := range groups {
		name, _ := g.(string)
		for _, role := range o.cfg.Roles[name] {
			if !slices.Contains(p.Roles, role) {
				p.Roles = append(p.Roles, role)
			}
		}
	}
	return p, nil
}
