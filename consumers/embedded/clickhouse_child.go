package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// clickHouseSpec is what the ClickHouse child is told.
type clickHouseSpec struct {
	Library    string `json:"library"`
	DataDir    string `json:"data_dir"`
	ConfigFile string `json:"config_file"`
	TCPPort    int    `json:"tcp_port"`
	HTTPPort   int    `json:"http_port"`
}

// listenQuery opens the ports and then waits: the count reads standard input to
// its end, which is the parent closing the pipe or dying.
const listenQuery = "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT count() FROM table"

// runClickHouse serves until standard input ends.
func runClickHouse(specFile string) error {
	b, err := os.ReadFile(specFile)
	if err != nil {
		return err
	}
	var spec clickHouseSpec
	if err := json.Unmarshal(b, &spec); err != nil {
		return fmt.Errorf("%s: %w", specFile, err)
	}
	// The child of a parent that was killed may still be closing its tables.
	ctx, cancel := context.WithTimeout(context.Background(), 2*orphanGrace)
	defer cancel()
	lock, err := lockWait(ctx, filepath.Join(spec.DataDir, "server.lock"), nil)
	if err != nil {
		return fmt.Errorf("an earlier ClickHouse still works in %s: %w", spec.DataDir, err)
	}
	defer lock.Unlock()
	runtime.LockOSThread()
	return engineMain(spec.Library, spec.args())
}

func (s clickHouseSpec) args() []string {
	return []string{
		"clickhouse",
		"--config-file", s.ConfigFile,
		"--path", s.DataDir,
		"--listen_host", loopback,
		"--tcp_port", strconv.Itoa(s.TCPPort),
		"--http_port", strconv.Itoa(s.HTTPPort),
		"--query", listenQuery,
		"--structure", "x String",
		"--input-format", "TSV",
	}
}

// writeSpec writes v as JSON where only this user can read it.
func writeSpec(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o600)
}

var errEngine = errors.New("the ClickHouse engine stopped")
