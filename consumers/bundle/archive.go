package bundle

import (
	"context"
	"errors"
	"fmt"

	"borderwatch/rules/release"
)

// Archive keeps bundles by digest for as long as events that name them. Inserting what is there already changes nothing.
type Archive interface {
	InsertBundle(ctx context.Context, digest, manifest string, parts map[string][]byte) error
	BundleManifest(ctx context.Context, digest string) (string, bool, error)
	BundlePart(ctx context.Context, digest string) ([]byte, bool, error)
}

// Keep stores a bundle, and a signed one under the digest of its content too: machines build on it, and other workers
// find it there.
func Keep(ctx context.Context, archive Archive, parts []Part) error {
	content := make(map[string][]byte, len(parts))
	for _, p := range parts {
		content[p.Digest] = p.Data
	}
	digest := release.Digest(parts)
	if err := archive.InsertBundle(ctx, digest, string(release.Manifest(parts)), content); err != nil {
		return fmt.Errorf("keep bundle %s: %w", digest, err)
	}
	if release.Signed(parts) == nil {
		return nil
	}
	built := release.Content(parts)
	if err := archive.InsertBundle(ctx, release.Digest(built), string(release.Manifest(built)), nil); err != nil {
		return fmt.Errorf("keep bundle %s: %w", release.Digest(built), err)
	}
	return nil
}

// KeepReport stores the report that a signed statement names by its digest beside the bundle of these parts, which Keep
// has stored.
func KeepReport(ctx context.Context, archive Archive, parts []Part, report []byte) error {
	digest := release.Digest(parts)
	content := map[string][]byte{release.NewPart("", "", report).Digest: report}
	if err := archive.InsertBundle(ctx, digest, string(release.Manifest(parts)), content); err != nil {
		return fmt.Errorf("keep the report of bundle %s: %w", digest, err)
	}
	return nil
}

// FetchReport reads a report by its digest, and nil where it is not in the archive as it was signed.
func FetchReport(ctx context.Context, archive Archive, digest string) ([]byte, error) {
	p := Part{Path: "report of the impact", Digest: digest}
	if err := fetchPart(ctx, archive, &p); errors.Is(err, ErrLost) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return p.Data, nil
}

// ErrLost says that a bundle is not in the archive as it was, or that this build cannot use it: asking again does not help.
var ErrLost = errors.New("the bundle cannot be had again")

// Fetch reads a bundle from the archive and checks every byte against its digest. Errors other than ErrLost are the
// archive's own and may pass.
func Fetch(ctx context.Context, archive Archive, digest string) (*Bundle, error) {
	parts, err := FetchParts(ctx, archive, digest)
	if err != nil {
		return nil, err
	}
	b, err := Compile(parts)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrLost, digest, err)
	}
	return b, nil
}

// FetchParts reads the parts of a bundle as Fetch does, and compiles nothing.
func FetchParts(ctx context.Context, archive Archive, digest string) ([]Part, error) {
	parts, err := fetchManifest(ctx, archive, digest)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		if err := fetchPart(ctx, archive, &parts[i]); err != nil {
			return nil, fmt.Errorf("bundle %s: %w", digest, err)
		}
	}
	return parts, nil
}

// FetchRelease reads the signed statement of a bundle, nil where it is unsigned.
func FetchRelease(ctx context.Context, archive Archive, digest string) (*release.Release, error) {
	parts, err := fetchManifest(ctx, archive, digest)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		if parts[i].Role != release.RoleSigned {
			continue
		}
		if err := fetchPart(ctx, archive, &parts[i]); err != nil {
			return nil, fmt.Errorf("bundle %s: %w", digest, err)
		}
		return release.Parse(parts[i].Data)
	}
	return nil, nil
}

func fetchManifest(ctx context.Context, archive Archive, digest string) ([]Part, error) {
	text, ok, err := archive.BundleManifest(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", digest, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s is not in the archive", ErrLost, digest)
	}
	parts, err := release.ParseManifest([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrLost, digest, err)
	}
	if release.Digest(parts) != digest {
		return nil, fmt.Errorf("%w: %s is in the archive under another digest", ErrLost, digest)
	}
	return parts, nil
}

func fetchPart(ctx context.Context, archive Archive, p *Part) error {
	data, ok, err := archive.BundlePart(ctx, p.Digest)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Path, err)
	}
	if !ok || release.NewPart(p.Role, p.Path, data).Digest != p.Digest {
		return fmt.Errorf("%w: %s is not in the archive, or with other bytes", ErrLost, p.Path)
	}
	p.Data = data
	return nil
}
