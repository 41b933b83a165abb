package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"borderwatch/consumers/bundle"
	"borderwatch/rules/release"
)

type signFlags struct {
	format      string
	key         string
	policy      string
	environment string
	previous    string
	impact      string
	machine     bool
	within      time.Duration
}

func newRulesSign() *cobra.Command {
	var f signFlags
	cmd := &cobra.Command{
		Use:   "sign FILE --key KEY",
		Short: "Sign an archive: its author first, then its approver",
		Long: `sign puts a short statement about the archive beside it (FILE.signed) and signs
that. The first to sign writes the statement and is its author; whoever signs
after that signs the same text. It shows the statement, and with --policy whose
signatures are still missing.

An exception is approved by those whom it names in approved_by and who sign; it
counts from when the bundle goes live. --previous carries over what was approved
before, so that only new and changed exceptions need new signatures. To whoever
signs it shows which files differ from it.`,
		Example: `  borderwatch rules sign bundle.tar --key my.key --previous live.tar --impact diff.json
  borderwatch rules sign bundle.tar --key my.key --policy activation-policy.yaml`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(args[0], cmd.Flags().Changed, cmd.OutOrStdout())
		},
	}
	formatFlag(cmd, &f.format, formatText, formatJSON)
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "sign with the key in this `file`")
	flags.StringVar(&f.policy, "policy", "", "activation policy `file`: says whose signatures are missing")
	flags.StringVar(&f.environment, "environment", "", "where the bundle may go live (default: as --policy says, else production)")
	flags.StringVar(&f.previous, "previous", "", "`archive` of what is live, its .signed beside it")
	flags.StringVar(&f.impact, "impact", "", "`file` with the report of rules diff: its digest becomes part of what is signed")
	flags.BoolVar(&f.machine, "machine", false, "sign as a machine, for a change of --previous that needs no people")
	flags.DurationVar(&f.within, "within", 7*24*time.Hour, "refuse to go live after this `time`")
	return cmd
}

func (f *signFlags) run(file string, given func(string) bool, stdout io.Writer) error {
	if f.key == "" {
		return usageError{errors.New("name your key with --key FILE; borderwatch rules keygen makes one")}
	}
	key, err := readSigningKey(f.key)
	if err != nil {
		return usageError{err}
	}
	var policy *release.Policy
	if f.policy != "" {
		if policy, err = readPolicy(f.policy); err != nil {
			return usageError{err}
		}
	}
	parts, err := bundle.OpenArchive(file)
	if err != nil {
		return err
	}
	signed, err := readSigned(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		signed, err = f.begin(parts, policy, key)
	case err == nil:
		err = f.join(file, signed, parts, given, key)
	}
	if err != nil {
		return err
	}
	if err := replaceFile(file+bundle.SignedSuffix, signed.Text(), 0o644); err != nil {
		return err
	}
	return f.show(file, parts, signed, policy, stdout)
}

// begin writes the statement and signs it as its author.
func (f *signFlags) begin(parts []release.Part, policy *release.Policy, key note.Signer) (*release.Release, error) {
	var previous *release.Release
	var err error
	if f.previous != "" {
		if previous, err = readSigned(f.previous); err != nil {
			return nil, fmt.Errorf("--previous: %w", err)
		}
	}
	s, err := release.Describe(parts, previous)
	if err != nil {
		return nil, err
	}
	s.Time = time.Now().UTC().Truncate(time.Millisecond)
	s.Before = s.Time.Add(f.within).Truncate(time.Millisecond)
	s.Environment = f.environment
	if s.Environment == "" && policy != nil {
		s.Environment = policy.Environment
	}
	if s.Environment == "" {
		s.Environment = "production"
	}
	if f.machine {
		if previous == nil {
			return nil, usageError{errors.New("--machine needs --previous: a machine changes what people signed")}
		}
		s.Base = previous.Base()
	}
	if f.impact != "" {
		report, err := os.ReadFile(f.impact)
		if err != nil {
			return nil, usageError{fmt.Errorf("--impact: %w", err)}
		}
		s.Impact = release.NewPart("", "", report).Digest
	}
	return release.New(s, key, previous)
}

// join adds a signature to the statement that is there.
func (f *signFlags) join(file string, signed *release.Release, parts []release.Part, given func(string) bool, key note.Signer) error {
	for _, name := range []string{"environment", "impact", "machine", "within"} {
		if given(name) {
			return usageError{fmt.Errorf("--%s: the statement about %s is written already; remove %s%s to write another", name, file, file, bundle.SignedSuffix)}
		}
	}
	if signed.Statement().Content != release.Digest(parts) {
		return fmt.Errorf("%s%s is about another build of the archive (content sha256:%.12s…, here sha256:%.12s…): remove it and let the author sign anew",
			file, bundle.SignedSuffix, signed.Statement().Content, release.Digest(parts))
	}
	if f.previous != "" {
		previous, err := bundle.OpenArchive(f.previous)
		if err != nil {
			return err
		}
		if have := release.Digest(previous); have != signed.Statement().Previous {
			return fmt.Errorf("--previous: %s is content sha256:%.12s…, and the statement was written against %.19s…", f.previous, have, "sha256:"+signed.Statement().Previous)
		}
	}
	return signed.Sign(key)
}

// readSigned reads the signed statement beside an archive.
func readSigned(file string) (*release.Release, error) {
	text, err := os.ReadFile(file + bundle.SignedSuffix)
	if err != nil {
		return nil, err
	}
	signed, err := release.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", filepath.Base(file), bundle.SignedSuffix, err)
	}
	return signed, nil
}

// shownRelease is a signed statement as commands write it.
type shownRelease struct {
	File      string   `json:"file"`
	Statement string   `json:"statement"`
	Changes   []string `json:"changes,omitempty"` // files against --previous: "+ added", "- removed", "~ changed"
	Signed    []string `json:"signed"`            // names of keys
	Complete  *bool    `json:"complete"`          // null without a policy, and where only workers can tell
	Missing   string   `json:"missing,omitempty"` // in words
}

func (f *signFlags) show(file string, parts []release.Part, signed *release.Release, policy *release.Policy, stdout io.Writer) error {
	shown := shownRelease{File: file + bundle.SignedSuffix, Statement: signed.Statement().Text(), Signed: signed.SignerNames()}
	if f.previous != "" {
		previous, err := bundle.OpenArchive(f.previous)
		if err != nil {
			return err
		}
		shown.Changes = changedFiles(previous, parts)
	}
	if policy != nil && f.verifiable(signed) {
		complete := true
		if _, err := policy.Verify(parts, signed, release.Context{Now: time.Now(), Base: f.base}); err != nil {
			complete, shown.Missing = false, err.Error()
		}
		shown.Complete = &complete
	}
	if f.format == formatJSON {
		return writeJSON(stdout, shown)
	}
	fmt.Fprintf(stdout, "%s\n", strings.TrimSpace(shown.Statement))
	for _, change := range shown.Changes {
		fmt.Fprintln(stdout, change)
	}
	fmt.Fprintf(stdout, "signed by %s\n", strings.Join(shown.Signed, ", "))
	switch {
	case shown.Complete == nil:
	case *shown.Complete:
		fmt.Fprintf(stdout, "All signatures are there: borderwatch rules activate %s\n", file)
	default:
		fmt.Fprintf(stdout, "Not complete: %s\n", shown.Missing)
	}
	return nil
}

// changedFiles lists the files in which two bundles differ, by path.
func changedFiles(old, parts []release.Part) (out []string) {
	digests := func(parts []release.Part) map[string]string {
		m := make(map[string]string, len(parts))
		for _, p := range parts {
			m[p.Path] = p.Digest
		}
		return m
	}
	was, is := digests(old), digests(parts)
	for path := range is {
		switch {
		case was[path] == "":
			out = append(out, "+ "+path)
		case was[path] != is[path]:
			out = append(out, "~ "+path)
		}
	}
	for path := range was {
		if is[path] == "" {
			out = append(out, "- "+path)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	return out
}

// verifiable reports whether all is at hand that a verdict needs: what a machine builds on may be known to workers only.
func (f *signFlags) verifiable(signed *release.Release) bool {
	base := signed.Statement().Base
	if base == "" {
		return true
	}
	parts, err := f.base(base)
	return err == nil && release.Digest(parts) == base
}

// base reads what a machine builds on: the archive of --previous.
func (f *signFlags) base(string) ([]release.Part, error) {
	if f.previous == "" {
		return nil, errors.New("name its archive with --previous")
	}
	return bundle.OpenArchive(f.previous)
}
