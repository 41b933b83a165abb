package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/backtest"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/store"
	"borderwatch/rules/impact"
	"borderwatch/rules/release"
	"borderwatch/schemas/access"
)

// impactFlags are those of backtest and diff: which events, how they are completed, and what is shown.
type impactFlags struct {
	config     configFlags
	events     string
	adapter    string
	from, to   string
	last       string
	references string
	geoip      bundle.Databases
	rows       int
	examples   int
	workers    int
	out        string
	format     string

	loaded *config.Loaded // nil where no server is asked
	store  *store.Store
}

func (f *impactFlags) register(cmd *cobra.Command) {
	f.config.register(cmd)
	formatFlag(cmd, &f.format, formatText, formatJSON)
	flags := cmd.Flags()
	flags.StringVar(&f.events, "events", "", "judge this `file` of events, one a line, instead of stored ones; - for standard input")
	flags.StringVar(&f.adapter, "adapter", decode.Native, "format of the lines of --events: "+strings.Join(config.Adapters, ", "))
	flags.StringVar(&f.from, "from", "", "events from this `time` on (2026-11-01, or 2026-11-01T12:00:00Z)")
	flags.StringVar(&f.to, "to", "", "events before this `time`; a day counts with it (default now)")
	flags.StringVar(&f.last, "last", "", "events of this `time` before --to, such as 30d or 12h (default 30d without --from; all of a file)")
	flags.StringVar(&f.references, "references", impact.ReferencesStored,
		"stored: events as they were completed when they arrived; bundle: completed anew by each side's roster, catalogue, networks, …")
	flags.StringVar(&f.geoip.GeoIP, "geoip", "", "country database in MaxMind DB format (default bundle.geoip of the configuration)")
	flags.StringVar(&f.geoip.GeoIPSecond, "geoip-second", "", "a second one, of another maker")
	flags.IntVar(&f.rows, "rows", 20, "show at most this many countries, persons and data sets, those with the most changes")
	flags.IntVar(&f.examples, "examples", 3, "show at most this many events of each rule and kind of change")
	flags.IntVar(&f.workers, "workers", 2, "read and judge with so many threads")
	flags.StringVarP(&f.out, "out", "o", "", "write the report as JSON to this `file`, for rules sign --impact")
}

func (f *impactFlags) check() error {
	switch {
	case f.rows < 1 || f.examples < 0 || f.workers < 1:
		return errors.New("--rows and --workers: at least 1, --examples: at least 0")
	case f.references != impact.ReferencesStored && f.references != impact.ReferencesBundle:
		return fmt.Errorf("--references %q is not one of %s, %s", f.references, impact.ReferencesStored, impact.ReferencesBundle)
	case f.last != "" && f.from != "":
		return errors.New("--from and --last say the same in two ways; give one of them")
	}
	return nil
}

// open connects where stored events or bundles are needed. The caller closes.
func (f *impactFlags) open(ctx context.Context, stdout io.Writer) (printed bool, err error) {
	if f.loaded, err = f.config.load(config.NeedClickHouse); err != nil {
		return false, err
	}
	if f.config.print {
		return true, printConfig(stdout, f.loaded)
	}
	if f.geoip.GeoIP == "" {
		f.geoip = bundle.Databases{GeoIP: f.loaded.Bundle.GeoIP, GeoIPSecond: f.loaded.Bundle.GeoIPSecond}
	}
	f.store, err = openReader(ctx, f.loaded)
	return false, err
}

func (f *impactFlags) close() {
	if f.store != nil {
		_ = f.store.Close() // nothing was written
	}
}

// side reads the parts of one side: a directory, an archive, or the digest of a bundle that was in force. Without its
// signed statement: exceptions of both sides count from their first day, so that only what was edited makes a difference.
func (f *impactFlags) side(ctx context.Context, name string) ([]release.Part, error) {
	if digest := strings.TrimPrefix(name, "sha256:"); f.store != nil && len(digest) == 64 {
		parts, err := bundle.FetchParts(ctx, f.store, digest)
		return release.Content(parts), err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, usageError{err}
	}
	if info.IsDir() {
		parts, err := bundle.Source{Dir: name, GeoIP: f.geoip.GeoIP, GeoIPSecond: f.geoip.GeoIPSecond}.Read()
		if err != nil {
			return nil, usageError{err}
		}
		return parts, nil
	}
	if f.geoip.GeoIP == "" {
		return bundle.OpenArchive(name)
	}
	candidate, err := bundle.File{Path: name, Databases: f.geoip}.Candidate(ctx, nil)
	return candidate.Parts, err
}

// compile makes a bundle of a side.
func compileSide(name string, parts []release.Part) (*bundle.Bundle, error) {
	b, err := bundle.Compile(parts)
	if err != nil {
		return nil, fmt.Errorf("%s is not fit for use:\n%w\nborderwatch rules check and rules test say more", name, err)
	}
	return b, nil
}

// judge runs the comparison and returns what was added up and which events that were.
func (f *impactFlags) judge(ctx context.Context, run *backtest.Run, in io.Reader, stderr io.Writer) (*impact.Total, impact.Events, error) {
	run.Options, run.Workers = impact.Options{Rows: f.rows, Examples: f.examples}, f.workers
	if f.references == impact.ReferencesBundle || f.events != "" {
		run.References = backtest.Anew
	}
	if f.events != "" {
		return f.judgeFile(ctx, run, in, stderr)
	}
	bar := newProgressBar(stderr)
	run.Progress = bar.set
	total, err := run.Stored(ctx, f.store)
	bar.finish()
	return total, impact.Events{From: timeText(run.Span.From), Until: timeText(run.Span.Until)}, err
}

func (f *impactFlags) judgeFile(ctx context.Context, run *backtest.Run, in io.Reader, stderr io.Writer) (*impact.Total, impact.Events, error) {
	if f.events != "-" {
		file, err := os.Open(f.events)
		if err != nil {
			return nil, impact.Events{}, usageError{fmt.Errorf("--events: %w", err)}
		}
		defer file.Close()
		in = file
	}
	if f.from != "" || f.to != "" || f.last != "" {
		var err error
		if run.Span, err = f.span(time.Now()); err != nil {
			return nil, impact.Events{}, usageError{err}
		}
	}
	total, lines, err := run.File(ctx, in, f.adapter)
	if err != nil {
		return nil, impact.Events{}, err
	}
	if lines.First != nil {
		fmt.Fprintf(stderr, "borderwatch: left out %s, the first: %v\n", count(int(lines.Refused), "line"), lines.First)
	}
	return total, impact.Events{From: timeText(run.Span.From), Until: timeText(run.Span.Until), File: lines.SHA256, Refused: lines.Refused}, nil
}

func timeText(t access.Millis) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

// show writes the report: as JSON to --out, and as text or the same JSON to standard output.
func (f *impactFlags) show(report *impact.Report, stdout io.Writer) error {
	text, err := report.JSON()
	if err != nil {
		return err
	}
	if f.out != "" {
		if err := replaceFile(f.out, text, 0o644); err != nil {
			return err
		}
	}
	if f.format == formatJSON {
		_, err := stdout.Write(text)
		return err
	}
	style := impact.Style{Clean: printable}
	if isTerminal(stdout) {
		style.Red = func(s string) string { return colours["high"] + s + "\x1b[0m" }
	}
	if err := report.Write(stdout, style); err != nil {
		return err
	}
	digest, err := report.Digest()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "\nreport sha256:%s\n", digest)
	return err
}

// defaultLast is how far back events are judged where nobody says.
const defaultLast = 30 * 24 * time.Hour

// span reads --from, --to and --last.
func (f *impactFlags) span(now time.Time) (s store.Span, err error) {
	until := now.UTC().Truncate(time.Second)
	if f.to != "" {
		if until, err = parseMoment(f.to, true); err != nil {
			return s, fmt.Errorf("--to: %w", err)
		}
	}
	from, last := until.Add(-defaultLast), defaultLast
	if f.last != "" {
		if last, err = parseLast(f.last); err != nil {
			return s, fmt.Errorf("--last: %w", err)
		}
		from = until.Add(-last)
	}
	if f.from != "" {
		if from, err = parseMoment(f.from, false); err != nil {
			return s, fmt.Errorf("--from: %w", err)
		}
	}
	if !from.Before(until) {
		return s, fmt.Errorf("--from %s is not before --to %s", from.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	return store.Span{From: access.Millis(max(from.UnixMilli(), 1)), Until: access.Millis(max(until.UnixMilli(), 1))}, nil
}

// parseMoment reads a day in UTC, its end where end is set, or an RFC 3339 time.
func parseMoment(text string, end bool) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		if end {
			day = day.AddDate(0, 0, 1)
		}
		return day, nil
	}
	t, ok := access.ParseTime(text)
	if !ok {
		return time.Time{}, fmt.Errorf("%q is neither a day like 2026-11-01 nor a time like 2026-11-01T12:00:00Z", text)
	}
	return t.AsTime(), nil
}

// parseLast reads a duration, in days too.
func parseLast(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 36_500)) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time like 30d or 12h", text)
	}
	return d, nil
}

// progressBar shows on a terminal how far the judging is, and nothing elsewhere.
type progressBar struct {
	bar *progressbar.ProgressBar
	out io.Writer
}

func newProgressBar(out io.Writer) *progressBar { return &progressBar{out: out} }

func (p *progressBar) set(done, total uint64) {
	if !isTerminal(p.out) {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(int64(total), progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription("events judged"),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("events"), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	_ = p.bar.Set64(int64(done))
}

func (p *progressBar) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
