// Package release is what a set of rules is between the people who write it and the workers that judge by it: a canonical
// archive, a statement about it that people sign (C2SP signed notes, Ed25519), and the activation policy that says whose
// signatures are needed. It reads no clock and no network, so that a verifier comes to the same answer as a worker.
//
// One digest names a bundle: the SHA-256 of its manifest. That of what was built is the content digest, and people sign
// it. A signed bundle has the signed statement as one more part; the digest that stored rows name covers it, so that from
// a row one gets to the rules and to the people behind them.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The roles of parts.
const (
	RoleFile        = "file"
	RoleGeoIP       = "geoip"
	RoleGeoIPSecond = "geoip-second"
	RoleSigned      = "signed" // the signed statement about all other parts
)

// Part is one file of a bundle.
type Part struct {
	Role   string // see the constants
	Path   string // relative to the bundle directory with forward slashes; the base name of a location database
	Digest string // SHA-256 of Data, 64 hexadecimal digits
	Size   int    // bytes of Data
	Data   []byte // nil for a part that is known by its digest alone
}

// NewPart returns a part with its digest.
func NewPart(role, path string, data []byte) Part {
	return Part{Role: role, Path: path, Digest: digestOf(data), Size: len(data), Data: data}
}

// manifestVersion starts every manifest. The number after it is the version of what turns records into events: another
// normaliser can come to another verdict from the same record.
const manifestVersion = "borderwatch-manifest/v1"

// NormaliserVersion changes whenever decoding or enriching the same record can give another event.
const NormaliserVersion = 1

// Manifest lists the parts by role and path. It does not depend on the order of files, the platform or the time.
func Manifest(parts []Part) []byte {
	sorted := slices.SortedFunc(slices.Values(parts), func(a, b Part) int {
		return strings.Compare(a.Role+"\x00"+a.Path, b.Role+"\x00"+b.Path)
	})
	m := fmt.Appendf(nil, "%s\nnormaliser %d\n", manifestVersion, NormaliserVersion)
	for _, p := range sorted {
		m = fmt.Appendf(m, "%s sha256:%s %d %s\n", p.Role, p.Digest, p.Size, p.Path)
	}
	return m
}

// Digest names the bundle of these parts: the SHA-256 of its manifest, 64 hexadecimal digits.
func Digest(parts []Part) string { return digestOf(Manifest(parts)) }

// Content leaves out the signed statement: what is left is what was built, and Digest of it what people sign.
func Content(parts []Part) []Part {
	return slices.DeleteFunc(slices.Clone(parts), func(p Part) bool { return p.Role == RoleSigned })
}

// Signed returns the text of the signed statement among the parts, nil where there is none.
func Signed(parts []Part) []byte {
	for _, p := range parts {
		if p.Role == RoleSigned {
			return p.Data
		}
	}
	return nil
}

// ParseManifest reads what Manifest wrote. The parts have no Data. It is strict: other text with the same parts is refused.
func ParseManifest(text []byte) (parts []Part, err error) {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) < 2 || lines[0] != manifestVersion {
		return nil, fmt.Errorf("manifest line 1: not %s", manifestVersion)
	}
	if want := "normaliser " + strconv.Itoa(NormaliserVersion); lines[1] != want {
		return nil, fmt.Errorf("manifest line 2: %.60q, this build has %q and cannot judge as that one did", lines[1], want)
	}
	for i, line := range lines[2:] {
		p, err := parsePart(line)
		if err != nil {
			return nil, fmt.Errorf("manifest line %d: %w", i+3, err)
		}
		parts = append(parts, p)
	}
	if string(Manifest(parts)) != string(text) {
		return nil, fmt.Errorf("manifest: not in canonical form")
	}
	return parts, nil
}

func parsePart(line string) (Part, error) {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 {
		return Part{}, fmt.Errorf("want role, digest, size and path")
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil || size < 0 {
		return Part{}, fmt.Errorf("%.40q is not a size", fields[2])
	}
	digest, ok := parseDigest(fields[1])
	if !ok {
		return Part{}, fmt.Errorf("%.80q is not sha256: and 64 hexadecimal digits", fields[1])
	}
	p := Part{Role: fields[0], Path: fields[3], Digest: digest, Size: size}
	return p, p.check()
}

// check refuses names that a manifest or a folder could not hold.
func (p *Part) check() error {
	if !slices.Contains([]string{RoleFile, RoleGeoIP, RoleGeoIPSecond, RoleSigned}, p.Role) {
		return fmt.Errorf("role %.40q is none of a part", p.Role)
	}
	if !fs.ValidPath(p.Path) || strings.ContainsFunc(p.Path, unicode.IsControl) || strings.Contains(p.Path, `\`) {
		return fmt.Errorf("%.200q is not a path below the bundle directory", p.Path)
	}
	return nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// parseDigest reads sha256: and 64 lower-case hexadecimal digits.
func parseDigest(text string) (string, bool) {
	hexadecimal, ok := strings.CutPrefix(text, "sha256:")
	return hexadecimal, ok && len(hexadecimal) == 64 && strings.Trim(hexadecimal, "0123456789abcdef") == ""
}
