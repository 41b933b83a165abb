package console

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
	"borderwatch/schemas/access"
)

// pages are the templates by name, each with the frame around it.
type pages map[string]*template.Template

func parsePages(files fs.FS, now func() time.Time) (pages, error) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	out := pages{}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base == "frame" || base == "parts" {
			continue
		}
		t, err := template.New("frame.html").Funcs(functions(now)).ParseFS(files, "templates/frame.html", "templates/parts.html", name)
		if err != nil {
			return nil, err
		}
		out[base] = t
	}
	return out, nil
}

func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"when":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"exactly": func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"ago":     func(t time.Time) string { return ago(now().Sub(t)) },
		"hours":   func(t time.Time) string { return fmt.Sprintf("%d h", int(t.Sub(now()).Hours())) },
		"known":   func(s string) string { return strings.TrimPrefix(s, "unknown") },
		"past":    func(t time.Time) bool { return now().After(t) },
		"words":   func(s string) string { return strings.ReplaceAll(s, "_", " ") },
		"place":   place,
		"short":   func(s string) string { return s[:min(len(s), 12)] },
		"count":   count,
		"entry":   newEntry,
	}
}

// visible replaces what could forge a line or turn text around: control and format characters, of which events may hold any.
// No page has any of its own.
func visible(r rune) rune {
	if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf) {
		return '�'
	}
	return r
}

// place is how candidate countries are shown: by name, where the code is one.
func place(country string) string {
	if country == "" || country == "any" {
		return "any country"
	}
	codes := strings.Split(country, "|")
	for i, code := range codes {
		if c, ok := access.ParseCountry(code); ok {
			codes[i] = c.Name()
		}
	}
	return strings.Join(codes, " or ")
}

// count writes a number with thin spaces between thousands.
func count(n any) string {
	digits := fmt.Sprint(n)
	if strings.HasPrefix(digits, "-") {
		return "unknown"
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// ago is a stretch of time in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// view is what a template sees.
type view struct {
	Title string
	Page  string // which entry of the navigation is here
	Me    *auth.Identity
	URL   *url.URL
	Flash string // what was just done
	Data  any
}

// Can tells whether the person may do something.
func (v *view) Can(op service.Operation) bool { return v.Me != nil && service.Allowed(v.Me.Person, op) }

// With is the page's address with one parameter set, or left out where the value is empty.
func (v *view) With(name, value string) string {
	q := v.URL.Query()
	q.Del("before")
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	return v.URL.Path + "?" + q.Encode()
}

// Param is a parameter of the page's address.
func (v *view) Param(name string) string { return v.URL.Query().Get(name) }

// entry is one of the navigation's.
type entry struct {
	Href, Name string
	Show, Here bool
}

func newEntry(v *view, page, href, name string, op service.Operation) entry {
	return entry{href, name, v.Can(op), v.Page == page}
}

// filter is one that is in force and the address without it.
type filter struct{ Name, Value, Without string }

// Filters are those in force, without time and state, which have links of their own.
func (v *view) Filters() []filter {
	var out []filter
	for _, name := range []string{"severity", "rule", "actor", "country", "dataset", "kind", "mine", "case", "outcome"} {
		if value := v.Param(name); value != "" {
			out = append(out, filter{name, value, v.With(name, "")})
		}
	}
	return out
}

// show renders a page into memory first, so that a failing template is an error and no half page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, name string, code int, v *view) {
	v.URL = r.URL
	var b bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&b, "frame.html", v); err != nil {
		c.opt.Log.Error("a page could not be rendered", "page", name, "error", err)
		http.Error(w, "this page could not be rendered; the log of the console says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(bytes.Map(visible, b.Bytes())) // the client is gone; nothing else can fail
}

// fail shows what a person is told of an error.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, me *auth.Identity, err error) {
	code, text := c.told(r, err)
	c.show(w, r, "error", code, &view{Title: http.StatusText(code), Me: me, Data: text})
}
