package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// childArg marks a start of this binary as a child. It is an argument rather
// than a variable so that the process list shows what the process is and
// grandchildren do not inherit it.
const childArg = "borderwatch-embedded-child"

const (
	kindClickHouse = "clickhouse"
	kindBroker     = "broker"
	kindGuard      = "guard"
)

// orphanGrace is how long a child whose parent is gone may take to stop by
// itself.
const orphanGrace = 15 * time.Second

// hooked says that this process calls MaybeRunChild. Without it a child would
// run the parent's main again, and start children of its own.
var hooked atomic.Bool

// errNoHook is a mistake in the program, not in its surroundings.
var errNoHook = errors.New("embedded.MaybeRunChild was not called at the start of main (in tests: use embeddedtest.Main in TestMain)")

// MaybeRunChild turns this process into an embedded server, and never returns,
// when it was started as one. Otherwise it returns at once. Call it before
// anything else in main and in TestMain.
func MaybeRunChild() {
	hooked.Store(true)
	if len(os.Args) < 3 || os.Args[1] != childArg {
		return
	}
	kind, args := os.Args[2], os.Args[3:]
	if err := runChild(kind, args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", kind, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runChild(kind string, args []string) error {
	if kind == kindGuard {
		return runGuard(args)
	}
	if len(args) != 1 {
		return fmt.Errorf("want one argument, got %d", len(args))
	}
	go exitWithParent()
	switch kind {
	case kindClickHouse:
		return runClickHouse(args[0])
	case kindBroker:
		return runBroker(args[0])
	}
	return fmt.Errorf("unknown kind of child %q", kind)
}

// exitWithParent ends the process some time after the parent's death, whatever
// the server inside does with the end of its standard input. The third pipe has
// no other use: nothing is ever written to it.
func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.NewFile(3, "parent"))
	time.Sleep(orphanGrace)
	os.Exit(1)
}

// process is a running child. Its standard input is a pipe that only this
// process holds, so that the child sees its end whatever happens here.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	watch *os.File // the other end of exitWithParent's pipe
	log   string   // file with its standard output and error
	done  chan struct{}
	err   error // valid after done
}

// startChild starts this binary as a child of the given kind. Its output goes to
// the file log, whose earlier content is lost.
func startChild(log, kind string, args ...string) (*process, error) {
	if !hooked.Load() {
		return nil, errNoHook
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("path of this program: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(exe, append([]string{childArg, kind}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if kind == kindClickHouse {
		cmd.Env = append(cmd.Environ(), allocatorEnv)
	}
	ownGroup(cmd)
	return launch(cmd, log)
}

func launch(cmd *exec.Cmd, log string) (*process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	p := &process{cmd: cmd, stdin: stdin, watch: w, log: log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		w.Close()
		close(p.done)
	}()
	return p, nil
}

// stop ends the child's input and waits. When ctx ends first the child is killed.
func (p *process) stop(ctx context.Context) error {
	_ = p.stdin.Close()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("did not stop in time and was killed: %w", context.Cause(ctx))
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the child as kill -9 does and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// exited describes the child's end; call it after done.
func (p *process) exited() error {
	state := "exit status 0"
	if p.err != nil {
		state = p.err.Error()
	}
	return &ChildExitError{State: state, Log: p.log, Output: tail(p.log, 2048)}
}

// ChildExitError says that a server process ended when it should not have.
type ChildExitError struct {
	State  string // "signal: killed", "exit status 1"
	Log    string // file with all it printed
	Output string // its last words
}

func (e *ChildExitError) Error() string {
	if e.Output == "" {
		return "server process ended: " + e.State
	}
	return fmt.Sprintf("server process ended: %s: %s (all of it in %s)", e.State, e.Output, e.Log)
}

// tail returns the last lines of a file, at most n bytes.
func tail(name string, n int64) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-n), io.SeekStart)
	}
	b, _ := io.ReadAll(f)
	return lastLines(string(b), 5)
}
