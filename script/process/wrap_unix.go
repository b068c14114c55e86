//go:build unix

package process

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/limits"
)

// wrapped is a command for Wrap.
func wrapped(args []string) (*exec.Cmd, error) {
	return exec.Command(args[0], args[1:]...), nil //nolint:gosec // who calls wrap names the command
}

// foreground gives the terminal that we are in the foreground of; nil where there
// is none. What is typed there, and the terminal's end, reaches the whole process
// group.
func foreground() *os.File {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return nil
	}
	if group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		tty.Close()
		return nil
	}
	return tty
}

// atTerminal says whether a signal of the terminal reaches what we started as well,
// so that who was sent it by us too might take the second for impatience.
func atTerminal() bool {
	tty := foreground()
	if tty == nil {
		return false
	}
	tty.Close()
	return true
}

// AsFirst is for the first process of a container, whose child becomes whoever
// loses its parent there: it could not tell what a script left behind from what
// somebody else did. So it starts this program once more, which can, hands on
// signals, reaps, and gives the code that the other one ended with. False: this is
// no such process, or it has to do without.
func AsFirst() (code int, was bool) {
	if os.Getpid() != 1 || os.Getenv("LISTEN_PID") != "" || os.Getenv("WATCHDOG_PID") != "" { // which name this process
		return 0, false
	}
	signals := heed(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	// In a group of its own, so that it has signals of the terminal only once.
	attr := &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if tty := foreground(); tty != nil {
		defer tty.Close()
		attr.Sys.Foreground, attr.Sys.Ctty = true, int(tty.Fd())
	}
	child, err := os.StartProcess(limits.Self, os.Args, attr) //nolint:gosec // it is this program, with the arguments that it was given
	if err != nil {
		signal.Stop(signals)
		return 0, false
	}
	go func() {
		for s := range signals {
			_ = child.Signal(s)
		}
	}()
	for {
		var status syscall.WaitStatus
		switch pid, err := syscall.Wait4(-1, &status, 0, nil); {
		case err != nil && !errors.Is(err, syscall.EINTR):
			return 1, true // it cannot be: the child is ours
		case pid != child.Pid:
		case status.Signaled():
			return 128 + int(status.Signal()), true
		default:
			return status.ExitStatus(), true
		}
	}
}
