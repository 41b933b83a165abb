package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// upFlags are the flags of up.
type upFlags struct {
	dir      string
	bundle   string
	geoip    string
	rate     float64
	seed     uint64
	duration time.Duration
	fresh    bool
	json     bool
	quiet    bool
	port     int
	witness  bool
}

// check refuses values that would make up do nothing, or never end.
func (f *upFlags) check() error {
	switch {
	case f.duration < 0:
		return fmt.Errorf("--for: %v is no time to run", f.duration)
	case !(f.rate > 0):
		return fmt.Errorf("--rate: %v events a second are none; --no-traffic makes none", f.rate)
	case f.port < 0 || f.port > 65531:
		return fmt.Errorf("--port: %d is not the first of five ports", f.port)
	}
	return nil
}

func newUp() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine: broker, ClickHouse, pipeline and sample traffic",
		Long: `up fetches what it needs once, starts a real ClickHouse and a broker, judges
sample traffic of a fictitious company by the shipped rules, and shows the alerts
as they arrive, here and in a console for which it prints a link for each of its
three users. Ctrl-C stops it; the next up goes on where it was.

The rules, exceptions and reference files lie in a folder that up names: change
one while it runs and the next batch is judged by it.`,
		Example: `  borderwatch up
  borderwatch up --for 90s --json | jq -r 'select(.why).why'
  borderwatch up --fresh --rate 500`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return usageError{err}
			}
			return runUp(cmd.Context(), &f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.duration, "for", 0, "end by itself after this `time` (default: at Ctrl-C)")
	flags.BoolVar(&f.json, "json", false, "write JSON objects to standard output, first the addresses, then one per alert, and all else to standard error")
	flags.BoolVar(&f.fresh, "fresh", false, "start over: throw away what an earlier up stored")
	flags.StringVar(&f.dir, "dir", "", "keep everything in this `folder` (default: borderwatch/up in the user's cache)")
	flags.StringVar(&f.bundle, "bundle", "", "judge by the files in this `folder` (default: the shipped rules and the example company)")
	flags.StringVar(&f.geoip, "geoip", "", "country database in MaxMind DB format (default: a free one, fetched once)")
	flags.Float64Var(&f.rate, "rate", 20, "sample events a second")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the sample traffic")
	flags.BoolVar(&f.quiet, "no-traffic", false, "make no sample traffic: judge what you produce yourself")
	flags.BoolVar(&f.witness, "with-witness", false, "run a witness, as the partner would elsewhere: no checkpoint of the evidence log is published without its signature")
	flags.IntVar(&f.port, "port", 0, "first of five `port`s in a row: ClickHouse native, ClickHouse HTTP, Kafka, metrics, console (default: free ones, kept for the next up)")
	return cmd
}
