package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/store"
	"borderwatch/rules/impact"
	"borderwatch/rules/policy"
)

type logFlags struct {
	config configFlags
	format string
	day    string
}

func newRulesLog() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "log --config CONFIG",
		Short: "Show what was in force when, who signed it, and with what impact",
		Long: `log reads from ClickHouse which bundle judged which offsets and since when, and the
signed statement of each. Bundles that workers refused are listed too. The account
needs the rights of bw_api or of the partner.`,
		Example: `  borderwatch rules log --config console.yaml --day 2026-11-23
  borderwatch rules log --config console.yaml --format json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f.config.register(cmd)
	formatFlag(cmd, &f.format, formatText, formatJSON)
	cmd.Flags().StringVar(&f.day, "day", "", "only what was in force on this `day` (YYYY-MM-DD, UTC)")
	return cmd
}

// rulesLog is what log writes.
type rulesLog struct {
	Bundles  []loggedBundle  `json:"bundles"`
	Refusals []loggedRefusal `json:"refusals"`
}

type loggedBundle struct {
	Bundle      string         `json:"bundle"`            // digest that rows name
	Content     string         `json:"content,omitempty"` // digest of what was signed
	Signed      []string       `json:"signed"`            // names under the statement, its author first; empty: unsigned
	SignedAt    *time.Time     `json:"signed_at,omitempty"`
	Environment string         `json:"environment,omitempty"`
	Previous    string         `json:"previous,omitempty"`
	Impact      string         `json:"impact,omitempty"`        // digest of the report
	Effect      *loggedEffect  `json:"impact_report,omitempty"` // what the report says, where it is stored
	Problem     string         `json:"problem,omitempty"`
	Judged      []loggedExtent `json:"judged"`
}

// loggedEffect is the signed report in short.
type loggedEffect struct {
	Events  *impact.Events `json:"events"`            // null where none were judged
	Changes *impact.Counts `json:"changes,omitempty"` // of alerts that notify
	words   string
}

// loggedExtent is a run of offsets. Until is null where it goes on.
type loggedExtent struct {
	Source    string     `json:"source"`
	Topic     string     `json:"topic"`
	Partition int32      `json:"partition"`
	From      int64      `json:"from_offset"`
	Next      *int64     `json:"next_offset"` // first offset that another bundle judged
	Since     time.Time  `json:"since"`
	Until     *time.Time `json:"until"`
}

type loggedRefusal struct {
	Time time.Time `json:"time"`
	Why  string    `json:"why"`
}

// maxRefusals is how many refusals are listed.
const maxRefusals = 100

func (f *logFlags) run(ctx context.Context, stdout io.Writer) error {
	from, to, err := f.period()
	if err != nil {
		return err
	}
	loaded, err := f.config.load(config.NeedClickHouse)
	if err != nil {
		return err
	}
	if f.config.print {
		return printConfig(stdout, loaded)
	}
	if err := loaded.ReadSecrets(); err != nil {
		return usageError{err}
	}
	options, err := storeOptions(loaded.ClickHouse)
	if err != nil {
		return err
	}
	rows, err := store.New(options)
	if err != nil {
		return err
	}
	defer rows.Close()
	log, err := readLog(ctx, rows, from, to)
	if err != nil {
		return err
	}
	if f.format == formatJSON {
		return writeJSON(stdout, log)
	}
	return log.write(stdout)
}

// period is the day asked for, or all time.
func (f *logFlags) period() (from, to time.Time, err error) {
	if f.day == "" {
		return time.Time{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), nil
	}
	if _, ok := policy.ParseDay(f.day); !ok {
		return from, to, usageError{fmt.Errorf("--day %q is not a day such as 2026-11-23", f.day)}
	}
	from, err = time.Parse(time.DateOnly, f.day)
	return from, from.AddDate(0, 0, 1), err
}

func readLog(ctx context.Context, rows *store.Store, from, to time.Time) (*rulesLog, error) {
	stretches, err := rows.InForce(ctx)
	if err != nil {
		return nil, err
	}
	log := &rulesLog{Bundles: []loggedBundle{}, Refusals: []loggedRefusal{}}
	for i, s := range stretches {
		extent := loggedExtent{Source: s.Source, Topic: s.Topic, Partition: s.Partition, From: s.From, Since: s.Since.UTC()}
		if i+1 < len(stretches) {
			if n := stretches[i+1]; n.Source == s.Source && n.Topic == s.Topic && n.Partition == s.Partition {
				until := n.Since.UTC()
				extent.Next, extent.Until = &n.From, &until
			}
		}
		if extent.Since.Before(to) && (extent.Until == nil || extent.Until.After(from)) {
			log.add(s.Bundle, extent)
		}
	}
	slices.SortStableFunc(log.Bundles, func(a, b loggedBundle) int { return a.since().Compare(b.since()) })
	for i := range log.Bundles {
		if err := log.Bundles[i].describe(ctx, rows); err != nil {
			return nil, err
		}
	}
	refusals, err := rows.Refusals(ctx, maxRefusals)
	for _, r := range slices.Backward(refusals) {
		if !r.Time.Before(from) && r.Time.Before(to) {
			log.Refusals = append(log.Refusals, loggedRefusal{r.Time.UTC(), r.Text})
		}
	}
	return log, err
}

func (l *rulesLog) add(digest string, extent loggedExtent) {
	i := slices.IndexFunc(l.Bundles, func(b loggedBundle) bool { return b.Bundle == digest })
	if i < 0 {
		i = len(l.Bundles)
		l.Bundles = append(l.Bundles, loggedBundle{Bundle: digest, Signed: []string{}})
	}
	l.Bundles[i].Judged = append(l.Bundles[i].Judged, extent)
}

func (b *loggedBundle) since() time.Time {
	first := b.Judged[0].Since
	for _, e := range b.Judged {
		if e.Since.Before(first) {
			first = e.Since
		}
	}
	return first
}

// describe adds what the signed statement says. A bundle that is gone from the archive is told, and no reason to stop.
func (b *loggedBundle) describe(ctx context.Context, rows *store.Store) error {
	signed, err := bundle.FetchRelease(ctx, rows, b.Bundle)
	if errors.Is(err, bundle.ErrLost) {
		b.Problem = err.Error()
		return nil
	}
	if err != nil || signed == nil {
		return err
	}
	s := signed.Statement()
	b.Content, b.Environment, b.Previous, b.Impact = s.Content, s.Environment, s.Previous, s.Impact
	b.Signed, b.SignedAt = signed.SignerNames(), &s.Time
	if b.Impact == "" {
		return nil
	}
	return b.describeImpact(ctx, rows)
}

func (b *loggedBundle) describeImpact(ctx context.Context, rows *store.Store) error {
	text, err := bundle.FetchReport(ctx, rows, b.Impact)
	if err != nil || text == nil {
		return err
	}
	report, err := impact.Parse(text)
	if err != nil {
		return nil // what was signed before reports were checked says nothing that could be counted
	}
	b.Effect = &loggedEffect{Events: report.Events, words: report.Summary()}
	if report.Alerts != nil {
		b.Effect.Changes = &report.Alerts.Changes
	}
	return nil
}

// logTime is how a time is written for people.
const logTime = "2006-01-02 15:04:05"

func (l *rulesLog) write(w io.Writer) error {
	var out strings.Builder
	for i := range l.Bundles {
		l.Bundles[i].write(&out)
	}
	if len(l.Bundles) == 0 {
		out.WriteString("Nothing was in force.\n")
	}
	for _, r := range l.Refusals {
		fmt.Fprintf(&out, "%s  refused: %s\n", r.Time.Format(logTime), printable(strings.ReplaceAll(r.Why, "\n", "; ")))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (b *loggedBundle) write(out *strings.Builder) {
	fmt.Fprintf(out, "%s  bundle %s\n", b.since().Format(logTime), b.Bundle)
	switch {
	case b.Problem != "":
		fmt.Fprintf(out, "  %s\n", b.Problem)
	case b.SignedAt == nil:
		fmt.Fprintf(out, "  signed by nobody\n")
	default:
		fmt.Fprintf(out, "  signed by %s, %s, for %s (content sha256:%s)\n", strings.Join(b.Signed, " and "), b.SignedAt.Format(logTime), b.Environment, b.Content)
		effect := "no report of its impact was signed"
		switch {
		case b.Effect != nil:
			effect = "impact: " + b.Effect.words + " (report sha256:" + b.Impact + ")"
		case b.Impact != "":
			effect = "report of its impact sha256:" + b.Impact + ", which is not stored"
		}
		fmt.Fprintf(out, "  %s\n", effect)
	}
	for _, e := range b.Judged {
		fmt.Fprintf(out, "  %s %d from offset %d, %s UTC", e.Topic, e.Partition, e.From, e.Since.Format(logTime))
		if e.Until != nil {
			fmt.Fprintf(out, ", to offset %d, %s UTC", *e.Next-1, e.Until.Format(logTime))
		}
		out.WriteString("\n")
	}
}
