package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/service"
	"borderwatch/schemas/casework"
)

type chartsData struct {
	Charts []figure
	Ranges []string
}

func (c *Console) chartsPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	back, err := since(r.URL.Query())
	if err != nil {
		return err
	}
	data := chartsData{Ranges: ranges}
	for _, dimension := range service.Dimensions {
		chart, err := c.service.Chart(r.Context(), me.Person, dimension, back)
		if err != nil {
			return err
		}
		data.Charts = append(data.Charts, newFigure(&chart))
	}
	c.show(w, r, "charts", http.StatusOK, &view{Title: "Charts", Page: "charts", Me: me, Data: &data})
	return nil
}

type noticesData struct {
	Notices []casework.Notice
	Ranges  []string
}

func (c *Console) noticesPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	back, err := since(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := c.service.Notices(r.Context(), me.Person, r.URL.Query().Get("kind"), back)
	if err != nil {
		return err
	}
	c.show(w, r, "notices", http.StatusOK, &view{Title: "Notices", Page: "notices", Me: me, Data: &noticesData{list, ranges}})
	return nil
}

func (c *Console) partnerPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	page, err := c.service.Partner(r.Context(), me.Person)
	if err != nil {
		return err
	}
	c.show(w, r, "partner", http.StatusOK, &view{Title: "Partner", Page: "partner", Me: me, Data: &page})
	return nil
}

func (c *Console) operationsPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	page, err := c.service.Operations(r.Context(), me.Person)
	if err != nil {
		return err
	}
	c.show(w, r, "operations", http.StatusOK, &view{Title: "Operations", Page: "operations", Me: me, Data: &page})
	return nil
}

func (c *Console) actionsPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	back, err := since(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := c.service.Actions(r.Context(), me.Person, back)
	if err != nil {
		return err
	}
	c.show(w, r, "actions", http.StatusOK, &view{Title: "Actions", Page: "actions", Me: me, Data: list})
	return nil
}

type tokensData struct {
	Tokens []auth.Token
	Made   *madeToken
	Days   []int
}

func (c *Console) tokensPage(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	return c.showTokens(w, r, me, nil)
}

func (c *Console) showTokens(w http.ResponseWriter, r *http.Request, me *auth.Identity, made *madeToken) error {
	data := tokensData{c.auth.Tokens().Of(me.Name, c.opt.Now()), made, []int{1, 7, 30, 90}}
	c.show(w, r, "tokens", http.StatusOK, &view{Title: "API tokens", Page: "tokens", Me: me, Data: &data})
	return nil
}

// doToken makes a token or ends one. The secret of a new one is on the answer and nowhere else.
func (c *Console) doToken(w http.ResponseWriter, r *http.Request, me *auth.Identity) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	if id := r.PostFormValue("revoke"); id != "" {
		if err := c.revokeToken(r, me, id); err != nil {
			return err
		}
		http.Redirect(w, r, "/tokens", http.StatusSeeOther)
		return nil
	}
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil {
		return auth.ErrTokens
	}
	body := tokenBody{Label: strings.TrimSpace(r.PostFormValue("label")), Days: days}
	for _, word := range r.PostForm["role"] {
		role, err := service.ParseRole(word)
		if err != nil {
			return errors.Join(service.ErrInvalid, err)
		}
		body.Roles = append(body.Roles, role)
	}
	made, err := c.makeToken(r, me, body)
	if err != nil {
		return err
	}
	return c.showTokens(w, r, me, &made)
}
