package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/consumers/bundle"
	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
	"borderwatch/rules/release"
	"borderwatch/schemas/access"
)

type buildFlags struct {
	format             string
	out                string
	geoip, geoipSecond string
}

func newRulesBuild() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build DIR -o FILE",
		Short: "Make one archive of everything that decides, ready to be signed",
		Long: `build makes the checks of rules check, whose errors it refuses, runs all tests as
rules test and a worker do, and writes rules, groups, exceptions, reference files
and address lists into one archive. The same files give the same archive on every
machine and day. Location databases are in it by their digest.`,
		Example: `  borderwatch rules build rules/ -o bundle.tar
  borderwatch rules build rules/ -o bundle.tar --geoip country.mmdb --format json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	formatFlag(cmd, &f.format, formatText, formatJSON)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "write the archive to this `file`")
	cmd.Flags().StringVar(&f.geoip, "geoip", "", "country database that workers use, in MaxMind DB format")
	cmd.Flags().StringVar(&f.geoipSecond, "geoip-second", "", "a second one, of another maker")
	return cmd
}

// built is what build says.
type built struct {
	File    string       `json:"file"`
	Content string       `json:"content"` // digest of what was built; people sign it
	SHA256  string       `json:"sha256"`  // of the file
	Bytes   int          `json:"bytes"`
	Groups  []builtGroup `json:"groups"`
}

type builtGroup struct {
	Group  string `json:"group"`
	SHA256 string `json:"sha256"`
}

func (f *buildFlags) run(dir string, stdout, stderr io.Writer) error {
	if f.out == "" {
		return usageError{fmt.Errorf("name the archive with -o FILE")}
	}
	parts, err := bundle.Source{Dir: dir, GeoIP: f.geoip, GeoIPSecond: f.geoipSecond}.Read()
	if err != nil {
		return usageError{err}
	}
	if err := refuse(dir, parts, stderr); err != nil {
		return err
	}
	if _, err := bundle.Compile(parts); err != nil {
		return fmt.Errorf("%s is not fit for use:\n%w\nborderwatch rules check and rules test say more", dir, err)
	}
	var archive bytes.Buffer
	if err := release.WriteArchive(&archive, parts); err != nil {
		return err
	}
	if err := replaceFile(f.out, archive.Bytes(), 0o644); err != nil {
		return err
	}
	b := built{File: f.out, Content: release.Digest(parts), SHA256: release.NewPart("", "", archive.Bytes()).Digest, Bytes: archive.Len()}
	for _, g := range release.Groups(parts) {
		b.Groups = append(b.Groups, builtGroup{g.Group, g.Digest})
	}
	if f.format == formatJSON {
		return writeJSON(stdout, b)
	}
	_, err = fmt.Fprintf(stdout, "%s: %d files, content sha256:%s\nSign it: borderwatch rules sign %s --key KEY\n", f.out, len(parts), b.Content, f.out)
	return err
}

// refuse makes the checks of rules check and shows the errors among their findings.
func refuse(dir string, parts []release.Part, stderr io.Writer) error {
	found := bundle.Inspect(parts)
	findings := findingsOf(found, policy.DayOf(access.Millis(time.Now().UnixMilli())))
	errs := slices.DeleteFunc(findings, func(p lint.Finding) bool { return p.Severity != policy.SeverityError })
	switch {
	case len(errs) > 0:
		return errors.Join(showErrors(stderr, errs, found.Sources), fmt.Errorf("%s is not fit for use: %s", dir, count(len(errs), "error")))
	case len(found.Set.Rules) == 0:
		return usageError{fmt.Errorf("%s: %w", dir, errEmpty)}
	}
	return nil
}

// replaceFile writes a file such that a reader sees the old one or the new one, whole.
func replaceFile(name string, data []byte, mode os.FileMode) error {
	next, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) // gone already where all went well
	if _, err := next.Write(data); err != nil {
		return err
	}
	if err := next.Chmod(mode); err != nil {
		return err
	}
	if err := next.Sync(); err != nil {
		return err
	}
	if err := next.Close(); err != nil {
		return err
	}
	return os.Rename(next.Name(), name)
}
