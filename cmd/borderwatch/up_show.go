package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/store"
)

// followEvery is how often up looks for alerts that became visible.
const followEvery = 250 * time.Millisecond

// shownAlert is an alert as up --json writes it. The names are relied on by scripts.
type shownAlert struct {
	AlertID         string    `json:"alert_id"`
	Time            time.Time `json:"time"`
	RuleID          string    `json:"rule_id"`
	Outcome         string    `json:"outcome"`
	Severity        string    `json:"severity"`
	Shadow          bool      `json:"shadow,omitempty"`
	ActorID         string    `json:"actor_id"`
	ActorKind       string    `json:"actor_kind"`
	Country         string    `json:"country"`
	LocationVerdict string    `json:"location_verdict"`
	SourceIP        string    `json:"source_ip"`
	Action          string    `json:"action"`
	Dataset         string    `json:"dataset"`
	Why             string    `json:"why"`
	CaseID          string    `json:"case_id"`
	EventID         string    `json:"event_id"`
	Feed            string    `json:"feed"`
	Bundle          string    `json:"bundle"`
}

func newShownAlert(a *store.Alert) shownAlert {
	return shownAlert{
		AlertID: a.ID, Time: a.Time, RuleID: a.RuleID, Outcome: a.Outcome, Severity: a.Severity, Shadow: a.Shadow,
		ActorID: a.ActorID, ActorKind: a.ActorKind, Country: a.Country, LocationVerdict: a.LocationVerdict, SourceIP: a.SourceIP,
		Action: a.Action, Dataset: a.Dataset, Why: a.Why, CaseID: a.CaseID, EventID: a.EventID, Feed: a.Feed, Bundle: a.Bundle,
	}
}

// follow shows alerts as they become visible, each once, from where the last up ended.
func (u *local) follow(ctx context.Context, reader *store.Store) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	failing := false
	for {
		alerts, next, err := reader.AlertsSince(ctx, u.home.state.Cursor, 1000)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if !failing {
				u.log.Warn("alerts cannot be read just now", "error", err)
			}
			failing = true
		default:
			failing = false
			if err := u.show(alerts); err != nil {
				return err
			}
			u.home.state.Cursor = next
			if len(alerts) == 0 {
				break
			}
			// Now, not at the end: after kill -9 the next up must not show them again.
			if err := u.home.save(); err != nil {
				return fmt.Errorf("remember which alerts were shown: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (u *local) show(alerts []store.Alert) error {
	for i := range alerts {
		if u.flags.json {
			if err := json.NewEncoder(u.stdout).Encode(newShownAlert(&alerts[i])); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(u.stdout, line(&alerts[i], isTerminal(u.stdout))); err != nil {
			return err
		}
	}
	return nil
}

func isTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// line is one alert for a person: when, how bad, which rule, and the sentence that says who, what, from where and why.
func line(a *store.Alert, colour bool) string {
	word := a.Severity
	switch {
	case a.Outcome == "suppressed":
		word = "excepted"
	case a.Shadow:
		word = "shadow"
	}
	mark := fmt.Sprintf("%-8s", strings.ToUpper(word))
	if c := colours[word]; colour && c != "" {
		mark = c + mark + "\x1b[0m"
	}
	return fmt.Sprintf("%s  %s  %-8s  %s", a.Time.UTC().Format(time.TimeOnly), mark, a.RuleID, printable(a.Why))
}

var colours = map[string]string{"critical": "\x1b[1;37;41m", "high": "\x1b[1;31m", "medium": "\x1b[33m", "low": "\x1b[36m", "excepted": "\x1b[32m"}

// printable keeps what events carry from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}

// question is one that the partner would ask, ready to be pasted.
type question struct{ words, query string }

var upQuestions = []question{
	{"Who was stopped or reported, and why?",
		"SELECT time, outcome, severity, rule_id, why FROM bw.alerts ORDER BY time DESC LIMIT 10 FORMAT Vertical"},
	{"From which countries is restricted EU data opened?",
		"SELECT location_country, location_verdict, count() AS events FROM bw.distinct_events WHERE has(subject_regions, 'EU') AND has(classes, 'restricted') GROUP BY ALL ORDER BY events DESC FORMAT PrettyCompact"},
	{"Is every offset accounted for?",
		"SELECT topic, partition, min(first_offset) AS first, max(last_offset) AS last, sum(events) AS events, sum(dead_letters) AS dead_letters FROM bw.batches GROUP BY ALL ORDER BY topic, partition FORMAT PrettyCompact"},
}

// welcome says what runs where and how to go on.
func (u *local) welcome(w *worker, c *localConsole) {
	password := u.home.state.Passwords[accountPartner]
	u.say(`
borderwatch is running on this machine.

  console                  %s
%s
  rules and company files  %s   (edit one: the next batch is judged by it)
  Kafka                    %s   topics %s, %s
  ClickHouse               http://%s   (native: %s)
  partner's login          %s / %s   (read only, no record bytes)
  metrics and health       http://%s/metrics
  evidence log             %s
  signatures               a DEVELOPMENT key made here signs every change at once; in production an author and
                           another approver sign (rules/README.md)

Ask as the partner would:
`,
		c.address, c.lines(), u.bundle, u.broker.Addrs()[0], upTopic, upCloudTrailTopic, u.clickhouse.HTTPAddr(), u.clickhouse.Addr(),
		accountPartner, password, w.cfg.HTTP.Listen, filepath.Join(u.home.dir, "ledger"))
	for i, q := range upQuestions {
		u.say("  %d. %s\n     curl -s 'http://%s/?user=%s&password=%s' --data-binary \"%s\"",
			i+1, q.words, u.clickhouse.HTTPAddr(), accountPartner, password, q.query)
	}
	u.say("\n%s\n\nAlerts (Ctrl-C stops; the next up goes on from here):\n", embedded.GeoIPAttribution)
}
