package config

import (
	"cmp"
	"net/url"
	"strings"
)

// console refuses a console that nobody could sign in to, or that would send cookies over plain HTTP beyond this machine.
func (c *checker) console(needs Needs) {
	o := &c.Console
	if o.Listen != "" {
		c.addresses("console.listen", []string{o.Listen})
	}
	if u, err := url.Parse(o.URL); o.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "") {
		c.bad("console.url", "%q is not the address of a server without a path, such as https://borderwatch.example.com", o.URL)
	}
	if (o.TLS.CertFile == "") != (o.TLS.KeyFile == "") {
		given := "console.tls" + cmp.Or(choose(o.TLS.CertFile != "", ".cert_file"), ".key_file")
		c.bad(given, "cert_file and key_file go together, one of them is missing")
	}
	c.oidc()
	if needs&NeedConsole == 0 {
		return
	}
	if o.Listen == "" {
		c.bad("console.listen", "required, the host:port to serve at")
	}
	if o.Users == "" && o.OIDC.Issuer == "" {
		c.bad("console.users", "required, or console.oidc.issuer: somebody must be able to sign in")
	}
}

func (c *checker) oidc() {
	o := &c.Console.OIDC
	if o.Issuer == "" {
		return
	}
	if o.ClientID == "" {
		c.bad("console.oidc.client_id", "required with console.oidc.issuer")
	}
	if c.Console.URL == "" {
		c.bad("console.url", "required with console.oidc.issuer: the provider sends people back to it")
	}
	if len(o.Roles) == 0 {
		c.bad("console.oidc.roles", "required with console.oidc.issuer: group=role for each group that may sign in")
	}
	for _, line := range o.Roles {
		if group, role, ok := strings.Cut(line, "="); !ok || group == "" || role == "" {
			c.bad("console.oidc.roles", "%q is not group=role", line)
		}
	}
}
