package process

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"scriptbridge/config"
)

// LookupAccount fails: scripts run as whoever runs the bridge.
func LookupAccount(name string) (*Account, error) {
	return nil, fmt.Errorf("user %q: not supported on Windows, where scripts run as scriptbridge itself does", name)
}

// LookupGroup fails: a process has no group here.
func LookupGroup(name string) (uint32, error) {
	return 0, fmt.Errorf("group %q: not supported on Windows", name)
}

// CheckStart says why a command cannot be started although its program is there: nothing
// runs such a file, or what runs it cannot be given the arguments.
func CheckStart(_ *config.Script, _ string, c *Command) error {
	_, err := startOf(c)
	return err
}

// Warnings finds nothing.
func Warnings(*config.Script, string) []string { return nil }

// Barred finds nothing: modes say nothing here.
func (*Account) Barred(string) string { return "" }

// Interpreter is not looked for.
func Interpreter(*config.Script, string) string { return "" }

// wrapped is a command for Wrap, run as that of a script is.
func wrapped(args []string) (*exec.Cmd, error) {
	path := os.Getenv("PATH")
	file, err := ResolveProgram(args[0], path)
	if err != nil {
		return nil, err
	}
	if file, err = whole(file, ""); err != nil {
		return nil, err
	}
	what, err := system(path).Start(file, args[1:], os.Environ())
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: what.Application, SysProcAttr: &syscall.SysProcAttr{CmdLine: what.Line}}, nil
}

// DenyDebugging has nothing to do here.
func DenyDebugging() {}

// AsFirst: there is no such process.
func AsFirst() (code int, was bool) { return 0, false }

// atTerminal: Ctrl-C reaches all processes of a console, and there is no other
// way to send one.
func atTerminal() bool { return true }
