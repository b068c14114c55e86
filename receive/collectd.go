package receive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
)

// collectd is a receiver for collectd: its network protocol, its write_http,
// and its unixsock, which is polled. All three end in one collectdMerge, from
// which one goroutine, Run's, puts at most once a second.
type collectd struct {
	config *config.ReceiveCollectd
	env    Env
	reader collectdReader
	merge  *collectdMerge

	mu      sync.Mutex
	address string // where it listens for packets
}

const (
	// collectdPause is between two times that all is put.
	collectdPause = time.Second
	// collectdPacket is as large as a packet can be.
	collectdPacket = 1 << 16
	// collectdBuffer is what the kernel is asked to keep for us; it gives less
	// where net.core.rmem_max is smaller.
	collectdBuffer = 4 << 20
)

// newCollectd makes a receiver for collectd.
func newCollectd(r *config.Receive, env Env) (Receiver, error) {
	c := &collectd{config: r.Collectd, env: env}
	types, errTypes := loadCollectdTypes(c.config.TypesDB, env.Logger)
	users, errUsers := loadCollectdUsers(c.config.AuthFile)
	if err := errors.Join(errTypes, errUsers); err != nil {
		return nil, err
	}
	for _, reason := range []string{collectdForeign, "max_series", "overload", "request"} {
		env.Counts.Dropped(reason, 0)
	}
	c.reader = collectdReader{users: users, least: collectdLevels[c.config.SecurityLevel]}
	c.merge = newCollectdMerge(env.Source, env.Counts, c.config.Interval, c.config.TTL, types)
	return c, nil
}

// Run implements Receiver.
func (c *collectd) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	defer work.Wait()
	if c.config.UDP != "" {
		conn, err := listenCollectd(c.config.UDP)
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		defer conn.Close()
		c.mu.Lock()
		c.address = "udp " + conn.LocalAddr().String()
		c.mu.Unlock()
		work.Go(func() { cancel(c.listen(conn)) })
	}
	if c.config.Unixsock != "" {
		work.Go(func() { c.poll(ctx) })
	}
	c.env.Opened()
	// That there were no notifications yet is worth saying.
	c.put(&record.Batch{Source: c.merge.source, Time: time.Now(), Declared: collectdDeclared})
	c.puts(ctx)
	work.Wait()
	c.putAll()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// Endpoints implements Receiver.
func (c *collectd) Endpoints() []Endpoint {
	if c.config.HTTPPath == "" {
		return nil
	}
	return []Endpoint{{Path: c.config.HTTPPath, Handler: c, Private: true}}
}

// Addresses implements Receiver.
func (c *collectd) Addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	if c.address != "" {
		all = append(all, c.address)
	}
	if c.config.Unixsock != "" {
		all = append(all, "polls "+c.config.Unixsock)
	}
	return all
}

// listenCollectd opens an address; it joins the group of one that is multicast.
func listenCollectd(address string) (*net.UDPConn, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	listen := net.ListenUDP
	if a.IP.IsMulticast() {
		listen = func(network string, a *net.UDPAddr) (*net.UDPConn, error) {
			return net.ListenMulticastUDP(network, nil, a)
		}
	}
	conn, err := listen("udp", a)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(collectdBuffer) // it works with less
	return conn, nil
}

// listen reads packets until the connection is closed.
func (c *collectd) listen(conn *net.UDPConn) error {
	packet := make([]byte, collectdPacket)
	for {
		n, sender, err := conn.ReadFromUDPAddrPort(packet)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		c.env.Counts.Received("udp", 1, n)
		c.reader.read(packet[:n], collectdFrom{c.merge, "the packet", sender})
	}
}

// collectdFrom is the merge for what came from somebody, whom its errors name.
type collectdFrom struct {
	*collectdMerge
	what   string
	sender any
}

func (f collectdFrom) bad(reason string, err error) {
	f.collectdMerge.bad(reason, fmt.Errorf("%s from %v: %w", f.what, f.sender, err))
}

// puts puts what comes until ctx ends: the first at once, the rest of each
// second together.
func (c *collectd) puts(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for {
		select {
		case <-c.merge.wake:
		case <-ctx.Done():
			return
		}
		c.putAll()
		pause.Reset(collectdPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *collectd) putAll() {
	for _, b := range c.merge.take(time.Now()) {
		c.put(b)
	}
}

// put puts a batch. What a sink could not take is told by those who called.
func (c *collectd) put(b *record.Batch) { _ = c.env.Sink.Put(b) }
