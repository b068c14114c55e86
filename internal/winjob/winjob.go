// Package winjob starts programs on Windows, each as the first process of a job
// object: what it starts is in the job too, and all that is in a job ends by one call,
// or with the last handle of the job, which nobody but this process has.
//
// job_windows.go has the job and its limits, account_windows.go what its processes have used, start_windows.go
// what a process is started with, and ask_windows.go how it is asked to end. On other
// systems there is nothing here but this file.
package winjob

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// Limits bound all processes of a job together. 0 is no limit.
type Limits struct {
	CPU       time.Duration
	Memory    int64 // bytes that they may commit
	Processes int
	// Keep: its processes may outlive the last handle of the job.
	Keep bool
}

// Usage is what the processes of a job have used so far, those that have ended
// included.
type Usage struct {
	User, System time.Duration
	Peak         int64 // the most memory that they had committed at once, in bytes; 0: not known
	// Processes is how many there are.
	Processes int
	// MemoryRefused and ProcessRefused: one of them wanted more than the limit.
	MemoryRefused, ProcessRefused bool
}

// AskName is the first word of the command line of the helper that asks a run to end,
// which is this program.
const AskName = "scriptbridge: asks a script to end"

// Called reports whether this process is to be that helper.
func Called(args []string) bool { return len(args) == 2 && args[0] == AskName }

// MessageVariable is the environment variable that tells a process the number of the
// handle to which it writes messages, in decimal: what is descriptor 3 elsewhere.
const MessageVariable = "SCRIPTBRIDGE_MESSAGE_HANDLE"

// environmentBlock gives NAME=VALUE strings as a process is given them on Windows: in
// UTF-16, sorted by name, and each name once, whatever its case. A later one wins.
func environmentBlock(env []string) ([]uint16, error) {
	type variable struct{ name, text string }
	var all []variable
	for _, text := range slices.Backward(env) {
		if strings.IndexByte(text, 0) >= 0 {
			return nil, errors.New("a variable of its environment has a NUL character in it")
		}
		// The folder of each drive has a name that begins with =.
		at := strings.IndexByte(text[min(1, len(text)):], '=')
		if at < 0 {
			continue
		}
		all = append(all, variable{strings.ToUpper(text[:at+1]), text})
	}
	slices.SortStableFunc(all, func(a, b variable) int { return cmp.Compare(a.name, b.name) })
	all = slices.CompactFunc(all, func(a, b variable) bool { return a.name == b.name })
	var block []uint16
	for _, v := range all {
		block = append(append(block, utf16.Encode([]rune(v.text))...), 0)
	}
	if len(all) == 0 {
		block = append(block, 0)
	}
	return append(block, 0), nil
}
