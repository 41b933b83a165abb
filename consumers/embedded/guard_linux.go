package embedded

import (
	"os/exec"
	"syscall"
)

// dieWithGuard lets the kernel end the guarded process when the guard itself is
// killed. The signal is tied to the thread that forked: the guard locks its own.
func dieWithGuard(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
