package coscale

import (
	"errors"
	"fmt"
	"path/filepath"

	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// What a script may print for -c instead of a declaration. What is to be done
// depends on its command; see advise.
var (
	errSilent    = errors.New("the script printed nothing for -c and exited with 0")
	errDataLines = errors.New("the configuration output is not JSON but looks like data lines")
)

// advise adds to an error about what -c printed what there is to do,
// where the script's command tells.
func advise(s *dialect.Script, err error) error {
	silent := errors.Is(err, errSilent)
	if !silent && !errors.Is(err, errDataLines) || len(s.Command) == 0 {
		return err
	}
	switch {
	case s.ShellSyntax(true) != "":
		return err // which is told by itself
	case s.HasCode():
		return fmt.Errorf(`%w: -c comes behind the code on its command line, which knows it as $0 (write "$@" where the code runs the script, and one more word behind the code, such as sh)`, err)
	case len(s.Command) > s.Program+1:
		return fmt.Errorf("%w: it may expect -c as its first argument, but -c comes last (give the script what it needs by env: instead of arguments)", err)
	case silent:
		return fmt.Errorf("%w: a script of this dialect declares its metrics and events by printing JSON for -c", err)
	case runByPlainShell(s):
		return fmt.Errorf("%w: the script's shell may not understand its test for -c (try `bash SCRIPT` as the command)", err)
	default:
		return fmt.Errorf("%w: the script must tell -c from -d by its first argument", err)
	}
}

// runByPlainShell reports whether a shell other than bash reads the script.
func runByPlainShell(s *dialect.Script) bool {
	runner := process.Interpreter(s.Script, s.File)
	return process.IsShell(runner) && filepath.Base(runner) != "bash"
}
