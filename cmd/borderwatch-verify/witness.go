package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/consumers/witness"
)

const witnessUsage = `borderwatch-verify witness cosigns the checkpoints of the operator's evidence log (C2SP tlog-witness).

  borderwatch-verify witness --new-key NAME --key FILE
  borderwatch-verify witness --key FILE --logs FILE --dir DIR [--listen HOST:PORT]

The first form makes your key and shows its public half, which the operator puts into ledger.serve.witnesses. The second
serves add-checkpoint at HOST:PORT, over plain HTTP: put TLS before it. A checkpoint is cosigned only when it provably
contains the last one that was; a fork and a rollback are refused, and said. DIR must keep what was synced: back it up, and
never start from an older copy.

`

// witnessFlags are the flags of the witness.
type witnessFlags struct {
	newKey, key, logs, dir, listen string
}

// runWitness is the command borderwatch-verify witness.
func runWitness(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var f witnessFlags
	flags := flag.NewFlagSet("borderwatch-verify witness", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, witnessUsage); flags.PrintDefaults() }
	flags.StringVar(&f.newKey, "new-key", "", "make a key of this `name`, such as partner.example/witness, write it to --key and end")
	flags.StringVar(&f.key, "key", "", "`file` of the witness's secret key")
	flags.StringVar(&f.logs, "logs", "", "`file` with the public keys of the logs to watch, one a line")
	flags.StringVar(&f.dir, "dir", "", "`folder` for the last checkpoint of each log")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9390", "`host:port` to serve at")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case f.key == "" || flags.NArg() > 0 || f.newKey == "" && (f.logs == "" || f.dir == ""):
		flags.Usage()
		return exitUsage
	}
	err := f.run(ctx, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "borderwatch-verify witness: %v\n", err)
		return exitIncomplete
	}
	return exitOK
}

func (f *witnessFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if f.newKey != "" {
		return newWitnessKey(f.newKey, f.key, stdout)
	}
	secret, err := os.ReadFile(f.key)
	if err != nil {
		return err
	}
	logs, err := os.ReadFile(f.logs)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	w, err := witness.Open(witness.Options{Dir: f.dir, Secret: strings.TrimSpace(string(secret)), Logs: strings.Fields(string(logs)), Log: log})
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	log.Info("witness", "address", ln.Addr().String(), "key", w.PublicKey())
	return errors.Join(w.Run(ctx, ln), w.Close())
}

// newWitnessKey writes a new key, whole and for its owner only.
func newWitnessKey(name, file string, stdout io.Writer) error {
	secret, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	public, err := witness.PublicKey(secret)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, secret+"\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, public)
	return err
}
