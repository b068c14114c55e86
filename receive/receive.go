// Package receive is the way in for those who push. Each receiver is a package
// of its own in a folder here, and a line of the table in receive.go. A Set
// (set.go) keeps those at work that are configured, each by a worker
// (worker.go). door.go passes requests of the web port on to them, and
// recent.go keeps what the status page shows.
package receive

import (
	"scriptbridge/receive/collectd"
	"scriptbridge/receive/coscaleapi"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/statsd"
)

// types is the table of all receivers.
var types = []receiver.Type{
	coscaleapi.Type,
	statsd.Type,
	collectd.Type,
}
