//go:build !linux

package embedded

import "os/exec"

func dieWithGuard(cmd *exec.Cmd) { ownGroup(cmd) }
