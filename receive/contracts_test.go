package receive

import (
	"testing"

	"scriptbridge/config"
	"scriptbridge/receive/receivertest"
)

// contract is what the suite must know of a type of receiver to hold it to what
// all promise. Every line of the table needs one.
type contract struct {
	// Config makes a configuration with this receiver alone, on port 0 of
	// 127.0.0.1. Called twice for one folder it must give the same.
	Config func(t *testing.T, folder string) *config.Receive
	// Send has messages sent as a client would, one after the other, and
	// returns when they are on their way. Its errors are the client's own.
	Send func(t *testing.T, to receivertest.Addresses, messages ...string)
	// Good are messages, and Want what they come to: for each series, spelled
	// as Sink.State does, its value, the sum of what is added, or the weight of
	// what is observed.
	Good []string
	Want map[string]float64
	// Bad are messages that come to nothing at all.
	Bad []string
	// Overload sends what must be dropped, and gives the reason that counts it.
	Overload func(t *testing.T, to receivertest.Addresses) (reason string)
}

// contracts has the contract of every type of receiver, by its name.
var contracts = map[string]contract{
	"coscale":  coscaleContract,
	"statsd":   statsdContract,
	"collectd": collectdContract,
}
