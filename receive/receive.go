// Package receive is the way in for those who push. Each receiver is a package
// of its own beneath it, and a line of the table; a Set has those at work that
// are configured.
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
