package process

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// The exit codes by which a shell tells why a command was not run.
const (
	NotExecutable = 126
	NotFound      = 127
)

// Wrap runs a command as if nobody stood between it and who started us: with
// our environment, folder and process group, and with the streams given
// (*os.File are passed on as they are). TERM, INT and HUP go on to it, unless
// it has them from the terminal already. Wrap returns when the command
// has ended, with the code that a shell would tell: 128 and the signal's
// number where a signal ended it. err says why the command could not be run.
//
// It keeps none of the promises that a script's run makes: what the command
// leaves behind is its own affair, as it was under cron.
func Wrap(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, err error) {
	signals := heed(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	cmd, err := wrapped(args)
	if err == nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
		err = cmd.Start()
	}
	if errors.Is(err, syscall.ENOEXEC) {
		// A script without a #! line; a shell would run it itself.
		path := cmd.Path
		cmd = exec.Command("/bin/sh", append([]string{path}, args[1:]...)...) //nolint:gosec // as above
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
		err = cmd.Start()
	}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.As(err, new(*NotInPathError)):
		return NotFound, err
	case err != nil:
		return NotExecutable, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM || !atTerminal() {
				_ = cmd.Process.Signal(s) // whom it does not reach has ended
			}
		case err := <-ended:
			return endCode(cmd.ProcessState, err)
		}
	}
}

// heed gives the signals of these that are not ignored: under nohup one stays so.
func heed(all ...os.Signal) chan os.Signal {
	signals := make(chan os.Signal, 16)
	for _, s := range all {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

func endCode(state *os.ProcessState, err error) (int, error) {
	if state == nil {
		return NotExecutable, err
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}
