// Package footprint keeps the memory small that a process has when it has little to
// do: what its start needed goes back to the system, and the heap grows by less
// between two collections.
package footprint

import (
	"os"
	"runtime/debug"
)

// percent is how much the heap may grow between two collections, in percent of what
// is in use. Go's own default is 100: twice the collections cost less than a
// tenth of a percent of a core with 1,000 scripts a minute (docs/performance.md).
const percent = 50

// Tune has the collector keep the heap small, unless GOGC in the environment says how large
// it may be.
func Tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// Release gives back what is not in use: free memory of the heap, and what
// ReleaseProgram does.
func Release() {
	debug.FreeOSMemory()
	ReleaseProgram()
}

// ReleaseProgram takes the pages of the program's own file out of this process, on
// Linux. The system goes on to have them in its cache as long as there is room, and each is
// mapped again, with its neighbours, when it is needed: what only a start or a reload
// does, counts no more as memory of a process that does something else for the rest of its life.
func ReleaseProgram() { unmapProgram() }
