// Package receive is the way in for those who push: CoScale's API clients,
// StatsD and collectd. Each receiver is one file, and one line of the table.
package receive

import (
	"context"
	"net/http"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/record"
)

// Receiver takes what others push and puts it into a sink.
type Receiver interface {
	// Run opens what it listens on and puts what comes, until ctx ends; then it
	// closes, puts what it has taken already, and returns nil. An error is one
	// of the world, such as a port that is taken: the Set tells it, shows the
	// receiver as down, and calls Run again later.
	Run(ctx context.Context) error
	// Endpoints are what it answers on the web port, whether or not Run has
	// been called; nil for nothing.
	Endpoints() []Endpoint
	// Addresses are where it listens now, for the status page, such as
	// "udp 127.0.0.1:8125"; none before Run has opened them.
	Addresses() []string
}

// Endpoint is a path of the web port; one that ends in a slash is all beneath
// it.
type Endpoint struct {
	Path    string
	Handler http.Handler
}

// Env is what every receiver is given.
type Env struct {
	// Source is the receiver's, ready-made from its configuration.
	Source *record.Source
	// Sink takes its batches. Put must not be called twice at once.
	Sink   record.Sink
	Logger log.Logger
	// Storage is a folder of the receiver's own for what must survive a
	// restart; empty without --storage.path. It exists and is private.
	Storage string
	Counts  *Counts
}

// kind is one line of the table.
type kind struct {
	name   string
	prefix string // of its series
	// part is what the configuration says of it, nil when it is not there.
	part func(*config.Receive) any
	// make makes one; it binds nothing, so that check can call it. Its errors
	// are those of the world, such as a missing mapping file.
	make func(*config.Receive, Env) (Receiver, error)
}

// kinds is the table of all receivers.
var kinds = []kind{}
