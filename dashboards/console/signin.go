package console

import (
	"net/http"
	"strings"
)

type signInData struct {
	Password, OIDC bool
	To             string
	Problem        string
}

func (c *Console) serveSignIn(w http.ResponseWriter, r *http.Request) {
	c.showSignIn(w, r, http.StatusOK, "")
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request, code int, problem string) {
	data := signInData{To: local(r.FormValue("to")), Problem: problem}
	data.Password, data.OIDC = c.auth.Ways()
	c.show(w, r, "signin", code, &view{Title: "Sign in", Data: &data})
}

// local lets a sign-in lead to our own pages only.
func local(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

func (c *Console) doSignIn(w http.ResponseWriter, r *http.Request) {
	err := c.auth.SignIn(w, r, r.PostFormValue("name"), r.PostFormValue("password"))
	c.afterSignIn(w, r, err)
}

func (c *Console) openLink(w http.ResponseWriter, r *http.Request) {
	c.afterSignIn(w, r, c.auth.OpenLink(w, r, r.PathValue("secret")))
}

func (c *Console) beginOIDC(w http.ResponseWriter, r *http.Request) {
	if err := c.auth.BeginOIDC(w, r); err != nil {
		c.afterSignIn(w, r, err)
	}
}

func (c *Console) finishOIDC(w http.ResponseWriter, r *http.Request) {
	c.afterSignIn(w, r, c.auth.FinishOIDC(w, r))
}

func (c *Console) afterSignIn(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		code, text := c.told(r, err)
		c.showSignIn(w, r, code, text)
		return
	}
	http.Redirect(w, r, local(r.FormValue("to")), http.StatusSeeOther)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	if err := c.auth.SignOut(w, r); err != nil {
		c.opt.Log.Error("a sign-out could not be recorded", "error", err)
	}
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}
