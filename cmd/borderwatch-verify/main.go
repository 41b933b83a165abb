// Command borderwatch-verify lets the independent partner check what the operator stored, without trusting the operator:
// the evidence log is signed and whole, every batch that it records is in ClickHouse unchanged, and judging the records
// again by the recorded rules comes to the recorded verdicts and alerts.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"borderwatch/cmd/borderwatch/config"
)

// The exit codes.
const (
	exitOK         = 0
	exitFinding    = 1
	exitUsage      = 2
	exitIncomplete = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `borderwatch-verify checks the evidence of borderwatch as an outsider.

  borderwatch-verify --config FILE --ledger DIR --key FILE [--json]
  borderwatch-verify witness --help    cosign the checkpoints of the log, so that it cannot be forked or rolled back

It checks, in this order:
  1. the checkpoint of the evidence log carries the signature of the key you were given, and its leaves have its root
  2. per partition the leaves follow each other without a hole
  3. every recorded batch has its receipt, and no receipt is without a leaf
  4. the stored bytes of every record are those that were read
  5. the recorded rules, run again over those bytes, give the recorded verdicts, and the stored events and alerts are those

Exit code 0: nothing found. 1: a finding. 2: wrong usage. 3: the check could not be completed.

`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "witness" {
		return runWitness(ctx, args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("borderwatch-verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	file := flags.String("config", "", "configuration `file`: clickhouse (the account bw_partner_verify), kafka.topics and feeds")
	ledgerDir := flags.String("ledger", "", "`folder` of the evidence log's public files: checkpoint and tile")
	keyFile := flags.String("key", "", "`file` with the log's public key, handed over outside of the operator's systems")
	asJSON := flags.Bool("json", false, "write the report as JSON")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case *file == "" || *ledgerDir == "" || *keyFile == "" || flags.NArg() > 0:
		flags.Usage()
		return exitUsage
	}
	loaded, err := config.Load(config.Options{File: *file, Environ: os.Environ(), Needs: config.NeedTopics | config.NeedClickHouse})
	if err == nil {
		err = loaded.ReadSecrets()
	}
	if err != nil {
		fmt.Fprintf(stderr, "borderwatch-verify: configuration:\n%v\n", err)
		return exitUsage
	}
	report := &Report{}
	err = verify(ctx, loaded.Config, *ledgerDir, *keyFile, report)
	if writeErr := report.write(stdout, *asJSON); writeErr != nil {
		err = errors.Join(err, writeErr)
	}
	switch {
	case len(report.Findings) > 0:
		return exitFinding
	case err != nil:
		fmt.Fprintf(stderr, "borderwatch-verify: could not be completed: %v\n", err)
		return exitIncomplete
	}
	return exitOK
}

// Finding is one thing that is not as the evidence says.
type Finding struct {
	Kind  string `json:"kind"`  // short and stable
	Where string `json:"where"` // partition and offsets, or the log
	Text  string `json:"text"`
}

// Report says what was checked and what was found.
type Report struct {
	LogSize    uint64    `json:"log_size"` // leaves under the checkpoint
	Partitions int       `json:"partitions"`
	Batches    int       `json:"batches"`
	Gaps       int       `json:"gaps"`
	Records    int64     `json:"records"`
	Events     int64     `json:"events"`
	Alerts     int64     `json:"alerts"`
	Findings   []Finding `json:"findings"`
}

func (r *Report) find(kind, where, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{kind, where, fmt.Sprintf(format, args...)})
}

func (r *Report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%d leaves, %d partitions, %d batches, %d gaps, %d records, %d events judged again, %d alerts\n",
		r.LogSize, r.Partitions, r.Batches, r.Gaps, r.Records, r.Events, r.Alerts)
	for _, f := range r.Findings {
		fmt.Fprintf(w, "FINDING %s %s: %s\n", f.Kind, f.Where, f.Text)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "no finding")
	}
	return nil
}
