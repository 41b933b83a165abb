package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ErrChecksum says that a file is not the one that was pinned.
var ErrChecksum = errors.New("checksum differs from the pinned one")

// manifestName is written last into a piece's folder: where it lies, the
// folder is complete.
const manifestName = "PIECE.json"

// manifest records what was checked, so that a start need not hash half a
// gigabyte: a file whose size and time are unchanged counts as unchanged.
type manifest struct {
	Piece string         `json:"piece"`
	Files []manifestFile `json:"files"`
}

type manifestFile struct {
	file
	ModTime time.Time `json:"mod_time"`
}

// piece is a downloaded thing that lies in a folder of the cache.
type piece struct {
	name    string // folder below the cache directory
	what    string // for people
	advice  string // what to do when it cannot be fetched
	files   []file
	install func(ctx context.Context, dir string, out io.Writer) error
}

// ensure returns the folder of the piece, complete and checked, and fetches it
// first where that is needed. Processes that ask at the same time wait for the
// one that fetches. A fetch that was killed leaves only folders that the next
// one removes or continues.
func (p piece) ensure(ctx context.Context, out io.Writer) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "pieces", p.name)
	if p.intact(dir) == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", p.fail(err)
	}
	lock, err := lockWait(ctx, dir+".lock", func() {
		fmt.Fprintf(out, "borderwatch: another process fetches %s, waiting for it\n", p.what)
	})
	if err != nil {
		return "", p.fail(err)
	}
	defer lock.Unlock()
	damage := p.intact(dir)
	if damage == nil {
		return dir, nil
	}
	if !errors.Is(damage, os.ErrNotExist) {
		fmt.Fprintf(out, "borderwatch: %s in %s is damaged (%v), fetching it again\n", p.what, dir, damage)
	}
	if err := p.fetch(ctx, dir, out); err != nil {
		return "", p.fail(err)
	}
	return dir, nil
}

func (p piece) fail(err error) error {
	return &FetchError{What: p.what, Advice: p.advice, Err: err}
}

// fetch installs beside dir and moves the result there in one step.
func (p piece) fetch(ctx context.Context, dir string, out io.Writer) error {
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return err
	}
	if err := p.install(ctx, partial, out); err != nil {
		return err
	}
	if err := p.seal(partial); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(partial, dir)
}

// seal checks every file in dir against its sum and writes the manifest.
func (p piece) seal(dir string) error {
	m := manifest{Piece: p.name}
	for _, f := range p.files {
		name := filepath.Join(dir, f.Name)
		sum, size, err := hashFile(name)
		if err != nil {
			return err
		}
		if f.SHA256 != "" && sum != f.SHA256 {
			return fmt.Errorf("%s: %w: got %s, pinned %s", f.Name, ErrChecksum, sum, f.SHA256)
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, manifestFile{file: file{Name: f.Name, SHA256: sum, Size: size}, ModTime: info.ModTime()})
	}
	return writeManifest(dir, m)
}

func writeManifest(dir string, m manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestName), append(b, '\n'), 0o644)
}

// intact reports nil when dir holds every file as pinned. os.ErrNotExist means
// that there is no piece there at all.
func (p piece) intact(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	have := make(map[string]manifestFile, len(m.Files))
	for _, f := range m.Files {
		have[f.Name] = f
	}
	for _, want := range p.files {
		got, ok := have[want.Name]
		if !ok {
			return fmt.Errorf("%s is not in its manifest", want.Name)
		}
		if want.SHA256 != "" && got.SHA256 != want.SHA256 {
			return fmt.Errorf("%s: %w", want.Name, ErrChecksum)
		}
		if err := unchanged(filepath.Join(dir, want.Name), got); err != nil {
			return err
		}
	}
	return nil
}

// unchanged compares a file with its manifest entry; it hashes only when the
// time differs.
func unchanged(name string, want manifestFile) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("%s is missing", want.Name) // not ErrNotExist: the piece is damaged, not absent
	}
	if info.Size() != want.Size {
		return fmt.Errorf("%s has %d bytes, not %d", want.Name, info.Size(), want.Size)
	}
	if info.ModTime().Equal(want.ModTime) {
		return nil
	}
	sum, _, err := hashFile(name)
	if err != nil {
		return err
	}
	if sum != want.SHA256 {
		return fmt.Errorf("%s: %w", want.Name, ErrChecksum)
	}
	return nil
}

func hashFile(name string) (sum string, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// writeChecked writes r to name, on disk before it returns, and fails when the
// bytes are not those of want.
func writeChecked(name string, r io.Reader, want file) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); want.SHA256 != "" && got != want.SHA256 {
		return fmt.Errorf("%s: %w: got %s, pinned %s", want.Name, ErrChecksum, got, want.SHA256)
	}
	return nil
}
