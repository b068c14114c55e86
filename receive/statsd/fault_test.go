package statsd

import (
	"net"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// unable is a sink that panics at what has come.
type unable struct{}

func (unable) Put(b *record.Batch) error {
	if b.Declared == nil {
		panic("odd")
	}
	return nil
}

// A fault of ours in what is put once a second ends the receiver, which lets go of
// its ports: the next one needs them.
func TestFaultInPut(t *testing.T) {
	opened := make(chan struct{})
	made, err := newReceiver(&config.Receive{StatsD: &config.ReceiveStatsD{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0"}}, receiver.Env{
		Source: testSource, Sink: unable{}, Logger: log.NewNopLogger(), Counts: new(receiver.Counts), Opened: func() { close(opened) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- made.Run(t.Context()) }()
	<-opened
	addresses := made.Addresses()
	for _, a := range addresses {
		network, address, _ := strings.Cut(a, " ")
		receivertest.Dial(t, network, address).Write([]byte("a:1|c\n"))
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "this is a fault of scriptbridge itself: odd") {
		t.Errorf("it ended with %v", err)
	}
	for _, a := range addresses {
		network, address, _ := strings.Cut(a, " ")
		if network == "udp" {
			conn, err := net.ListenPacket(network, address)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			continue
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}
