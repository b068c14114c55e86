// Package collectd is the receiver for collectd: its network protocol (net.go,
// auth.go), its write_http (http.go), and its unixsock, which is polled
// (sock.go). types.go reads the files of types, names.go decides on names and
// types, event.go makes events of notifications, merge.go gathers what comes
// until the sink takes it, list.go finds the series that values are of, fresh.go
// keeps out what was recorded and is sent again.
package collectd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/admit"
	"scriptbridge/internal/socket"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

// Type is the receiver for collectd.
var Type = receiver.Type{Name: "collectd", Verbatim: true, Section: section, New: newReceiver}

func section(r *config.Receive) *receiver.Section {
	c := r.Collectd
	if c == nil {
		return nil
	}
	s := &receiver.Section{Config: c, Labels: c.Labels, MaxSeries: c.MaxSeries, Files: append([]string{c.AuthFile}, c.TypesDB...)}
	if c.HTTPPath != "" {
		s.Paths = []string{c.HTTPPath}
	}
	return s
}

// collectd is a receiver for collectd: its network protocol, its write_http,
// and its unixsock, which is polled. All three end in one merge, from
// which one goroutine, Run's, puts at most once a second.
type collectd struct {
	config *config.ReceiveCollectd
	env    receiver.Env
	reader packetReader
	merge  *merge

	reading admit.Semaphore // for requests that are not small
	parsing sync.Mutex      // held while a request's body is taken apart

	mu   sync.Mutex
	conn *receiver.PacketListener // for packets; nil before it is open, and without any

	// Run's own.
	lost    uint32 // packets that the kernel has dropped
	limited *receiver.LimitedLogger
}

const (
	// flushInterval is between two times that all is put.
	flushInterval = time.Second
	// maxPacket is as large as a packet can be.
	maxPacket = 1 << 16
	// kernelBuffer is what the kernel is asked to keep for us; it gives less
	// where net.core.rmem_max is smaller.
	kernelBuffer = 4 << 20
)

// newReceiver makes a receiver for collectd.
func newReceiver(r *config.Receive, env receiver.Env) (receiver.Receiver, error) {
	c := &collectd{config: r.Collectd, env: env, reading: make(admit.Semaphore, maxReading), limited: receiver.NewLimitedLogger(env.Logger)}
	types, errTypes := loadTypesDB(c.config.TypesDB, env.Logger)
	users, errUsers := loadUsers(c.config.AuthFile)
	if err := errors.Join(errTypes, errUsers); err != nil {
		return nil, err
	}
	for _, reason := range []string{"kernel", "max_series", "overload", "request", unauthorized, tooOld, tooNew, replayed} {
		env.Counts.Dropped(reason, 0)
	}
	c.reader = packetReader{users: users, least: securityLevels[c.config.SecurityLevel]}
	c.merge = newMerge(env.Source, env.Counts, c.config.Interval, c.config.TTL, types)
	c.merge.timed = c.reader.least > levelNone
	return c, nil
}

// Run implements Receiver.
func (c *collectd) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	if c.config.UDP != "" {
		conn, err := c.listenUDP(ctx, c.config.UDP)
		if err != nil {
			return fmt.Errorf("collectd udp: %w", err)
		}
		defer conn.Close()
		c.mu.Lock()
		c.conn = conn
		c.mu.Unlock()
		work.Go(func() {
			if err := c.listen(conn); err != nil {
				cancel(err)
			}
		})
	}
	if c.config.Unixsock != "" {
		work.Go(func() { c.poll(ctx) })
	}
	c.env.Opened()
	// That there were no notifications yet is worth a series.
	_ = c.env.Sink.Put(&record.Batch{Source: c.env.Source, Time: time.Now(), Declared: declared})
	c.puts(ctx)
	if c.conn != nil {
		c.conn.Stop()
	}
	work.Wait()
	c.countLost()
	c.putAll()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// Endpoints implements Receiver.
func (c *collectd) Endpoints() []receiver.Endpoint {
	if c.config.HTTPPath == "" {
		return nil
	}
	return []receiver.Endpoint{{Path: c.config.HTTPPath, Handler: c, Private: true}}
}

// Addresses implements Receiver.
func (c *collectd) Addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	if c.conn != nil {
		all = append(all, "udp "+c.conn.Address())
	}
	if c.config.Unixsock != "" {
		all = append(all, "polls "+c.config.Unixsock)
	}
	return all
}

// listenUDP opens an address; it joins the group of one that is multicast.
func (c *collectd) listenUDP(ctx context.Context, address string) (*receiver.PacketListener, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	var conn *net.UDPConn
	if a.IP.IsMulticast() {
		conn, err = net.ListenMulticastUDP("udp", nil, a)
	} else {
		conn, err = socket.ListenUDP(ctx, a.String())
	}
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(kernelBuffer) // it works with less
	return receiver.NewPacketListener(conn, maxPacket, "udp", c.env)
}

// listen reads packets until the listener is stopped, and then those that wait
// already.
func (c *collectd) listen(conn *receiver.PacketListener) error {
	to := &fromSender{merge: c.merge, what: "the packet", sender: senderOf{conn}}
	return conn.Serve(func(packet []byte, _ time.Time) { c.reader.read(packet, to) })
}

// fromSender is the merge for what came from somebody, whom its errors name.
type fromSender struct {
	*merge
	what   string
	sender fmt.Stringer
}

// sender is one by name.
type sender string

func (s sender) String() string { return string(s) }

// senderOf is who sent the packet that a listener gives.
type senderOf struct{ *receiver.PacketListener }

func (s senderOf) String() string { return s.Sender().String() }

func (f *fromSender) reject(reason string, err error) {
	f.merge.reject(reason, fmt.Errorf("%s from %v: %w", f.what, f.sender, err))
}

// puts puts what comes until ctx ends: the first at once, the rest of each
// second together.
func (c *collectd) puts(ctx context.Context) {
	for {
		select {
		case <-c.merge.wake:
		case <-ctx.Done():
			return
		}
		c.putAll()
		select {
		case <-time.After(flushInterval):
		case <-ctx.Done():
			return
		}
		c.countLost()
	}
}

// countLost counts the packets that the kernel has dropped since the last time.
func (c *collectd) countLost() {
	if c.conn == nil {
		return
	}
	if lost := c.conn.Lost(); lost != 0 {
		c.env.Counts.Dropped("kernel", int(lost-c.lost)) // it may go round
		c.lost = lost
	}
}

// putAll puts all that has come. What a sink could not take is told by those
// who gave it.
func (c *collectd) putAll() {
	batches, warnings := c.merge.drain(time.Now())
	for _, b := range batches {
		_ = c.env.Sink.Put(b)
		if err := record.WithoutLines(b.Err); err != nil {
			c.limited.Warn(err.Error(), "msg", "collectd cannot be asked", "err", err)
		}
	}
	for what, w := range warnings {
		c.limited.Warn(what, "msg", w.msg, "err", w.err)
	}
}
