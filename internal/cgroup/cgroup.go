// Package cgroup gives each run a control group of its own (version 2, Linux):
// what a process starts is in its group too, whatever it does with its session,
// its environment or its limits, and all that is in a group ends by one write.
// Only who may write the tree, such as root, can leave a group.
//
// find_linux.go finds the group that this process is in, tree_linux.go makes the
// folder for the groups below it and removes what others left, and group_linux.go
// is one of them. On other systems there is nothing here but this file.
package cgroup

import (
	"time"
)

// Limits bound all processes of a group together. 0 is no limit.
type Limits struct {
	Memory    int64 // bytes; swap is not used
	Processes int64 // threads count as well
}

// Usage is what the processes of a group have used so far, those that have ended
// included.
type Usage struct {
	User, System time.Duration
	// Peak is the largest memory at one time, in bytes, page cache included; 0 where
	// the memory controller is not there.
	Peak int64
	// Reached is the limit that the group has run into: Memory or Processes, or ""
	// for none.
	Reached string
}

// The limits of a group that can be reached.
const (
	Memory    = "memory"
	Processes = "processes"
)
