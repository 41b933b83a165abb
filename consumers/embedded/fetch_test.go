package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeNpm puts an npm command first in PATH that runs the shell lines, and
// empties the cache.
func fakeNpm(t *testing.T, lines string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+lines+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(CacheEnv, t.TempDir())
}

// demoPackage builds a package with one file, whose archive lies at path.
func demoPackage(t *testing.T, content string) (p npmPackage, path string) {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, f := range []struct{ name, body string }{{"package/other", "no"}, {"package/demo.txt", content}} {
		if err := tw.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(f.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "demo.tgz")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sum512, sum256 := sha512.Sum512(b.Bytes()), sha256.Sum256([]byte(content))
	return npmPackage{
		Name: "@demo/piece", Version: "1.2.3", Download: int64(b.Len()),
		Integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum512[:]),
		Files:     []file{{Name: "demo.txt", SHA256: hex.EncodeToString(sum256[:]), Size: int64(len(content))}},
	}, path
}

// copyLine is the shell line of an npm that delivers the archive and notes that
// it ran. "--pack-destination DIR" is argument 8 and 9 of npmPack's call.
func copyLine(archive, note string) string {
	return `while [ "$1" != --pack-destination ]; do shift; done; echo run >> ` + note + `; cp ` + archive + ` "$2/demo.tgz"`
}

func TestFetchOnceForManyAndHeal(t *testing.T) {
	pkg, archive := demoPackage(t, "hello")
	note := filepath.Join(t.TempDir(), "note")
	fakeNpm(t, copyLine(archive, note))
	p := npmPiece(pkg, "the demo", "advice")

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := p.ensure(t.Context(), &bytes.Buffer{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantRuns(t, note, 1)

	dir, err := p.ensure(t.Context(), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	damages := map[string]func(name string) error{
		"removed":   os.Remove,
		"truncated": func(name string) error { return os.Truncate(name, 2) },
		"changed":   func(name string) error { return os.WriteFile(name, []byte("hullo"), 0o600) },
	}
	runs := 1
	for what, damage := range damages {
		if err := damage(filepath.Join(dir, "demo.txt")); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := p.ensure(t.Context(), &out); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		runs++
		wantRuns(t, note, runs)
		if !strings.Contains(out.String(), "damaged") {
			t.Errorf("%s: nothing said: %s", what, out.String())
		}
		if b, err := os.ReadFile(filepath.Join(dir, "demo.txt")); err != nil || string(b) != "hello" {
			t.Errorf("%s: not healed: %q %v", what, b, err)
		}
	}
}

func wantRuns(t *testing.T, note string, want int) {
	t.Helper()
	b, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(b), "run"); got != want {
		t.Errorf("npm ran %d times, want %d", got, want)
	}
}

// TestFetchContinuesAfterKill: the download of an attempt that was killed while
// it unpacked is used again; half a download is not.
func TestFetchContinuesAfterKill(t *testing.T) {
	pkg, archive := demoPackage(t, "hello")
	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		left []byte
		runs int
	}{{"whole", whole, 0}, {"half", whole[:len(whole)/2], 1}} {
		t.Run(c.name, func(t *testing.T) {
			note := filepath.Join(t.TempDir(), "note")
			if err := os.WriteFile(note, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			fakeNpm(t, copyLine(archive, note))
			stage := filepath.Join(os.Getenv(CacheEnv), "pieces", pkg.dirName()+".partial.download")
			if err := os.MkdirAll(stage, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(stage, "demo.tgz"), c.left, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := npmPiece(pkg, "the demo", "advice").ensure(t.Context(), &bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
			wantRuns(t, note, c.runs)
			if _, err := os.Stat(stage); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("download is still there: %v", err)
			}
		})
	}
}

func TestFetchErrors(t *testing.T) {
	pkg, archive := demoPackage(t, "hello")
	_, forged := demoPackage(t, "evil!")
	note := filepath.Join(t.TempDir(), "note")
	for _, c := range []struct{ name, npm, want string }{
		{"refused", "echo 'npm error code E403' >&2; exit 1", "refused @demo/piece@1.2.3"},
		{"unknown", "echo 'npm error code E404' >&2; exit 1", "does not have @demo/piece@1.2.3"},
		{"no network", "echo 'npm error code ENOTFOUND' >&2; exit 1", "could not reach its registry"},
		{"disk full", "echo 'npm error code ENOSPC' >&2; exit 1", "disk full"},
		{"other", "echo 'npm error something' >&2; exit 7", "something"},
		{"forged", copyLine(forged, note), ErrChecksum.Error()},
		{"nothing", "exit 0", "0 package files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fakeNpm(t, c.npm)
			_, err := npmPiece(pkg, "the demo", "Instead: bring your own.").ensure(t.Context(), &bytes.Buffer{})
			var fetch *FetchError
			if !errors.As(err, &fetch) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Instead: bring your own.") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("npm missing", func(t *testing.T) {
		fakeNpm(t, copyLine(archive, note))
		t.Setenv("PATH", t.TempDir())
		if _, err := npmPiece(pkg, "the demo", "").ensure(t.Context(), &bytes.Buffer{}); !errors.Is(err, ErrNpmMissing) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		fakeNpm(t, "exec sleep 60")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := npmPiece(pkg, "the demo", "").ensure(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("file missing in the package", func(t *testing.T) {
		fakeNpm(t, copyLine(archive, note))
		other := pkg
		other.Files = []file{{Name: "absent"}}
		if _, err := npmPiece(other, "the demo", "").ensure(t.Context(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "1 of 1 files") {
			t.Errorf("got %v", err)
		}
	})
}

func TestClickHouseLibraryAlternatives(t *testing.T) {
	if _, err := chdbPackage("plan9/mips"); !errors.Is(err, ErrPlatform) {
		t.Errorf("unknown platform: %v", err)
	}
	for _, want := range []string{LibraryEnv, ClickHouseVersion, "clickhouse.hosts", "all commands but up and bench"} {
		if !strings.Contains(clickHouseAdvice(), want) {
			t.Errorf("the advice does not name %s: %s", want, clickHouseAdvice())
		}
	}
	t.Setenv(AcceptUnpinnedEnv, "")
	if _, err := chdbPackage("darwin/arm64"); !errors.Is(err, ErrPlatform) || !strings.Contains(err.Error(), AcceptUnpinnedEnv) {
		t.Errorf("platform without checksum: %v", err)
	}
	t.Setenv(AcceptUnpinnedEnv, "1")
	if _, err := chdbPackage("darwin/arm64"); err != nil {
		t.Errorf("accepted platform: %v", err)
	}
	lib := filepath.Join(t.TempDir(), "libchdb.so")
	t.Setenv(LibraryEnv, lib)
	if _, err := ClickHouseLibrary(t.Context(), &bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing library: %v", err)
	}
	if err := os.WriteFile(lib, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ClickHouseLibrary(t.Context(), &bytes.Buffer{}); got != lib || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRequireFree(t *testing.T) {
	dir := t.TempDir()
	if err := requireFree(dir, 1); err != nil {
		t.Error(err)
	}
	var full *DiskFullError
	if err := requireFree(dir, 1<<62); !errors.As(err, &full) || !strings.Contains(err.Error(), "disk full: "+dir) ||
		!strings.Contains(err.Error(), "choose another data directory") {
		t.Errorf("got %v", err)
	}
	// Below the cache, what moves the cache moves it.
	t.Setenv(CacheEnv, filepath.Dir(dir))
	if err := requireFree(dir, 1<<62); err == nil || !strings.Contains(err.Error(), "choose another place with "+CacheEnv) {
		t.Errorf("got %v", err)
	}
}

func TestPinsAreComplete(t *testing.T) {
	files, err := kafkaFiles()
	if err != nil || len(files) != 45 {
		t.Errorf("%d Kafka jars, %v", len(files), err)
	}
	for _, p := range []npmPackage{chdbPackages["linux/amd64"], geoIPPackage} {
		if p.Integrity == "" || p.Download == 0 {
			t.Errorf("%s is not pinned", p.spec())
		}
		for _, f := range p.Files {
			if len(f.SHA256) != 64 || f.Size == 0 {
				t.Errorf("%s: %s is not pinned", p.spec(), f.Name)
			}
		}
	}
}
