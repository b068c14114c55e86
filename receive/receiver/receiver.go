// Package receiver says what a receiver must be (receiver.go), and has what
// receivers share: counts.go, the door for requests (door.go), listeners that
// outlast temporary errors (listen.go; for packets packets.go), what the kernel has
// of a socket (socket_linux.go), and a log that does not repeat itself (limitedlogger.go).
// It knows no receiver; the table of all of them is package receive's.
package receiver

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/access"
	"scriptbridge/internal/fsx"
	"scriptbridge/record"
)

// Receiver takes what others push and puts it into a sink. It is single-use: Run
// is called once, and after an error the Set makes a new one.
type Receiver interface {
	// Run opens what it listens on, calls Env.Opened, and puts what comes,
	// until ctx ends; then it closes, puts what it has taken already, and
	// returns nil. An error is one of the world, such as a port that is taken:
	// the Set tells it, shows the receiver as down, and tries again later.
	Run(ctx context.Context) error
	// Endpoints are what it answers on the web port; nil for nothing. The Set
	// asks for them when Env.Opened is called, lets requests in from then on,
	// and ends ctx only after the last of them has been answered.
	Endpoints() []Endpoint
	// Addresses are where it listens now, for the status page, such as
	// "udp 127.0.0.1:8125"; none before Run has opened them.
	Addresses() []string
}

// Endpoint is a path of the web port; one that ends in a slash is all beneath
// it. Requests that a browser sends for a foreign page never reach it.
type Endpoint struct {
	Path    string
	Handler http.Handler
	// Private lets only those in who may see the private pages: users of
	// the web configuration, or who asks on a loopback listener.
	Private bool
}

// Has reports whether a request for path is the endpoint's.
func (e Endpoint) Has(path string) bool {
	if strings.HasSuffix(e.Path, "/") {
		return strings.HasPrefix(path, e.Path)
	}
	return path == e.Path
}

// Env is what every receiver is given.
type Env struct {
	// Source is the receiver's, ready-made from its configuration.
	Source *record.Source
	// Sink takes its batches, one at a time: a second Put waits for the first.
	// An error has been logged and counted.
	Sink   record.Sink
	Logger log.Logger
	// Storage is a folder of the receiver's own for what must survive a
	// restart; empty without --storage.path. It exists and is private.
	Storage string
	// Disk is what Storage lies on, and all in it must be opened through: it
	// follows no links. Nil: the real one.
	Disk fsx.FS
	// Own is this bridge's name in what it uploads; see receive.SetOptions.
	Own string
	// Guard keeps out who may not push, where the receiver answers requests on
	// addresses of its own.
	Guard *access.Guard
	// Fatal ends the program; see receive.SetOptions.
	Fatal func(error)
	// Counts outlive the receiver. Count 0 of what is known beforehand, so
	// that its series is there from 0.
	Counts *Counts
	// Opened must be called by Run, once, when all that it listens on is open.
	Opened func()
}

// Type is a type of receiver: one line of the table in package receive.
type Type struct {
	Name   string
	Prefix string // of its series
	// Verbatim says that it makes names as they stand on the page
	// (record.Source).
	Verbatim bool
	// WholeNames says that its clients choose names that need no other in front
	// (record.Source).
	WholeNames bool
	// Acknowledges says that it tells its clients when what they sent is safe
	// (record.Source).
	Acknowledges bool
	// Section is what the configuration says of it, nil when it is not there.
	Section func(*config.Receive) *Section
	// New makes one; it binds nothing and leaves nothing open, so that check
	// can call it. Its errors are those of the world, such as a missing
	// mapping file.
	New func(*config.Receive, Env) (Receiver, error)
}

// Section is what the Set must know of one receiver's configuration.
type Section struct {
	Config    any // as it stands in config.Receive
	Labels    map[string]string
	MaxSeries int
	// Paths are those of the web port that it answers, as in Endpoint.
	Paths []string
	// Files are read by New; where their contents change, a reload makes the
	// receiver anew. Empty names are left out.
	Files []string
}

// Fingerprint tells apart what is made of sections. It reads their files.
func (s *Section) Fingerprint(r *config.Receive) string {
	return config.Fingerprint(s.Files, s.Config, r.DropTexts)
}
