package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/consumers/backtest"
	"borderwatch/rules/impact"
	"borderwatch/rules/release"
)

func newRulesDiff() *cobra.Command {
	var f impactFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what changed between two sets of rules, and what that does to events",
		Long: `diff shows what changed in every part: rules, groups, exceptions, roster, catalogue,
entities, networks, approvals, address lists and location databases. OLD and NEW
are directories or archives or, with --config, the sha256 of a bundle that was in
force.

With --config it judges stored events by both, with --events those of a file, and
shows which alerts would appear, vanish, change severity or become suppressed. A
changed roster, catalogue or network file shows in alerts with --references bundle,
which completes each event anew by either side's files.

Columns: appear and vanish are alerts that one side alone has; suppressed, an
exception covers it now; speak, it was suppressed and is an alert now; raised and
lowered, another severity; other, another outcome of equal severity (alert or error);
silent, it was suppressed and there is nothing to suppress any more.

The report that --out writes is what rules sign --impact puts into the signed
statement, by its digest.`,
		Example: `  borderwatch rules diff live.tar rules/
  borderwatch rules diff live.tar rules/ --config console.yaml --last 30d --out diff.json
  borderwatch rules diff old/ new/ --events events.ndjson --geoip country.mmdb`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.diff(cmd.Context(), args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
	return cmd
}

// asksServer reports whether a configuration is given, beyond what the environment says.
func (f *impactFlags) asksServer() bool {
	return f.events == "" && (f.config.file != "" || len(f.config.set) > 0 || f.config.print)
}

func (f *impactFlags) diff(ctx context.Context, names []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if err := f.check(); err != nil {
		return usageError{err}
	}
	if f.asksServer() {
		printed, err := f.open(ctx, stdout)
		if printed || err != nil {
			return err
		}
		defer f.close()
	}
	var parts [2][]release.Part
	run := backtest.Run{}
	for i, name := range names {
		var err error
		if parts[i], err = f.side(ctx, name); err != nil {
			return err
		}
		b, err := compileSide(name, parts[i])
		if err != nil {
			return err
		}
		run.Old, run.New = run.New, b
	}
	changed, err := impact.CompareParts(parts[0], parts[1])
	if err != nil {
		return err
	}
	report := &impact.Report{Format: impact.Format, Old: impact.Judged{By: impact.ByRules, Bundle: run.Old.Digest}, New: impact.Judged{By: impact.ByRules, Bundle: run.New.Digest}}
	if f.events != "" || f.store != nil {
		if report, err = f.compare(ctx, &run, stdin, stderr); err != nil {
			return err
		}
	}
	report.Parts = append([]impact.Part{}, changed...)
	return f.show(report, stdout)
}

// compare judges events by both sides.
func (f *impactFlags) compare(ctx context.Context, run *backtest.Run, stdin io.Reader, stderr io.Writer) (*impact.Report, error) {
	if f.store != nil {
		var err error
		if run.Span, err = f.span(time.Now()); err != nil {
			return nil, usageError{err}
		}
	}
	total, from, err := f.judge(ctx, run, stdin, stderr)
	if err != nil {
		return nil, err
	}
	return run.Report(total, from, impact.Judged{}), nil
}
