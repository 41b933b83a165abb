package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/enrich"
	"borderwatch/rules/engine"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

type explainFlags struct {
	config   configFlags
	event    string
	eventID  string
	position string
	rule     string
	adapter  string
	geoip    string
	format   string
}

func newRulesExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain DIR --event FILE | --event-id ID --config CONFIG",
		Short: "Show how each rule judges one event, condition by condition",
		Long: `explain reads one event, completes it from the reference files of the directory
and shows what is known about its place and how every rule in force judges it:
each condition true, false or unknown, with what the event says.

Of an event in a file the Kafka time is taken to be its own. A stored one is shown as
it was completed when it arrived, with what was found then; it is named by its
event id or the id of one of its alerts. Copies that say the same are one;
--position tells others apart.`,
		Example: `  borderwatch rules explain rules/ --event event.json --geoip country.mmdb
  borderwatch rules explain rules/ --event - --rule EU-101 < event.json
  borderwatch rules explain rules/ --adapter cloudtrail --event record.json --format json
  borderwatch rules explain rules/ --event-id acc-4b7f9d8c5e98890e --config console.yaml`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	formatFlag(cmd, &f.format, formatText, formatJSON)
	flags := cmd.Flags()
	f.config.register(cmd)
	flags.StringVar(&f.event, "event", "", "read the event from this `file`, - for standard input")
	flags.StringVar(&f.eventID, "event-id", "", "explain the stored event with this `id`, or of the alert with it")
	flags.StringVar(&f.position, "position", "", "of several events with the id, the one at `TOPIC/PARTITION/OFFSET`")
	flags.StringVar(&f.rule, "rule", "", "explain this rule only")
	flags.StringVar(&f.adapter, "adapter", decode.Native, "format of the record: "+strings.Join(config.Adapters, ", "))
	flags.StringVar(&f.geoip, "geoip", "", "country database in MaxMind DB format; without one, addresses have no country")
	return cmd
}

func (f *explainFlags) run(ctx context.Context, dir string, stdin io.Reader, stdout, stderr io.Writer) error {
	if f.config.print {
		loaded, err := f.config.load(config.NeedClickHouse)
		if err != nil {
			return err
		}
		return printConfig(stdout, loaded)
	}
	if (f.event == "") == (f.eventID == "") {
		return usageError{errOneEvent}
	}
	var value []byte
	var err error
	if f.event != "" {
		if value, err = readEvent(f.event, stdin); err != nil {
			return usageError{err}
		}
	}
	found, err := inspect(dir, f.geoip)
	if err != nil {
		return err
	}
	if found.Failed() {
		return errors.Join(showErrors(stderr, found.Problems, found.Sources), errUnreadable)
	}
	judge, err := engine.Compile(found.Set, engine.Options{})
	if err != nil {
		return err
	}
	x, err := f.explain(ctx, judge, found.Enricher, value, stderr)
	if err != nil {
		return err
	}
	if f.format == formatJSON {
		return writeJSON(stdout, x)
	}
	return x.write(stdout)
}

// explain explains the record, or the stored event.
func (f *explainFlags) explain(ctx context.Context, judge *engine.Engine, enricher *enrich.Enricher, value []byte, stderr io.Writer) (*explainedEvent, error) {
	var stored *explainedStored
	var ev *access.Event
	if f.eventID != "" {
		e, where, err := f.fetch(ctx)
		if err != nil {
			return nil, err
		}
		ev, stored = &e.Event, where
	} else {
		var err error
		if ev, err = f.decode(value, stderr); err != nil {
			return nil, err
		}
		enricher.Enrich(ev)
	}
	x, err := explainEvent(judge, ev, f.rule)
	if err != nil {
		return nil, usageError{err}
	}
	x.Stored = stored
	return x, nil
}

func readEvent(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--event: %w", err)
		}
		defer file.Close()
		in = file
	}
	// One byte more than is decoded, so that a record that is too large says so.
	value, err := io.ReadAll(io.LimitReader(in, decode.DefaultMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("--event %s: %w", name, err)
	}
	return value, nil
}

// decode reads the record as a feed does and shows where it is malformed.
func (f *explainFlags) decode(value []byte, stderr io.Writer) (*access.Event, error) {
	decoder, err := decode.New(f.adapter, decode.Feed{Name: "explain"})
	if err != nil {
		return nil, usageError{err}
	}
	ev := new(access.Event)
	ev.Reset()
	err = decoder.Decode(&decode.Record{Value: value}, ev)
	var bad *decode.Malformed
	if errors.As(err, &bad) {
		shown, marker := excerpt(value, bad.Position)
		_, printErr := fmt.Fprintf(stderr, "  %s\n  %s\n", shown, marker)
		return nil, errors.Join(fmt.Errorf("the record would be a dead letter (%s): %w", bad.Code, bad), printErr)
	}
	ev.Kafka.Timestamp = ev.Time
	return ev, err
}

// explainEvent judges ev by all rules in force, or by one.
func explainEvent(judge *engine.Engine, ev *access.Event, only string) (*explainedEvent, error) {
	var verdict alert.Verdict
	judge.Evaluate(ev, access.Digest{}, &verdict)
	x := newExplainedEvent(ev, &verdict)
	var known []string
	for _, r := range judge.Rules() {
		known = append(known, r.ID)
		if only != "" && r.ID != only {
			continue
		}
		explanation, _ := judge.Explain(ev, r.ID)
		x.Rules = append(x.Rules, newExplainedRule(&r, &explanation))
	}
	if len(x.Rules) == 0 {
		return nil, fmt.Errorf("no rule in force is called %q; there are %s", only, strings.Join(known, ", "))
	}
	slices.SortStableFunc(x.Rules, func(a, b explainedRule) int { return cmp.Compare(b.outcome, a.outcome) })
	return x, nil
}
