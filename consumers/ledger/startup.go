package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"
)

// Startup is the leaf of a process that starts (config/v1): which build ran.
type Startup struct {
	Instance string    // role and name of the process, one word
	Version  string    // module version, (devel) for a local build
	Commit   string    // revision, with +dirty if the tree was modified; unknown if not stamped
	Binary   [32]byte  // SHA-256 of the executable file
	Go       string    // Go toolchain
	Time     time.Time // milliseconds, UTC
}

// ThisBuild returns the leaf of the running executable.
func ThisBuild(instance string, at time.Time) (Startup, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Startup{}, errors.New("read build info: the binary has none")
	}
	s := Startup{
		Instance: instance,
		Version:  info.Main.Version,
		Commit:   commit(info.Settings),
		Go:       info.GoVersion,
		Time:     at.UTC().Truncate(time.Millisecond),
	}
	if s.Version == "" {
		s.Version = "(devel)"
	}
	var err error
	s.Binary, err = hashExecutable()
	return s, err
}

func commit(settings []debug.BuildSetting) string {
	revision, suffix := "unknown", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			suffix = "+dirty"
		}
	}
	return revision + suffix
}

func hashExecutable() (sum [32]byte, err error) {
	name, err := os.Executable()
	if err != nil {
		return sum, fmt.Errorf("find the executable: %w", err)
	}
	f, err := os.Open(name)
	if err != nil {
		return sum, fmt.Errorf("hash the executable: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, fmt.Errorf("hash the executable: %w", err)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// Marshal implements Leaf.
func (s Startup) Marshal() []byte {
	t := lines(kindStartup+"\n").text("instance", s.Instance).text("version", s.Version).text("commit", s.Commit)
	return t.digest("binary", s.Binary).text("go", s.Go).time("time", s.Time)
}

// Validate implements Leaf.
func (s Startup) Validate() error {
	words := []struct{ field, value string }{
		{"instance", s.Instance}, {"version", s.Version}, {"commit", s.Commit},
	}
	for _, w := range words {
		if err := validateWord(w.field, w.value, maxTextLen); err != nil {
			return err
		}
	}
	// A toolchain built with experiments names them after a space.
	if err := validateText("go", s.Go, maxTextLen); err != nil {
		return err
	}
	return validateTime("time", s.Time)
}

func readStartup(r *lineReader) Startup {
	return Startup{
		Instance: r.text("instance"),
		Version:  r.text("version"),
		Commit:   r.text("commit"),
		Binary:   r.digest("binary"),
		Go:       r.text("go"),
		Time:     r.time("time"),
	}
}
