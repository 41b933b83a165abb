package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"borderwatch/consumers/bundle"
	"borderwatch/rules/release"
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
		Long: `build checks the directory as a worker does, runs all tests, and writes rules,
groups, exceptions, reference files and address lists into one archive. The same
files give the same archive on every machine and day. Location databases are in
it by their digest.`,
		Example: `  borderwatch rules build rules/ -o bundle.tar
  borderwatch rules build rules/ -o bundle.tar --geoip country.mmdb --format json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(args[0], cmd.OutOrStdout()) },
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

func (f *buildFlags) run(dir string, stdout io.Writer) error {
	if f.out == "" {
		return usageError{fmt.Errorf("name the archive with -o FILE")}
	}
	parts, err := bundle.Source{Dir: dir, GeoIP: f.geoip, GeoIPSecond: f.geoipSecond}.Read()
	if err != nil {
		return usageError{err}
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
