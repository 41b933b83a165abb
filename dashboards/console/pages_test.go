package console_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"borderwatch/dashboards/service"
	"borderwatch/dashboards/service/servicetest"
	"borderwatch/schemas/casework"
)

// TestPagesAndRoles opens every page as nobody and as each role.
func TestPagesAndRoles(t *testing.T) {
	s := newSite(t, nil)
	all := service.Roles
	pages := map[string][]service.Role{
		"/cases": all, "/cases/" + servicetest.ID(1): all, "/alerts": all, "/alerts/" + servicetest.ID(7): all, "/charts": all, "/notices": all, "/tokens": all,
		"/alerts?shadow=yes": all, "/alerts?outcome=suppressed": all, "/partner": {service.Partner}, "/operations": {service.Operator, service.Analyst},
		"/actions": {service.Operator, service.Approver, service.Partner}, "/export/alerts.csv": {service.Analyst, service.Partner},
	}
	stranger := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, roles := range pages {
		if status, _ := s.ask(t, stranger, "GET", path, ""); status != http.StatusSeeOther {
			t.Errorf("nobody opens %s: %d", path, status)
		}
		for _, role := range all {
			want := http.StatusForbidden
			for _, r := range roles {
				if r == role {
					want = http.StatusOK
				}
			}
			if status, text := s.ask(t, s.as(t, "x", role), "GET", path, ""); status != want {
				t.Errorf("%s opens %s: %d, want %d\n%.300s", role, path, status, want, text)
			}
		}
	}
	if s.log.Len() > 0 {
		t.Errorf("log: %s", s.log)
	}
}

// TestStepsByForm works on a case as the buttons do, and refuses forms of other sites.
func TestStepsByForm(t *testing.T) {
	s := newSite(t, nil)
	client := s.as(t, "anna", service.Analyst)
	path := "/cases/" + servicetest.ID(1)
	if status, _ := s.ask(t, client, "POST", path+"/take", "", "Content-Type", asForm, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", status)
	}
	if status, _ := s.ask(t, client, "POST", path+"/take", "", "Content-Type", asForm, "Origin", "https://evil.example"); status != http.StatusForbidden {
		t.Errorf("a form of another origin: %d", status)
	}
	for _, step := range []struct{ step, form string }{
		{"take", ""}, {"comment", "text=looked+at+it"}, {"acknowledge", "reason=r&ticket=T&days=7"}, {"reopen", "reason=r"}, {"close", "reason=done"},
	} {
		if status, text := s.ask(t, client, "POST", path+"/"+step.step, step.form, "Content-Type", asForm, "Sec-Fetch-Site", "same-origin"); status != http.StatusSeeOther {
			t.Errorf("%s: %d %s", step.step, status, text)
		}
	}
	if _, text := s.ask(t, client, "GET", path, ""); !strings.Contains(text, "looked at it") || !strings.Contains(text, `state-closed`) {
		t.Error("the case does not show what was done")
	}
	if status, _ := s.ask(t, client, "POST", path+"/erase", "", "Content-Type", asForm); status != http.StatusNotFound {
		t.Errorf("a step that is not there: %d", status)
	}
}

// TestHeaders: every answer has them, errors too.
func TestHeaders(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"/signin", "/assets/app.js", "/api/v1/cases", "/nothing"} {
		resp, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		csp := resp.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: no %s in %q", path, part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

const attack = `"><script>alert(1)</script><img src=x onerror=alert(2)>' onmouseover='alert(3)` + "\u202e\x00\x1b[31m{{.}}"

// hostile has the attack wherever an event can carry text.
func hostile() casework.Alert {
	return casework.Alert{
		ID: servicetest.ID(8), CaseID: servicetest.ID(4), RuleID: attack, ActorID: attack, ActorKind: attack, Employer: attack, SessionID: attack, SourceIP: attack,
		Country: attack, LocationReason: attack, Evidence: []string{"badge=" + attack}, NetworkOrg: attack, Dataset: attack, System: attack, Regions: attack, Classes: attack,
		Categories: attack, DestCountry: attack, DestEntity: attack, ApprovalID: attack, TicketID: attack, Why: attack, Feed: attack, EventID: attack, Topic: attack,
		Exceptions: []string{attack}, Missing: []string{attack}, Bundle: attack, Action: attack, AccessOutcome: attack,
	}
}

var (
	scripted = regexp.MustCompile(`(?i)<script>|<img|<[^>]*\son[a-z]+=|javascript:|style="`)
	forging  = regexp.MustCompile("[\x00\x1b\u202e]")
)

// TestHostileEvent shows an event with script in every field on every page.
func TestHostileEvent(t *testing.T) {
	s := newSite(t, nil)
	s.memory.Add(hostile())
	client := s.as(t, "anna", service.Roles...)
	if status, _ := s.ask(t, client, "POST", "/cases/"+servicetest.ID(4)+"/comment", "text=%3Cscript%3Ealert(4)%3C/script%3E", "Content-Type", asForm); status != http.StatusSeeOther {
		t.Fatalf("comment: %d", status)
	}
	for _, path := range []string{"/cases?state=all", "/cases/" + servicetest.ID(4), "/alerts", "/alerts/" + servicetest.ID(8), "/charts", "/notices", "/partner", "/operations", "/actions",
		"/cases?actor=" + "%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/cases/%3Cscript%3E", "/signin?to=%22%3E%3Cscript%3E"} {
		_, text := s.ask(t, client, "GET", path, "")
		if found := scripted.FindString(text); found != "" {
			t.Errorf("%s: %q", path, found)
		}
		if found := forging.FindString(text); found != "" {
			t.Errorf("%s has the control character %q", path, found)
		}
	}
}

// TestCSV: what a spreadsheet would take for a formula is text.
func TestCSV(t *testing.T) {
	s := newSite(t, nil)
	for _, formula := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1"} {
		s.memory.Add(casework.Alert{ActorID: formula, Why: formula, Dataset: `a,"b` + "\n=2"})
	}
	status, text := s.ask(t, s.as(t, "anna", service.Analyst), "GET", "/export/alerts.csv", "")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if status != http.StatusOK || err != nil || len(rows) != 10 {
		t.Fatalf("%d, %d rows, %v", status, len(rows), err)
	}
	for _, row := range rows[1:9] {
		for i, cell := range row {
			if first := strings.TrimSpace(cell); first != "" && strings.ContainsAny(first[:1], "=+-@") {
				t.Errorf("column %s: %q", rows[0][i], cell)
			}
		}
	}
	done := s.memory.Done()
	if last := done[len(done)-1]; last.Action != "export_alerts" || last.LedgerIndex < 0 {
		t.Errorf("the export is not recorded: %+v", last)
	}
}

// TestLive is told of a new alert, and not served to strangers.
func TestLive(t *testing.T) {
	s := newSite(t, nil)
	if status, _ := s.ask(t, http.DefaultClient, "GET", "/live", ""); status != http.StatusUnauthorized {
		t.Errorf("a stranger listens: %d", status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	console := s.Config.Handler.(interface{ Run(context.Context) error })
	go func() { _ = console.Run(ctx) }()
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.as(t, "anna", service.Viewer).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	s.memory.Add(casework.Alert{})
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if lines.Text() == "event: change" {
			return
		}
	}
	t.Error("nothing was told")
}

// TestSignInLink is good once.
func TestSignInLink(t *testing.T) {
	s := newSite(t, nil)
	link := s.auth.NewLink(service.Person{Name: "anna", Roles: []service.Role{service.Viewer}})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if status, _ := s.ask(t, client, "GET", link, ""); status != http.StatusSeeOther {
		t.Errorf("first: %d", status)
	}
	if status, text := s.ask(t, client, "GET", link, ""); status != http.StatusBadRequest || !strings.Contains(text, "this link was used") {
		t.Errorf("second: %d", status)
	}
}

// TestStoreIsAway says so to a person and the cause to the log.
func TestStoreIsAway(t *testing.T) {
	s := newSite(t, nil)
	client := s.as(t, "anna", service.Viewer)
	s.memory.Broken = true
	status, text := s.ask(t, client, "GET", "/cases", "")
	if status != http.StatusInternalServerError || strings.Contains(text, "on purpose") || !strings.Contains(s.log.String(), "on purpose") {
		t.Errorf("%d %s\nlog: %s", status, text, s.log)
	}
}
