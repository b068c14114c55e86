// Package footprint keeps the memory small that a process has when it has little to
// do: what its start needed goes back to the system, and the heap grows by less
// between two collections.
package footprint

import (
	"os"
	"runtime"
	"runtime/debug"
)

// How much the heap may grow between two collections, in percent of what is in use. Go's own
// default is 100. At work, twice the collections cost a tenth of a percent of a core with 1,000
// scripts a minute, for an eighth of the memory. While a configuration is read there is little to collect.
const (
	atStart = 400
	atWork  = 50
)

// Start has a start be quick. Where nobody can ask for a profile of the heap, profiled is
// false, and none is made: its table alone is larger than what two hundred scripts need.
func Start(profiled bool) {
	if !profiled {
		runtime.MemProfileRate = 0
	}
	grow(atStart)
}

// Work has the heap stay small from now on.
func Work() { grow(atWork) }

// grow sets what the heap may grow by, unless GOGC in the environment says so.
func grow(percent int) {
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
