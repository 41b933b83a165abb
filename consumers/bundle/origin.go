package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/rules/release"
)

// Origin is where the bundle that should be in force comes from.
type Origin interface {
	// Candidate reads what lies there now. live is the release in force, nil where there is none.
	Candidate(ctx context.Context, live *release.Release) (Candidate, error)
	// String names the place for people.
	String() string
}

// Candidate is a bundle that asks to go live.
type Candidate struct {
	Parts  []Part // without the signed statement
	Signed []byte // the text of the release, nil where nobody signed
}

// SignedPath is the path of a signed statement among the parts of its bundle.
const SignedPath = "release"

// all are the parts of the bundle that the candidate would become.
func (c *Candidate) all() []Part {
	if c.Signed == nil {
		return c.Parts
	}
	return append(release.Content(c.Parts), release.NewPart(release.RoleSigned, SignedPath, c.Signed))
}

// Databases are the location databases at hand, which no archive holds.
type Databases struct{ GeoIP, GeoIPSecond string }

// supply fills in the location databases that parts name by digest.
func (d Databases) supply(parts []Part) error {
	for i := range parts {
		p := &parts[i]
		file := d.GeoIP
		switch p.Role {
		case release.RoleGeoIP:
		case release.RoleGeoIPSecond:
			file = d.GeoIPSecond
		default:
			continue
		}
		if p.Data != nil {
			continue
		}
		if file == "" {
			return fmt.Errorf("the bundle was built with the location database %s (sha256:%.12s…), and none is configured", p.Path, p.Digest)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("location database: %w", err)
		}
		if have := release.NewPart(p.Role, p.Path, data); have.Digest != p.Digest {
			return fmt.Errorf("location database %s is sha256:%.12s…, the bundle was built with sha256:%.12s…", path.Base(file), have.Digest, p.Digest)
		}
		p.Data = data
	}
	return nil
}

// SignedSuffix is what the file with the signed statement is called after its archive.
const SignedSuffix = ".signed"

// File is an archive that borderwatch rules build wrote, with the signed statement beside it.
type File struct {
	Path      string
	Databases Databases
}

// Candidate implements Origin. An archive that is only half there is an error; one without a statement is unsigned.
func (f File) Candidate(context.Context, *release.Release) (Candidate, error) {
	parts, err := OpenArchive(f.Path)
	if err != nil {
		return Candidate{}, err
	}
	signed, err := os.ReadFile(f.Path + SignedSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		signed, err = nil, nil
	}
	if err != nil {
		return Candidate{}, err
	}
	return Candidate{Parts: parts, Signed: signed}, f.Databases.supply(parts)
}

// String names the archive.
func (f File) String() string { return f.Path }

// OpenArchive reads an archive. Its location databases come without their bytes.
func OpenArchive(file string) ([]Part, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > release.MaxArchiveBytes {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", file, info.Size(), release.MaxArchiveBytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	parts, err := release.ReadArchive(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return parts, nil
}

// Development signs what lies in a folder with a key of its own, so that a machine on which nothing is at stake goes the
// way of a signed bundle. Only a policy for development takes it.
type Development struct {
	Source      Source
	Key         note.Signer
	Environment string
}

// developmentLifetime is within what time a development release has to go live: at once.
const developmentLifetime = time.Hour

// Candidate implements Origin. Files that are live already keep their statement.
func (d Development) Candidate(_ context.Context, live *release.Release) (Candidate, error) {
	parts, err := d.Source.readLive()
	if err != nil {
		return Candidate{}, err
	}
	if live != nil && live.Statement().Content == release.Digest(parts) {
		return Candidate{Parts: parts, Signed: live.Text()}, nil
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	statement, err := release.Describe(parts, live)
	if err != nil {
		return Candidate{}, err
	}
	statement.Environment, statement.Time, statement.Before = d.Environment, now, now.Add(developmentLifetime)
	signed, err := release.New(statement, d.Key, live)
	if err != nil {
		return Candidate{}, err
	}
	signed.Activate(now)
	return Candidate{Parts: parts, Signed: signed.Text()}, nil
}

// String names the folder.
func (d Development) String() string { return d.Source.String() }
