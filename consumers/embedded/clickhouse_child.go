package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// clickHouseSpec is what the ClickHouse child is told.
type clickHouseSpec struct {
	Library    string `json:"library"`
	DataDir    string `json:"data_dir"`
	ConfigFile string `json:"config_file"`
	TCPPort    int    `json:"tcp_port"`
	HTTPPort   int    `json:"http_port"`
	User       string `json:"user"` // may end holdQuery
	Password   string `json:"password"`
}

// The engine serves as long as its last statement runs, so the last one sleeps
// until it is killed. It reads nothing. The account "default" in users.xml has
// the rights for these statements and a quota of their number.
const (
	holdQuery   = "SELECT ignore(sleepEachRow(1)) FROM system.numbers FORMAT Null SETTINGS max_block_size=1, max_threads=1"
	listenQuery = "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; " + holdQuery
	// releaseQuery ends holdQuery, whose session has no user name.
	releaseQuery = "KILL QUERY WHERE user = '' AND query LIKE 'SELECT ignore(sleepEachRow(1))%' ASYNC"
)

var errEngine = errors.New("the ClickHouse engine stopped")

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
	// The system database forgets its tables at every end and will not create
	// the query log over the files of the last one.
	if err := os.RemoveAll(filepath.Join(spec.DataDir, "data", "system")); err != nil {
		return err
	}
	stopped := make(chan struct{})
	go spec.releaseAtEOF(os.Stdin, stopped)
	runtime.LockOSThread()
	err = engineMain(spec.Library, spec.args())
	select {
	case <-stopped:
		return nil // the error is the killed holdQuery
	default:
		return err
	}
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
	}
}

// releaseAtEOF makes the engine shut down in good order once r ends. It repeats
// itself, because the end may come before the engine listens.
func (s clickHouseSpec) releaseAtEOF(r io.Reader, stopped chan<- struct{}) {
	_, _ = io.Copy(io.Discard, r)
	close(stopped)
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range time.Tick(100 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodPost, "http://"+hostPort(s.HTTPPort)+"/", strings.NewReader(releaseQuery))
		if err != nil {
			return
		}
		req.SetBasicAuth(s.User, s.Password)
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
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
