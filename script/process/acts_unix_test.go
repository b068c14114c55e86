//go:build unix

package process

import (
	"os"
	"syscall"
)

// detachments are the ways in which a process leaves who has started it.
var detachments = []*syscall.SysProcAttr{{}, {Setpgid: true}, {Setsid: true}}

func exitWith(code uint32) { os.Exit(int(code)) }
