// Package limits starts a program under what a process can set only for itself:
// resource limits, a niceness, a umask, no new privileges. Our own program is
// started in its place (Name, Self), is told what to do over a socket, and becomes
// the program: argument list, environment, folder and process are as if nobody had
// stood in between.
//
// limits.go has what is said over the socket, helper_linux.go both of its ends.
// Elsewhere than on Linux Open fails.
package limits

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Settings are what a program starts under. The zero value changes nothing.
type Settings struct {
	// CPU is the processor time of all processes. One that uses as much alone is sent
	// SIGXCPU, and SIGKILL a second later; for that the kernel counts whole seconds.
	CPU time.Duration
	// Memory is the data of each process in bytes: its heap, its stacks and what
	// else it maps for itself.
	Memory int64
	// Processes is the number of processes and threads of the user that it runs as,
	// whoever started them. Root is not bound by it.
	Processes int
	Files     int     // open descriptors of each process
	Nice      int     // 0: as it is
	Umask     *uint32 // nil: as it is
	// NoNewPrivileges: no set-user-ID program gives it more rights than it has.
	NoNewPrivileges bool
}

// Program is what the helper becomes.
type Program struct {
	Path string
	Dir  string // empty: as it is
	Settings
	// ID is whom it runs as; nil: as it is.
	ID *ID
	// Args and Env may hold any bytes, unlike a string of JSON. The helper's own
	// environment follows Env.
	Args, Env [][]byte
}

// ID is an account as the kernel knows it.
type ID struct {
	UID, GID  uint32
	Groups    []uint32
	SetGroups bool // false: the supplementary groups stay as they are
}

// Usage is what the helper itself has cost, which the kernel counts as the
// program's.
type Usage struct {
	User, System time.Duration
	MaxRSS       int64 // bytes
}

// Bytes gives a list of strings as a Program has it.
func Bytes(texts []string) [][]byte {
	list := make([][]byte, len(texts))
	for i, text := range texts {
		list[i] = []byte(text)
	}
	return list
}

// Error says which of the settings could not be made.
type Error struct {
	What string // such as "nice -5"; empty: it is about the helper itself
	Err  error
}

// Error is a sentence without a subject.
func (e *Error) Error() string {
	switch {
	case e.What == "":
		return fmt.Sprintf("limits: %v", e.Err)
	case errors.Is(e.Err, syscall.EACCES) && strings.HasPrefix(e.What, "nice"):
		return fmt.Sprintf("limits: %s: %v (below the niceness of the bridge needs root, and in a unit of systemd CAP_SYS_NICE)", e.What, e.Err)
	}
	return fmt.Sprintf("limits: %s: %v", e.What, e.Err)
}

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }
