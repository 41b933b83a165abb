package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/consumers/backtest"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/store"
	"borderwatch/rules/impact"
	"borderwatch/rules/release"
	"borderwatch/schemas/access"
)

func newRulesBacktest() *cobra.Command {
	var f impactFlags
	cmd := &cobra.Command{
		Use:   "backtest DIR --config CONFIG",
		Short: "Judge stored events by these rules, and compare with what was found when they arrived",
		Long: `backtest judges events that are stored in ClickHouse by the rules of a directory or
archive, and shows which alerts would appear, vanish, change severity or become
suppressed: by rule, country, person, data set and day, with examples.

Events are taken as they were completed when they arrived; --references bundle
completes them anew by the roster, catalogue and networks at hand, which needs the
location database too. An alert of several copies of an event counts once.

Exceptions count from their first day, whenever they were approved. Of each one
about a place it tells how many of the last 30 days' matching events had the
evidence that it asks for.

Columns: appear and vanish are alerts that one side alone has; suppressed, an
exception covers it now; speak, it was suppressed and is an alert now; raised and
lowered, another severity; other, another outcome of equal severity (alert or error);
silent, it was suppressed and there is nothing to suppress any more.

The configuration names an account that reads (role bw_api or bw_partner). With
--events no server is needed; there is then nothing to compare with, and every
alert appears.`,
		Example: `  borderwatch rules backtest rules/ --config console.yaml --last 30d
  borderwatch rules backtest rules/ --config console.yaml --from 2026-11-01 --to 2026-11-15 --format json
  borderwatch rules backtest rules/ --events events.ndjson --geoip country.mmdb`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.backtest(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
	return cmd
}

// errNoEvents refuses to call an empty range quiet.
var errNoEvents = errors.New("no events in this range: nothing can be said about the rules")

// evidenceDays is how many days of events an exception's evidence is counted over.
const evidenceDays = 30

func (f *impactFlags) backtest(ctx context.Context, name string, stdin io.Reader, stdout, stderr io.Writer) error {
	if err := f.check(); err != nil {
		return usageError{err}
	}
	run := backtest.Run{}
	old, days := impact.Judged{By: impact.ByNothing}, 0
	if f.events == "" {
		var err error
		if run.Span, err = f.span(time.Now()); err != nil {
			return usageError{err}
		}
		printed, err := f.open(ctx, stdout)
		if printed || err != nil {
			return err
		}
		defer f.close()
		old, days = impact.Judged{By: impact.ByStored}, evidenceDays
	}
	parts, err := f.side(ctx, name)
	if err != nil {
		return err
	}
	if run.New, err = compileSide(name, parts); err != nil {
		return err
	}
	run.Watch = watch(run.New, parts, run.Span, days)
	total, from, err := f.judge(ctx, &run, stdin, stderr)
	if err != nil {
		return err
	}
	report := run.Report(total, from, old)
	if report.Events.Read == 0 {
		return errNoEvents
	}
	total.Exceptions(report, run.Watch, days)
	return f.show(report, stdout)
}

// watch looks at the exceptions of a bundle over the last days of a span, or all of it (0).
func watch(b *bundle.Bundle, parts []release.Part, span store.Span, days int) *impact.Watch {
	from := access.Millis(0)
	if days > 0 {
		from = span.Until - access.Millis(days)*access.Millis(24*time.Hour/time.Millisecond)
	}
	return impact.NewWatch(bundle.Inspect(parts).Set, b.Engine, from)
}
