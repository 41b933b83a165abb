package console_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"borderwatch/dashboards/service"
	"borderwatch/dashboards/service/servicetest"
)

// apiCall is a request that is good for whoever may make it.
type apiCall struct {
	method, path, body string
	status             int // for those who may
	roles              []service.Role
}

var (
	anybody  = service.Roles
	analysts = []service.Role{service.Analyst}
	theCase  = "/api/v1/cases/" + servicetest.ID(1)
)

// apiCalls is written by hand, and not taken from the table that it tests.
var apiCalls = map[string]apiCall{
	"GET /api/v1/cases":                   {path: "/api/v1/cases?since=7d&state=all", status: 200, roles: anybody},
	"GET /api/v1/cases/{id}":              {path: theCase, status: 200, roles: anybody},
	"POST /api/v1/cases/{id}/take":        {path: theCase + "/take", status: 204, roles: analysts},
	"POST /api/v1/cases/{id}/comment":     {path: theCase + "/comment", body: `{"text":"x"}`, status: 204, roles: analysts},
	"POST /api/v1/cases/{id}/acknowledge": {path: theCase + "/acknowledge", body: `{"reason":"r","ticket":"T","until":"2026-11-30T00:00:00Z"}`, status: 204, roles: analysts},
	"POST /api/v1/cases/{id}/confirm":     {path: theCase + "/confirm", status: 409, roles: analysts},
	"POST /api/v1/cases/{id}/close":       {path: theCase + "/close", body: `{"reason":"r"}`, status: 204, roles: analysts},
	"POST /api/v1/cases/{id}/reopen":      {path: theCase + "/reopen", body: `{"reason":"r"}`, status: 409, roles: analysts},
	"GET /api/v1/alerts":                  {path: "/api/v1/alerts?outcome=alert", status: 200, roles: anybody},
	"GET /api/v1/alerts/{id}":             {path: "/api/v1/alerts/" + servicetest.ID(7), status: 200, roles: anybody},
	"GET /api/v1/export/alerts":           {path: "/api/v1/export/alerts", status: 200, roles: []service.Role{service.Analyst, service.Partner}},
	"GET /api/v1/charts/{dimension}":      {path: "/api/v1/charts/country", status: 200, roles: anybody},
	"GET /api/v1/notices":                 {path: "/api/v1/notices", status: 200, roles: anybody},
	"GET /api/v1/partner":                 {path: "/api/v1/partner", status: 200, roles: []service.Role{service.Partner}},
	"GET /api/v1/operations":              {path: "/api/v1/operations", status: 200, roles: []service.Role{service.Operator, service.Analyst}},
	"GET /api/v1/actions":                 {path: "/api/v1/actions", status: 200, roles: []service.Role{service.Operator, service.Approver, service.Partner}},
	"GET /api/v1/me":                      {path: "/api/v1/me", status: 200, roles: anybody},
	"GET /api/v1/tokens":                  {path: "/api/v1/tokens", status: 200, roles: anybody},
	"POST /api/v1/tokens":                 {path: "/api/v1/tokens", body: `{"label":"x","roles":["ROLE"],"days":1}`, status: 200, roles: anybody},
	"DELETE /api/v1/tokens/{id}":          {path: "/api/v1/tokens/none", status: 404, roles: anybody},
}

// document is what a test looks at in the OpenAPI document.
type document struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string         `json:"operationId"`
		Roles       []service.Role `json:"x-roles"`
		RequestBody map[string]any `json:"requestBody"`
		Responses   map[string]any
	}
	Components struct {
		Schemas map[string]map[string]any
	}
}

func openAPI(t *testing.T, s *site) (document, string) {
	t.Helper()
	status, text := s.ask(t, http.DefaultClient, "GET", "/api/openapi.json", "")
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil || status != http.StatusOK || d.OpenAPI != "3.1.0" {
		t.Fatalf("the document: %d, %v, version %q", status, err, d.OpenAPI)
	}
	return d, text
}

// TestEveryRouteAndRole asks every route of the document as nobody, and as each role alone.
func TestEveryRouteAndRole(t *testing.T) {
	d, _ := openAPI(t, newSite(t, nil))
	documented := 0
	for path, methods := range d.Paths {
		for method, operation := range methods {
			documented++
			name := strings.ToUpper(method) + " " + path
			call, ok := apiCalls[name]
			if !ok {
				t.Errorf("%s is in the document and has no test", name)
				continue
			}
			if !slices.Equal(sorted(operation.Roles), sorted(call.roles)) {
				t.Errorf("%s: the document says %v", name, operation.Roles)
			}
			if (operation.RequestBody != nil) != (call.body != "") {
				t.Errorf("%s: body in the document: %v", name, operation.RequestBody != nil)
			}
			call.method = strings.ToUpper(method)
			t.Run(name, func(t *testing.T) { tryRoles(t, call) })
		}
	}
	if documented != len(apiCalls) {
		t.Errorf("%d routes in the document, %d in the test", documented, len(apiCalls))
	}
}

func sorted(roles []service.Role) []service.Role { return slices.Sorted(slices.Values(roles)) }

func tryRoles(t *testing.T, call apiCall) {
	s := newSite(t, nil)
	if status, _ := s.ask(t, http.DefaultClient, call.method, call.path, call.body, "Content-Type", asJSON); status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", status)
	}
	for _, role := range service.Roles {
		s := newSite(t, nil)
		want := call.status
		if !slices.Contains(call.roles, role) {
			want = http.StatusForbidden
		}
		body := strings.ReplaceAll(call.body, "ROLE", string(role))
		if status, text := s.ask(t, s.as(t, "x", role), call.method, call.path, body, "Content-Type", asJSON); status != want {
			t.Errorf("%s: %d, want %d: %s", role, status, want, text)
		}
	}
}

// TestDocumentRefersToWhatIsThere follows every reference, and looks at routes that the document has and the mux lacks.
func TestDocumentRefersToWhatIsThere(t *testing.T) {
	s := newSite(t, nil)
	d, text := openAPI(t, s)
	for ref := range strings.SplitSeq(text, `"$ref": "#/components/schemas/`) {
		name, _, _ := strings.Cut(ref, `"`)
		if strings.HasPrefix(ref, "{") {
			continue // what is before the first
		}
		if d.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
	seen := map[string]bool{}
	for path, methods := range d.Paths {
		for method, operation := range methods {
			if seen[operation.OperationID] {
				t.Errorf("%s is the operation of two routes", operation.OperationID)
			}
			seen[operation.OperationID] = true
			if operation.Responses["401"] == nil || operation.Responses["403"] == nil {
				t.Errorf("%s %s does not say that it can be refused", method, path)
			}
		}
	}
	if status, text := s.ask(t, s.as(t, "x", service.Viewer), "GET", "/api/v1/nothing", ""); status != http.StatusNotFound || !strings.Contains(text, `"status":404`) {
		t.Errorf("a route that is not there: %d %s", status, text)
	}
}

// TestAnswersHaveDocumentedFields compares real answers with the document's schemas, both ways.
func TestAnswersHaveDocumentedFields(t *testing.T) {
	s := newSite(t, nil)
	d, _ := openAPI(t, s)
	client := s.as(t, "x", service.Analyst)
	for path, schema := range map[string]string{
		"/api/v1/cases": "service_CaseList", theCase: "service_Case", "/api/v1/alerts/" + servicetest.ID(7): "service_AlertPage", "/api/v1/me": "console_me",
		"/api/v1/operations": "service_OperationsPage", "/api/v1/charts/rule": "service_Chart",
	} {
		_, text := s.ask(t, client, "GET", path, "")
		var answer map[string]any
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		properties, _ := d.Components.Schemas[schema]["properties"].(map[string]any)
		required, _ := d.Components.Schemas[schema]["required"].([]any)
		for name := range answer {
			if properties[name] == nil {
				t.Errorf("%s: %s is not in schema %s", path, name, schema)
			}
		}
		for _, name := range required {
			if _, ok := answer[name.(string)]; !ok {
				t.Errorf("%s: lacks %s, which schema %s requires", path, name, schema)
			}
		}
	}
}

// TestBadRequests names what is wrong.
func TestBadRequests(t *testing.T) {
	s := newSite(t, nil)
	client := s.as(t, "x", service.Analyst)
	for _, test := range []struct {
		method, path, body, kind string
		status                   int
		says                     string
	}{
		{"GET", "/api/v1/cases?sinse=7d", "", "", 400, "sinse is no parameter"},
		{"GET", "/api/v1/cases?since=x", "", "", 400, "such as 24h or 7d"},
		{"GET", "/api/v1/cases?since=401d", "", "", 400, "at most 400d"},
		{"GET", "/api/v1/cases?state=openn", "", "", 400, "state is all or one of"},
		{"GET", "/api/v1/alerts?before=yesterday", "", "", 400, "before is a time"},
		{"GET", "/api/v1/alerts?outcome=bad", "", "", 400, "outcome is"},
		{"GET", "/api/v1/charts/colour", "", "", 400, "dimension is one of"},
		{"GET", "/api/v1/cases/abc", "", "", 404, "no such thing"},
		{"POST", theCase + "/comment", `{"txt":"x"}`, asJSON, 400, "unknown field"},
		{"POST", theCase + "/comment", `{"text":" "}`, asJSON, 400, "text is required"},
		{"POST", theCase + "/comment", `{"text":"x"}`, "text/plain", 400, "want application/json"},
		{"POST", theCase + "/comment", `{"text":"` + strings.Repeat("x", 70_000) + `"}`, asJSON, 413, "too large"},
		{"POST", theCase + "/acknowledge", `{"reason":"r","ticket":"T","until":"2027-11-30T00:00:00Z"}`, asJSON, 400, "next 30 days"},
		{"POST", "/api/v1/tokens", `{"label":"x","roles":["partner"],"days":1}`, asJSON, 400, "your own roles"},
		{"POST", "/api/v1/tokens", `{"label":"x","roles":["analyst"],"days":91}`, asJSON, 400, "at most 90 days"},
	} {
		status, text := s.ask(t, client, test.method, test.path, test.body, "Content-Type", test.kind)
		if status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s %s: %d %s; want %d with %q", test.method, test.path, status, text, test.status, test.says)
		}
	}
}

// TestTokens makes a token, uses it, and ends it.
func TestTokens(t *testing.T) {
	s := newSite(t, nil)
	client := s.as(t, "anna", service.Analyst, service.Operator)
	status, text := s.ask(t, client, "POST", "/api/v1/tokens", `{"label":"script","roles":["analyst"],"days":1}`, "Content-Type", asJSON)
	var made struct{ ID, Secret, Hash string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || status != 200 || made.Secret == "" || made.Hash != "" {
		t.Fatalf("%d %s", status, text)
	}
	bearer := []string{"Authorization", "Bearer " + made.Secret, "Content-Type", asJSON}
	if status, text := s.ask(t, http.DefaultClient, "POST", theCase+"/take", "", bearer...); status != http.StatusNoContent {
		t.Errorf("the token takes a case: %d %s", status, text)
	}
	if status, _ := s.ask(t, http.DefaultClient, "GET", "/api/v1/actions", "", bearer...); status != http.StatusForbidden {
		t.Errorf("the token has a role that it was not given: %d", status)
	}
	if status, _ := s.ask(t, http.DefaultClient, "POST", "/api/v1/tokens", `{"label":"x","roles":["analyst"],"days":90}`, bearer...); status != http.StatusForbidden {
		t.Errorf("a token makes another: %d", status)
	}
	s.memory.Pass(24 * 60 * 60 * 1e9)
	if status, _ := s.ask(t, http.DefaultClient, "GET", "/api/v1/cases", "", bearer...); status != http.StatusUnauthorized {
		t.Errorf("the token is over: %d", status)
	}
}
