// Command borderwatch-verify lets the independent partner check what the operator stored, without trusting the operator:
// the evidence log is signed and whole and the one he saw before, every batch that it records is in ClickHouse unchanged,
// and judging the records again by the recorded rules comes to the recorded verdicts and alerts.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
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
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "witness" {
		return runWitness(ctx, args[1:], stdout, stderr)
	}
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, errHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "borderwatch-verify: %v\n", err)
		return exitUsage
	case o.command == "check":
		return checkPack(o, stdout, stderr)
	}
	loaded, err := config.Load(config.Options{File: o.config, Environ: environ, Needs: config.NeedTopics | config.NeedClickHouse})
	if err == nil {
		err = loaded.ReadSecrets()
	}
	if err != nil {
		fmt.Fprintf(stderr, "borderwatch-verify: configuration:\n%v\n", err)
		return exitUsage
	}
	report := &Report{Command: cmp.Or(o.command, "all"), Findings: []Finding{}}
	v, err := newVerification(o, loaded.Config, report)
	if err == nil {
		v.progress = newProgressBar(stderr)
		err = v.run(ctx, stdout)
	}
	if o.command != "alert" || len(report.Findings) > 0 {
		report.sort()
		err = errors.Join(err, report.writeEvidence(o.evidence), report.write(stdout, o.json))
	}
	return outcome(report, err, stderr)
}

func outcome(report *Report, err error, stderr io.Writer) int {
	if err != nil {
		fmt.Fprintf(stderr, "borderwatch-verify: could not be completed: %v\n", err)
	}
	switch {
	case len(report.Findings) > 0:
		return exitFinding
	case err != nil:
		return exitIncomplete
	}
	return exitOK
}

// run does what the command says, after the log was checked, which all of it rests on.
func (v *verification) run(ctx context.Context, stdout io.Writer) (err error) {
	start := v.now()
	defer func() {
		v.report.Seconds = v.now().Sub(start).Seconds()
		err = errors.Join(err, v.close())
	}()
	good, err := v.openLog(ctx)
	if err != nil || !good {
		return err
	}
	switch v.options.command {
	case "sample":
		return v.sample(ctx)
	case "alert":
		return v.certificate(ctx, stdout)
	case "export":
		return v.export(ctx)
	}
	v.judging = v.options.command != "rows"
	if err := v.database(ctx); err != nil {
		return err
	}
	if v.options.command != "" {
		v.report.limit("The command %s checks only a part, so your state is not moved on.", v.options.command)
		return nil
	}
	return v.keep()
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
