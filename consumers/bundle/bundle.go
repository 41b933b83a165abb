// Package bundle makes the immutable, content-addressed set that verdicts depend on: rules, groups, exceptions, roster,
// catalogue, entities, networks, approvals, address lists and location databases. Its digest names all of it, so a
// verdict can be made again from the digest and the record alone.
package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"borderwatch/consumers/enrich"
	"borderwatch/rules/engine"
	"borderwatch/rules/release"
)

// Limits of a bundle directory, checked before anything is parsed.
const (
	MaxFiles     = release.MaxFiles
	MaxFileBytes = 64 << 20 // address lists are the largest files; rule files have a limit of their own
)

// Bundle is everything a verdict depends on, compiled. It is immutable and safe for concurrent use.
type Bundle struct {
	Digest   string // SHA-256 of the manifest, 64 hexadecimal digits; what stored rows name
	Manifest []byte
	Parts    []Part
	Release  *release.Release // the signed statement among the parts, nil where the bundle is unsigned
	Signers  []release.Signer // whose signatures were verified when it went live here; empty for one that only replays
	Enricher *enrich.Enricher
	Engine   *engine.Engine
	Warnings []string // what does not keep the bundle from being used, with its place
}

// Part is one file of a bundle.
type Part = release.Part

// Source is a folder of files as people edit them. Nobody has signed what lies there.
type Source struct {
	Dir         string // directory; every .yaml, .yml, .txt and .csv file below it is a part
	GeoIP       string // mmdb file, "" for none: then an address has no country
	GeoIPSecond string // second database, "" for none
}

// Load reads and compiles the bundle that lies in src.
func Load(src Source) (*Bundle, error) {
	parts, err := src.Read()
	if err != nil {
		return nil, err
	}
	return Compile(parts)
}

// Read collects the parts of a source. It looks at nothing in them.
func (src Source) Read() ([]Part, error) {
	return src.read(os.ReadFile)
}

// readLive is Read for a bundle that is to judge: a location database that is not there is an empty one, so that places
// are unknown, with a warning, as with a damaged one. Tools that read for a person refuse it instead.
func (src Source) readLive() ([]Part, error) {
	return src.read(func(name string) ([]byte, error) {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return []byte{}, nil
		}
		return data, err
	})
}

func (src Source) read(database func(name string) ([]byte, error)) ([]Part, error) {
	parts, err := readDir(os.DirFS(src.Dir))
	if err != nil {
		return nil, fmt.Errorf("bundle directory %s: %w", src.Dir, err)
	}
	for _, db := range []struct{ role, file string }{{release.RoleGeoIP, src.GeoIP}, {release.RoleGeoIPSecond, src.GeoIPSecond}} {
		if db.file == "" {
			continue
		}
		data, err := database(db.file)
		if err != nil {
			return nil, fmt.Errorf("location database: %w", err)
		}
		parts = append(parts, release.NewPart(db.role, filepath.Base(db.file), data))
	}
	return parts, nil
}

// Candidate implements Origin: the files as they are, unsigned.
func (src Source) Candidate(context.Context, *release.Release) (Candidate, error) {
	parts, err := src.readLive()
	return Candidate{Parts: parts}, err
}

// String names the folder.
func (src Source) String() string { return src.Dir }

// readDir collects the parts below a directory.
func readDir(dir fs.FS) (parts []Part, err error) {
	err = fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden(name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err := regular(dir, name, entry); err != nil || entry.IsDir() || !partFile(name) {
			return err
		}
		if len(parts) == MaxFiles {
			return fmt.Errorf("more than %d files", MaxFiles)
		}
		data, err := readLimited(dir, name)
		if err != nil {
			return err
		}
		parts = append(parts, release.NewPart(release.RoleFile, name, data))
		return nil
	})
	return parts, err
}

// regular refuses what is neither a file nor a directory: a pipe would never end, and a link to a directory is not
// followed, so what lies behind it would be left out in silence.
func regular(dir fs.FS, name string, entry fs.DirEntry) error {
	if entry.IsDir() || entry.Type().IsRegular() || entry.Type()&fs.ModeSymlink == 0 && !partFile(name) {
		return nil
	}
	info, err := fs.Stat(dir, name)
	switch {
	case err != nil && !partFile(name):
		return nil // a link to nothing, which Ignored tells
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a link to a directory, which is not followed; put the files there themselves", name)
	case !info.Mode().IsRegular() && partFile(name):
		return fmt.Errorf("%s is no regular file (%s)", name, info.Mode().Type())
	}
	return nil
}

// Ignored lists the files of the directory that are no parts because of their names, so that a misspelt one is noticed.
// Dot files, Markdown and READMEs are expected there and left out.
func (src Source) Ignored() (names []string, err error) {
	err = fs.WalkDir(os.DirFS(src.Dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case hidden(name) && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() || hidden(name) || partFile(name) || expected(name):
			return nil
		}
		names = append(names, name)
		return nil
	})
	return names, err
}

func expected(name string) bool {
	base := strings.ToLower(path.Base(name))
	return strings.HasPrefix(base, "readme") || path.Ext(base) == ".md" || path.Ext(base) == ".markdown"
}

// hidden leaves out dot files, among them what editors and mounted Kubernetes volumes put beside the real ones.
func hidden(name string) bool { return name != "." && strings.HasPrefix(path.Base(name), ".") }

func partFile(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".txt", ".csv"}, path.Ext(name))
}

func readLimited(dir fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(dir, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxFileBytes {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", name, info.Size(), MaxFileBytes)
	}
	return fs.ReadFile(dir, name)
}
