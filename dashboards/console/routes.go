package console

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
	"borderwatch/schemas/casework"
)

// route is one function of the API. The OpenAPI document is made of these.
type route struct {
	Method, Path string
	Operation    service.Operation
	Summary      string
	Query        []param
	Body         any // an example of the type, nil where there is none
	Answer       any // likewise; nil where the answer is empty
	Do           func(*call) (any, error)
}

// param is a parameter of the query.
type param struct{ Name, About string }

var (
	paramSince  = param{"since", "how far back: 24h, 7d (default), at most 400d"}
	caseParams  = []param{paramSince, {"state", "open, taken, waiting, acknowledged, closed or all; without it, those that somebody has to look at"}, {"mine", "yes: those you have taken"}, {"severity", ""}, {"rule", "a rule's id"}, {"actor", "an actor's id"}, {"country", "candidate countries as stored, such as CN, CN|DE or any"}, {"dataset", ""}, {"kind", "policy or gap"}}
	alertParams = []param{paramSince, {"case", "a case's id; then of the last 400 days"}, {"rule", ""}, {"actor", ""}, {"country", ""}, {"outcome", "alert, unknown, error or suppressed"}, {"shadow", "yes: those of shadow rules and no others"}, {"before", "events before this time: next_before of the list before"}}
)

type textBody struct {
	Text string `json:"text"`
}

type closeBody struct {
	Reason string    `json:"reason"`
	Looked time.Time `json:"looked,omitzero"` // arrived of the case as you saw it; an alert found later opens it again
}

type reasonBody struct {
	Reason string `json:"reason"`
}

type tokenBody struct {
	Label string         `json:"label"`
	Roles []service.Role `json:"roles"`
	Days  int            `json:"days"`
}

// madeToken is the one answer that has the secret of a token.
type madeToken struct {
	auth.Token
	Secret string `json:"secret"`
}

// me is who asks.
type me struct {
	Name       string              `json:"name"`
	Roles      []service.Role      `json:"roles"`
	Operations []service.Operation `json:"operations"`
}

func (c *Console) routes() []route {
	return slices.Concat(c.caseRoutes(), c.alertRoutes(), c.oversightRoutes(), c.tokenRoutes())
}

func (c *Console) caseRoutes() []route {
	const one = "/api/v1/cases/{id}"
	s := c.service
	return []route{
		{"GET", "/api/v1/cases", service.ListCases, "List cases, the gravest first", caseParams, nil, service.CaseList{}, func(r *call) (any, error) {
			q, err := caseQuery(r.query)
			if err != nil {
				return nil, err
			}
			return s.Cases(r.Context(), r.id.Person, q)
		}},
		{"GET", one, service.ReadCase, "One case with everything that was done", nil, nil, service.Case{}, func(r *call) (any, error) {
			return s.Case(r.Context(), r.id.Person, r.PathValue("id"))
		}},
		{"POST", one + "/take", service.TakeCase, "Become the one who works on a case", nil, nil, nil, func(r *call) (any, error) {
			return nil, s.Take(r.Context(), r.id.Person, r.PathValue("id"))
		}},
		{"POST", one + "/comment", service.CommentCase, "Add a text to a case", nil, textBody{}, nil, withBody(func(r *call, b textBody) error {
			return s.Comment(r.Context(), r.id.Person, r.PathValue("id"), b.Text)
		})},
		{"POST", one + "/acknowledge", service.AcknowledgeCase, "Make a case quiet for at most 30 days; high and critical ones when another person confirms it", nil, service.Acknowledgement{}, nil,
			withBody(func(r *call, b service.Acknowledgement) error {
				return s.Acknowledge(r.Context(), r.id.Person, r.PathValue("id"), b)
			})},
		{"POST", one + "/confirm", service.ConfirmCase, "Confirm what another person acknowledged", nil, nil, nil, func(r *call) (any, error) {
			return nil, s.Confirm(r.Context(), r.id.Person, r.PathValue("id"))
		}},
		{"POST", one + "/close", service.CloseCase, "Close a case; the next alert opens it again", nil, closeBody{}, nil, withBody(func(r *call, b closeBody) error {
			return s.Close(r.Context(), r.id.Person, r.PathValue("id"), b.Reason, b.Looked)
		})},
		{"POST", one + "/reopen", service.ReopenCase, "Take up a quiet case again", nil, reasonBody{}, nil, withBody(func(r *call, b reasonBody) error {
			return s.Reopen(r.Context(), r.id.Person, r.PathValue("id"), b.Reason)
		})},
	}
}

// withBody reads a body of a type for a function without an answer.
func withBody[T any](do func(*call, T) error) func(*call) (any, error) {
	return func(r *call) (any, error) {
		var b T
		if err := r.read(&b); err != nil {
			return nil, err
		}
		return nil, do(r, b)
	}
}

func (c *Console) alertRoutes() []route {
	s := c.service
	return []route{
		{"GET", "/api/v1/alerts", service.ListAlerts, "List single alerts, the latest first", alertParams, nil, service.AlertList{}, func(r *call) (any, error) {
			q, err := alertQuery(r.query)
			if err != nil {
				return nil, err
			}
			return s.Alerts(r.Context(), r.id.Person, q)
		}},
		{"GET", "/api/v1/alerts/{id}", service.ReadAlert, "One alert with everything that explains it", nil, nil, service.AlertPage{}, func(r *call) (any, error) {
			return s.Alert(r.Context(), r.id.Person, r.PathValue("id"))
		}},
		{"GET", "/api/v1/export/alerts", service.ExportAlerts, "At most 10,000 alerts at once; each export is recorded", alertParams, nil, []casework.Alert{}, func(r *call) (any, error) {
			q, err := alertQuery(r.query)
			if err != nil {
				return nil, err
			}
			return s.Export(r.Context(), r.id.Person, q)
		}},
		{"GET", "/api/v1/charts/{dimension}", service.ReadCharts, "Alerts over time by verdict, severity, country or rule", []param{paramSince}, nil, service.Chart{}, func(r *call) (any, error) {
			back, err := since(r.query)
			if err != nil {
				return nil, err
			}
			return s.Chart(r.Context(), r.id.Person, r.PathValue("dimension"), back)
		}},
	}
}

func (c *Console) oversightRoutes() []route {
	s := c.service
	return []route{
		{"GET", "/api/v1/notices", service.ListNotices, "What no single event shows: gaps, silent feeds, refused bundles and more", []param{paramSince, {"kind", ""}}, nil, []casework.Notice{}, func(r *call) (any, error) {
			back, err := since(r.query)
			if err != nil {
				return nil, err
			}
			return s.Notices(r.Context(), r.id.Person, r.query.Get("kind"), back)
		}},
		{"GET", "/api/v1/partner", service.ReadPartner, "What the independent partner begins with", nil, nil, service.PartnerPage{}, func(r *call) (any, error) {
			return s.Partner(r.Context(), r.id.Person)
		}},
		{"GET", "/api/v1/operations", service.ReadOperations, "Feeds, dead letters and bundles in force", nil, nil, service.OperationsPage{}, func(r *call) (any, error) {
			return s.Operations(r.Context(), r.id.Person)
		}},
		{"GET", "/api/v1/actions", service.ListActions, "What people did, refused attempts among it", []param{paramSince}, nil, []casework.Action{}, func(r *call) (any, error) {
			back, err := since(r.query)
			if err != nil {
				return nil, err
			}
			return s.Actions(r.Context(), r.id.Person, back)
		}},
	}
}

func (c *Console) tokenRoutes() []route {
	return []route{
		{"GET", "/api/v1/me", service.ManageTokens, "Who you are and what you may do", nil, nil, me{}, func(r *call) (any, error) {
			out := me{Name: r.id.Name, Roles: r.id.Roles}
			for _, op := range service.Operations() {
				if service.Allowed(r.id.Person, op) {
					out.Operations = append(out.Operations, op)
				}
			}
			return out, nil
		}},
		{"GET", "/api/v1/tokens", service.ManageTokens, "Your API tokens", nil, nil, []auth.Token{}, func(r *call) (any, error) {
			return c.auth.Tokens().Of(r.id.Name, c.opt.Now()), nil
		}},
		{"POST", "/api/v1/tokens", service.ManageTokens, "Make an API token; a token cannot make another", nil, tokenBody{}, madeToken{}, func(r *call) (any, error) {
			var b tokenBody
			if err := r.read(&b); err != nil {
				return nil, err
			}
			return c.makeToken(r.Request, &r.id, b)
		}},
		{"DELETE", "/api/v1/tokens/{id}", service.ManageTokens, "End one of your API tokens", nil, nil, nil, func(r *call) (any, error) {
			return nil, c.revokeToken(r.Request, &r.id, r.PathValue("id"))
		}},
	}
}

func (c *Console) makeToken(r *http.Request, id *auth.Identity, b tokenBody) (madeToken, error) {
	if id.Token {
		return madeToken{}, fmt.Errorf("a token cannot make another: %w", service.ErrForbidden)
	}
	token, secret, err := c.auth.Tokens().Make(id, b.Label, b.Roles, time.Duration(b.Days)*24*time.Hour, c.opt.Now())
	if err != nil {
		return madeToken{}, err
	}
	token.Hash = ""
	return madeToken{token, secret}, c.service.SignedIn(r.Context(), id.Person, "token_made", token.ID, true)
}

func (c *Console) revokeToken(r *http.Request, id *auth.Identity, token string) error {
	found, err := c.auth.Tokens().Revoke(id.Name, token)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("token %s: %w", token, service.ErrNotFound)
	}
	return c.service.SignedIn(r.Context(), id.Person, "token_revoked", token, true)
}
