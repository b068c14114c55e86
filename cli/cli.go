// Package cli has the commands that end by themselves: try (try.go,
// try_report.go), status (status.go, status_text.go), uploads (uploads.go), push (push.go), wrap (wrap.go) and init
// (init.go). They print to the writers that they are given, and return errors. api.go has the
// flags of those that are clients of CoScale's API.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"

	"scriptbridge/collector/selfmetrics"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/terminal"
	"scriptbridge/internal/trust"
	"scriptbridge/status"
)

// Env is the program that a command is run in.
type Env struct {
	ConfigFile string
	// Trusted says whose files may be obeyed; nil asks nothing.
	Trusted        *trust.Policy
	Args           []string // what stands behind --; nil: there is no --
	Stdin          io.Reader
	Stdout, Stderr io.Writer // for people: what a terminal would obey is shown
	// Raw are standard output and error as they are, for a command that is run.
	Raw [2]io.Writer
	// Registry makes one that has the metrics of the process itself, whose names
	// no script may have.
	Registry func() *selfmetrics.Registry
	Logger   func() log.Logger // makes the program's own log
	// OpenStorage takes a storage folder, until Release is called.
	OpenStorage func(folder string, trusted *trust.Policy) (*Storage, error)
	// Examine says what is wrong with a configuration and the files that it names,
	// without running anything.
	Examine func(file string, trusted *trust.Policy) []error
	// BeforeEnd has f called before a second signal ends the program.
	BeforeEnd func(f func())
}

// Storage is a storage folder.
type Storage struct {
	Disk    fsx.FS                                       // of what is in it
	Spool   func(upload string) (path string, err error) // of an upload
	Release func()
}

// Command is one of the program's commands, whose flags are known to the
// application that it was made for.
type Command struct {
	Name      string
	TakesArgs bool // a command behind --
	Run       func(ctx context.Context, e *Env) error
}

// ErrAlreadyPrinted ends the program with code 1 where everything has been
// printed.
var ErrAlreadyPrinted = errors.New("failed; the reasons have been printed")

// ExitError ends the program with the code of a wrapped command.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("the command ended with code %d", e.Code) }

// ColorFlag adds --color to a command.
func ColorFlag(cmd *kingpin.CmdClause, value *string) {
	cmd.Flag("color", "Whether to print in colour: auto, which is on a terminal unless NO_COLOR is set; always; or never.").Default("auto").EnumVar(value, terminal.When()...)
}

// screenOf gives how many lines a terminal has; false where w is none.
func screenOf(w io.Writer) func() (lines int, ok bool) {
	return func() (int, bool) {
		_, lines, ok := terminal.Size(w)
		return lines, ok
	}
}

// styleOf is how something of a severity is shown.
func styleOf(s status.Severity) terminal.Style {
	return [...]terminal.Style{terminal.Good, terminal.Warning, terminal.Bad}[s]
}
