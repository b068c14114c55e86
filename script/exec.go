package script

import (
	"context"
	"time"

	"github.com/go-kit/log"
	"scriptbridge/record"
)

// Outcome is how one process ended and what it cost.
type Outcome struct {
	Args []string
	// Stdout is all that it wrote, up to the script's max_output. After too
	// much output or a timeout it holds what had come by then.
	Stdout []byte
	// Result is OK exactly when it exited with 0.
	Result   record.Result
	ExitCode int   // -1 when it did not exit by itself
	Err      error // nil exactly when Result is OK; a sentence for people
	Start    time.Time
	End      time.Time // when the main process had ended
	// User, System and MaxRSS (bytes) are the kernel's accounting of the
	// process and of those of its children that it waited for.
	User, System time.Duration
	MaxRSS       int64
	// StdoutBytes and StderrBytes were written; Stderr's lines went to the
	// command's own hook.
	StdoutBytes, StderrBytes int64
}

// command is one process to run, settled in every respect.
type command struct {
	args      []string
	dir       string
	env       []string // complete; the launcher adds its mark
	account   *account // nil: as ourselves
	stdin     []byte   // nil: /dev/null
	timeout   time.Duration
	maxOutput int64
	keep      bool              // leave what the run leaves behind alone
	stderr    func(line []byte) // called for each line, never twice at once; may be nil
}

// launcher starts processes and sees to it that none outlives its run.
type launcher struct{}

func newLauncher(log.Logger) *launcher { return &launcher{} }

// account is whom a script runs as.
type account struct{}

// run runs c to its end.
func (l *launcher) run(ctx context.Context, c command) *Outcome { panic("exec.go is on its way") }
