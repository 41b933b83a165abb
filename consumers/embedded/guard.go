package embedded

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// guardKill is the line that makes a guard kill its process without warning.
const guardKill = "kill"

// guardGrace is how long a guarded process may take to stop when asked to.
const guardGrace = 20 * time.Second

// runGuard runs a foreign program, which knows nothing of its parent, and ends
// it when the parent closes the guard's standard input or dies: SIGTERM, then
// SIGKILL. The line "kill" means SIGKILL at once.
func runGuard(argv []string) error {
	if len(argv) == 0 {
		return fmt.Errorf("no program to guard")
	}
	runtime.LockOSThread() // see dieWithGuard
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	dieWithGuard(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	orders := make(chan string, 1)
	go func() {
		defer close(orders)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			orders <- in.Text()
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return guard(cmd.Process, orders, ended)
}

func guard(p *os.Process, orders <-chan string, ended <-chan error) error {
	for {
		select {
		case err := <-ended:
			return err
		case order, open := <-orders:
			if order == guardKill {
				_ = p.Kill()
				return <-ended
			}
			if !open {
				return endGently(p, ended)
			}
		}
	}
}

func endGently(p *os.Process, ended <-chan error) error {
	if err := terminate(p); err != nil {
		return <-ended // it had ended already
	}
	select {
	case <-ended:
		return nil
	case <-time.After(guardGrace):
		_ = p.Kill()
		return <-ended
	}
}
