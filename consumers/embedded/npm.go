package embedded

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// npmTimeout bounds one download; the largest package is 180 MB.
const npmTimeout = 30 * time.Minute

// FetchError says that a piece could not be had, why, and what to do instead.
type FetchError struct {
	What   string // the piece, for people
	Advice string // the alternatives
	Err    error
}

func (e *FetchError) Error() string {
	return fmt.Sprintf("cannot fetch %s: %v\n%s", e.What, e.Err, e.Advice)
}

func (e *FetchError) Unwrap() error { return e.Err }

// ErrNpmMissing says that the npm command is not installed.
var ErrNpmMissing = errors.New("the npm command is not installed (it comes with Node.js)")

// installNpm downloads p with the npm client, checks it and unpacks its files
// into dir, which exists. A checked download left by an earlier attempt that was
// killed is used again.
func installNpm(ctx context.Context, p npmPackage, dir string, out io.Writer) error {
	stage := dir + ".download"
	if err := os.MkdirAll(stage, 0o700); err != nil {
		return err
	}
	if err := requireFree(stage, 2*p.Download+p.unpacked()+64<<20); err != nil {
		return err
	}
	archive, err := stagedArchive(stage, p)
	if err != nil {
		return err
	}
	if archive == "" {
		if archive, err = npmPack(ctx, p, stage, out); err != nil {
			return err
		}
	}
	if err := unpackNpm(ctx, archive, p, dir, out); err != nil {
		return fmt.Errorf("unpack %s: %w", p.spec(), err)
	}
	return os.RemoveAll(stage)
}

// stagedArchive returns the package file an earlier attempt left, or "". A file
// that fails its check is removed: the attempt died while npm wrote it.
func stagedArchive(stage string, p npmPackage) (string, error) {
	found, err := filepath.Glob(filepath.Join(stage, "*.tgz"))
	if err != nil {
		return "", err
	}
	for _, name := range found {
		if p.Integrity != "" && checkIntegrity(name, p.Integrity) == nil {
			return name, nil
		}
		if err := os.Remove(name); err != nil {
			return "", err
		}
	}
	return "", nil
}

// npmPack runs "npm pack". npm gets a cache of its own inside stage, whose growth
// is the progress and which goes away with it.
func npmPack(ctx context.Context, p npmPackage, stage string, out io.Writer) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", ErrNpmMissing
	}
	ctx, cancel := context.WithTimeout(ctx, npmTimeout)
	defer cancel()
	npmCache := filepath.Join(stage, "npm-cache")
	if err := os.RemoveAll(npmCache); err != nil {
		return "", err
	}
	bar := newProgress(out, "fetch "+p.spec(), p.Download)
	watch, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); bar.watchDir(watch, npmCache) }()

	cmd := exec.CommandContext(ctx, npm, "pack", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
		"--cache", npmCache, "--pack-destination", stage, p.spec())
	cmd.Dir = stage
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	stop()
	<-watched
	bar.finish()
	if err != nil {
		return "", npmError(ctx, p, err, stderr.String())
	}
	return packedArchive(stage, p)
}

func packedArchive(stage string, p npmPackage) (string, error) {
	found, err := filepath.Glob(filepath.Join(stage, "*.tgz"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("npm pack %s left %d package files, want 1", p.spec(), len(found))
	}
	if p.Integrity != "" {
		if err := checkIntegrity(found[0], p.Integrity); err != nil {
			return "", fmt.Errorf("%s: %w", p.spec(), errors.Join(err, os.Remove(found[0])))
		}
	}
	return found[0], nil
}

// npmError turns what npm printed into one sentence. It leaves out addresses:
// they are the user's own npm configuration, which npm's log names.
func npmError(ctx context.Context, p npmPackage, err error, stderr string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("download of %s stopped: %w", p.spec(), context.Cause(ctx))
	}
	switch {
	case strings.Contains(stderr, "ENOSPC"):
		return fmt.Errorf("disk full while npm wrote %s: free some space, or choose another place with %s", p.spec(), CacheEnv)
	case strings.Contains(stderr, "E404"), strings.Contains(stderr, "ETARGET"):
		return fmt.Errorf("the npm registry in use does not have %s", p.spec())
	case strings.Contains(stderr, "E401"), strings.Contains(stderr, "E403"):
		return fmt.Errorf("the npm registry in use refused %s (see npm config get registry)", p.spec())
	case strings.Contains(stderr, "EINTEGRITY"):
		return fmt.Errorf("%s arrived damaged", p.spec())
	case strings.Contains(stderr, "ENOTFOUND"), strings.Contains(stderr, "ECONNREFUSED"),
		strings.Contains(stderr, "ETIMEDOUT"), strings.Contains(stderr, "EAI_AGAIN"):
		return fmt.Errorf("npm could not reach its registry for %s: no network, or a proxy that npm does not know", p.spec())
	}
	return fmt.Errorf("npm pack %s: %w: %s", p.spec(), err, lastLines(stderr, 3))
}

// checkIntegrity compares a file with a Subresource Integrity value.
func checkIntegrity(name, want string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%w: got %s, pinned %s", ErrChecksum, got, want)
	}
	return nil
}

// unpackNpm writes the files of p from the archive to dir and checks each sum.
func unpackNpm(ctx context.Context, archive string, p npmPackage, dir string, out io.Writer) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	want := make(map[string]file, len(p.Files))
	for _, f := range p.Files {
		want["package/"+f.Name] = f
	}
	bar := newProgress(out, "unpack "+p.spec(), p.unpacked())
	defer bar.finish()
	for tr := tar.NewReader(zr); len(want) > 0; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%d of %d files are not in the package", len(want), len(p.Files))
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		wanted, ok := want[path.Clean(h.Name)]
		if !ok {
			continue
		}
		delete(want, path.Clean(h.Name))
		if err := writeChecked(filepath.Join(dir, wanted.Name), io.TeeReader(tr, bar), wanted); err != nil {
			return err
		}
	}
	return nil
}

// lastLines returns the last n lines of s that say something.
func lastLines(s string, n int) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
