package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
)

func newLedgerKeygen() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "keygen ORIGIN --out FILE",
		Short: "Make a signing key for an evidence log and show its public half",
		Long: `keygen makes an Ed25519 signing key for the log of that origin, the name in its
checkpoints. A new log takes it as signing.key in its folder (one without a key
makes its own at the first start); a log that has a key changes to it by
rotate-key. The public half goes to the partner and to witnesses.`,
		Example: `  borderwatch ledger keygen ledger.example.com/2026 --out signing.next`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usageError{errors.New("--out is required, the file to write the key to")}
			}
			public, err := ledger.GenerateKey(file, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), public)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "out", "", "write the secret key to this `file`, which must not be there yet")
	return cmd
}

type rotateFlags struct {
	config configFlags
	key    string
}

func newLedgerRotateKey() *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate-key --config FILE --new-key FILE",
		Short: "Replace the signing key of the evidence log, on record",
		Long: `rotate-key records in the log that the old key hands over to the new one, signed
by both, has that covered by a last checkpoint of the old key, and replaces the
key. The partner, who trusts the old key, finds the handover in the log.

Give the new public key to the partner and to witnesses first, or they refuse the
checkpoints of the new key; then stop the ledger, run this, and start it again. If it is
interrupted, or witnesses do not answer, run it again: until then the ledger
refuses to start.`,
		Example: `  borderwatch ledger keygen ledger.example.com/2026 --out signing.next
  borderwatch ledger rotate-key --config ledger.yaml --new-key signing.next`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.config.register(cmd)
	cmd.Flags().StringVar(&f.key, "new-key", "", "`file` of the new secret key (ledger keygen)")
	return cmd
}

func (f *rotateFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	loaded, err := f.config.load(config.NeedLedger)
	switch {
	case err != nil:
		return err
	case f.config.print:
		return printConfig(stdout, loaded)
	case loaded.Ledger.Dir == "":
		return usageError{errors.New("ledger.dir is required: the key is replaced where the log is kept")}
	case f.key == "":
		return usageError{errors.New("--new-key is required")}
	}
	routeKlog(newLogger(loaded.Log, stderr))
	public, err := ledger.Rotate(ctx, ledgerOptions(&loaded.Ledger), f.key)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "The log is signed by this key from now on:\n%s\n", public)
	return err
}
