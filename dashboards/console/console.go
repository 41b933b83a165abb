package console

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
)

//go:embed assets templates
var files embed.FS

// Pulse returns a number that changes whenever an alert arrived or somebody did something. It only reads.
type Pulse interface {
	Pulse(ctx context.Context, now time.Time) (uint64, error)
}

// Options of a Console.
type Options struct {
	Service *service.Service
	Auth    *auth.Authenticator
	Pulse   Pulse
	Log     *slog.Logger
	Version string
	// Origins are further addresses from which browsers may send forms: where a proxy changes the Host header.
	Origins []string
	Now     func() time.Time // nil: time.Now
}

// Console serves pages and API. Run has to run for lists to be live.
type Console struct {
	opt     Options
	service *service.Service
	auth    *auth.Authenticator
	pages   pages
	live    *hub
	handler http.Handler
}

// New builds a console. It starts nothing.
func New(opt Options) (*Console, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	parsed, err := parsePages(files, opt.Now)
	if err != nil {
		return nil, err
	}
	c := &Console{opt: opt, service: opt.Service, auth: opt.Auth, pages: parsed, live: newHub(opt.Pulse, opt.Log, opt.Now)}
	mux := http.NewServeMux()
	if err := c.register(mux); err != nil {
		return nil, err
	}
	c.handler, err = protect(mux, opt.Origins)
	return c, err
}

func (c *Console) register(mux *http.ServeMux) error {
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return err
	}
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", cached(http.FileServerFS(assets))))
	c.registerPages(mux)
	return c.registerAPI(mux)
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Run tells open lists of changes until ctx ends.
func (c *Console) Run(ctx context.Context) error { return c.live.run(ctx) }

// cached lets browsers keep assets for an hour.
func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		next.ServeHTTP(w, r)
	})
}

// maxBody bounds what is read of a request.
const maxBody = 64 << 10

// policy lets a page load only our own files, and lets nobody frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types borderwatch"

// protect sets security headers, bounds bodies, and refuses requests that another site made a browser send.
func protect(next http.Handler, origins []string) (http.Handler, error) {
	cross := http.NewCrossOriginProtection()
	for _, o := range origins {
		if err := cross.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	guarded := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		guarded.ServeHTTP(w, r)
	}), nil
}

// status is the HTTP status of an error of the service.
func status(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, service.ErrForbidden), errors.Is(err, auth.ErrNoRole):
		return http.StatusForbidden
	case errors.Is(err, service.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, service.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, service.ErrInvalid), errors.Is(err, auth.ErrTokens), errors.Is(err, auth.ErrLink):
		return http.StatusBadRequest
	case errors.Is(err, auth.ErrSignIn), errors.Is(err, errSignIn):
		return http.StatusUnauthorized
	case errors.Is(err, auth.ErrTooMany):
		return http.StatusTooManyRequests
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

// errSignIn asks somebody unknown to sign in.
var errSignIn = errors.New("sign in first")

// told is what a person is told of an error: the cause of our own failures is for the log.
func (c *Console) told(r *http.Request, err error) (code int, text string) {
	code = status(err)
	if code != http.StatusInternalServerError {
		return code, err.Error()
	}
	if r.Context().Err() == nil {
		c.opt.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	return code, "this could not be done just now; the log of the console says why"
}
