package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

func newRulesKeygen() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "keygen NAME -o FILE",
		Short: "Make a key to sign with, and print the line that the activation policy needs",
		Long: `keygen writes a new Ed25519 key to FILE, readable by its owner only, and prints
its public half. NAME is the person as exceptions name her in approved_by, or the
machine.`,
		Example: `  borderwatch rules keygen a.dpo -o ~/.borderwatch.key`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usageError{errors.New("name the key's file with -o FILE")}
			}
			public, err := createSigningKey(args[0], out)
			if err != nil {
				return err
			}
			if format == formatJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]string{"name": args[0], "file": out, "key": public})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), public)
			return err
		},
	}
	formatFlag(cmd, &format, formatText, formatJSON)
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the key to this new `file`")
	return cmd
}

// createSigningKey writes a new key to a new file and returns its public half.
func createSigningKey(name, file string) (public string, err error) {
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err == nil {
		_, err = note.NewSigner(private)
	}
	if err != nil {
		return "", usageError{fmt.Errorf("%q cannot be the name of a key: it is one word without +", name)}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", usageError{fmt.Errorf("%s is there already: a key is not overwritten", file)}
	}
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(f, private+"\n")
	return public, errors.Join(err, f.Sync(), f.Close())
}

// readSigningKey reads a key that nobody else can read.
func readSigningKey(file string) (note.Signer, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("key %s is open to others (mode %04o): want 0600", file, mode)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("key %s is not a key of borderwatch rules keygen", file)
	}
	return signer, nil
}
