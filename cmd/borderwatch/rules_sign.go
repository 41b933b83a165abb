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
after that signs the same text, and names with --policy whose keys count: what is
there is verified first. It shows the statement and whose signatures are missing.

--impact is the report of rules diff about this archive and --previous. Its digest
becomes part of the statement, and the report is kept beside it (FILE.impact.json).
Give both to the approver: sign compares the report with what she signs.

An exception is approved by those whom it names in approved_by and who sign; it
counts from when the bundle goes live. --previous carries over what was approved
before, so that only new and changed exceptions need new signatures. To whoever
signs it shows which files differ from it.`,
		Example: `  borderwatch rules sign bundle.tar --key my.key --previous live.tar --impact diff.json
  borderwatch rules sign bundle.tar --key my.key --policy activation-policy.yaml --previous live.tar`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(args[0], cmd.Flags().Changed, cmd.OutOrStdout())
		},
	}
	formatFlag(cmd, &f.format, formatText, formatJSON)
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "sign with the key in this `file`")
	flags.StringVar(&f.policy, "policy", "", "activation policy `file`: whose signatures count; compulsory for all but the author")
	flags.StringVar(&f.environment, "environment", "", "where the bundle may go live (default: as --policy says, else production)")
	flags.StringVar(&f.previous, "previous", "", "`archive` of what is live, its .signed beside it")
	flags.StringVar(&f.impact, "impact", "", "`file` with the report of rules diff --out about this archive: part of what is signed (default of the approver: FILE.impact.json)")
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
	var report *impactFile
	switch {
	case errors.Is(err, fs.ErrNotExist):
		signed, report, err = f.begin(parts, policy, key)
	case err == nil:
		report, err = f.join(file, signed, parts, policy, given, key)
	}
	if err != nil {
		return err
	}
	if report != nil {
		if err := replaceFile(file+impactSuffix, report.text, 0o644); err != nil {
			return err
		}
	}
	if err := replaceFile(file+bundle.SignedSuffix, signed.Text(), 0o644); err != nil {
		return err
	}
	return f.show(file, parts, signed, policy, report, stdout)
}

// begin writes the statement and signs it as its author.
func (f *signFlags) begin(parts []release.Part, policy *release.Policy, key note.Signer) (*release.Release, *impactFile, error) {
	if policy != nil {
		if err := policy.Admits(key); err != nil {
			return nil, nil, err
		}
	}
	var previous *release.Release
	var err error
	if f.previous != "" {
		if previous, err = readSigned(f.previous); err != nil {
			return nil, nil, fmt.Errorf("--previous: %w", err)
		}
	}
	s, err := release.Describe(parts, previous)
	if err != nil {
		return nil, nil, err
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
			return nil, nil, usageError{errors.New("--machine needs --previous: a machine changes what people signed")}
		}
		s.Base = previous.Base()
	}
	var report *impactFile
	if f.impact != "" {
		if report, err = readImpact(f.impact, s.Previous, s.Content); err != nil {
			return nil, nil, usageError{fmt.Errorf("--impact: %w", err)}
		}
		s.Impact = report.digest
	}
	signed, err := release.New(s, key, previous)
	return signed, report, err
}

// errPolicyNeeded refuses to sign below names that nothing verifies.
var errPolicyNeeded = errors.New("somebody has signed it: name the activation policy with --policy, so that what is there can be verified before you sign it too")

// join adds a signature to the statement that is there.
func (f *signFlags) join(file string, signed *release.Release, parts []release.Part, policy *release.Policy, given func(string) bool, key note.Signer) (*impactFile, error) {
	for _, name := range []string{"environment", "machine", "within"} {
		if given(name) {
			return nil, usageError{fmt.Errorf("--%s: the statement about %s is written already; remove %s%s to write another", name, file, file, bundle.SignedSuffix)}
		}
	}
	if policy == nil {
		return nil, usageError{fmt.Errorf("%s%s: %w", file, bundle.SignedSuffix, errPolicyNeeded)}
	}
	s := signed.Statement()
	if s.Content != release.Digest(parts) {
		return nil, fmt.Errorf("%s%s is about another build of the archive (content sha256:%.12s…, here sha256:%.12s…): remove it and let the author sign anew",
			file, bundle.SignedSuffix, s.Content, release.Digest(parts))
	}
	if f.previous != "" {
		previous, err := bundle.OpenArchive(f.previous)
		if err != nil {
			return nil, err
		}
		if have := release.Digest(previous); have != s.Previous {
			return nil, fmt.Errorf("--previous: %s is content sha256:%.12s…, and the statement was written against %.19s…", f.previous, have, "sha256:"+s.Previous)
		}
	}
	report, err := signedImpact(file, f.impact, s)
	if err != nil {
		return nil, err
	}
	if err := policy.Countersign(signed, key); err != nil {
		return nil, fmt.Errorf("%s%s: %w", file, bundle.SignedSuffix, err)
	}
	return report, nil
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
	Impact    string   `json:"impact,omitempty"`  // what the report says, in words
	Signed    []string `json:"signed"`            // by whom: only what was verified, or was just signed here
	Complete  *bool    `json:"complete"`          // null without a policy, and where only workers can tell
	Missing   string   `json:"missing,omitempty"` // in words
}

func (f *signFlags) show(file string, parts []release.Part, signed *release.Release, policy *release.Policy, report *impactFile, stdout io.Writer) error {
	shown := shownRelease{File: file + bundle.SignedSuffix, Statement: signed.Statement().Text(), Signed: []string{signed.Statement().Author}}
	if policy != nil {
		by, err := policy.Signatures(signed)
		if err != nil {
			return err
		}
		shown.Signed = by.Verified
	}
	if report != nil {
		shown.Impact = report.Summary()
	}
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
	if shown.Impact != "" {
		fmt.Fprintf(stdout, "impact (%s%s): %s\n", file, impactSuffix, shown.Impact)
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
