//go:build unix

package embedded_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
)

// orphanEnv makes TestOrphanParent the parent that is going to be killed.
const orphanEnv = "EMBEDDED_TEST_ORPHAN_DIR"

// TestOrphanParent starts servers, names their processes and waits for its end.
func TestOrphanParent(t *testing.T) {
	dir := os.Getenv(orphanEnv)
	if dir == "" {
		t.Skip("is run by TestChildrenDieWithKilledParent alone")
	}
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Dir: dir + "/ch"})
	b := embeddedtest.Broker(t, embedded.BrokerConfig{Dir: dir + "/broker", OwnProcess: true})
	fmt.Printf("\nchildren %d %d\n", server.PID(), b.PID())
	select {}
}

func TestChildrenDieWithKilledParent(t *testing.T) {
	embeddedtest.SharedClickHouse(t) // or skip where there is none
	dir := embeddedtest.Dir(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestOrphanParent$", "-test.v")
	cmd.Env = append(os.Environ(), orphanEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pids := childPIDs(t, bufio.NewScanner(out))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, pid := range pids {
		awaitGone(t, pid)
	}
	// and the next start works at once, waiting for no lock of the dead
	embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{Dir: dir + "/ch"})
}

func childPIDs(t *testing.T, lines *bufio.Scanner) []int {
	t.Helper()
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "children ")
		if !ok {
			continue
		}
		var pids []int
		for _, f := range strings.Fields(rest) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		return pids
	}
	t.Fatal("the parent started no children")
	return nil
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		if time.Now().After(deadline) {
			t.Errorf("process %d outlives its parent", pid)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
