package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
	"borderwatch/dashboards/auth"
	"borderwatch/dashboards/console"
	"borderwatch/dashboards/service"
	"borderwatch/schemas/casework"
)

// consoleSite is the console and what it stands on.
type consoleSite struct {
	console *console.Console
	auth    *auth.Authenticator
	log     *slog.Logger
	tls     *tls.Config
}

// newConsoleSite wires the console to a store, and to the evidence log where there is one.
func newConsoleSite(cfg *config.Config, reader *store.Store, log *slog.Logger) (*consoleSite, error) {
	var evidence evidenceLog
	if cfg.Ledger.URL != "" {
		client, err := ledgerClient(cfg.Ledger)
		if err != nil {
			return nil, err
		}
		evidence = client
	}
	return buildConsoleSite(cfg, reader, evidence, log)
}

func buildConsoleSite(cfg *config.Config, reader *store.Store, evidence evidenceLog, log *slog.Logger) (*consoleSite, error) {
	parts := service.Parts{
		Cases: reader, Alerts: reader, Charts: reader, Journal: reader, Actions: reader, Notices: reader, Proofs: reader,
		Bundles: inForce{reader}, Judge: newJudge(reader), Log: log, NewID: store.NewActionID, Partner: partnerAccess(cfg.Console.Partner),
	}
	if evidence != nil {
		parts.Witness = witness{evidence}
	}
	svc := service.New(parts)
	options := auth.Options{Recorder: svc, Secure: strings.HasPrefix(cfg.Console.URL, "https://") || cfg.Console.TLS.CertFile != ""}
	var err error
	if cfg.Console.Users != "" {
		if options.Users, err = auth.OpenUsers(cfg.Console.Users); err != nil {
			return nil, err
		}
	}
	if options.Tokens, err = auth.OpenTokens(cfg.Console.Tokens); err != nil {
		return nil, err
	}
	if options.OIDC, err = oidcClient(cfg.Console); err != nil {
		return nil, usageError{err}
	}
	who := auth.New(options)
	var origins []string
	if cfg.Console.URL != "" {
		origins = append(origins, strings.TrimRight(cfg.Console.URL, "/"))
	}
	pages, err := console.New(console.Options{Service: svc, Auth: who, Pulse: reader, Log: log, Version: consoleVersion(), Origins: origins})
	if err != nil {
		return nil, err
	}
	return &consoleSite{console: pages, auth: who, log: log}, nil
}

// oidcClient is nil where no provider is configured.
func oidcClient(c config.Console) (*auth.OIDC, error) {
	o := c.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	roles := map[string][]service.Role{}
	for _, line := range o.Roles {
		group, word, _ := strings.Cut(line, "=")
		role, err := service.ParseRole(word)
		if err != nil {
			return nil, fmt.Errorf("console.oidc.roles: %w", err)
		}
		roles[group] = append(roles[group], role)
	}
	return auth.NewOIDC(auth.OIDCConfig{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), RedirectURL: strings.TrimRight(c.URL, "/") + auth.CallbackPath,
		GroupsClaim: o.GroupsClaim, NameClaim: o.NameClaim, Scopes: o.Scopes, Roles: roles,
	}), nil
}

func partnerAccess(p config.ConsolePartner) service.Access {
	a := service.Access{HTTP: p.HTTP, Native: p.Native, Account: p.Account, Verifier: p.Verifier}
	for _, q := range upQuestions {
		a.Queries = append(a.Queries, service.Saved{Words: q.words, Query: q.query})
	}
	return a
}

// evidenceLog is a ledger in this process or a client of a shared one.
type evidenceLog interface {
	Append(ctx context.Context, leaf ledger.Leaf) (uint64, error)
	Checkpoint(ctx context.Context) ([]byte, error)
}

// witness makes leaves of what people do. The leaf has the digest of the action's text, not the text: a comment may be
// wrong about somebody, and what is in the log stays.
type witness struct{ log evidenceLog }

func (w witness) Record(ctx context.Context, a casework.Action) (int64, error) {
	subject := a.Subject
	if subject == "" {
		subject = "-"
	}
	leaf := ledger.Admin{
		Action: a.Action, Subject: subject, By: a.Who, Note: "action " + a.ID + " as " + a.Roles + " by " + a.Channel, Digest: sha256.Sum256([]byte(a.Detail)), Time: a.Time,
	}
	index, err := w.log.Append(ctx, leaf)
	return int64(index), err
}

func (w witness) Checkpoint(ctx context.Context) ([]byte, error) { return w.log.Checkpoint(ctx) }

// inForce tells which bundle judges where.
type inForce struct{ store *store.Store }

func (f inForce) InForce(ctx context.Context) ([]casework.InForce, error) {
	list, err := f.store.InForce(ctx)
	out := make([]casework.InForce, len(list))
	for i, x := range list {
		out[i] = casework.InForce{Topic: x.Topic, Partition: x.Partition, From: x.From, Bundle: x.Bundle, Since: x.Since}
	}
	return out, err
}

// consoleVersion is the module's version for the OpenAPI document.
func consoleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
