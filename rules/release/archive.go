package release

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Limits of an archive.
const (
	MaxFiles        = 20_000
	MaxArchiveBytes = 1 << 30
	maxManifest     = 8 << 20
)

// manifestName is the first entry of an archive; the files follow below filesDir in the order of the manifest.
const (
	manifestName = "manifest"
	filesDir     = "files/"
)

// WriteArchive writes the parts of a build as one canonical archive: a tar file in which nothing but names and bytes of
// the parts differs, so that the same files give the same archive on every machine and day. Location databases are in it
// by their digest only: they are large and often must not be handed on.
func WriteArchive(w io.Writer, parts []Part) error {
	parts = slices.SortedFunc(slices.Values(Content(parts)), func(a, b Part) int {
		return strings.Compare(a.Role+"\x00"+a.Path, b.Role+"\x00"+b.Path)
	})
	out := tar.NewWriter(w)
	if err := writeEntry(out, manifestName, Manifest(parts)); err != nil {
		return err
	}
	for i := range parts {
		p := &parts[i]
		if err := p.check(); err != nil {
			return err
		}
		if p.Role != RoleFile {
			continue
		}
		if err := writeEntry(out, filesDir+p.Path, p.Data); err != nil {
			return err
		}
	}
	return out.Close()
}

func writeEntry(out *tar.Writer, name string, data []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := out.WriteHeader(header); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err := out.Write(data)
	return err
}

// ErrArchive is wrapped by what is wrong with the bytes of an archive.
var ErrArchive = errors.New("not a whole bundle archive")

// ReadArchive reads what WriteArchive wrote and nothing else: a missing, added or changed byte is an error, which names
// the place where there is one. Location databases come without their bytes.
func ReadArchive(archive []byte) ([]Part, error) {
	in := tar.NewReader(bytes.NewReader(archive))
	text, err := readEntry(in, manifestName, maxManifest)
	if err != nil {
		return nil, err
	}
	parts, err := ParseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if len(parts) > MaxFiles {
		return nil, fmt.Errorf("%w: more than %d files", ErrArchive, MaxFiles)
	}
	for i := range parts {
		p := &parts[i]
		if p.Role != RoleFile {
			continue
		}
		if p.Data, err = readEntry(in, filesDir+p.Path, p.Size); err != nil {
			return nil, fmt.Errorf("file %d of %d: %w", i+1, len(parts), err)
		}
		if digestOf(p.Data) != p.Digest {
			return nil, fmt.Errorf("%w: %s is not the file that its manifest names: its bytes were changed", ErrArchive, p.Path)
		}
	}
	var canonical bytes.Buffer
	if err := WriteArchive(&canonical, parts); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if !bytes.Equal(canonical.Bytes(), archive) {
		return nil, fmt.Errorf("%w: not in canonical form: bytes outside the files were changed or added", ErrArchive)
	}
	return parts, nil
}

func readEntry(in *tar.Reader, name string, limit int) ([]byte, error) {
	header, err := in.Next()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: it ends before %s: half-written, or cut off", ErrArchive, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if header.Name != name {
		return nil, fmt.Errorf("%w: %.200q where %s belongs", ErrArchive, header.Name, name)
	}
	if header.Size > int64(limit) {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d belong there", ErrArchive, name, header.Size, limit)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("%w: it ends within %s: half-written, or cut off", ErrArchive, name)
	}
	return data, nil
}
