package console_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"borderwatch/dashboards/service"
	"borderwatch/dashboards/service/servicetest"
	"borderwatch/schemas/casework"
)

var shots = flag.String("shots", "", "keep screenshots of the browser test in this `folder`")

// tab is a page in a real browser.
type tab struct {
	ctx context.Context
	t   *testing.T
	mu  sync.Mutex
	// complaints are errors of scripts and refusals of the content security policy.
	complaints []string
}

func newTab(t *testing.T) *tab {
	t.Helper()
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("NO BROWSER TEST: there is no Chromium on this machine (Debian: apt-get install chromium)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox)...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	b := &tab{ctx: ctx, t: t}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.complaints = append(b.complaints, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.TextContent(chromedp.CSS(selector)))
	if err != nil {
		b.t.Fatalf("%s: %v", selector, err)
	}
	return text
}

func (b *tab) theme(word string, width int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 900))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: word}}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// shoot keeps a picture where somebody wants to look at it.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// quiet fails where the browser complained.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser says: %s", c)
	}
	b.complaints = nil
}

// click waits until the page that a click leads to is there.
func (b *tab) click(selector, then string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)), chromedp.WaitVisible(chromedp.CSS(then)))
}

// TestSecurityTeamInABrowser goes the way from a link to a closed case, with mouse and keys.
func TestSecurityTeamInABrowser(t *testing.T) {
	b := newTab(t)
	j := newFixedJudge(t)
	s := newSite(t, func(p *service.Parts) { p.Judge = j })
	s.memory.Add(casework.Alert{CaseID: servicetest.ID(2), ActorID: "u-2001", Severity: "medium", Country: "any", LocationVerdict: "masked", CaseKind: "gap", Evidence: []string{}})
	run, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = s.Config.Handler.(interface{ Run(context.Context) error }).Run(run) }()

	b.theme("light", 1280)
	link := s.URL + s.auth.NewLink(service.Person{Name: "security", Roles: []service.Role{service.Analyst, service.Operator}})
	b.do(chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS("table.cases")))
	b.shoot("cases")

	// A new alert shows by itself.
	s.memory.Pass(time.Second)
	s.memory.Add(casework.Alert{CaseID: servicetest.ID(3), ActorID: "u-3001", Severity: "high"})
	b.do(chromedp.WaitVisible(chromedp.CSS("#case-" + servicetest.ID(3))))

	// With keys to the case, with the mouse to its alert and back.
	b.do(chromedp.KeyEvent("j"), chromedp.WaitVisible(chromedp.CSS("tr.here")), chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS("button[data-key=t]")))
	b.shoot("case")
	b.click("table.alerts a.open", "table.conditions")
	b.shoot("alert")
	b.click("[data-back]", "button[data-key=t]")
	b.click("button[data-key=t]", "p.flash")
	if text := b.text("p.flash"); !strings.Contains(text, "yours") {
		t.Errorf("after taking: %q", text)
	}
	// Close: open the form, give a reason.
	b.do(chromedp.Click(chromedp.CSS("details:has(form[action$='/close']) > summary")), chromedp.SendKeys(chromedp.CSS("form[action$='/close'] textarea"), "a test account"))
	b.click("form[action$='/close'] button", ".state-closed")
	b.shoot("closed")
	b.quiet()
	found := false
	for _, a := range s.memory.Done() {
		found = found || a.Action == "close" && a.Who == "security" && strings.Contains(a.Detail, "a test account")
	}
	if !found {
		t.Errorf("no close among %+v", s.memory.Done())
	}
}

// TestAccessibility runs axe-core on every page, light and dark, wide and narrow.
func TestAccessibility(t *testing.T) {
	b := newTab(t)
	j := newFixedJudge(t)
	s := newSite(t, func(p *service.Parts) { p.Judge = j })
	s.memory.Add(casework.Alert{CaseID: servicetest.ID(2), Severity: "medium"})
	s.memory.Add(casework.Alert{CaseID: servicetest.ID(2), Outcome: "suppressed", Severity: "low", Exceptions: []string{"EX-1=SEC-1"}})
	s.memory.NoticeList = []casework.Notice{{Kind: "silent_feed", Subject: "core", Severity: "high", Time: noon, Why: "nothing came for 15 minutes"}}
	axe, err := os.ReadFile("testdata/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(s.URL+"/signin"), chromedp.WaitVisible(chromedp.CSS("main")))
	b.check(string(axe), "/signin")
	b.do(chromedp.Navigate(s.URL + s.auth.NewLink(service.Person{Name: "everybody", Roles: service.Roles})))
	pages := []string{"/cases?state=all&severity=critical", "/cases/" + servicetest.ID(1), "/alerts?outcome=suppressed", "/alerts/" + servicetest.ID(7), "/charts", "/notices", "/partner", "/operations", "/actions", "/tokens"}
	for _, theme := range []struct {
		word  string
		width int64
	}{{"light", 1280}, {"dark", 390}} {
		b.theme(theme.word, theme.width)
		for _, path := range pages {
			b.do(chromedp.Navigate(s.URL+path), chromedp.WaitVisible(chromedp.CSS("main h1")))
			b.check(string(axe), fmt.Sprint(theme.word, " ", theme.width, " ", path))
			b.shoot(theme.word + strings.ReplaceAll(strings.SplitN(path, "?", 2)[0], "/", "-"))
			if wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > innerWidth")); err != nil || wide {
				t.Errorf("%s at %d scrolls sideways: %v", path, theme.width, err)
			}
		}
	}
	b.quiet()
}

// violation is a finding of axe-core.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML string }
}

func (b *tab) check(axe, page string) {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](axe+`;
		axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then((r) => JSON.stringify(r.violations))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", page, err)
	}
	var violations []violation
	if err := json.Unmarshal([]byte(text), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		b.t.Errorf("%s: %s (%s): %s: %.300s", page, v.ID, v.Impact, v.Help, v.Nodes[0].HTML)
	}
}

// TestHostileEventInABrowser: no script of an event runs. The complaints of the policy count too, for nothing should get as far.
func TestHostileEventInABrowser(t *testing.T) {
	b := newTab(t)
	s := newSite(t, nil)
	s.memory.Add(hostile())
	b.do(chromedp.Navigate(s.URL + s.auth.NewLink(service.Person{Name: "everybody", Roles: service.Roles})))
	for _, path := range []string{"/cases", "/cases/" + servicetest.ID(4), "/alerts/" + servicetest.ID(8), "/charts"} {
		b.do(chromedp.Navigate(s.URL+path), chromedp.WaitVisible(chromedp.CSS("main h1")))
		injected, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelectorAll('main script, main img, [onerror], [onmouseover]').length`))
		if err != nil || injected != 0 {
			t.Errorf("%s: %d elements of the event, %v", path, injected, err)
		}
	}
	b.quiet()
}
