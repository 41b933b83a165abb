package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
)

// call is one request to the API.
type call struct {
	*http.Request
	id    auth.Identity
	query url.Values
	body  []byte
}

// read reads the body into v and refuses keys that v does not have.
func (c *call) read(v any) error {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: body: %v", service.ErrInvalid, err)
	}
	return nil
}

// problem is the body of an error (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func (c *Console) registerAPI(mux *http.ServeMux) error {
	document, err := c.document()
	if err != nil {
		return err
	}
	mux.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // the client is gone; nothing else can fail
	})
	for _, route := range c.routes() {
		mux.Handle(route.Method+" "+route.Path, c.serve(route))
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		c.refuse(w, r, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, service.ErrNotFound))
	})
	return nil
}

// serve answers one route: who, what, and the answer as JSON.
func (c *Console) serve(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := c.auth.Identify(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="borderwatch"`)
			c.refuse(w, r, errSignIn)
			return
		}
		id.Channel = service.API
		call, err := newCall(r, id, route)
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		answer, err := route.Do(call)
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		c.answer(w, r, http.StatusOK, answer)
	})
}

func newCall(r *http.Request, id auth.Identity, route route) (*call, error) {
	c := &call{Request: r, id: id, query: r.URL.Query()}
	for name := range c.query {
		if !slices.ContainsFunc(route.Query, func(p param) bool { return p.Name == name }) {
			return nil, fmt.Errorf("%w: %s is no parameter of this", service.ErrInvalid, name)
		}
	}
	if route.Body == nil {
		return c, nil
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		return nil, fmt.Errorf("%w: Content-Type is %q, want application/json", service.ErrInvalid, kind)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		return nil, err
	}
	c.body = b.Bytes()
	return c, nil
}

func (c *Console) answer(w http.ResponseWriter, r *http.Request, code int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	if err := e.Encode(v); err != nil {
		c.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // the client is gone; nothing else can fail
}

func (c *Console) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code, text := c.told(r, err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(problem{http.StatusText(code), code, text}) // as above
}

// since reads a stretch of time back from now: 24h, 7d.
func since(q url.Values) (time.Duration, error) {
	text := q.Get("since")
	if text == "" {
		return service.DefaultSince, nil
	}
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && text == fmt.Sprintf("%dd", days) && days > 0 && days <= 400 {
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > service.MaxSince {
		return 0, fmt.Errorf("%w: since is a time back from now such as 24h or 7d, at most 400d", service.ErrInvalid)
	}
	return d, nil
}

func caseQuery(q url.Values) (service.CaseQuery, error) {
	back, err := since(q)
	if err != nil {
		return service.CaseQuery{}, err
	}
	state := service.State(q.Get("state"))
	out := service.CaseQuery{
		Since: back, State: state, Mine: q.Get("mine") == "yes", Severity: q.Get("severity"), Rule: q.Get("rule"), Actor: q.Get("actor"),
		Country: q.Get("country"), Dataset: q.Get("dataset"), Kind: q.Get("kind"),
	}
	switch {
	case state == "all":
		out.State, out.All = "", true
	case state != "" && !slices.Contains(service.States, state):
		return out, fmt.Errorf("%w: state is all or one of %v", service.ErrInvalid, service.States)
	}
	if out.Kind != "" && out.Kind != "policy" && out.Kind != "gap" {
		return out, fmt.Errorf("%w: kind is policy or gap", service.ErrInvalid)
	}
	return out, nil
}

func alertQuery(q url.Values) (service.AlertQuery, error) {
	back, err := since(q)
	if err != nil {
		return service.AlertQuery{}, err
	}
	out := service.AlertQuery{Since: back, Case: q.Get("case"), Rule: q.Get("rule"), Actor: q.Get("actor"), Country: q.Get("country"), Outcome: q.Get("outcome"),
		Shadow: q.Get("shadow") == "yes"}
	if !slices.Contains([]string{"", "alert", "unknown", "error", "suppressed"}, out.Outcome) {
		return out, fmt.Errorf("%w: outcome is alert, unknown, error or suppressed", service.ErrInvalid)
	}
	if text := q.Get("before"); text != "" {
		if out.Before, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return out, fmt.Errorf("%w: before is a time such as 2026-11-24T09:00:00Z", service.ErrInvalid)
		}
	}
	return out, nil
}
