package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
	"borderwatch/schemas/casework"
)

// pageHandler answers a person who has signed in; its error becomes a page.
type pageHandler func(w http.ResponseWriter, r *http.Request, me *auth.Identity) error

func (c *Console) registerPages(mux *http.ServeMux) {
	mux.HandleFunc("GET /signin", c.serveSignIn)
	mux.HandleFunc("POST /signin", c.doSignIn)
	mux.HandleFunc("GET "+auth.LinkPath+"{secret}", c.openLink)
	mux.HandleFunc("GET /signin/oidc", c.beginOIDC)
	mux.HandleFunc("GET "+auth.CallbackPath, c.finishOIDC)
	mux.HandleFunc("POST /signout", c.signOut)
	mux.HandleFunc("GET /live", c.serveLive)
	for pattern, h := range map[string]pageHandler{
		"GET /{$}":                c.home,
		"GET /cases":              c.casesPage,
		"GET /cases/{id}":         c.casePage,
		"POST /cases/{id}/{step}": c.caseStep,
		"GET /alerts":             c.alertsPage,
		"GET /alerts/{id}":        c.alertPage,
		"GET /export/alerts.csv":  c.exportCSV,
		"GET /charts":             c.chartsPage,
		"GET /notices":            c.noticesPage,
		"GET /partner":            c.partnerPage,
		"GET /operations":         c.operationsPage,
		"GET /actions":            c.actionsPage,
		"GET /tokens":             c.tokensPage,
		"POST /tokens":            c.doToken,
		"/":                       c.nowhere,
	} {
		mux.Handle(pattern, c.signedIn(h))
	}
}

// signedIn sends strangers to the sign-in page and remembers where they wanted to go.
func (c *Console) signedIn(h pageHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		me, ok := c.auth.Identify(r)
		if !ok || me.Token {
			to := "/signin"
			if r.Method == http.MethodGet && r.URL.Path != "/" {
				to += "?to=" + url.QueryEscape(r.URL.RequestURI())
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		}
		me.Channel = service.Page
		if err := h(w, r, &me); err != nil {
			c.fail(w, r, &me, err)
		}
	})
}

func (c *Console) nowhere(_ http.ResponseWriter, _ *http.Request, _ *auth.Identity) error {
	return service.ErrNotFound
}

// home is the page that a person's work begins with.
func (c *Console) home(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	to := "/cases"
	switch {
	case me.Has(service.Analyst) || me.Has(service.Viewer):
	case me.Has(service.Partner):
		to = "/partner"
	case me.Has(service.Operator):
		to = "/operations"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// casesData is the list with its counts.
type casesData struct {
	service.CaseList
	States []string
	Ranges []string
}

var ranges = []string{"1h", "24h", "7d", "30d", "90d"}

func (c *Console) casesPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	q, err := caseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := c.service.Cases(r.Context(), me.Person, q)
	if err != nil {
		return err
	}
	data := casesData{CaseList: list, Ranges: ranges, States: []string{"", "open", "taken", "waiting", "acknowledged", "closed", "all"}}
	c.show(w, r, "cases", http.StatusOK, &view{Title: "Cases", Page: "cases", Me: me, Data: &data})
	return nil
}

type caseData struct {
	service.Case
	Members service.AlertList
	Similar []service.Case
	Days    []int // offered for an acknowledgement
}

func (c *Console) casePage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	one, err := c.service.Case(r.Context(), me.Person, r.PathValue("id"))
	if err != nil {
		return err
	}
	data := caseData{Case: one, Days: []int{1, 7, 14, 30}}
	if data.Members, err = c.service.Alerts(r.Context(), me.Person, service.AlertQuery{Case: one.ID, Limit: 50}); err != nil {
		return err
	}
	if data.Similar, err = c.service.Similar(r.Context(), me.Person, &one); err != nil {
		return err
	}
	v := &view{Title: "Case " + one.ID[:8], Page: "cases", Me: me, Flash: flashes[r.URL.Query().Get("done")], Data: &data}
	c.show(w, r, "case", http.StatusOK, v)
	return nil
}

// flashes are what a page says after a step. They come by word, so that a link cannot put text on the page.
var flashes = map[string]string{
	"take": "The case is yours.", "comment": "The comment is kept.", "acknowledge": "Acknowledged.", "confirm": "Confirmed.",
	"close": "Closed. The next alert opens it again.", "reopen": "Open again.",
}

func (c *Console) caseStep(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, step := r.PathValue("id"), r.PathValue("step")
	if err := c.doStep(r, me, id, step); err != nil {
		return err
	}
	http.Redirect(w, r, "/cases/"+id+"?done="+step, http.StatusSeeOther)
	return nil
}

func (c *Console) doStep(r *http.Request, me *auth.Identity, id, step string) error {
	ctx, s, p := r.Context(), c.service, me.Person
	switch step {
	case "take":
		return s.Take(ctx, p, id)
	case "comment":
		return s.Comment(ctx, p, id, r.PostFormValue("text"))
	case "confirm":
		return s.Confirm(ctx, p, id)
	case "close":
		// A form without the field, or with another's, closes what is there.
		looked, _ := time.Parse(time.RFC3339Nano, r.PostFormValue("looked"))
		return s.Close(ctx, p, id, r.PostFormValue("reason"), looked)
	case "reopen":
		return s.Reopen(ctx, p, id, r.PostFormValue("reason"))
	case "acknowledge":
		days, err := strconv.Atoi(r.PostFormValue("days"))
		if err != nil || days < 1 || days > 30 {
			return fmt.Errorf("%w: days is 1 to 30", service.ErrInvalid)
		}
		until := c.opt.Now().Add(time.Duration(days)*24*time.Hour - time.Minute)
		return s.Acknowledge(ctx, p, id, service.Acknowledgement{Reason: r.PostFormValue("reason"), Ticket: r.PostFormValue("ticket"), Until: until})
	}
	return service.ErrNotFound
}

type alertsData struct {
	service.AlertList
	Tab    string
	Next   string
	Export string
	Ranges []string
}

func (c *Console) alertsPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	q, err := alertQuery(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := c.service.Alerts(r.Context(), me.Person, q)
	if err != nil {
		return err
	}
	data := alertsData{AlertList: list, Tab: "all", Export: "/export/alerts.csv?" + r.URL.Query().Encode(), Ranges: ranges}
	switch {
	case q.Shadow:
		data.Tab = "shadow"
	case q.Outcome == "suppressed":
		data.Tab = "suppressed"
	}
	v := &view{Title: "Alerts", Page: "alerts", Me: me, URL: r.URL, Data: &data}
	if !list.Next.IsZero() {
		data.Next = v.With("before", list.Next.UTC().Format(time.RFC3339Nano))
	}
	c.show(w, r, "alerts", http.StatusOK, v)
	return nil
}

type alertData struct {
	service.AlertPage
	Strip strip
	More  []casework.Alert // of the same case
}

func (c *Console) alertPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	page, err := c.service.Alert(r.Context(), me.Person, r.PathValue("id"))
	if err != nil {
		return err
	}
	data := alertData{AlertPage: page, Strip: newStrip(&page)}
	more, err := c.service.Alerts(r.Context(), me.Person, service.AlertQuery{Case: page.CaseID, Limit: 10})
	if err != nil {
		return err
	}
	data.More = slices.DeleteFunc(more.Alerts, func(a casework.Alert) bool { return a.ID == page.ID })
	// Whoever reads the alert has seen its case.
	if !page.Shadow && page.Outcome != "suppressed" {
		if _, err := c.service.Case(r.Context(), me.Person, page.CaseID); err != nil {
			return err
		}
	}
	c.show(w, r, "alert", http.StatusOK, &view{Title: "Alert " + page.ID[:8], Page: "alerts", Me: me, Data: &data})
	return nil
}

func (c *Console) exportCSV(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	q, err := alertQuery(r.URL.Query())
	if err != nil {
		return err
	}
	alerts, err := c.service.Export(r.Context(), me.Person, q)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="alerts.csv"`)
	return writeCSV(w, alerts)
}
