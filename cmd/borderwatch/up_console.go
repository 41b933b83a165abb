package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
	"borderwatch/dashboards/service"
)

// localConsole is the console of up. Its users sign in with links, each good once.
type localConsole struct {
	site     *consoleSite
	listener net.Listener
	address  string
	links    []signInLink
}

// signInLink is for one of the three users.
type signInLink struct{ User, About, URL string }

// The three users of up: who they are for, and what they may do.
var upUsers = []struct {
	name, about string
	roles       []service.Role
}{
	{"security", "watches alerts and works on cases", []service.Role{service.Analyst, service.Operator}},
	{"compliance", "reads what rules find; author and approver", []service.Role{service.Viewer, service.Author, service.Approver}},
	{"partner", "the independent witness: reads everything", []service.Role{service.Partner}},
}

// openConsole makes the console on a port that the next up has too.
func (u *local) openConsole(ctx context.Context, w *worker, reader *store.Store) (*localConsole, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(u.port("console", 4))))
	if err != nil {
		return nil, fmt.Errorf("console: %w; --port chooses others", err)
	}
	u.keep("console", listener.Addr().String())
	cfg := &config.Config{}
	cfg.Console.Partner = config.ConsolePartner{HTTP: "http://" + u.clickhouse.HTTPAddr(), Native: u.clickhouse.Addr(), Account: accountPartner}
	evidence, _ := w.ledger.(evidenceLog)
	if log, ok := w.ledger.(*ledger.Log); ok {
		cfg.Console.Partner.Verifier = log.VerifierKey()
	}
	s, err := buildConsoleSite(cfg, reader, evidence, u.log)
	if err != nil {
		return nil, err
	}
	c := &localConsole{site: s, listener: listener, address: "http://" + listener.Addr().String()}
	for _, user := range upUsers {
		path := s.auth.NewLink(service.Person{Name: user.name, Roles: user.roles})
		c.links = append(c.links, signInLink{user.name, user.about, c.address + path})
	}
	return c, nil
}

// lines are the links for a person.
func (c *localConsole) lines() string {
	var b strings.Builder
	for _, l := range c.links {
		fmt.Fprintf(&b, "    %-22s %s   (once; %s)\n", l.User, l.URL, l.About)
	}
	return strings.TrimRight(b.String(), "\n")
}

// announced is the first object of up --json. The names are relied on by scripts.
type announced struct {
	Time    time.Time         `json:"time"`
	Console string            `json:"console"`
	Links   map[string]string `json:"links"` // by user, each good once
}

func (u *local) announce(c *localConsole) error {
	if !u.flags.json {
		return nil
	}
	first := announced{Time: time.Now().UTC(), Console: c.address, Links: map[string]string{}}
	for _, l := range c.links {
		first.Links[l.User] = l.URL
	}
	return json.NewEncoder(u.stdout).Encode(first)
}
