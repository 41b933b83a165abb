package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

const usage = `borderwatch-verify checks the evidence of borderwatch as an outsider. It trusts the log's public key that you were
given, your own state file, and this program; nothing else.

To begin:

  1. Ask the operator for the log's public key (verifier.pub), on a way that does not lead through his servers, for an
     account at ClickHouse with the role bw_partner_verify, and for the address of the log's static files, or a copy.
  2. Write a file that says where ClickHouse is and which adapter reads which topic:

       clickhouse: {hosts: ["clickhouse.example:9440"], username: bw_partner_verify, password_file: password, tls: {enabled: true}}
       kafka: {topics: [access-events]}
       feeds: [{name: cloudtrail, adapter: cloudtrail, topic: cloudtrail}]

  3. Run it every day, with the same state file each time, where the operator cannot reach it:

       borderwatch-verify --config verify.yaml --ledger https://ledger.example --key verifier.pub --state state.json --evidence findings

Commands:

  borderwatch-verify [flags]             everything: log, rows, and the rules run again; what is new since the state
  borderwatch-verify rows [flags]        the same without running the rules
  borderwatch-verify alerts [flags]      log and receipts, and the rules run again over all records
  borderwatch-verify sample [flags]      --n events that did not alert, drawn by --seed and judged again, with the bound on the
                                         share of alerts that were missed
  borderwatch-verify alert ID [flags]    why there is an alert: record, bundle, verdict and proofs, made again byte for byte
  borderwatch-verify export [flags]      --out a sealed pack of alerts for others to check, by --alert ID, or by --from, --to and --where
  borderwatch-verify check PACK --key FILE   check such a pack without any server or network
  borderwatch-verify witness --help      cosign the checkpoints of the log, so that it cannot be forked or rolled back

What is checked, in this order:

  1. the checkpoint of the log carries the signature of the key you were given, and of witnesses where you name some
  2. the log continues the one whose checkpoint you kept, and its leaves and tiles have the signed root
  3. per partition the leaves follow each other without a hole, and their bundles were announced
  4. receipts, activations and notices of lost offsets agree with the leaves, and views and tables are those of this build
  5. rows agree with the recorded roots, both ways: none is missing, altered, doubled or there without a leaf
  6. the recorded rules, run again over the stored bytes, give the stored verdicts, alerts and dead letters
  7. the sources' own running numbers (source.seq) have no hole

Exit code 0: nothing found. 1: a finding. 2: wrong usage. 3: could not be completed.

Flags:
`

var errHelp = errors.New("help")

// options are the command and its flags.
type options struct {
	command, argument string

	config, ledger, key, state, evidence, builds string
	witness                                      string
	quorum, workers                              int
	maxCosignatureAge, wait                      time.Duration
	settledAfter, silentAfter                    time.Duration
	json, whole, accept                          bool

	n    int
	seed uint64

	out, alert, where string
	withoutGeoIP      bool
	geoip             string
	from, to          time.Time
}

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("borderwatch-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.flags(flags)
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.command, args = args[0], args[1:]
	}
	if (o.command == "alert" || o.command == "check") && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.argument, args = args[0], args[1:]
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp) || o.command == "help":
		fmt.Fprint(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return nil, errHelp
	case err != nil:
		return nil, fmt.Errorf("%w (--help tells all)", err)
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is more than is expected (--help tells all)", flags.Arg(0))
	}
	return o, o.check()
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.config, "config", "", "configuration `file`: clickhouse (the account bw_partner_verify), kafka.topics and feeds")
	f.StringVar(&o.ledger, "ledger", "", "`folder` or address of the log's public files: checkpoint and tile")
	f.StringVar(&o.key, "key", "", "`file` with the log's public key, and below it those that replaced it, handed over outside of the operator's systems")
	f.StringVar(&o.state, "state", "", "your own `file` of what was checked so far; made by the first run")
	f.BoolVar(&o.whole, "whole", false, "check everything again, not only what is new since the state")
	f.BoolVar(&o.accept, "accept", false, "move the state on although there are findings: you have kept them, and the next run goes on behind them")
	f.StringVar(&o.evidence, "evidence", "", "`folder` for a file with stand-alone evidence of each finding")
	f.BoolVar(&o.json, "json", false, "write the report as JSON")
	f.StringVar(&o.witness, "witness", "", "`file` with the public keys of witnesses (C2SP cosignature/v1), one a line")
	f.IntVar(&o.quorum, "quorum", 0, "how many witnesses must have signed (default all)")
	f.DurationVar(&o.maxCosignatureAge, "max-cosignature-age", 10*time.Minute, "how old their signatures may be")
	f.StringVar(&o.builds, "builds", "", "`file` with the SHA-256 of each binary that you accepted, one a line; another one that ran is a finding")
	f.DurationVar(&o.wait, "wait", 10*time.Second, "how long to wait for batches that are on their way")
	f.DurationVar(&o.settledAfter, "settled-after", 10*time.Minute, "a missing source.seq counts once higher numbers are this much older than the newest batch")
	f.DurationVar(&o.silentAfter, "silent-after", 0, "a feed without a record for this long is a finding (default never)")
	f.IntVar(&o.workers, "workers", runtime.NumCPU()+1, "how many stretches to check at once")
	f.IntVar(&o.n, "n", 1000, "sample: how many events at least")
	f.Uint64Var(&o.seed, "seed", 1, "sample: what the choice follows from; take one the operator cannot know")
	f.StringVar(&o.out, "out", "", "export: the pack to write, a zip `file`")
	f.StringVar(&o.alert, "alert", "", "export: the `id` of one alert")
	f.StringVar(&o.where, "where", "", "export: a ClickHouse `condition` over alert_rows, such as severity >= 'high'")
	f.BoolVar(&o.withoutGeoIP, "without-geoip", false, "export: leave location databases out, which a licence may ask for")
	f.StringVar(&o.geoip, "geoip", "", "check: the location database `file` that was left out of the pack")
	instant := func(to *time.Time) func(string) error {
		return func(text string) (err error) { *to, err = time.Parse(time.RFC3339, text); return err }
	}
	f.Func("from", "export: alerts of events from this `time` on (RFC 3339)", instant(&o.from))
	f.Func("to", "export: alerts of events before this `time`", instant(&o.to))
}

// check says what is missing.
func (o *options) check() error {
	switch o.command {
	case "", "rows", "alerts", "sample", "export":
	case "alert", "check":
		if o.argument == "" {
			return fmt.Errorf("%s wants an argument (--help tells all)", o.command)
		}
	default:
		return fmt.Errorf("no command %q (--help tells all)", o.command)
	}
	need := []struct{ flag, value string }{{"config", o.config}, {"ledger", o.ledger}, {"key", o.key}}
	if o.command == "check" {
		need = need[2:]
	}
	if o.command == "export" {
		need = append(need, struct{ flag, value string }{"out", o.out})
	}
	for _, n := range need {
		if n.value == "" {
			return fmt.Errorf("--%s is missing (--help tells all)", n.flag)
		}
	}
	if o.command == "sample" && o.n < 1 {
		return errors.New("--n has to be 1 or more")
	}
	return nil
}

// readBuilds reads the digests of accepted binaries, nil without a file. What follows a digest on its line is for people.
func readBuilds(file string) (map[string]bool, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	builds := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			builds[strings.TrimPrefix(fields[0], "sha256:")] = true
		}
	}
	return builds, lines.Err()
}
