package receivertest

import (
	"strings"
	"testing"

	"scriptbridge/config"
)

// Contract is what the suite of package receive must know of a type of receiver
// to hold it to what all promise. Every line of the table needs one.
type Contract struct {
	// Config makes a configuration with this receiver alone, on port 0 of
	// 127.0.0.1. Called twice for one folder it must give the same.
	Config func(t *testing.T, folder string) *config.Receive
	// Send has messages sent as a client would, one after the other, and
	// returns when they are on their way. Its errors are the client's own.
	Send func(t *testing.T, to Addresses, messages ...string)
	// Good are messages, and Want what they come to: for each series, spelled
	// as Sink.State does, its value, the sum of what is added, or the weight of
	// what is observed.
	Good []string
	Want map[string]float64
	// Bad are messages that come to nothing at all.
	Bad []string
	// Overload sends what must be dropped, and gives the reason that counts it.
	Overload func(t *testing.T, to Addresses) (reason string)
}

// Contracts gives the contract of every type of receiver, by its name.
func Contracts() map[string]Contract {
	return map[string]Contract{
		"coscale":  coscaleContract,
		"statsd":   statsdContract,
		"collectd": collectdContract,
	}
}

// Addresses are where a receiver listens, as Receiver.Addresses has them.
type Addresses []string

// Of gives the one of a network, such as udp.
func (a Addresses) Of(t testing.TB, network string) string {
	t.Helper()
	for _, one := range a {
		if at, ok := strings.CutPrefix(one, network+" "); ok {
			return at
		}
	}
	t.Fatalf("it does not listen on %s: %v", network, a)
	return ""
}
