// Package bundle makes the immutable, content-addressed set that verdicts depend on: rules, groups, exceptions, roster,
// catalogue, entities, networks, approvals, address lists and location databases. Its digest names all of it, so a
// verdict can be made again from the digest and the record alone.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"borderwatch/consumers/enrich"
	"borderwatch/rules/engine"
)

// Limits of a bundle directory, checked before anything is parsed.
const (
	MaxFiles     = 20_000
	MaxFileBytes = 64 << 20 // address lists are the largest files; rule files have a limit of their own
)

// Bundle is everything a verdict depends on, compiled. It is immutable and safe for concurrent use.
type Bundle struct {
	Digest   string // SHA-256 of the manifest, 64 hexadecimal digits
	Manifest []byte
	Parts    []Part
	Enricher *enrich.Enricher
	Engine   *engine.Engine
	Warnings []string // what does not keep the bundle from being used, with its place
}

// Part is one file of a bundle.
type Part struct {
	Role   string // "file", "geoip" or "geoip-second"; see the constants
	Path   string // relative to the bundle directory with forward slashes; the base name of a location database
	Digest string // SHA-256 of Data, 64 hexadecimal digits
	Data   []byte
}

// Source says where a bundle is read from.
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
	parts, err := readDir(os.DirFS(src.Dir))
	if err != nil {
		return nil, fmt.Errorf("bundle directory %s: %w", src.Dir, err)
	}
	for _, db := range []struct{ role, file string }{{roleGeoIP, src.GeoIP}, {roleGeoIPSecond, src.GeoIPSecond}} {
		if db.file == "" {
			continue
		}
		data, err := os.ReadFile(db.file)
		if err != nil {
			return nil, fmt.Errorf("location database: %w", err)
		}
		parts = append(parts, newPart(db.role, filepath.Base(db.file), data))
	}
	return parts, nil
}

// The roles of parts.
const (
	roleFile        = "file"
	roleGeoIP       = "geoip"
	roleGeoIPSecond = "geoip-second"
)

func newPart(role, path string, data []byte) Part {
	sum := sha256.Sum256(data)
	return Part{Role: role, Path: path, Digest: hex.EncodeToString(sum[:]), Data: data}
}

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
		if entry.IsDir() || !partFile(name) {
			return nil
		}
		if len(parts) == MaxFiles {
			return fmt.Errorf("more than %d files", MaxFiles)
		}
		data, err := readLimited(dir, name)
		if err != nil {
			return err
		}
		parts = append(parts, newPart(roleFile, name, data))
		return nil
	})
	return parts, err
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

// manifestVersion starts every manifest. The number after it is the version of what turns records into events: another
// normaliser can come to another verdict from the same record.
const manifestVersion = "borderwatch-manifest/v1"

// NormaliserVersion changes whenever decoding or enriching the same record can give another event.
const NormaliserVersion = 1

// manifest lists the parts by role and path. It does not depend on the order of files, the platform or the time.
func manifest(parts []Part) []byte {
	slices.SortFunc(parts, func(a, b Part) int {
		return strings.Compare(a.Role+"\x00"+a.Path, b.Role+"\x00"+b.Path)
	})
	m := fmt.Appendf(nil, "%s\nnormaliser %d\n", manifestVersion, NormaliserVersion)
	for _, p := range parts {
		m = fmt.Appendf(m, "%s sha256:%s %d %s\n", p.Role, p.Digest, len(p.Data), p.Path)
	}
	return m
}

func digestOf(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return hex.EncodeToString(sum[:])
}
