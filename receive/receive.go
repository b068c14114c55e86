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

// Receiver takes what others push and puts it into a sink. It is made for one
// Run: after an error the Set makes a new one.
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
	// Own is this bridge's name in what it uploads; see SetOptions.
	Own string
	// Counts outlive the receiver. Count 0 of what is known beforehand, so
	// that its series is there from 0.
	Counts *Counts
	// Opened must be called by Run, once, when all that it listens on is open.
	Opened func()
}

// kind is one line of the table.
type kind struct {
	name   string
	prefix string // of its series
	// verbatim says that it makes names as they stand on the page
	// (record.Source).
	verbatim bool
	// acknowledges says that it tells its clients when what they sent is safe
	// (record.Source).
	acknowledges bool
	// part is what the configuration says of it, nil when it is not there.
	part func(*config.Receive) *part
	// make makes one; it binds nothing and leaves nothing open, so that check
	// can call it. Its errors are those of the world, such as a missing
	// mapping file.
	make func(*config.Receive, Env) (Receiver, error)
}

// part is what the Set must know of one receiver's configuration.
type part struct {
	config    any // as it stands in config.Receive
	labels    map[string]string
	maxSeries int
	// paths are those of the web port that it answers, as in Endpoint.
	paths []string
	// files are read by make; where their contents change, a reload makes the
	// receiver anew. Empty names are left out.
	files []string
}

// inputs reads the part's files.
func (p *part) inputs() config.Inputs { return config.InputsOf(p.config, p.files...) }

// kinds is the table of all receivers.
var kinds = []kind{
	{name: "coscale", prefix: "coscale", acknowledges: true, part: coscalePart, make: newCoScale},
	{name: "statsd", verbatim: true, part: statsdPart, make: newStatsD},
	{name: "collectd", verbatim: true, part: collectdPart, make: newCollectd},
}

func coscalePart(r *config.Receive) *part {
	c := r.CoScale
	if c == nil {
		return nil
	}
	p := &part{config: c, labels: c.Labels, maxSeries: c.MaxSeries, files: []string{c.AccessTokensFile, c.TLS.CertFile, c.TLS.KeyFile}}
	if len(c.Listen) == 0 {
		p.paths = []string{apiPath}
	}
	return p
}

func statsdPart(r *config.Receive) *part {
	c := r.StatsD
	if c == nil {
		return nil
	}
	return &part{config: c, labels: c.Labels, maxSeries: c.MaxSeries, files: []string{c.MappingConfig}}
}

func collectdPart(r *config.Receive) *part {
	c := r.Collectd
	if c == nil {
		return nil
	}
	p := &part{config: c, labels: c.Labels, maxSeries: c.MaxSeries, files: append([]string{c.AuthFile}, c.TypesDB...)}
	if c.HTTPPath != "" {
		p.paths = []string{c.HTTPPath}
	}
	return p
}
