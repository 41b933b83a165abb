package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says which code is running, for people and for the evidence of every start.
type build struct {
	Version  string `json:"version"`  // of the module; "(devel)" outside a release
	Commit   string `json:"commit"`   // "" where the build knows none
	Modified bool   `json:"modified"` // built from a tree with changes of its own
	Go       string `json:"go"`
	Platform string `json:"platform"`
	SHA256   string `json:"sha256"` // of the executable file
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show which build this is",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := thisBuild()
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			return b.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func thisBuild() (build, error) {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	sum, err := executableSum()
	if err != nil {
		return build{}, fmt.Errorf("checksum of this program: %w", err)
	}
	b.SHA256 = sum
	return b, nil
}

func executableSum() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (b build) print(w io.Writer) error {
	commit := b.Commit
	if commit == "" {
		commit = "unknown"
	}
	if b.Modified {
		commit += " with changes"
	}
	_, err := fmt.Fprintf(w, "borderwatch %s\ncommit      %s\ngo          %s %s\nsha256      %s\n",
		b.Version, commit, b.Go, b.Platform, b.SHA256)
	return err
}
